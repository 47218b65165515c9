"""Catalogs: ranges that a tree writes down once, and its package.json files ask for as `catalog:`.

Source: pnpm's manual (pnpm-workspace.yaml, Catalogs), Yarn's (.yarnrc.yml, `catalog`) and Bun's (package.json,
Catalogs). `catalog:` and `catalog:default` ask for the default one, `catalog:name` for one of `catalogs`.
"""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wump_core import DependencyRecord, InvalidManifest

from wump_provider_npm.manifests.declared import NAME, read_manifest
from wump_provider_npm.manifests.findings import Dependency, Findings
from wump_provider_npm.manifests.yaml_text import parse_yaml
from wump_provider_npm.specs import UnreadableSpec, parse_spec

PREFIX = "catalog:"
DEFAULT = "default"
MAX_FOLDERS = 20

Catalogs = dict[str, Mapping[str, Any]]


def fill_in_catalogs(
    path: str,
    manifest: Mapping[str, Any],
    records: tuple[DependencyRecord, ...],
    siblings: Mapping[str, bytes],
    findings: Findings,
) -> tuple[tuple[DependencyRecord, ...], list[str]]:
    """Give the records that ask for a catalog what it says; the second answer is where catalogs may stand."""
    if not any(_is_asking(record) for record in records):
        return records, []
    places = list(_list_places(path))
    catalogs = [list_catalogs(manifest), *(_read_catalogs(place, siblings.get(place)) for place in places)]
    filled = tuple(_fill_in(record, catalogs, findings) if _is_asking(record) else record for record in records)
    return filled, places


def list_catalogs(document: Mapping[str, Any]) -> Catalogs:
    """The catalogs of a pnpm-workspace.yaml, .yarnrc.yml or package.json, by name."""
    workspaces = document.get("workspaces")
    catalogs: Catalogs = {}
    for holder in (document, workspaces if isinstance(workspaces, dict) else {}):
        named = holder.get("catalogs")
        found = {**(named if isinstance(named, dict) else {}), **_default_of(holder)}
        catalogs |= {name: entries for name, entries in found.items() if isinstance(entries, dict)}
    return catalogs


def _default_of(holder: Mapping[str, Any]) -> dict[str, Any]:
    return {DEFAULT: holder["catalog"]} if "catalog" in holder else {}


def _is_asking(record: DependencyRecord) -> bool:
    return record.source == "workspace" and (record.requirement or "").startswith(PREFIX)


def _list_places(path: str) -> Iterator[str]:
    """The files that may hold catalogs, from the folder of the manifest upwards."""
    folder = posixpath.dirname(path)
    for _ in range(MAX_FOLDERS):
        for name in ("pnpm-workspace.yaml", ".yarnrc.yml", NAME):
            if (place := posixpath.join(folder, name)) != path:
                yield place
        if not folder:
            return
        folder = posixpath.dirname(folder)


def _read_catalogs(place: str, content: bytes | None) -> Catalogs:
    if content is None:
        return {}
    read: Callable[[bytes], Mapping[str, Any]] = (
        _read_yaml if place.endswith("ml") else lambda b: read_manifest(b) or {}
    )
    return list_catalogs(read(content))


def _read_yaml(content: bytes) -> Mapping[str, Any]:
    try:
        documents = parse_yaml(content)
    except InvalidManifest:
        return {}  # it is told where that file itself is read
    return documents[0] if documents else {}


def _fill_in(record: DependencyRecord, catalogs: list[Catalogs], findings: Findings) -> DependencyRecord:
    key, place = record.alias or record.name, f"{record.field}.{record.alias or record.name}"
    catalog = (record.requirement or "").removeprefix(PREFIX).strip() or DEFAULT
    written = next((one[catalog][key] for one in catalogs if key in one.get(catalog, ())), None)
    if written is None:
        findings.note(place, "the catalog that it asks for is not at hand, or does not hold it", record.line)
        return record
    try:
        spec = parse_spec(key, written if isinstance(written, str) else "")
    except UnreadableSpec as error:
        findings.note(place, f"in the catalog: {error}", record.line)
        return record
    found = Dependency(
        name=spec.name,
        requirement=spec.requirement,
        scope=record.scope,
        optional=record.optional,
        alias=key if key != spec.name else None,
        source=spec.source,
        field=record.field,
        line=record.line,
    )
    return next(iter(findings.build_records([found])), record)
