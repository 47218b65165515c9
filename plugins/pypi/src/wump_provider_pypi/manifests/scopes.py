"""What names of groups, files and folders say of the scope of what is listed under them."""

import re
from collections.abc import Iterable

from wump_core import Scope

_TEST = frozenset({"test", "tests", "testing"})
_DEVELOPMENT = frozenset({"dev", "devel", "develop", "development", "doc", "docs"})
_RUNTIME = frozenset({"main", "default"})
_TOOLS = frozenset({"lint", "linting", "format", "style", "typing", "types", "ci", "tox", "nox", "tools", "release"})
_WORD = re.compile(r"[a-z]+")

STRENGTH: tuple[Scope, ...] = ("runtime", "optional", "development", "test", "build", "peer", "unknown")
"""Of several scopes of one package, the first of these is told."""


def scope_of_group(group: str) -> Scope:
    """Groups are never installed with the package: those for tests are `test`, all others `development`.

    `main` and `default` are what Poetry and PDM call the package's own dependencies.
    """
    name = group.lower()
    return "runtime" if name in _RUNTIME else "test" if name in _TEST else "development"


def guess_scope(group: str) -> Scope:
    """The scope of what may be a group or an extra: one that is named for no work on the project is an extra."""
    words = set(_WORD.findall(group.lower()))
    if words & _TEST:
        return "test"
    return "development" if words & (_DEVELOPMENT | _TOOLS) else "optional"


def scope_of_groups(groups: Iterable[str]) -> Scope:
    """The strongest scope of several groups; `runtime` where there are none."""
    return strongest(scope_of_group(group) for group in groups)


def strongest(scopes: Iterable[Scope]) -> Scope:
    """The one that is told of several; `runtime` of none."""
    return min(scopes, key=STRENGTH.index, default="runtime")


def scope_of_path(path: str) -> Scope:
    """The file's own name first, then the folder it stands in, a folder `requirements` left out; else `runtime`."""
    *folders, name = path.lower().split("/")
    for part in (name, next((part for part in reversed(folders) if part != "requirements"), "")):
        words = set(_WORD.findall(part))
        if words & _DEVELOPMENT:
            return "development"
        if words & _TEST:
            return "test"
    return "runtime"
