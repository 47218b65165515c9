"""deno.lock, versions 2 to 5.

Source: denoland/deno_lockfile. Packages are keyed `name@version`, of npm with the peers they were built with behind a
`_`. `specifiers` says which range led to which version: those that no package of JSR asks for are the project's own,
as are those of `workspace`. Versions 2 and 3 keep all this one or two levels deeper. Deno knows no scopes: all are
runtime. `remote`, the hashes of single modules, names no packages.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from wump_core import ManifestRecord

from wump_provider_npm.manifests.deno_specifiers import Specifier, parse_specifier
from wump_provider_npm.manifests.findings import Dependency, Findings
from wump_provider_npm.manifests.json_text import KeyFinder, decode_json, read_json
from wump_provider_npm.manifests.locked import merge
from wump_provider_npm.manifests.references import split_descriptor

_Asked = dict[tuple[str, str], Specifier]
"""What the project asks for, by `name@version` with the registry in front."""


def parse_deno_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a deno.lock.

    Raises:
        InvalidManifest: It is no JSON object in UTF-8.
    """
    text = read_json(content)
    findings = Findings()
    lock = decode_json(text)
    holder = _map(lock.get("packages")) or lock  # version 3
    npm = _map(holder.get("npm"))
    is_second = "packages" in npm or "specifiers" in npm
    packages = {"npm": _map(npm.get("packages")) if is_second else npm, "jsr": _map(holder.get("jsr"))}
    specifiers = _map(npm.get("specifiers")) if is_second else _map(holder.get("specifiers"))
    asked = _find_asked(specifiers, packages["jsr"], lock.get("workspace"), is_second=is_second)
    places = {"npm": "packages" if is_second else "npm", "jsr": "jsr"}
    for registry, entries in packages.items():
        find_line = KeyFinder(text, places[registry]).find
        lines = {key: find_line(key) for key in entries}
        findings.add(merge(_list_dependencies(registry, lines, asked, findings)))
    return findings.finish(path, "deno.lock", "lockfile")


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _find_asked(specifiers: Mapping[str, Any], jsr: Mapping[str, Any], workspace: object, *, is_second: bool) -> _Asked:
    own = set(_list_texts(workspace))
    by_packages = {text for about in jsr.values() for text in _list_texts(_map(about).get("dependencies"))}
    asked: _Asked = {}
    for text, version in specifiers.items():
        specifier = parse_specifier(f"npm:{text}" if is_second else text)
        if specifier is None or not isinstance(version, str):
            continue
        # A package of JSR names what it needs without the range where there is only one.
        is_asked = text in own or not by_packages & {text, text.removesuffix(f"@{specifier.requirement}")}
        if is_asked:
            registry = "npm" if is_second else text.partition(":")[0]
            _, _, plain = version.rpartition(f"{specifier.name}@") if specifier.name in version else ("", "", version)
            asked.setdefault((registry, f"{specifier.name}@{plain}"), specifier)
    return asked


def _list_texts(value: Any) -> Iterator[str]:
    """All texts in a value, by a stack: what a workspace asks for stands at several depths."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, (list, dict)):
            waiting += one if isinstance(one, list) else [*one.values()]


def _list_dependencies(
    registry: str, lines: Mapping[str, int | None], asked: _Asked, findings: Findings
) -> Iterator[Dependency]:
    for key, line in lines.items():
        name, version = split_descriptor(key)
        if not version or (registry == "jsr" and not name.partition("/")[2]):
            findings.note(f"{registry}.{key}"[:255], "not a name and a version", line)
            continue
        specifier = asked.get((registry, key)) or asked.get((registry, f"{name}@{version.partition('_')[0]}"))
        yield Dependency(
            name=name,
            requirement=specifier.requirement if specifier else None,
            resolved_version=version.partition("_")[0],
            direct=specifier is not None,
            source="registry" if registry == "npm" else "url",
            field=registry,
            line=line,
        )
