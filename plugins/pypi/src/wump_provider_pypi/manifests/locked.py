"""What all lockfiles have in common: packages with fixed versions, and a manifest beside them that asks for some.

A lockfile lists what is installed; whether a package was asked for, and by which range, stands in the manifest. Where
that is not at hand, a package that no other one requires is taken for one that was asked for, which is noted.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from wump_core import (
    DependencyRecord,
    DependencySource,
    InvalidManifest,
    ManifestRecord,
    Project,
    Scope,
    decode_text,
    load_toml,
)

from wump_provider_pypi.fields import MAX_SHORT, is_storable, quote
from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.lock_lines import find_table_lines
from wump_provider_pypi.manifests.pyproject import parse_pyproject
from wump_provider_pypi.manifests.scopes import STRENGTH, strongest
from wump_provider_pypi.requirements import Place, canonical_name, make_dependency

MAX_LOCK_BYTES = 16_000_000

Location: TypeAlias = tuple[DependencySource, str | None] | None
"""Where a package comes from, with the address; null for the registry."""


class Beside(NamedTuple):
    """The manifest beside a lockfile: null where it is not at hand, and where it was looked for."""

    needs: tuple[str, ...]
    declared: dict[str, list[DependencyRecord]] | None = None
    project: Project | None = None

    def asks_for(self, name: str) -> bool:
        """Whether it names the package."""
        return bool(self.declared and canonical_name(name) in self.declared)

    def scopes(self, needs: Mapping[str, Iterable[str]]) -> dict[str, Scope]:
        """The scope of all that it leads to, where `needs` is what each package requires."""
        roots: dict[Scope, list[str]] = {}
        for name, entries in (self.declared or {}).items():
            roots.setdefault(strongest(entry.scope for entry in entries), []).append(name)
        return reach(roots, needs)

    def groups_of(self, name: str) -> tuple[str, ...]:
        """The extras and groups in which it names the package."""
        entries = (self.declared or {}).get(canonical_name(name), ())
        return tuple(dict.fromkeys(group for entry in entries for group in entry.groups))

    def requirement_of(self, name: str) -> str | None:
        """The range that it writes, where it writes a single one."""
        if not self.declared:
            return None
        entries = self.declared.get(canonical_name(name), ())
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
    beside = path[: path.rfind("/") + 1] + name
    content = siblings.get(beside)
    if content is None:
        missing, message = _tell_missing(beside)
        findings.note(message)
        return missing
    try:
        record = parse(beside, content, {})
    except InvalidManifest as error:
        findings.note(f"{quote(beside)} can't be read: {error}")
        return Beside((beside,))
    declared: dict[str, list[DependencyRecord]] = {}
    for dependency in record.dependencies:
        if dependency.scope != "build":
            declared.setdefault(canonical_name(dependency.name), []).append(dependency)
    return Beside((beside,), declared, record.project)


@lru_cache(maxsize=256)
def _tell_missing(path: str) -> tuple[Beside, str]:
    return Beside((path,)), f"{quote(path)} is not at hand: what nothing else requires is taken for direct"


class Lockfile:
    """The packages of a lockfile of tables that stands beside a pyproject.toml."""

    def __init__(
        self,
        path: str,
        content: bytes,
        siblings: Mapping[str, bytes],
        key: str,
        requires: Callable[[dict[str, Any]], Iterable[str]],
    ) -> None:
        """Read the file into `document`, and the manifest into `beside`.

        Args:
            key: The array of tables that holds the packages.
            requires: The canonical names of what a package requires.

        Raises:
            InvalidManifest: It is no UTF-8, or no TOML.
        """
        text = decode_text(content)
        self.document = load_toml(text)
        self.findings = Findings()
        self.beside = read_beside(path, siblings, self.findings, "pyproject.toml", parse_pyproject)
        self._path, self._key = path, key
        self._tables = packages_of(self.findings, self.document.get(key), key)
        self._lines = find_table_lines(text, key, self.document.get(key))
        needs: dict[str, list[str]] = {}
        for _, package in self._tables:
            needs.setdefault(canonical_name(package["name"]), []).extend(requires(package))
        self._scopes = self.beside.scopes(needs)
        self._required = {other for name, others in needs.items() for other in others if other != name}

    def packages(self) -> Iterator[tuple[str, dict[str, Any], int | None]]:
        """Canonical name, table and line of each package, until a bound is reached."""
        for number, package in self._tables:
            if self.findings.stop(field=self._key):
                return
            yield canonical_name(package["name"]), package, self._lines[number]

    def scope_of(self, name: str) -> Scope | None:
        """The scope in which the manifest leads to a package; null where it doesn't, or is not at hand."""
        return self._scopes.get(name)

    def add(self, name: str, package: dict[str, Any], place: Place, marker: object, location: Location) -> None:
        """Keep one package; whether it was asked for, and by which range, the manifest says."""
        asked = self.beside.asks_for(name) if self.beside.declared is not None else name not in self._required
        add_locked(
            self.findings,
            package["name"],
            place,
            line=place.line,
            direct=asked,
            version=text_of(package.get("version")),
            requirement=self.beside.requirement_of(name),
            marker=text_of(marker),
            location=location,
        )

    def finish(self, format_name: str) -> ManifestRecord:
        """The record of the file."""
        return self.findings.finish(
            self._path, format_name, "lockfile", project=self.beside.project, needs=self.beside.needs
        )


def add_locked(
    findings: Findings,
    name: str,
    place: Place,
    *,
    line: int | None,
    direct: bool,
    version: str | None,
    requirement: str | None = None,
    marker: str | None = None,
    location: Location = None,
) -> None:
    """Keep one package; what can't be kept is noted.

    Args:
        place: What it has in common with others.
        marker: One that was valid when it was locked.
    """
    if version and (len(version) > MAX_SHORT or not (version.isprintable() or is_storable(version))):
        findings.note(f"{quote(name)}: the version can't be stored", line=line)
        version = None
    source, address = location or ("registry", None)
    row, problem = make_dependency(
        name, place, requirement=requirement or address, resolved_version=version, marker=marker, source=source
    )
    if problem:
        findings.note(problem, line=line)
    if row:
        row["line"] = line
        if not direct:
            row["direct"] = False
        findings.add(row)


def reach(roots: Mapping[Scope, Iterable[str]], needs: Mapping[str, Iterable[str]]) -> dict[str, Scope]:
    """The scope of every package that the roots lead to, the strongest of several.

    Args:
        roots: What each scope asks for.
        needs: What each package requires.
    """
    found: dict[str, Scope] = {}
    for scope in STRENGTH:
        waiting = deque({name: None for name in roots.get(scope, ()) if name not in found})
        found.update(dict.fromkeys(waiting, scope))
        while waiting:
            for other in needs.get(waiting.popleft(), ()):
                if other not in found:
                    found[other] = scope
                    waiting.append(other)
    return found


def text_of(value: Any) -> str | None:
    """A text that says something and can be stored, else null."""
    return value if isinstance(value, str) and is_storable(value) and value.strip() else None


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
