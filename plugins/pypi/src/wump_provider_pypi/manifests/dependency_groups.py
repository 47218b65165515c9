"""Dependency groups, with their includes.

Source: the dependency groups specification (PEP 735). An included group's entries belong to the including
group too: one entry becomes one record with all of its groups, and the scope of the group in which it is written.
"""

from collections import deque
from typing import Any

from packaging.utils import canonicalize_name

from wump_provider_pypi.fields import quote
from wump_provider_pypi.manifests.document import Document, field_of
from wump_provider_pypi.manifests.scopes import scope_of_group
from wump_provider_pypi.manifests.toml_lines import TomlPath
from wump_provider_pypi.requirements import Place

_TABLE = "dependency-groups"
MAX_GROUPS = 25
"""As many groups are told of one entry."""


def add_dependency_groups(document: Document) -> None:
    """Read `[dependency-groups]`."""
    if _TABLE not in document.data:
        return
    table = document.table(_TABLE)
    entries: dict[str, list[tuple[TomlPath, Any]]] = {}
    includers: dict[str, list[str]] = {}
    for written in table:
        group = canonicalize_name(written)
        if group in entries:
            document.note(f"the group {quote(group)} is written twice", (_TABLE, written))
        entries.setdefault(group, [])
        for path, entry in document.entries(_TABLE, written):
            if isinstance(entry, dict):
                _read_include(document, path, entry, group, includers)
            else:
                entries[group].append((path, entry))
    for included in includers.keys() - entries.keys():
        document.note(f"the included group {quote(included)} does not exist", (_TABLE,))
    _note_circles(document, includers)
    for group, members in entries.items():
        reached = _groups_that_include(group, includers) if members else []
        for path, entry in members:
            _add_entry(document, path, entry, group, reached)


def _read_include(
    document: Document, path: TomlPath, entry: dict[str, Any], group: str, includers: dict[str, list[str]]
) -> None:
    included = entry.get("include-group")
    if isinstance(included, str) and len(entry) == 1:
        includers.setdefault(canonicalize_name(included), []).append(group)
    else:
        document.note("expected a requirement or `{include-group = …}`", path)


def _groups_that_include(group: str, includers: dict[str, list[str]]) -> list[str]:
    """The group and whichever include it, directly or not; as many as are told."""
    found, waiting = {group: None}, deque([group])
    while waiting and len(found) < MAX_GROUPS:
        for other in includers.get(waiting.popleft(), ()):
            if other not in found and len(found) < MAX_GROUPS:
                found[other] = None
                waiting.append(other)
    return list(found)


def _note_circles(document: Document, includers: dict[str, list[str]]) -> None:
    """Take away, again and again, the groups whose includes are all done: what stays runs in a circle."""
    open_includes: dict[str, int] = {}
    for others in includers.values():
        for other in others:
            open_includes[other] = open_includes.get(other, 0) + 1
    done = deque(group for group in includers if group not in open_includes)
    while done:
        for other in includers.get(done.popleft(), ()):
            open_includes[other] -= 1
            if open_includes[other] == 0:
                done.append(other)
    if stuck := sorted(group for group, number in open_includes.items() if number):
        document.note(f"include-group runs in a circle: {', '.join(map(quote, stuck[:5]))}", (_TABLE,))


def _add_entry(document: Document, path: TomlPath, entry: Any, group: str, groups: list[str]) -> None:
    place = Place(
        field=field_of(path), scope=scope_of_group(group), groups=tuple(sorted(name for name in groups if name))
    )
    document.add_requirement(path, entry, place)
