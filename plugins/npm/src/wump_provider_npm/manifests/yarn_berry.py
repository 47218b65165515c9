"""Yarn Berry's lockfile: `yarn_lock` says what becomes of it.

Keys are descriptors, `name@range`, several of them joined by commas; `resolution` says which package they lead to.
Workspaces are entries too, with all that they need in one map. Of two entries for one package in one version, as
with Yarn's built-in patches, one is kept.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

from wump_core import DependencySource, ManifestRecord, resolve_path

from wump_provider_npm.dependencies import SCOPE_BY_FIELD
from wump_provider_npm.manifests.declared import NAME, Declared, list_declared, read_manifest
from wump_provider_npm.manifests.findings import Dependency, Findings, parse_project
from wump_provider_npm.manifests.locked import Roots, find_scopes, merge
from wump_provider_npm.manifests.references import find_requirement, find_source, split_descriptor
from wump_provider_npm.manifests.yaml_text import YamlMap, parse_yaml

_METADATA = "__metadata"
_NEXT_DESCRIPTOR = re.compile(r", ?(?=@?[^@\s,]+@)")
_NO_VERSION = "0.0.0-use.local"


@dataclass(slots=True, eq=False)
class _Entry:
    """One resolved package. `folder` is a workspace's."""

    name: str
    descriptors: list[str]
    version: str | None
    source: DependencySource
    line: int | None
    folder: str | None = None
    needs: dict[str, str] = field(default_factory=dict)
    wants: dict[str, str] = field(default_factory=dict)


class _Statement(NamedTuple):
    name: str
    declared: Declared


class _Graph(NamedTuple):
    entries: list[_Entry]
    by_descriptor: dict[str, _Entry]
    by_name: dict[str, list[_Entry]]

    def find(self, name: str, written: str) -> _Entry | None:
        """What a range leads to; where a resolution of the project replaced it, the only one of the name."""
        for descriptor in (f"{name}@{written}", f"{name}@npm:{written}"):
            if entry := self.by_descriptor.get(descriptor):
                return entry
        alone = self.by_name.get(name, [])
        return alone[0] if len(alone) == 1 else None

    def follow(self, needed: Mapping[str, str]) -> Iterator[_Entry]:
        for name, written in needed.items():
            entry = self.find(name, written)
            if entry is not None and entry.folder is None:
                yield entry


