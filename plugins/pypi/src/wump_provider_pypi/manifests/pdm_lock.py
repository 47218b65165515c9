"""pdm.lock.

Source: PDM's manual (lock file) and the versions of its lock format: `groups` from 4.3 on. A package that is
installed with extras stands there once more for each set of them.
"""

from collections.abc import Mapping
from typing import Any

from wump_core import ManifestRecord, Scope

from wump_provider_pypi.manifests.locked import Lockfile, text_of
from wump_provider_pypi.manifests.poetry import location_of
from wump_provider_pypi.manifests.scopes import guess_scope, strongest
from wump_provider_pypi.requirements import Place, canonical_name, leading_name

FORMAT = "pdm.lock"


def parse_pdm_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one pdm.lock.

    Raises:
        InvalidManifest: It is no UTF-8, or no TOML.
    """
    lock = Lockfile(path, content, siblings, "package", _requires)
    seen: set[tuple[str, str | None]] = set()
    for name, package, line in lock.packages():
        version = text_of(package.get("version"))
        if (name, version) in seen and package.get("extras"):
            continue
        seen.add((name, version))
        groups = _groups(package)
        scope = _scope(groups, lock.scope_of(name))
        told = tuple(group for group in groups or lock.beside.groups_of(name) if group != "default")
        lock.add(name, package, Place(None, line, scope, told), package.get("marker"), location_of(package))
    return lock.finish(FORMAT)


def _requires(package: dict[str, Any]) -> list[str]:
    dependencies = package.get("dependencies")
    if isinstance(dependencies, dict):  # before lock version 4
        return [canonical_name(name.partition("[")[0]) for name in dependencies]
    names = (leading_name(entry) for entry in dependencies or () if isinstance(entry, str))
    return [canonical_name(name) for name in names if name]


def _groups(package: dict[str, Any]) -> tuple[str, ...]:
    groups = package.get("groups")
    names = (text_of(group) for group in groups) if isinstance(groups, list) else ()
    return tuple(canonical_name(name) for name in names if name)


def _scope(groups: tuple[str, ...], beside: Scope | None) -> Scope:
    """A group of a pdm.lock may be an extra or a development group: the manifest tells, or else its name must."""
    if "default" in groups or not groups:
        return "runtime" if groups else beside or "runtime"
    return beside or strongest(map(guess_scope, groups))
