"""pylock.toml, and pylock.<name>.toml.

Source: the pylock.toml specification (PEP 751). It need not say who asked for a package: its markers name the extras
and dependency groups that do, and `dependencies` is optional.
"""

from collections.abc import Mapping
from typing import Any

from wump_core import DependencySource, ManifestRecord, Scope

from wump_provider_pypi.manifests.locked import Location, Lockfile, text_of
from wump_provider_pypi.manifests.scopes import scope_of_groups
from wump_provider_pypi.markers import parse_marker
from wump_provider_pypi.requirements import Place, canonical_name, is_marker

FORMAT = "pylock.toml"


def parse_pylock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one pylock.toml.

    Raises:
        InvalidManifest: It is no UTF-8, or no TOML.
    """
    lock = Lockfile(path, content, siblings, "packages", _requires)
    always = _default_groups(lock.document)
    own = lock.beside.project.name if lock.beside.project else None
    for name, package, line in lock.packages():
        location = _location(package)
        if (location and location[1] == ".") or (own and canonical_name(own) == name):
            continue  # the project itself
        marker = text_of(package.get("marker"))
        scope, groups = _meaning(marker, always)
        lock.add(name, package, Place(None, line, scope, groups), marker, location)
    return lock.finish(FORMAT)


def _requires(package: dict[str, Any]) -> list[str]:
    dependencies = package.get("dependencies")
    tables = dependencies if isinstance(dependencies, list) else ()
    names = (text_of(table.get("name")) for table in tables if isinstance(table, dict))
    return [canonical_name(name) for name in names if name]


def _default_groups(document: dict[str, Any]) -> frozenset[str]:
    """Groups that are installed unasked: PDM calls the project's own dependencies so."""
    groups = document.get("default-groups")
    names = (text_of(group) for group in groups) if isinstance(groups, list) else ()
    return frozenset(canonical_name(name) for name in names if name)


def _meaning(marker: str | None, always: frozenset[str]) -> tuple[Scope, tuple[str, ...]]:
    """Scope and groups, by the dependency groups that the marker demands. Extras are read with every marker."""
    if not marker or not is_marker(marker):
        return "runtime", ()
    meaning = parse_marker(marker, ("dependency_groups",))
    groups = tuple(group for group in meaning.extras if group not in always and group != "default")
    chosen = meaning.needs_extra and len(groups) == len(meaning.extras)
    return (scope_of_groups(groups) if chosen else "runtime"), groups


def _location(package: dict[str, Any]) -> Location:
    kinds: tuple[tuple[str, DependencySource], ...] = (("vcs", "git"), ("directory", "path"), ("archive", "url"))
    for key, source in kinds:
        if isinstance(table := package.get(key), dict):
            url, path = text_of(table.get("url")), text_of(table.get("path"))
            return ("path" if path and not url and source == "url" else source), url or path
    return None
