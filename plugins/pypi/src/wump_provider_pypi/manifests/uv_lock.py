"""uv.lock.

Source: uv's manual (the lockfile; workspaces) and its format: each project of the workspace stands among the packages,
with its requirements as written under `metadata`, so that no other file is needed.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wump_core import DependencySource, ManifestRecord, Scope, decode_text, load_toml

from wump_provider_pypi.findings import Findings, make_project
from wump_provider_pypi.manifests.lock_lines import find_table_lines
from wump_provider_pypi.manifests.locked import Location, add_locked, packages_of, reach, text_of
from wump_provider_pypi.manifests.scopes import scope_of_group
from wump_provider_pypi.requirements import Place, canonical_name

FORMAT = "uv.lock"

_RESOLVED = ("dependencies", "optional-dependencies", "dev-dependencies")
_PROJECT_KINDS = ("virtual", "editable", "directory")


class _Asked(NamedTuple):
    """What a project asks for by itself."""

    groups: set[str]
    requirements: set[str]
    markers: set[str]


def parse_uv_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one uv.lock.

    Raises:
        InvalidManifest: It is no UTF-8, or no TOML.
    """
    text = decode_text(content)
    document = load_toml(text)
    findings = Findings()
    key = "package" if "package" in document else "distribution"  # before uv 0.2.34
    packages = packages_of(findings, document.get(key), key)
    members = _members(document, packages)
    projects = [package for _, package in packages if canonical_name(package["name"]) in members]
    roots, asked = _ask(document, projects)
    needs = _edges(packages)
    scopes = reach(roots, needs)
    lines = find_table_lines(text, key, document.get(key))
    required = {node.partition("[")[0] for nodes in needs.values() for node in nodes}
    for number, package in packages:
        if findings.stop(field=key):
            break
        name = canonical_name(package["name"])
        is_member = name in members
        if is_member and name not in required:
            continue  # a project itself
        location = _location(package)
        found = asked.get(name)
        scope = scopes.get(name, "runtime")
        groups = tuple(sorted(found.groups)) if found else ()
        direct = found is not None if projects or asked else name not in required
        add_locked(
            findings,
            package["name"],
            Place(None, None, scope, groups, scope == "optional"),
            line=lines[number],
            direct=direct,
            version=text_of(package.get("version")),
            requirement=_only(found.requirements) if found else None,
            marker=_only(found.markers) if found else None,
            location=("workspace", location[1] if location else None) if is_member else location,
        )
    return findings.finish(path, FORMAT, "lockfile", project=_project(projects))


def _members(document: dict[str, Any], packages: list[tuple[int, dict[str, Any]]]) -> set[str]:
    """The projects: those that the manifest lists, and the one in the lockfile's own folder."""
    manifest = document.get("manifest")
    listed = manifest.get("members") if isinstance(manifest, dict) else None
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    own = [package["name"] for _, package in packages if _location(package) == ("path", ".")]
    return set(map(canonical_name, [*names, *own]))


def _project(projects: list[dict[str, Any]]) -> Any:
    own = [package for package in projects if _location(package) == ("path", ".")] or projects
    return make_project(own[0]["name"], own[0].get("version")) if len(own) == 1 else None


def _location(package: dict[str, Any]) -> Location:
    table = package.get("source")
    if isinstance(table, str):  # before uv 0.2.34: "registry+https://…"
        kind, _, location = table.partition("+")
        table = {kind: location}
    if not isinstance(table, dict):
        return None
    kinds: tuple[tuple[str, DependencySource], ...] = (("git", "git"), ("url", "url"), ("path", "path"))
    for key, source in kinds:
        if location := text_of(table.get(key)):
            return source, location
    for key in _PROJECT_KINDS:
        if location := text_of(table.get(key)):
            return "path", location
    return None


def _nodes(entries: object) -> Iterator[str]:
    """Names of packages, and `name[extra]` for the extras that are asked for."""
    for entry in entries if isinstance(entries, list) else ():
        name = text_of(entry.get("name")) if isinstance(entry, dict) else None
        if name:
            node = canonical_name(name)
            yield node
            extras = entry.get("extra") or entry.get("extras")
            for extra in extras if isinstance(extras, list) else [extras]:
                if isinstance(extra, str):
                    yield f"{node}[{canonical_name(extra)}]"


