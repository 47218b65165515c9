"""poetry.lock, of Poetry 1 and 2.

Source: Poetry's manual and the versions of its lock format: there is `category` until Poetry 1.4, nothing of the kind
until 1.8, and `groups` from 2.0 on. Where the file doesn't say what a package is for, the pyproject.toml beside it
does.
"""

from collections.abc import Mapping
from typing import Any

from packaging.utils import canonicalize_name
from wump_core import DependencySource, ManifestRecord, Scope, decode_text

from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.lock_lines import find_table_lines
from wump_provider_pypi.manifests.locked import Locked, add_locked, packages_of, read_beside, text_of
from wump_provider_pypi.manifests.pyproject import parse_pyproject
from wump_provider_pypi.manifests.scopes import scope_of_group, strongest
from wump_provider_pypi.manifests.toml import load_toml

FORMAT = "poetry.lock"

_SOURCES: dict[str, DependencySource] = {"git": "git", "url": "url", "file": "path", "directory": "path"}


def parse_poetry_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one poetry.lock.

    Raises:
        InvalidManifest: It is no UTF-8, or no TOML.
    """
    text = decode_text(content)
    document = load_toml(text)
    findings = Findings()
    beside = read_beside(path, siblings, findings, "pyproject.toml", parse_pyproject)
    packages = packages_of(findings, document.get("package"), "package")
    needs: dict[str, list[str]] = {canonicalize_name(package["name"]): _requires(package) for _, package in packages}
    required = {name for names in needs.values() for name in names}
    scopes = beside.scopes(needs)
    extras = _extras(document)
    lines = find_table_lines(text, "package", document.get("package"))
    for number, package in packages:
        if findings.stop(field="package"):
            break
        name = canonicalize_name(package["name"])
        optional = package.get("optional") is True
        groups = _groups(package)
        scope = _scope(groups, scopes.get(name), optional=optional)
        source, location = _source(package)
        locked = Locked(
            name=package["name"],
            version=text_of(package.get("version")),
            scope=scope,
            groups=(*(group for group in groups or beside.groups_of(name) if group != "main"), *extras.get(name, ())),
            direct=beside.asks_for(name) if beside.declared is not None else name not in required,
            optional=optional,
            marker=text_of(package.get("markers")),
            requirement=beside.requirement_of(name),
            source=source,
            location=location,
            line=lines[number],
        )
        add_locked(findings, locked)
    return findings.finish(path, FORMAT, "lockfile", project=beside.project, needs=beside.needs)


def _requires(package: dict[str, Any]) -> list[str]:
    dependencies = package.get("dependencies")
    return [canonicalize_name(name) for name in dependencies] if isinstance(dependencies, dict) else []


def _groups(package: dict[str, Any]) -> tuple[str, ...]:
    groups = package.get("groups", [package.get("category")])
    names = (text_of(group) for group in groups) if isinstance(groups, list) else ()
    return tuple(canonicalize_name(name) for name in names if name)


def _scope(groups: tuple[str, ...], beside: Scope | None, *, optional: bool) -> Scope:
    """By its groups, else by the manifest, else by what is left: `optional` is what only extras ask for."""
    scope: Scope = strongest(map(scope_of_group, groups)) if groups else beside or "runtime"
    return "optional" if scope == "runtime" and optional else scope


def _extras(document: dict[str, Any]) -> dict[str, list[str]]:
    """The extras that each package belongs to; older files write `name (range)` for a package."""
    extras: dict[str, list[str]] = {}
    table = document.get("extras")
    for extra, names in table.items() if isinstance(table, dict) else ():
        for written in names if isinstance(names, list) else ():
            if isinstance(written, str) and written.strip() and extra.strip():
                extras.setdefault(canonicalize_name(written.split()[0]), []).append(canonicalize_name(extra))
    return extras


def _source(package: dict[str, Any]) -> tuple[DependencySource, str | None]:
    table = package.get("source")
    source = _SOURCES.get(str(table.get("type"))) if isinstance(table, dict) else None
    if not isinstance(table, dict) or source is None:
        return "registry", None
    return source, text_of(table.get("url"))
