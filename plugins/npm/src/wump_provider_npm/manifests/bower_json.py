"""bower.json.

Source: the bower.json specification (bower/spec). Bower has a registry of its own, whose packages have no npm name:
all dependencies are kept without a purl, those of the registry as `url`. `resolutions` only choose between versions.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from wump_core import ManifestRecord, Project, Scope, decode_text

from wump_provider_npm.lines import find_lines
from wump_provider_npm.manifests.findings import Dependency, Findings
from wump_provider_npm.manifests.package_json import load_strict
from wump_provider_npm.specs import UnreadableSpec, parse_spec

_SCOPES: dict[str, Scope] = {"dependencies": "runtime", "devDependencies": "development"}


def parse_bower_json(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a bower.json.

    Raises:
        InvalidManifest: It is no JSON object in UTF-8, or nested too deeply.
    """
    text = decode_text(content)
    manifest = load_strict(text)
    lines = find_lines(text, _SCOPES)
    findings = Findings()
    for field in _SCOPES:
        findings.add(_list_entries(field, manifest.get(field), lines, findings))
    project = _read_project(manifest)
    return findings.finish(path, "bower.json", "manifest", project)


def _read_project(manifest: Mapping[str, Any]) -> Project:
    """Bower's names need not be npm's."""
    name, version = manifest.get("name"), manifest.get("version")
    try:
        return Project(name=name or None, version=version or None)
    except ValidationError:
        return Project()


def _list_entries(
    field: str, entries: Any, lines: Mapping[tuple[str, ...], int], findings: Findings
) -> Iterator[Dependency]:
    if entries is None:
        return
    if not isinstance(entries, dict):
        findings.note(field, "must be an object of names and ranges", lines.get((field,)))
        return
    for name, written in entries.items():
        line = lines.get((field, name))
        if not isinstance(written, str):
            findings.note(f"{field}.{name}"[:255], "the range must be a text", line)
            continue
        try:
            source = parse_spec(name, written).source
        except UnreadableSpec:
            source = "url"
        source = "url" if source in ("registry", "workspace") else source
        yield Dependency(name, written, scope=_SCOPES[field], source=source, field=field, line=line)