def _groups_of(package: dict[str, Any], key: str) -> Iterator[tuple[str, object]]:
    table = package.get(key)
    yield from table.items() if isinstance(table, dict) else ()


def _edges(packages: list[tuple[int, dict[str, Any]]]) -> dict[str, list[str]]:
    """What each node requires; several versions of one package are one node."""
    needs: dict[str, list[str]] = {}
    for _, package in packages:
        name = canonical_name(package["name"])
        needs.setdefault(name, []).extend(_nodes(package.get("dependencies")))
        for extra, entries in _groups_of(package, "optional-dependencies"):
            needs.setdefault(f"{name}[{canonical_name(extra)}]", []).extend(_nodes(entries))
    return needs


def _ask(document: dict[str, Any], projects: list[dict[str, Any]]) -> tuple[dict[Scope, list[str]], dict[str, _Asked]]:
    """What the projects ask for: nodes by scope, and the requirements as written by package."""
    roots: dict[Scope, list[str]] = {}
    asked: dict[str, _Asked] = {}
    manifest = document.get("manifest")
    if isinstance(manifest, dict):  # of a script, which is no package
        _add_asked(asked, manifest.get("requirements"), None)
        _add_requirements(asked, manifest.get("requirements"))
        roots.setdefault("runtime", []).extend(_nodes(manifest.get("requirements")))
    for package in map(_with_resolved, projects):
        _add_asked(asked, package.get("dependencies"), None)
        roots.setdefault("runtime", []).extend(_nodes(package.get("dependencies")))
        for extra, entries in _groups_of(package, "optional-dependencies"):
            _add_asked(asked, entries, extra)
            roots.setdefault("optional", []).extend(_nodes(entries))
        for key in ("dev-dependencies", "dependency-groups"):
            for group, entries in _groups_of(package, key):
                _add_asked(asked, entries, group)
                roots.setdefault(scope_of_group(group), []).extend(_nodes(entries))
        metadata = package.get("metadata")
        if isinstance(metadata, dict):
            _add_requirements(asked, metadata.get("requires-dist"))
            for key in ("requires-dev", "dependency-groups"):
                for _, entries in _groups_of(metadata, key):
                    _add_requirements(asked, entries)
    return roots, asked


def _with_resolved(project: dict[str, Any]) -> dict[str, Any]:
    """A project with what it asks for as resolved; where that is missing, what `metadata` says as written."""
    metadata = project.get("metadata")
    if not isinstance(metadata, dict) or not project.keys().isdisjoint(_RESOLVED):
        return project
    written = metadata.get("requires-dist")
    entries = [entry for entry in written if isinstance(entry, dict)] if isinstance(written, list) else []
    of_extras = [entry for entry in entries if "extra" in str(entry.get("marker", ""))]
    return project | {
        "dependencies": [entry for entry in entries if entry not in of_extras],
        "optional-dependencies": {"": of_extras},
        "dev-dependencies": metadata.get("requires-dev"),
    }


def _add_asked(asked: dict[str, _Asked], entries: object, group: str | None) -> None:
    for node in _nodes(entries):
        name = node.partition("[")[0]
        found = asked.setdefault(name, _Asked(set(), set(), set()))
        if group and group.strip():
            found.groups.add(canonical_name(group))


def _add_requirements(asked: dict[str, _Asked], entries: object) -> None:
    for entry in entries if isinstance(entries, list) else ():
        name = text_of(entry.get("name")) if isinstance(entry, dict) else None
        found = asked.get(canonical_name(name)) if name else None
        if found:
            found.requirements.add(text_of(entry.get("specifier")) or "")
            found.markers.add(text_of(entry.get("marker")) or "")


def _only(texts: set[str]) -> str | None:
    """What is written, where all that is written is the same."""
    return next(iter(texts)) or None if len(texts) == 1 else None
