"""Versions in Maven's order, and which one of a list is the latest.

Source: Maven's POM reference, "Version Order Specification". What a registry calls `latest` or `release` is often
stale or wrong, so that it is only believed where there is no list.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cmp_to_key, lru_cache
from typing import NamedTuple

MAX_LENGTH = 255
"""Characters of a version that is looked at, as many as a record holds."""

_TOKEN = re.compile(r"([.-]?)([0-9]+|[^.\-0-9]+|(?=[.-]|$))")
_QUALIFIERS = {
    name: rank
    for rank, names in enumerate(
        (("alpha",), ("beta",), ("milestone",), ("rc", "cr"), ("snapshot",), ("", "final", "ga", "release"), ("sp",))
    )
    for name in names
}
_NULL = _QUALIFIERS[""]
_OTHER = max(_QUALIFIERS.values()) + 1
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}
_BEFORE_RELEASE = frozenset("alpha beta milestone rc cr snapshot dev pre preview ea eap nightly canary".split())
_DATE = re.compile(r"(?:19|20)[0-9]{6}(?![0-9])")


class Token(NamedTuple):
    """One part of a version: what separates it from the one before, and a number or a qualifier."""

    separator: str
    number: int | None
    qualifier: str

    @property
    def is_null(self) -> bool:
        """Whether it says nothing, at an end."""
        return self.number == 0 if self.number is not None else self.qualifier in ("", "final", "ga", "release")


def choose_latest(versions: Iterable[str]) -> list[str]:
    """The versions, the latest first: releases, then what came before one, then dates as in `20040616`.

    Dates are from before a project had versions, and higher than these. They come first where there is nothing else.
    """
    usable = [version for version in dict.fromkeys(versions) if 0 < len(version) <= MAX_LENGTH]
    key = cmp_to_key(compare)
    return sorted(usable, key=lambda version: (not _DATE.match(version), not is_prerelease(version), key(version)))[
        ::-1
    ]


def is_prerelease(version: str) -> bool:
    """Whether a version was made before the release that it names."""
    return any(token.qualifier in _BEFORE_RELEASE for token in tokenize(version))


def compare(one: str, other: str) -> int:
    """Less than, equal to or greater than 0, as Maven orders them."""
    left, right = tokenize(one), tokenize(other)
    for position in range(max(len(left), len(right))):
        mine = left[position] if position < len(left) else _pad(right[position])
        theirs = right[position] if position < len(right) else _pad(left[position])
        if (order := _compare_tokens(mine, theirs)) != 0:
            return order
    return 0


@lru_cache(maxsize=4_096)
def tokenize(version: str) -> tuple[Token, ...]:
    """The parts of a version, without those that say nothing before a hyphen or at the end."""
    tokens: list[Token] = []
    for token in _split(version.lower()):
        if token.separator == "-":
            _trim(tokens)
        tokens.append(token)
    _trim(tokens)
    return tuple(tokens)


def _split(version: str) -> Iterator[Token]:
    """A change from letters to digits, or back, counts as a hyphen; nothing between two separators as a 0."""
    found = [(match[1], match[2]) for match in _TOKEN.finditer(version) if match[0]]
    for position, (separator, text) in enumerate(found):
        before = "-" if position and not separator else separator
        if not text or text.isdigit():
            yield Token(before, int(text or 0), "")
            continue
        follower = found[position + 1] if position + 1 < len(found) else ("-", "")
        is_short = follower[0] == "" and follower[1].isdigit()
        yield Token(before, None, _SHORT.get(text, text) if is_short else text)


def _trim(tokens: list[Token]) -> None:
    while tokens and tokens[-1].is_null:
        tokens.pop()


def _pad(token: Token) -> Token:
    """What stands where the other version has a further part: the same kind, saying nothing."""
    return Token(token.separator, None if token.number is None else 0, "")


def _compare_tokens(one: Token, other: Token) -> int:
    mine, theirs = _rank(one), _rank(other)
    return (mine > theirs) - (mine < theirs)


def _rank(token: Token) -> tuple[int, int, str]:
    """Qualifiers before numbers; of numbers those behind a hyphen before those behind a dot."""
    if token.number is not None:
        return (1 if token.separator == "-" else 2, token.number, "")
    rank = _QUALIFIERS.get(token.qualifier, _OTHER)
    return (0, rank, token.qualifier if rank == _OTHER else "")
