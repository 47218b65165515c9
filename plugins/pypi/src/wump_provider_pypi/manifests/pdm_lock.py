"""pdm.lock.

Source: PDM's manual (lock file) and the versions of its lock format: `groups` from 4.3 on. A package that is
installed with extras stands there once more for each set of them.
"""

from collections.abc import Mapping
from typing import Any

from packaging.utils import canonicalize_name
from wump_core import DependencySource, ManifestRecord, Scope, decode_text

from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.lock_lines import find_table_lines
from wump_provider_pypi.manifests.locked import Locked, add_locked, packages_of, read_beside, text_of
from wump_provider_pypi.manifests.poetry import location_of
from wump_provider_pypi.manifests.pyproject import parse_pyproject
from wump_provider_pypi.manifests.scopes import scope_of_group, strongest
from wump_provider_pypi.manifests.toml import load_toml
from wump_provider_pypi.requirements import leading_name

FORMAT = "pdm.lock"


def parse_pdm_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one pdm.lock.

    Raises:
        InvalidManifest: It is no UTF-8, or no TOML.
    """
    text = decode_text(content)
    document = load_toml(text)
    findings = Findings()
    beside = read_beside(path, siblings, findings, "pyproject.toml", parse_pyproject)
    packages = packages_of(findings, document.get("package"), "package")
    needs: dict[str, list[str]] = {}
    for _, package in packages:
        needs.setdefault(canonicalize_name(package["name"]), []).extend(_requires(package))
    required = {name for own, names in needs.items() for name in names if name != own}
    scopes = beside.scopes(needs)
    lines = find_table_lines(text, "package", document.get("package"))
    seen: set[tuple[str, str | None]] = set()
    for number, package in packages:
        name, version = canonicalize_name(package["name"]), text_of(package.get("version"))
        if findings.stop(field="package"):
            break
        if (name, version) in seen and package.get("extras"):
            continue
        seen.add((name, version))
        groups = _groups(package)
        source, location = _source(package)
        locked = Locked(
            name=package["name"],
            version=version,
            scope=_scope(groups, scopes.get(name)),
            groups=tuple(group for group in groups or beside.groups_of(name) if group != "default"),
            direct=beside.asks_for(name) if beside.declared is not None else name not in required,
            marker=text_of(package.get("marker")),
            requirement=beside.requirement_of(name),
            source=source,
            location=location,
            line=lines[number],
        )
        add_locked(findings, locked)
    return findings.finish(path, FORMAT, "lockfile", project=beside.project, needs=beside.needs)


def _requires(package: dict[str, Any]) -> list[str]:
    dependencies = package.get("dependencies")
    if isinstance(dependencies, dict):  # before lock version 4
        return [canonicalize_name(name.partition("[")[0]) for name in dependencies]
    names = (leading_name(entry) for entry in dependencies or () if isinstance(entry, str))
    return [canonicalize_name(name) for name in names if name]


def _groups(package: dict[str, Any]) -> tuple[str, ...]:
    groups = package.get("groups")
    names = (text_of(group) for group in groups) if isinstance(groups, list) else ()
    return tuple(canonicalize_name(name) for name in names if name)


def _scope(groups: tuple[str, ...], beside: Scope | None) -> Scope:
    """A group of a pdm.lock may be an extra or a development group: only the manifest tells."""
    if "default" in groups or not groups:
        return "runtime" if groups else beside or "runtime"
    return beside or strongest(map(scope_of_group, groups))


def _source(package: dict[str, Any]) -> tuple[DependencySource, str | None]:
    return location_of(package) or ("registry", None)
