"""Cargo.lock, of all versions so far: 1 to 4, and what was written before there was a number.

Source: Cargo's own comments on the encodings of its lockfile (`core/resolver/encode.rs`, "Cargo.lock" in the Cargo
Book). Packages without a `source` are those of the workspace, and of paths. A package names what it needs by as much
as is unambiguous: `name`, `name version` or `name version (source)`. What is needed for what, and by which range, only
the manifests tell.
"""

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple

from wump_core import (
    DependencySource,
    Diagnostic,
    InvalidManifest,
    ManifestRecord,
    Scope,
    decode_text,
    load_toml,
    make_manifest,
    resolve_path,
)

from wump_provider_cratesio.manifests.cargo_toml import FORMAT as MANIFEST
from wump_provider_cratesio.manifests.cargo_toml import find_project, find_purl, list_members
from wump_provider_cratesio.manifests.declared import Declared, Manifest

FORMAT = "Cargo.lock"
MAX_BYTES = 8_000_000
MAX_MEMBERS = 1_000
MAX_GLOBS = 50
MAX_WILDCARDS = 4
MAX_ASKING = 200
"""More manifests of a workspace, globs of them, or entries that ask for one package are not looked at."""

STRENGTH: tuple[Scope, ...] = ("runtime", "optional", "build", "development", "unknown")

_CRATES_IO = "/crates.io-index"
"""How the address of crates.io's index ends, which a lockfile names whatever protocol or mirror served it."""

_ENTRY = re.compile(r"\[\[package\]\]\r?\nname = \"([^\"\n]*)\"")


class Package(NamedTuple):
    """One package of a lockfile."""

    name: str
    version: str | None
    source: str | None
    needs: Sequence[str]
    line: int | None


def parse_cargo_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one Cargo.lock.

    Raises:
        InvalidManifest: It is no UTF-8, or no TOML.
    """
    text = decode_text(content)
    document = load_toml(text)
    notes: list[Diagnostic] = []
    packages = _list_packages(document, text, notes)
    beside = _Beside(path, siblings)
    graph = _Graph(packages)
    asked = graph.asked_by_members()
    declared = {key: beside.find(packages[key]) for key in asked}
    if not beside.manifests:
        notes.append(Diagnostic(message=f"no {MANIFEST} is at hand: scopes and ranges are unknown"))
    else:
        notes += beside.list_strangers(packages)
    scopes: Mapping[int, Scope] = {}
    if beside.manifests:
        scopes = graph.spread({key: _strongest(item.scope for item in found) for key, found in declared.items()})
    rows = []
    for key, package in enumerate(packages):
        if package.source is None and key not in asked:
            continue  # the project itself
        rows.append(_make_row(package, scopes.get(key, "unknown"), declared.get(key), direct=key in asked))
    return make_manifest(
        path,
        format=FORMAT,
        ecosystem="cargo",
        kind="lockfile",
        project=find_project(beside.root) if beside.root else None,
        dependencies=rows,
        needs=beside.needs,
        diagnostics=notes,
    )


def _list_packages(document: Mapping[str, Any], text: str, notes: list[Diagnostic]) -> list[Package]:
    tables = document.get("package", [])
    if not isinstance(tables, list):
        raise InvalidManifest("`package` must be an array of tables")
    lines = _find_lines(text, tables)
    # The oldest lockfiles have the project itself in a table of its own.
    if isinstance(root := document.get("root"), dict):
        tables, lines = [root, *tables], [None, *lines]
    packages = []
    for number, (table, line) in enumerate(zip(tables, lines, strict=True), 1):
        name = table.get("name") if isinstance(table, dict) else None
        if not isinstance(name, str) or not name:
            notes.append(Diagnostic(field="package", message=f"entry {number} has no name", line=line))
            continue
        get = table.get
        version, source, needs = get("version"), get("source"), get("dependencies")
        packages.append(
            Package(
                name,
                version if isinstance(version, str) else None,
                source if isinstance(source, str) else None,
                [item for item in needs if isinstance(item, str)] if isinstance(needs, list) else (),
                line,
            )
        )
    return packages


def _find_lines(text: str, tables: Sequence[Any]) -> list[int | None]:
    """The line of each package's name, where the file is written as Cargo writes it: else of none."""
    lines: list[int | None] = []
    line, counted = 1, 0
    for found, table in zip(_ENTRY.finditer(text), tables, strict=False):
        if not isinstance(table, dict) or table.get("name") != found[1]:
            return [None] * len(tables)
        line += text.count("\n", counted, found.start(1))
        counted = found.start(1)
        lines.append(line)
    return lines if len(lines) == len(tables) else [None] * len(tables)


class _Graph:
    """Who needs whom, by positions in the list of packages."""

    def __init__(self, packages: Sequence[Package]) -> None:
        self._packages = packages
        self._named: dict[str, list[int]] = {}
        for key, package in enumerate(packages):
            self._named.setdefault(package.name, []).append(key)

    def follow(self, key: int) -> Iterable[int]:
        """What a package needs, as far as the file says which one."""
        for written in self._packages[key].needs:
            name, _, rest = written.partition(" ")
            if (named := self._named.get(name)) is None:
                continue
            found: int | None = named[0]
            if rest and len(named) > 1:
                version, _, source = rest.partition(" ")
                source = source.strip("()").partition("#")[0]
                found = self._exact.get((name, version, source), self._exact.get((name, version)))
            if found is not None:
                yield found

    @cached_property
    def _exact(self) -> dict[tuple[str | None, ...], int]:
        """Packages whose name others have, too, by name and version, and with their source."""
        found: dict[tuple[str | None, ...], int] = {}
        for named in self._named.values():
            for key in named if len(named) > 1 else ():
                name, version, source, _, _ = self._packages[key]
                found.setdefault((name, version), key)
                found.setdefault((name, version, (source or "").partition("#")[0]), key)
        return found

    def asked_by_members(self) -> dict[int, None]:
        """What the project's own packages need."""
        members = [key for key, package in enumerate(self._packages) if package.source is None]
        return {found: None for key in members for found in self.follow(key)}

    def spread(self, roots: Mapping[int, Scope]) -> dict[int, Scope]:
        """The scope of all that these lead to, the strongest of several."""
        scopes: dict[int, Scope] = {}
        for scope in STRENGTH:
            waiting = deque(key for key, own in roots.items() if own == scope and key not in scopes)
            scopes.update(dict.fromkeys(waiting, scope))
            while waiting:
                key = waiting.popleft()
                # The project's own packages say themselves what they need, and for what.
                for other in self.follow(key) if self._packages[key].source is not None else ():
                    if other not in scopes:
                        scopes[other] = scope
                        waiting.append(other)
        return scopes


