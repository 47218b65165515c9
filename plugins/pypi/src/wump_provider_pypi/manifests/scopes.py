"""What names of groups, files and folders say of the scope of what is listed under them."""

import re

from wump_core import Scope

_TEST = frozenset({"test", "tests", "testing"})
_DEVELOPMENT = frozenset({"dev", "develop", "development", "doc", "docs"})
_WORD = re.compile(r"[a-z]+")


def scope_of_group(group: str) -> Scope:
    """Groups are never installed with the package: those for tests are `test`, all others `development`."""
    return "test" if group.lower() in _TEST else "development"


def scope_of_path(path: str) -> Scope:
    """The file's own name first, then its folders from the nearest one outwards; else `runtime`."""
    for part in reversed(path.lower().split("/")):
        words = set(_WORD.findall(part))
        if words & _DEVELOPMENT:
            return "development"
        if words & _TEST:
            return "test"
    return "runtime"
