"""Versions: which one of a crate is the one that people get.

Source: Semantic Versioning 2.0.0, section 11, and crates.io's rule for a crate's default version: the highest that is
neither yanked nor a prerelease, else the highest prerelease, else the highest yanked one.
"""

import re
from collections.abc import Iterable
from typing import Any

_VERSION = re.compile(r"(\d{1,20})\.(\d{1,20})\.(\d{1,20})(?:-([0-9A-Za-z.-]{1,200}))?(?:\+[0-9A-Za-z.-]{1,200})?")
_LOWEST: tuple[Any, ...] = (-1,)


def choose_default(versions: Iterable[tuple[str, bool]]) -> int | None:
    """The position of the default version among (number, yanked); null where there is none. Of equals, the last."""
    ranked = [(_rank(number, yanked), position) for position, (number, yanked) in enumerate(versions)]
    return max(ranked)[1] if ranked else None


def _rank(number: str, yanked: bool) -> tuple[Any, ...]:
    """Greater is better. Numeric parts of a prerelease are below words, and fewer parts below more."""
    found = _VERSION.fullmatch(number)
    if found is None:
        return (not yanked, False, _LOWEST, ())
    release = tuple(map(int, found.group(1, 2, 3)))
    parts = (found[4] or "").split(".") if found[4] else []
    pre = tuple((0, int(part), "") if part.isdigit() and len(part) < 20 else (1, 0, part) for part in parts)
    return (not yanked, not parts, release, pre)
