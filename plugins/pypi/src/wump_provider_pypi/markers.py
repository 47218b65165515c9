"""Environment markers: which extras or groups one demands, and whether it can be true without any.

Source: the dependency specifiers specification (PEP 508) for the grammar. Markers have no negation but in
their operators, so that "possibly true" needs no third value: every comparison with the environment counts
as true, and `and` and `or` do the rest.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from packaging.utils import canonicalize_name

_TOKEN = re.compile(
    r"""(?P<bracket>[()])|(?P<text>'[^']*'|"[^"]*")|(?P<word>[\w.]+)|(?P<operator>[<>=!~]+)""", re.ASCII
)


class MarkerMeaning(NamedTuple):
    """`needs_extra`: it can't be true unless an extra, or a group, is chosen. `extras`: normalised, sorted."""

    needs_extra: bool
    extras: tuple[str, ...]


@lru_cache(maxsize=1_024)
def parse_marker(marker: str, variables: tuple[str, ...] = ("extra", "extras")) -> MarkerMeaning:
    """Read a marker that is known to be valid. Uses a stack of its own: brackets may be nested deep.

    Args:
        variables: What stands for a choice of the user: extras, or in lockfiles also `dependency_groups`.
    """
    extras: set[str] = set()
    comparison: list[tuple[str, str]] = []
    # Per open bracket: whether an alternative before the last `or` holds, and whether the present one does.
    open_groups = [[False, True]]

    def close_comparison() -> None:
        if comparison:
            open_groups[-1][1] &= _holds_without(variables, comparison, extras)
            comparison.clear()

    for match in _TOKEN.finditer(marker):
        kind, word = match.lastgroup or "", match.group()
        if kind == "word" and word in ("and", "or"):
            close_comparison()
            if word == "or":
                open_groups[-1] = [any(open_groups[-1]), True]
        elif word == "(":
            open_groups.append([False, True])
        elif word == ")":
            close_comparison()
            value = any(open_groups.pop()) if len(open_groups) > 1 else True
            open_groups[-1][1] &= value
        else:
            comparison.append((kind, word))
    close_comparison()
    return MarkerMeaning(not any(open_groups[-1]), tuple(sorted(extras)))


def _holds_without(variables: tuple[str, ...], comparison: list[tuple[str, str]], extras: set[str]) -> bool:
    if not any(("word", variable) in comparison for variable in variables):
        return True
    tokens = [token for _, token in comparison]
    if "==" in tokens or ("in" in tokens and "not" not in tokens):
        names = (token[1:-1].strip() for kind, token in comparison if kind == "text")
        extras.update(canonicalize_name(name) for name in names if name)
    return "!=" in tokens or "not" in tokens
