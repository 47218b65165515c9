"""Dependencies: npm's dependency maps become records, whether a registry or a repository states them.

Source: npm's `package.json` documentation, the sections on `dependencies`, `devDependencies`,
`peerDependencies`, `peerDependenciesMeta`, `optionalDependencies` and `bundleDependencies`. The last repeats names of
the other maps; what it names alone npm adds to `dependencies` without a range (npm/normalize-package-data).
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, TypeAlias

from pydantic import ValidationError
from wump_core import DependencyRecord, InvalidPurl, Scope, make_purl

from wump_provider_npm.diagnostics import Diagnostics
from wump_provider_npm.specs import UnreadableSpec, parse_spec

MAX_DEPENDENCIES = 20_000
"""As many as a record holds."""

SCOPE_BY_FIELD: dict[str, Scope] = {
    "dependencies": "runtime",
    "optionalDependencies": "optional",
    "peerDependencies": "peer",
    "devDependencies": "development",
}

_BUNDLED = ("bundleDependencies", "bundledDependencies")

Lines: TypeAlias = Mapping[tuple[str, ...], int]
"""Line by path in the document: `("dependencies",)`, `("dependencies", "express")`."""


def parse_dependencies(
    manifest: Mapping[str, Any], package: str | None, diagnostics: Diagnostics, lines: Lines | None = None
) -> tuple[DependencyRecord, ...]:
    """Read the four maps of a manifest; `package` is the manifest's own name, which can't be a dependency.

    A name in `optionalDependencies` is dropped from `dependencies`, as npm does; the registry copies optional
    ones there. Otherwise a name in two maps is two statements.
    """
    optional_peers = _list_optional_peers(manifest, diagnostics, lines or {})
    records = {
        field: list(_parse_map(field, manifest.get(field), package, diagnostics, lines or {}))
        for field in SCOPE_BY_FIELD
    }
    optional = {record.alias or record.name for record in records["optionalDependencies"]}
    records["dependencies"] = [
        record for record in records["dependencies"] if (record.alias or record.name) not in optional
    ]
    records["peerDependencies"] = [
        record.model_copy(update={"optional": True}) if (record.alias or record.name) in optional_peers else record
        for record in records["peerDependencies"]
    ]
    everything = [record for of_field in records.values() for record in of_field]
    named = {record.alias or record.name for record in everything} | {package}
    for field in _BUNDLED:
        everything += _list_bundled(field, manifest.get(field), named, lines or {})
    if len(everything) > MAX_DEPENDENCIES:
        diagnostics.add("dependencies", f"only the first {MAX_DEPENDENCIES} dependencies were kept")
    return tuple(everything[:MAX_DEPENDENCIES])


def _list_bundled(field: str, names: object, named: set[str | None], lines: Lines) -> Iterator[DependencyRecord]:
    """What is only bundled; `true` stands for all that the other maps name."""
    for name in names[:MAX_DEPENDENCIES] if isinstance(names, list) else ():
        if isinstance(name, str) and name not in named and (purl := _find_purl(name)):
            named.add(name)
            yield DependencyRecord(purl=purl, name=name, scope="runtime", field=field, line=lines.get((field,)))


def _find_purl(name: str) -> str | None:
    try:
        return str(make_purl("npm", name))
    except InvalidPurl:
        return None


def _list_optional_peers(manifest: Mapping[str, Any], diagnostics: Diagnostics, lines: Lines) -> set[str]:
    field = "peerDependenciesMeta"
    meta = manifest.get(field)
    if not isinstance(meta, dict):
        if meta is not None and meta != []:
            diagnostics.add(field, "must be an object", lines.get((field,)))
        return set()
    return {name for name, about in meta.items() if isinstance(about, dict) and about.get("optional") is True}


def _parse_map(
    field: str, entries: object, package: str | None, diagnostics: Diagnostics, lines: Lines
) -> Iterator[DependencyRecord]:
    if entries is None or entries == []:  # very old packages have an empty array here
        return
    if not isinstance(entries, dict):
        diagnostics.add(field, "must be an object of names and ranges", lines.get((field,)))
        return
    if len(entries) > MAX_DEPENDENCIES:
        diagnostics.add(field, f"only the first {MAX_DEPENDENCIES} entries were read", lines.get((field,)))
    for key, written in islice(entries.items(), MAX_DEPENDENCIES):
        if key.startswith("//"):  # how people write comments
            continue
        record = _parse_entry(field, key, written, package, diagnostics, lines.get((field, key)))
        if record is not None:
            yield record


def _parse_entry(
    field: str, key: str, written: object, package: str | None, diagnostics: Diagnostics, line: int | None
) -> DependencyRecord | None:
    place = f"{field}.{key}"
    try:
        make_purl("npm", key)
    except InvalidPurl:
        diagnostics.add(place, "not an npm package name", line)
        return None
    if not isinstance(written, str):
        diagnostics.add(place, "the range must be a text", line)
        return None
    try:
        spec = parse_spec(key, written)
    except UnreadableSpec as error:
        diagnostics.add(place, str(error), line)
        return None
    if spec.name == package:
        diagnostics.add(place, "the package names itself", line)
        return None
    fields: dict[str, Any] = {
        "purl": str(make_purl("npm", spec.name)) if spec.source == "registry" else None,
        "name": spec.name,
        "alias": key if key != spec.name else None,
        "scope": SCOPE_BY_FIELD[field],
        "optional": field == "optionalDependencies",
        "source": spec.source,
        "field": field,
        "line": line,
    }
    try:
        return DependencyRecord(**fields, requirement=spec.requirement)
    except ValidationError as error:
        # Everything else was checked above. The dependency is a fact even where its range can't be stored.
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
        diagnostics.add(place, f"the range was left out: {reason}", line)
        return DependencyRecord(**fields)
