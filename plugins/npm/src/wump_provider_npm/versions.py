"""Versions: which one of a package is the latest.

Source: npm's dist-tag documentation; semver.org, section 11 (precedence).
"""

import re
from collections.abc import Iterable

MAX_VERSION_LENGTH = 255

_SEMVER = re.compile(r"[v=\s]*(\d+)\.(\d+)\.(\d+)(?:-?(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+\S*)?", re.ASCII)
_Precedence = tuple[int, tuple[int, ...], tuple[tuple[int, int, str], ...]]


def choose_latest(tagged: object, versions: Iterable[str]) -> str | None:
    """The version tagged `latest` if it is there, else the highest final release, else the highest of all.

    The publisher sets the tag: it may be missing, or point to a version that was unpublished. The order of
    the versions in the document says nothing.
    """
    known = dict.fromkeys(versions)
    if isinstance(tagged, str) and tagged in known:
        return tagged
    return max(known, key=_find_precedence, default=None)


def _find_precedence(version: str) -> _Precedence:
    """A sort key: what isn't semver first, then prereleases, then final releases."""
    match = _SEMVER.fullmatch(version) if len(version) <= MAX_VERSION_LENGTH else None
    if match is None:
        return 0, (), ()
    numbers = tuple(int(number) for number in match.groups()[:3])
    if match["pre"] is None:
        return 2, numbers, ()
    return 1, numbers, tuple(_find_identifier_precedence(part) for part in match["pre"].split("."))


def _find_identifier_precedence(identifier: str) -> tuple[int, int, str]:
    """Numbers rank below words and by value, words by ASCII."""
    return (0, int(identifier), "") if identifier.isdigit() else (1, 0, identifier)
