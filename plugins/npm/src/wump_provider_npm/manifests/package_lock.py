"""package-lock.json and npm-shrinkwrap.json, lockfile versions 1 to 3.

Source: npm's documentation of package-lock.json. One dependency per package, version and alias; `requirement` is
the range that the project (or a workspace of it) declares and null for what only other packages need,
`resolved_version` what is installed. Scope is what the file's flags say: `dev` and `devOptional` are development,
`optional` is optional, the rest is runtime, or peer where the project itself declares a peer dependency that
nothing else brings in. A development dependency that is needed at run time as well bears no `dev`.

In versions 2 and 3 `packages` is read, whose entry `""` is the project and whose links are its workspaces and path
dependencies. Version 1 is read in `package_lock_v1`.
"""

import posixpath
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import msgspec
from wump_core import InvalidManifest, ManifestRecord, Scope

from wump_provider_npm.dependencies import SCOPE_BY_FIELD
from wump_provider_npm.manifests.findings import MAX_DEPENDENCIES, Dependency, Findings, parse_project
from wump_provider_npm.manifests.json_text import MAX_KEY_LENGTH, KeyFinder, decode_json, read_json
from wump_provider_npm.manifests.locked import merge
from wump_provider_npm.manifests.package_lock_v1 import read_tree
from wump_provider_npm.manifests.references import find_requirement, find_source

_FOLDER = "node_modules/"
_ABSENT = msgspec.Raw()


class _Package(msgspec.Struct, gc=False):
    """An entry of `packages`: what of it is read. The maps stay undecoded, since only projects' count."""

    name: str | None = None
    version: str | None = None
    resolved: str | bool | None = None
    link: bool = False
    dev: bool = False
    optional: bool = False
    devOptional: bool = False
    peer: bool = False
    dependencies: msgspec.Raw = _ABSENT
    optionalDependencies: msgspec.Raw = _ABSENT
    peerDependencies: msgspec.Raw = _ABSENT
    devDependencies: msgspec.Raw = _ABSENT


class _Lock(msgspec.Struct):
    name: Any = None
    version: Any = None
    packages: dict[str, _Package] | None = None


class _UncheckedLock(msgspec.Struct):
    name: Any = None
    version: Any = None
    packages: dict[str, msgspec.Raw] | None = None


_Declared = dict[str, tuple[str, str, str]]
"""By the place in `packages` where a dependency of a project is installed: (field, name there, range)."""


def parse_package_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a package-lock.json.

    Raises:
        InvalidManifest: It is no JSON object in UTF-8, too large, or nested too deeply.
    """
    return _parse_lock("package-lock.json", path, content, siblings)


def parse_shrinkwrap(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read an npm-shrinkwrap.json, which has the same format.

    Raises:
        InvalidManifest: It is no JSON object in UTF-8, too large, or nested too deeply.
    """
    return _parse_lock("npm-shrinkwrap.json", path, content, siblings)


def _parse_lock(format_name: str, path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    text = read_json(content)
    findings = Findings()
    lock = _decode(text, findings)
    project = parse_project(lock.name, lock.version, findings)
    packages = lock.packages
    if packages is None:
        needs = read_tree(path, text, siblings, findings)
        return findings.finish(path, format_name, "lockfile", project, needs)
    declared = _find_declared(packages, findings)
    findings.add(merge(_list_installed(text, packages, declared)))
    return findings.finish(path, format_name, "lockfile", project)


def _decode(text: bytes, findings: Findings) -> _Lock:
    """All at once where every entry is as it should be, else one by one, as many as are kept."""
    try:
        return decode_json(text, _Lock)
    except InvalidManifest:
        lock = decode_json(text, _UncheckedLock)
    packages = {}
    if len(lock.packages or ()) > MAX_DEPENDENCIES:
        findings.note("packages", f"only the first {MAX_DEPENDENCIES:,} entries were read")
    for key, raw in islice((lock.packages or {}).items(), MAX_DEPENDENCIES):
        try:
            packages[key] = decode_json(raw, _Package)
        except InvalidManifest:
            findings.note(f"packages.{key}"[:255], "not an entry of a lockfile")
    return _Lock(lock.name, lock.version, None if lock.packages is None else packages)


def _find_declared(packages: Mapping[str, _Package], findings: Findings) -> _Declared:
    """What the project and its workspaces declare, by the place of what is installed for it.

    As in Node.js, a package is looked for in the nearest `node_modules` upwards. What is declared twice
    counts as declared by the first.
    """
    declared: _Declared = {}
    for folder, package in packages.items():
        if _FOLDER in f"{folder}/" or folder.startswith(".."):
            continue
        for field in SCOPE_BY_FIELD:
            for name, written in _decode_map(folder, field, getattr(package, field), findings).items():
                place = _find_installed(packages, folder, name)
                if place is not None and (place not in declared or field == "optionalDependencies"):
                    declared[place] = (field, name, written)
                elif place is None and not folder and field in ("dependencies", "devDependencies"):
                    findings.note(f"{field}.{name}"[:255], "declared, but not in this lockfile")
    return declared


def _decode_map(folder: str, field: str, raw: msgspec.Raw, findings: Findings) -> dict[str, str]:
    if not raw:
        return {}
    try:
        return decode_json(raw, dict[str, str])
    except InvalidManifest:
        findings.note(f"packages.{folder}.{field}"[:255], "must be an object of names and ranges")
        return {}


def _find_installed(packages: Mapping[str, _Package], folder: str, name: str) -> str | None:
    while len(folder) <= MAX_KEY_LENGTH:
        place = posixpath.join(folder, _FOLDER + name)
        if place in packages:
            return place
        if not folder:
            return None
        folder = posixpath.dirname(folder)
    return None


def _list_installed(text: bytes, packages: Mapping[str, _Package], declared: _Declared) -> Iterator[Dependency]:
    """One dependency per entry that isn't a project of the tree itself."""
    find_line = KeyFinder(text, "packages").find
    for key, package in packages.items():
        line = find_line(key)
        _, is_installed, folder_name = key.rpartition(_FOLDER)
        if not is_installed:
            continue
        statement = declared.get(key)
        resolved = package.resolved if isinstance(package.resolved, str) else ""
        target = packages.get(resolved) if package.link else None
        name = package.name or (target.name if target else None) or folder_name
        source = "workspace" if package.link else find_source(resolved, name, package.version)
        requirement = None
        if statement is not None:
            requirement, asked = find_requirement(statement[1], statement[2])
            if asked == "path" or (asked in ("git", "url") and source != "workspace"):
                source = asked
        yield Dependency(
            name,
            requirement,
            target.version if target else package.version,
            _find_scope(package, statement[0] if statement else ""),
            package.optional or package.devOptional,
            statement is not None,
            folder_name if folder_name != name else None,
            source,
            (),
            "packages",
            line,
        )


def _find_scope(package: _Package, field: str) -> Scope:
    if package.dev or package.devOptional:
        return "development"
    if package.optional:
        return "optional"
    return "peer" if package.peer and field == "peerDependencies" else "runtime"