def parse_berry(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a lockfile of Yarn Berry.

    Raises:
        InvalidManifest: It is no such YAML.
    """
    findings = Findings()
    graph = _read_graph(parse_yaml(content), findings)
    projects = [entry for entry in graph.entries if entry.folder is not None]
    if graph.entries and not projects:
        projects = [_make_root(path, siblings)]
    needs = {entry: resolve_path(path, f"{entry.folder}/{NAME}") for entry in projects}
    statements = _list_statements(graph, projects, needs, siblings, findings)
    findings.add(merge(_list_dependencies(graph, statements)))
    root = next((entry.name for entry in projects if entry.folder == "."), None)
    project = parse_project(root, None, findings)
    return findings.finish(path, "yarn.lock", "lockfile", project, filter(None, needs.values()))


def _make_root(path: str, siblings: Mapping[str, bytes]) -> _Entry:
    """The project of a lockfile that has no entry for it, by the package.json beside it."""
    declared = list_declared(read_manifest(siblings.get(resolve_path(path, NAME) or "")) or {})
    needs = {name: one.written for name, one in declared.items()}
    return _Entry("", [NAME], None, "workspace", None, ".", needs)


def _read_graph(documents: list[YamlMap], findings: Findings) -> _Graph:
    entries = []
    for document in documents:
        for key, values in document.items():
            if key == _METADATA:
                continue
            entry = _read_entry(key, values, document.lines[key])
            if entry is None:
                findings.note(key[:255], "not an entry of a lockfile", document.lines[key])
            else:
                entries.append(entry)
    by_name: dict[str, list[_Entry]] = {}
    for entry in entries:
        by_name.setdefault(entry.name, []).append(entry)
    return _Graph(entries, {one: entry for entry in entries for one in entry.descriptors}, by_name)


def _read_entry(key: str, values: Any, line: int) -> _Entry | None:
    descriptors = _NEXT_DESCRIPTOR.split(key)
    resolution = values.get("resolution") if isinstance(values, YamlMap) else None
    name, reference = split_descriptor(resolution if isinstance(resolution, str) else descriptors[0])
    if not isinstance(values, YamlMap) or not name or not reference:
        return None
    folder = reference.removeprefix("workspace:") if reference.startswith("workspace:") else None
    version = values.get("version")
    meta = _read_map(values.get("dependenciesMeta"), YamlMap)
    all_needed = _read_map(values.get("dependencies"), str)
    wants = {one: written for one, written in all_needed.items() if one in meta and meta[one].get("optional") == "true"}
    return _Entry(
        name=name,
        descriptors=descriptors,
        version=version if isinstance(version, str) and version != _NO_VERSION else None,
        source=_find_source(reference),
        line=line,
        folder=folder,
        needs={one: written for one, written in all_needed.items() if one not in wants},
        wants=wants,
    )


def _read_map(values: Any, kind: type) -> dict[str, Any]:
    if not isinstance(values, YamlMap):
        return {}
    return {name: value for name, value in values.items() if isinstance(value, kind)}


def _find_source(reference: str) -> DependencySource:
    """A patched package is the package; the patch itself stands in the tree."""
    for _ in range(8):  # a patch of a patch
        if not reference.startswith("patch:"):
            break
        reference = unquote(split_descriptor(reference.removeprefix("patch:"))[1].partition("#")[0])
    return "registry" if reference.startswith("npm:") else find_source(reference)


def _list_statements(
    graph: _Graph,
    projects: list[_Entry],
    places: Mapping[_Entry, str | None],
    siblings: Mapping[str, bytes],
    findings: Findings,
) -> dict[_Entry, dict[str, _Statement]]:
    """What the projects ask for: by entry, by the name it is asked for under."""
    statements: dict[_Entry, dict[str, _Statement]] = {}
    for project in projects:
        manifest = read_manifest(siblings.get(places[project] or ""))
        if manifest is None:
            findings.note(
                project.descriptors[0][:255], "its package.json is not at hand: scopes are unknown", project.line
            )
        declared = list_declared(manifest or {})
        for name, written in (project.needs | project.wants).items():
            entry = graph.find(name, written)
            if entry is not None and entry is not project:
                statement = declared.get(name) or Declared("", written)
                statements.setdefault(entry, {}).setdefault(name, _Statement(name, statement))
    return statements


def _list_dependencies(graph: _Graph, statements: Mapping[_Entry, dict[str, _Statement]]) -> Iterator[Dependency]:
    roots = {field: set() for field in ("dependencies", "optionalDependencies", "peerDependencies", "devDependencies")}
    for entry, asked in statements.items():
        for statement in asked.values():
            if entry.folder is None and statement.declared.field:
                roots[statement.declared.field].add(entry)
    scopes = find_scopes(
        Roots(*roots.values()), lambda one: graph.follow(one.needs), lambda one: graph.follow(one.wants)
    )
    for entry in graph.entries:
        asked = statements.get(entry, {})
        if entry.folder is not None and not asked:
            continue  # a workspace that no other one needs is a project, and no dependency
        names = dict.fromkeys([*asked, *(split_descriptor(one)[0] for one in entry.descriptors)])
        for name in names:
            statement = asked.get(name)
            written = statement.declared.written if statement else ""
            scope = scopes.get(entry) or SCOPE_BY_FIELD.get(statement.declared.field if statement else "", "unknown")
            yield Dependency(
                name=entry.name,
                requirement=find_requirement(name, written)[0] if statement else None,
                resolved_version=entry.version,
                scope=scope,
                optional=scope == "optional",
                direct=statement is not None,
                alias=name if name != entry.name else None,
                source=entry.source,
                line=entry.line,
            )
