"""Yarn Classic's lockfile: `yarn_lock` says what becomes of it.

Entries stand at the margin, under all the ranges that they answer, as in `a@^1.0.0, "a@1 || 2":`, with their values
two blanks further in, and the dependencies of the package four.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wump_core import DependencySource, InvalidManifest, ManifestRecord, resolve_path

from wump_provider_npm.manifests.declared import (
    NAME,
    Declared,
    list_declared,
    list_member_globs,
    list_members,
    read_manifest,
)
from wump_provider_npm.manifests.findings import Dependency, Findings
from wump_provider_npm.manifests.locked import Roots, find_scopes, merge
from wump_provider_npm.manifests.references import find_requirement, find_source, split_descriptor
from wump_provider_npm.manifests.texts import read_text
from wump_provider_npm.specs import UnreadableSpec, parse_spec

_LINE = re.compile(r"^( *)([^\s#][^\n]*)", re.MULTILINE)
_PATTERN = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s",][^",]*)')
_PAIR = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*"|[^\s":][^\s"]*?):?(?:[ \t]+(.*))?')
_CONFLICT = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")


@dataclass(slots=True, eq=False)
class _Entry:
    patterns: list[str]
    line: int
    values: dict[str, str] = field(default_factory=dict)
    dependencies: dict[str, str] = field(default_factory=dict)
    optional: dict[str, str] = field(default_factory=dict)


def parse_classic(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a lockfile of Yarn Classic.

    Raises:
        InvalidManifest: It is no UTF-8, too long, or holds text and no entry.
    """
    findings = Findings()
    text = read_text(content)
    entries = list(_list_entries(text, findings))
    if not entries and _LINE.search(text):
        raise InvalidManifest("no entry of a yarn.lock")
    by_pattern = {pattern: entry for entry in entries for pattern in entry.patterns}
    beside = resolve_path(path, NAME) or NAME
    manifest = read_manifest(siblings.get(beside))
    globs = list_member_globs(beside, manifest or {})
    if manifest is not None:
        direct = _find_declared([manifest, *(member for _, member in list_members(globs, siblings))], by_pattern)
    else:
        direct = _find_unneeded(entries, by_pattern)
        if entries:
            findings.note("yarn.lock", f"{beside} is not at hand: scopes are unknown, and few can be told to be direct")
    findings.add(merge(_list_dependencies(entries, by_pattern, direct)))
    return findings.finish(path, "yarn.lock", "lockfile", None, [beside, *globs])


def _list_entries(text: str, findings: Findings) -> Iterator[_Entry]:
    entry, values, line, counted_to = None, {}, 1, 0
    for found in _LINE.finditer(text):
        line += text.count("\n", counted_to, found.start())
        counted_to = found.start()
        depth, written = len(found[1]), found[2].rstrip()
        if depth == 0:
            if entry is not None:
                yield entry
            entry = None
            if written.startswith(_CONFLICT):
                findings.note("yarn.lock", "a merge conflict that nobody resolved", line)
            elif written.endswith(":") and (patterns := _read_patterns(written[:-1])):
                entry = _Entry(patterns, line)
                values = entry.values
                if not _is_readable(patterns[0]):
                    findings.note(patterns[0][:255], "the protocol is not known", line)
                    entry = None
            else:
                findings.note("yarn.lock", "not an entry of a lockfile", line)
        elif entry is not None and (pair := _PAIR.fullmatch(written)):
            key = _unquote(pair[1])
            if depth > 2:
                values[key] = _unquote(pair[2] or "")
            elif pair[2] is None:
                values = {"dependencies": entry.dependencies, "optionalDependencies": entry.optional}.get(key, {})
            else:
                entry.values[key] = _unquote(pair[2])
        elif entry is not None:
            findings.note(entry.patterns[0][:255], "a line that can't be read", line)
    if entry is not None:
        yield entry


