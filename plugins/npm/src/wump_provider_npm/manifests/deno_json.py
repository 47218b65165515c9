"""deno.json and deno.jsonc.

Source: Deno's manual, Configuration and Dependency management; the import maps standard. `imports` and `scopes` map
names to specifiers: `npm:` are packages of npm, `jsr:` of JSR, and web addresses are kept with their address as
requirement. Names for files of the project itself are no dependencies. Types, the JSX runtime and plugins of the
linter are named by specifiers elsewhere. Deno knows no scopes: all are runtime. Several names for parts of one package,
such as `react` and `react/jsx-runtime`, are one dependency.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from wump_core import ManifestRecord

from wump_provider_npm.lines import find_lines
from wump_provider_npm.manifests.deno_specifiers import parse_specifier
from wump_provider_npm.manifests.findings import Dependency, Findings, parse_project
from wump_provider_npm.manifests.json_text import decode_json, read_jsonc

_MAPS = ("imports", "scopes")
_PLACES = (
    ("compilerOptions", "types"),
    ("compilerOptions", "jsxImportSource"),
    ("compilerOptions", "jsxImportSourceTypes"),
    ("lint", "plugins"),
)


def parse_deno_json(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a deno.json or deno.jsonc.

    Raises:
        InvalidManifest: It is no JSON object in UTF-8 with at most comments and trailing commas.
    """
    text = read_jsonc(content)
    manifest = decode_json(text)
    lines = find_lines(text.decode(), (*_MAPS, *(outer for outer, _ in _PLACES)))
    findings = Findings()
    project = parse_project(manifest.get("name"), manifest.get("version"), findings, lines)
    kept: dict[tuple[str, str | None], Dependency] = {}
    for found in (*_list_imports(manifest, lines, findings), *_list_others(manifest, lines)):
        kept.setdefault((found.name, found.requirement), found)
    findings.add(kept.values())
    if "importMap" in manifest:
        findings.note(
            "importMap", "the import map stands in another file, which is not read", lines.get(("importMap",))
        )
    return findings.finish(path, "deno.json", "manifest", project)


def _list_imports(
    manifest: Mapping[str, Any], lines: Mapping[tuple[str, ...], int], findings: Findings
) -> Iterator[Dependency]:
    maps = [("imports", manifest.get("imports"), True)]
    scopes = manifest.get("scopes")
    if isinstance(scopes, dict):
        maps += [(f"scopes.{scope}", entries, False) for scope, entries in scopes.items()]
    elif scopes is not None:
        findings.note("scopes", "must be an object", lines.get(("scopes",)))
    for field, entries, has_lines in maps:
        if entries is None:
            continue
        if not isinstance(entries, dict):
            findings.note(field[:255], "must be an object", lines.get((field,)))
            continue
        for key, written in entries.items():
            line = lines.get((field, key)) if has_lines else None
            if isinstance(written, str):
                yield from _read_import(key, written, field[:255], line)
            elif written is not None:
                findings.note(f"{field}.{key}"[:255], "must be a text", line)


def _list_others(manifest: Mapping[str, Any], lines: Mapping[tuple[str, ...], int]) -> Iterator[Dependency]:
    for outer, inner in _PLACES:
        holder = manifest.get(outer)
        values = holder.get(inner) if isinstance(holder, dict) else None
        for written in values if isinstance(values, list) else [values]:
            if isinstance(written, str) and (specifier := parse_specifier(written)):
                # Elements of a list have no lines of their own: only a value beside its key stands on its line.
                line = lines.get((outer, inner)) if written is values else None
                source, name, requirement = specifier
                yield Dependency(name, requirement, source=source, field=f"{outer}.{inner}", line=line)


def _read_import(key: str, written: str, field: str, line: int | None) -> Iterator[Dependency]:
    name = key.rstrip("/")
    if written.startswith(("http://", "https://")):
        yield Dependency(name, written, source="url", field=field, line=line)
    specifier = parse_specifier(written)
    if specifier is not None:
        is_own_name = name == specifier.name or name.startswith(f"{specifier.name}/")
        yield Dependency(
            specifier.name,
            specifier.requirement,
            alias=None if is_own_name else name or None,
            source=specifier.source,
            field=field,
            line=line,
        )
