"""What all lockfiles have in common: packages with fixed versions, and a manifest beside them that asks for some.

A lockfile lists what is installed; whether a package was asked for, and by which range, stands in the manifest. Where
that is not at hand, a package that no other one requires is taken for one that was asked for, which is noted.
"""

import posixpath
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name
from wump_core import DependencyRecord, DependencySource, InvalidManifest, ManifestRecord, Project, Scope

from wump_provider_pypi.fields import MAX_SHORT, is_storable, quote
from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.scopes import STRENGTH, strongest
from wump_provider_pypi.requirements import Place, make_dependency

MAX_LOCK_BYTES = 8_000_000


class Locked(NamedTuple):
    """One package of a lockfile, still in the file's own terms. `marker` is one that was valid when it was locked."""

    name: str
    version: str | None = None
    scope: Scope = "runtime"
    groups: tuple[str, ...] = ()
    direct: bool = True
    optional: bool = False
    marker: str | None = None
    requirement: str | None = None
    source: DependencySource = "registry"
    location: str | None = None
    line: int | None = None
    field: str | None = None


class Beside(NamedTuple):
    """The manifest beside a lockfile: null where it is not at hand, and where it was looked for."""

    needs: tuple[str, ...]
    declared: dict[str, list[DependencyRecord]] | None = None
    project: Project | None = None

    def asks_for(self, name: str) -> bool:
        """Whether it names the package."""
        return bool(self.declared and canonicalize_name(name) in self.declared)

    def scopes(self, needs: Mapping[str, Iterable[str]]) -> dict[str, Scope]:
        """The scope of all that it leads to, where `needs` is what each package requires."""
        roots: dict[Scope, list[str]] = {}
        for name, entries in (self.declared or {}).items():
            roots.setdefault(strongest(entry.scope for entry in entries), []).append(name)
        return reach(roots, needs)

    def groups_of(self, name: str) -> tuple[str, ...]:
        """The extras and groups in which it names the package."""
        entries = (self.declared or {}).get(canonicalize_name(name), ())
        return tuple(dict.fromkeys(group for entry in entries for group in entry.groups))

    def requirement_of(self, name: str) -> str | None:
        """The range that it writes, where it writes a single one."""
        entries = (self.declared or {}).get(canonicalize_name(name), ())
        written = {entry.requirement for entry in entries if entry.source == "registry"}
        return written.pop() if len(written) == 1 else None


def read_beside(
    path: str,
    siblings: Mapping[str, bytes],
    findings: Findings,
    name: str,
    parse: Callable[[str, bytes, Mapping[str, bytes]], ManifestRecord],
) -> Beside:
    """Read the manifest of that name in the folder of the lockfile."""
    beside = posixpath.join(posixpath.dirname(path), name)
    content = siblings.get(beside)
    if content is None:
        findings.note(f"{quote(beside)} is not at hand: what nothing else requires is taken for direct")
        return Beside((beside,))
    try:
        record = parse(beside, content, {})
    except InvalidManifest as error:
        findings.note(f"{quote(beside)} can't be read: {error}")
        return Beside((beside,))
    declared: dict[str, list[DependencyRecord]] = {}
    for dependency in record.dependencies:
        if dependency.scope != "build":
            declared.setdefault(canonicalize_name(dependency.name), []).append(dependency)
    return Beside((beside,), declared, record.project)


def add_locked(findings: Findings, package: Locked) -> None:
    """Keep one package; what can't be kept is noted."""
    version = package.version
    if version and (len(version) > MAX_SHORT or not is_storable(version)):
        findings.note(f"{quote(package.name)}: the version can't be stored", line=package.line)
        version = None
    requirement = package.requirement or (package.location if package.source != "registry" else None)
    dependency, problem = make_dependency(
        package.name,
        Place(package.field, package.line, package.scope, package.groups, package.optional, package.direct),
        requirement=requirement,
        resolved_version=version,
        marker=package.marker,
        source=package.source,
    )
    if problem:
        findings.note(problem, line=package.line)
    if dependency:
        findings.add(dependency)


def reach(roots: Mapping[Scope, Iterable[str]], needs: Mapping[str, Iterable[str]]) -> dict[str, Scope]:
    """The scope of every package that the roots lead to, the strongest of several.

    Args:
        roots: What each scope asks for.
        needs: What each package requires.
    """
    found: dict[str, Scope] = {}
    for scope in STRENGTH:
        waiting = deque(name for name in roots.get(scope, ()) if name not in found)
        found.update(dict.fromkeys(waiting, scope))
        while waiting:
            for other in needs.get(waiting.popleft(), ()):
                if other not in found:
                    found[other] = scope
                    waiting.append(other)
    return found


def text_of(value: Any) -> str | None:
    """A text that says something and can be stored, else null."""
    return value if isinstance(value, str) and value.strip() and is_storable(value) else None


def packages_of(findings: Findings, value: object, key: str) -> list[tuple[int, dict[str, Any]]]:
    """The tables of a lockfile's array with their numbers; those without a name are noted."""
    if value is None:
        return []
    if not isinstance(value, list):
        findings.note("expected an array of tables", field=key)
        return []
    tables = []
    for number, package in enumerate(value):
        if isinstance(package, dict) and text_of(package.get("name")):
            tables.append((number, package))
        else:
            findings.note(f"entry {number + 1} has no name", field=key)
            if findings.stop(field=key):
                break
    return tables