def _is_readable(pattern: str) -> bool:
    name, written = split_descriptor(pattern)
    try:
        parse_spec(name, written)
    except UnreadableSpec:
        return False
    return True


def _read_patterns(written: str) -> list[str]:
    return [_unquote(found[0].strip()) for found in _PATTERN.finditer(written)]


def _unquote(text: str) -> str:
    if text[:1] == '"' and text[-1:] == '"':
        text = text[1:-1]
        return re.sub(r"\\(.)", r"\1", text) if "\\" in text else text
    return text


def _list_dependencies(
    entries: list[_Entry], by_pattern: Mapping[str, _Entry], direct: Mapping[tuple[_Entry, str], Declared]
) -> Iterator[Dependency]:
    roots: dict[str, set[_Entry]] = {"dependencies": set(), "optionalDependencies": set()}
    roots |= {"peerDependencies": set(), "devDependencies": set()}
    for (entry, _), declared in direct.items():
        if declared.field:
            roots[declared.field].add(entry)
    scopes = find_scopes(
        Roots(*roots.values()),
        lambda one: _follow(one.dependencies, by_pattern),
        lambda one: _follow(one.optional, by_pattern),
    )
    for entry in entries:
        for name, (real_name, alias) in _list_names(entry).items():
            version = entry.values.get("version") or None
            declared = direct.get((entry, name))
            scope = scopes.get(entry, "unknown")
            yield Dependency(
                name=real_name,
                requirement=find_requirement(name, declared.written)[0] if declared and declared.field else None,
                resolved_version=version,
                scope=scope,
                optional=scope == "optional",
                direct=declared is not None,
                alias=alias,
                source=_find_source(entry, real_name, version),
                line=entry.line,
            )


def _find_source(entry: _Entry, name: str, version: str | None) -> DependencySource:
    """By what is asked for, which may be a shorthand, and where that is a range by where it was found."""
    _, asked = find_requirement(*split_descriptor(entry.patterns[0]))
    return asked if asked != "registry" else find_source(entry.values.get("resolved", ""), name, version)


def _list_names(entry: _Entry) -> dict[str, tuple[str, str | None]]:
    """Under which names an entry is installed, with its real name and, where that is another one, the alias.

    One pattern with an alias tells it for all of a name: `resolutions` may lead plain ranges to the alias.
    """
    names: dict[str, tuple[str, str | None]] = {}
    for pattern in entry.patterns:
        name, written = split_descriptor(pattern)
        target = split_descriptor(written.removeprefix("npm:"))[0] if written.startswith("npm:") else name
        is_alias = target != name and not target[:1].isdigit() and target[:1] not in "^~><=*"
        if is_alias or name not in names:
            names[name] = (target, name) if is_alias else (name, None)
    return names


def _follow(needed: Mapping[str, str], by_pattern: Mapping[str, _Entry]) -> Iterator[_Entry]:
    for name, written in needed.items():
        if entry := by_pattern.get(f"{name}@{written}"):
            yield entry


def _find_declared(
    manifests: list[dict[str, Any]], by_pattern: Mapping[str, _Entry]
) -> dict[tuple[_Entry, str], Declared]:
    """What the project and its workspaces ask for, by entry and the name it is asked for under."""
    direct: dict[tuple[_Entry, str], Declared] = {}
    for manifest in manifests:
        for name, declared in list_declared(manifest).items():
            if entry := by_pattern.get(f"{name}@{declared.written}"):
                direct.setdefault((entry, name), declared)
    return direct


def _find_unneeded(entries: list[_Entry], by_pattern: Mapping[str, _Entry]) -> dict[tuple[_Entry, str], Declared]:
    """What no other package needs: the project itself must have asked for it."""
    needed = {one for entry in entries for one in _follow(entry.dependencies | entry.optional, by_pattern)}
    return {(entry, name): Declared("", "") for entry in entries if entry not in needed for name in _list_names(entry)}