class _Beside:
    """The manifests of the workspace that a lockfile belongs to, and what they declare."""

    def __init__(self, path: str, siblings: Mapping[str, bytes]) -> None:
        self.needs: list[str] = []
        self.manifests: dict[str, Manifest] = {}
        self._siblings = siblings
        self._read: set[str] = set()
        self._globs: list[re.Pattern[str]] = []
        self._declared: dict[str, list[Declared]] = {}
        waiting = [resolve_path(path, MANIFEST) or MANIFEST]
        self.root = self._open(waiting[0])
        if self.root is not None:
            waiting += self._list_members(self.root)
        # What their paths lead to is locked with them.
        for place in waiting:
            waiting += self._add(place)

    def find(self, package: Package) -> list[Declared]:
        """What asks for a package; where several versions are asked for, all that asks for one of them."""
        found = self._declared.get(package.name, [])[:MAX_ASKING]
        fitting = [item for item in found if _may_be(item.requirement, package.version)]
        return fitting or found

    def list_strangers(self, packages: Iterable[Package]) -> list[Diagnostic]:
        """The project's own packages whose manifest is not at hand: what they ask for has an unknown scope."""
        known = {manifest.package.get("name") for manifest in self.manifests.values()}
        return [
            Diagnostic(message=f"no {MANIFEST} of its package {package.name[:200]!r} is at hand", line=package.line)
            for package in packages
            if package.source is None and package.name not in known
        ]

    def _open(self, place: str) -> Manifest | None:
        if not any(glob.fullmatch(place) for glob in self._globs):
            self.needs.append(place)
        content = self._siblings.get(place)
        if content is not None and place not in self.manifests and len(self.manifests) < MAX_MEMBERS:
            with suppress(InvalidManifest):
                self.manifests[place] = Manifest(place, content)
        return self.manifests.get(place)

    def _list_members(self, root: Manifest) -> list[str]:
        """The manifests of the members by the root's globs."""
        members: list[str] = []
        for glob in list_members(root):
            wanted = resolve_path(root.path, f"{glob}/{MANIFEST}")
            wildcards = wanted.count("*") + wanted.count("?") if wanted else 0
            if wanted and wildcards:
                if wildcards > MAX_WILDCARDS or len(self._globs) >= MAX_GLOBS:
                    continue
                pattern = _compile(wanted)
                self._globs.append(pattern)
                self.needs.append(wanted)
                members += [path for path in self._siblings if pattern.fullmatch(path)]
            elif wanted:
                members.append(wanted)
        return members

    def _add(self, place: str) -> list[str]:
        """Read one manifest, once; returns the manifests that its paths lead to."""
        if place in self._read or (manifest := self._open(place)) is None:
            return []
        self._read.add(place)
        targets = []
        for item in manifest.declared(self._siblings, self.manifests):
            self._declared.setdefault(item.crate, []).append(item)
            if item.target and item.target not in self._read:
                targets.append(item.target)
        return targets


def _compile(glob: str) -> re.Pattern[str]:
    return re.compile(re.escape(glob).replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]"))


_LEADING = re.compile(r"\s*[\^~=]?\s*(\d+)(?:\.(\d+))?")


def _may_be(requirement: str | None, version: str | None) -> bool:
    """Whether a plain requirement (`1.2`, `^1`, `~1.2`, `=1.2.3`) can mean that version; others may mean any."""
    wanted = _LEADING.match(requirement or "")
    found = _LEADING.match(version or "")
    if wanted is None or found is None or "," in (requirement or "") or wanted[1] != found[1]:
        return wanted is None or "," in (requirement or "")
    return wanted[1] != "0" or wanted[2] is None or wanted[2] == found[2]


def _make_row(package: Package, scope: Scope, declared: Sequence[Declared] | None, *, direct: bool) -> dict[str, Any]:
    source = _find_source(package.source)
    is_counted = source == "registry" and (package.source or "").partition("#")[0].endswith(_CRATES_IO)
    row = {
        "purl": find_purl(package.name) if is_counted else None,
        "name": package.name,
        "resolved_version": package.version,
        "scope": scope,
        "direct": direct,
        "source": source,
        "line": package.line,
    }
    if declared:
        ranges = {item.requirement for item in declared if item.source == "registry"}
        row["requirement"] = ranges.pop() if len(ranges) == 1 else None
        row["optional"] = all(item.optional for item in declared)
        row["groups"] = tuple(dict.fromkeys(group for item in declared for group in item.groups))[:100]
    return row


def _find_source(source: str | None) -> DependencySource:
    if source is None:
        return "workspace"
    return "git" if source.startswith("git+") else "path" if source.startswith("path+") else "registry"


def _strongest(scopes: Iterable[Scope]) -> Scope:
    return min(scopes, key=STRENGTH.index, default="unknown")
