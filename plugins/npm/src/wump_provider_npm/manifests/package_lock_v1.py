"""Lockfile version 1, and what older clients wrote: a tree of `dependencies`.

Source: npm's documentation of package-lock.json, version 6 of the client. `version` is a version, `npm:name@version`
of an alias, or an address. The tree doesn't tell which dependencies the project asked for: the package.json beside
it does. Without that, only those are called direct that no other package requires, as nothing else can have
brought them in. `from` says which range led to a package: npm 4 and older write it, and later ones for repositories.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from wump_core import DependencySource, Scope, resolve_path

from wump_provider_npm.manifests.declared import NAME, Declared, list_declared, read_manifest
from wump_provider_npm.manifests.findings import Dependency, Findings
from wump_provider_npm.manifests.json_text import KeyFinder, decode_json
from wump_provider_npm.manifests.locked import merge
from wump_provider_npm.manifests.references import (
    find_commit,
    find_requirement,
    find_source,
    find_tarball_version,
    split_descriptor,
)

_ABSENT = msgspec.Raw()


class _Package(msgspec.Struct):
    version: str | bool | None = None
    resolved: str | bool | None = None
    asked: str | bool | None = msgspec.field(default=None, name="from")
    dev: bool = False
    optional: bool = False
    requires: msgspec.Raw = _ABSENT
    dependencies: "dict[str, _Package] | None" = None


class _Tree(msgspec.Struct):
    dependencies: dict[str, _Package] | None = None


_Installed = tuple[str, _Package, bool]
"""Name, package, and whether it stands at the top of the tree."""


def read_tree(path: str, text: bytes, siblings: Mapping[str, bytes], findings: Findings) -> list[str]:
    """Read the tree into `findings`; the answer is what the format wants beside it.

    Raises:
        InvalidManifest: An entry is no object of the expected values.
    """
    installed = list(_walk(decode_json(text, _Tree).dependencies or {}))
    beside = resolve_path(path, NAME) or NAME
    manifest = read_manifest(siblings.get(beside))
    if manifest is not None:
        declared = list_declared(manifest)
    else:
        declared = dict.fromkeys(_list_required_by_none(installed), Declared("", ""))
        if installed:
            findings.note("dependencies", f"{beside} is not at hand: what is direct is told from the lockfile alone")
    find_line = KeyFinder(text, "dependencies").find
    findings.add(
        merge(
            _make(name, one, declared.get(name) if is_top else None, find_line(name)) for name, one, is_top in installed
        )
    )
    return [beside]


def _walk(tree: dict[str, _Package]) -> Iterator[_Installed]:
    """Every package, in the order of the text. By a stack: the tree may be deep."""
    stack = [iter(tree.items())]
    while stack:
        for name, package in stack[-1]:
            yield name, package, len(stack) == 1
            if package.dependencies:
                stack.append(iter(package.dependencies.items()))
                break
        else:
            stack.pop()


def _list_required_by_none(installed: list[_Installed]) -> list[str]:
    required: set[str] = set()
    for _, package, _ in installed:
        if package.requires:
            requires: Any = decode_json(package.requires, Any)
            required.update(requires if isinstance(requires, dict) else ())
    if not required:  # the lockfiles of the oldest clients don't tell who requires what
        return []
    return [name for name, _, is_top in installed if is_top and name not in required]


def _make(name: str, package: _Package, statement: Declared | None, line: int | None) -> Dependency:
    written = package.version if isinstance(package.version, str) else ""
    resolved = package.resolved if isinstance(package.resolved, str) else ""
    real_name, version = name, written
    source: DependencySource = "registry"
    if written.startswith("npm:"):
        real_name, version = split_descriptor(written.removeprefix("npm:"))
    elif ":" in written:
        source = find_source(written)
        if source == "git":
            version = find_commit(written) or written
        elif source == "path":
            version = ""
        elif source == "registry":  # as some releases of npm wrote it
            version = find_tarball_version(written, name) or written
    elif "/-/" not in resolved:
        source = find_source(resolved, name, written)
    field = statement.field if statement else ""
    return Dependency(
        real_name,
        find_requirement(name, statement.written)[0] if statement and field else _find_asked(name, package, statement),
        version or None,
        _find_scope(package, field),
        package.optional,
        statement is not None,
        name if name != real_name else None,
        source,
        (),
        "dependencies",
        line,
    )


def _find_asked(name: str, package: _Package, statement: Declared | None) -> str | None:
    """What led to a package that the project asked for, as old clients and those of git repositories tell it."""
    if statement is None or not isinstance(package.asked, str):
        return None
    return package.asked.removeprefix(f"{name}@") or None


def _find_scope(package: _Package, field: str) -> Scope:
    if package.dev:
        return "development"
    if package.optional:
        return "optional"
    return "peer" if field == "peerDependencies" else "runtime"
