"""Manifests: a repository's `package.json` becomes a manifest record, with the line of every dependency.

Source: npm's `package.json` documentation. npm itself strips a byte order mark and reads strict JSON.
"""

import json
from typing import Any, NoReturn

from pydantic import ValidationError
from wump_core import InvalidManifest, InvalidPurl, ManifestRecord, Project, make_purl

from wump_provider_npm.dependencies import SCOPE_BY_FIELD, Lines, parse_dependencies
from wump_provider_npm.diagnostics import Diagnostics
from wump_provider_npm.lines import find_lines

MAX_MANIFEST_BYTES = 4_000_000
"""Far above what people write; the largest known package.json files have a few hundred kB."""

_LOCATED_FIELDS = frozenset(SCOPE_BY_FIELD)


def parse_manifest(path: str, content: bytes) -> ManifestRecord:
    """Read a `package.json`.

    Raises:
        InvalidManifest: It is no JSON object in UTF-8, too large, or nested too deeply.
    """
    text = _decode(content)
    manifest = _load(text)
    lines = find_lines(text, _LOCATED_FIELDS)
    diagnostics = Diagnostics()
    project = _parse_project(manifest, diagnostics, lines)
    dependencies = parse_dependencies(manifest, project.name, diagnostics, lines)
    found = diagnostics.finish()
    return ManifestRecord(
        path=path,
        format="package.json",
        ecosystem="npm",
        kind="manifest",
        status="partial" if found else "ok",
        project=project,
        dependencies=dependencies,
        diagnostics=found,
    )


def _decode(content: bytes) -> str:
    if len(content) > MAX_MANIFEST_BYTES:
        raise InvalidManifest(f"larger than {MAX_MANIFEST_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidManifest(f"not UTF-8 at byte {error.start}") from None


def _load(text: str) -> dict[str, Any]:
    try:
        manifest = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InvalidManifest(f"not JSON: {error.msg} in line {error.lineno}") from None
    except ValueError as error:
        raise InvalidManifest(f"not JSON: {str(error)[:200]}") from None
    except RecursionError:
        raise InvalidManifest("nested too deeply") from None
    if not isinstance(manifest, dict):
        raise InvalidManifest("must be a JSON object")
    return manifest


def _refuse_constant(name: str) -> NoReturn:
    """Python would read `NaN` and `Infinity`, which JSON does not have."""
    raise ValueError(f"{name} is not allowed")


def _parse_project(manifest: dict[str, Any], diagnostics: Diagnostics, lines: Lines) -> Project:
    """Name and version; both may be missing in what isn't published."""
    name, version = manifest.get("name") or None, manifest.get("version") or None
    try:
        if name is not None:
            name = make_purl("npm", name if isinstance(name, str) else "").name
    except InvalidPurl:
        diagnostics.add("name", "not an npm package name", lines.get(("name",)))
        name = None
    try:
        return Project(name=name, version=version)
    except ValidationError:
        diagnostics.add("version", "must be a text of at most 255 characters", lines.get(("version",)))
        return Project(name=name)
