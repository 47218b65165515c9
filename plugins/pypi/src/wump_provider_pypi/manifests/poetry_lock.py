"""poetry.lock, of Poetry 1 and 2.

Source: Poetry's manual and the versions of its lock format: there is `category` until Poetry 1.4, nothing of the kind
until 1.8, and `groups` from 2.0 on. Where the file doesn't say what a package is for, the pyproject.toml beside it
does.
"""

from collections.abc import Mapping
from typing import Any

from wump_core import DependencySource, ManifestRecord, Scope

from wump_provider_pypi.manifests.locked import Location, Lockfile, text_of
from wump_provider_pypi.manifests.scopes import scope_of_group, strongest
from wump_provider_pypi.requirements import Place, canonical_name

FORMAT = "poetry.lock"

_SOURCES: dict[str, DependencySource] = {"git": "git", "url": "url", "file": "path", "directory": "path"}


def parse_poetry_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one poetry.lock.

    Raises:
        InvalidManifest: It is no UTF-8, or no TOML.
    """
    lock = Lockfile(path, content, siblings, "package", _requires)
    extras = _extras(lock.document)
    for name, package, line in lock.packages():
        optional = package.get("optional") is True
        groups = _groups(package)
        scope = _scope(groups, lock.scope_of(name), optional=optional)
        told = (group for group in groups or lock.beside.groups_of(name) if group != "main")
        place = Place(None, line, scope, (*told, *extras.get(name, ())), optional)
        lock.add(name, package, place, package.get("markers"), _location(package))
    return lock.finish(FORMAT)


def _requires(package: dict[str, Any]) -> list[str]:
    dependencies = package.get("dependencies")
    return [canonical_name(name) for name in dependencies] if isinstance(dependencies, dict) else []


def _groups(package: dict[str, Any]) -> tuple[str, ...]:
    groups = package.get("groups", [package.get("category")])
    names = (text_of(group) for group in groups) if isinstance(groups, list) else ()
    return tuple(canonical_name(name) for name in names if name)


def _scope(groups: tuple[str, ...], beside: Scope | None, *, optional: bool) -> Scope:
    """By its groups, else by the manifest, else by what is left: `optional` is what only extras ask for."""
    scope: Scope = strongest(map(scope_of_group, groups)) if groups else beside or "runtime"
    return "optional" if scope == "runtime" and optional else scope


def _extras(document: dict[str, Any]) -> dict[str, list[str]]:
    """The extras that each package belongs to; older files write `name (range)` for a package."""
    extras: dict[str, list[str]] = {}
    table = document.get("extras")
    for extra, names in table.items() if isinstance(table, dict) else ():
        for written in names if isinstance(names, list) else ():
            if isinstance(written, str) and written.strip() and extra.strip():
                extras.setdefault(canonical_name(written.split()[0]), []).append(canonical_name(extra))
    return extras


def _location(package: dict[str, Any]) -> Location:
    table = package.get("source")
    source = _SOURCES.get(str(table.get("type"))) if isinstance(table, dict) else None
    return (source, text_of(table.get("url"))) if isinstance(table, dict) and source else None
