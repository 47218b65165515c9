"""What a Cargo.toml declares: its tables of dependencies, and what a workspace's root tells for them.

Source: The Cargo Book, "Specifying Dependencies", "Workspaces", "Features" and "The Manifest Format".
"""

import posixpath
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from wump_core import (
    DependencySource,
    Diagnostic,
    InvalidManifest,
    Scope,
    decode_text,
    load_toml,
    make_printable,
    resolve_path,
)

from wump_provider_cratesio.dependencies import find_features
from wump_provider_cratesio.manifests.toml_lines import Path, find_lines

NAME = "Cargo.toml"
MAX_FOLDERS = 20
CRATES_IO = "crates-io"
"""What Cargo calls crates.io where a registry is named."""

_TABLES: Mapping[str, Scope] = {
    "dependencies": "runtime",
    "dev-dependencies": "development",
    "dev_dependencies": "development",
    "build-dependencies": "build",
    "build_dependencies": "build",
}


class Declared(NamedTuple):
    """One dependency as it is declared.

    `key` is the name it has in the code, `crate` the real one; `target` the manifest of one that is a path in the tree.
    """

    key: str
    crate: str
    requirement: str | None
    scope: Scope
    optional: bool
    source: DependencySource
    foreign: bool
    marker: str | None
    groups: tuple[str, ...]
    path: Path
    target: str | None = None

    @property
    def field(self) -> str:
        """The table it stands in, as a key of the document is written."""
        return ".".join(self.path[:-1])


class Manifest:
    """One Cargo.toml. `workspace` is its own table of that name, null where it has none."""

    def __init__(self, path: str, content: bytes) -> None:
        """Raises InvalidManifest: no UTF-8, or no TOML."""
        self.path = path
        self.text = decode_text(content)
        self.document = load_toml(self.text)
        self.notes: list[Diagnostic] = []
        self.needs: list[str] = []
        self._lines: dict[Path, int] | None = None
        package = self.document.get("package", self.document.get("project"))
        self.package: Mapping[str, Any] = package if isinstance(package, dict) else {}
        workspace = self.document.get("workspace")
        self.workspace: Mapping[str, Any] | None = workspace if isinstance(workspace, dict) else None

    def line(self, path: Path) -> int | None:
        """Where a key, or the table of its name, begins."""
        if self._lines is None:
            self._lines = find_lines(self.text)
        return self._lines.get(path)

    def note(self, message: str, path: Path) -> None:
        """A diagnostic about what stands at a path."""
        self.notes.append(Diagnostic(field=make_printable(".".join(path), 255), message=message, line=self.line(path)))

    def declared(self, siblings: Mapping[str, bytes], known: "dict[str, Manifest]") -> Iterator[Declared]:
        """All that it depends on, what it inherits looked up in its workspace's root.

        Args:
            siblings: Files of the same tree.
            known: Manifests of it that were read, by path; roots that are read for this are added.
        """
        features = self.document.get("features")
        groups = find_features(features if isinstance(features, dict) else {})
        root = _Root(self, siblings, known)
        for table, marker, path in self._tables():
            for key, value in table.items():
                place = (*path, key)
                entry = _as_table(value)
                if entry is None:
                    self.note("expected a version or a table", place)
                elif entry.get("workspace") is True:
                    entry, origin = root.complete(key, entry, place)
                    yield self._read(key, entry, place, marker, groups.get(key, ()), origin)
                else:
                    yield self._read(key, entry, place, marker, groups.get(key, ()), self.path)

    def shared(self) -> Iterator[Declared]:
        """What the workspace's root offers to its members. Who of them wants it they say themselves."""
        table = (self.workspace or {}).get("dependencies")
        for key, value in table.items() if isinstance(table, dict) else ():
            place = ("workspace", "dependencies", key)
            if (entry := _as_table(value)) is None:
                self.note("expected a version or a table", place)
            else:
                yield self._read(key, entry, place, None, (), self.path)

    def _tables(self) -> Iterator[tuple[Mapping[str, Any], str | None, Path]]:
        yield from self._kinds(self.document, None, ())
        targets = self.document.get("target")
        for target, tables in targets.items() if isinstance(targets, dict) else ():
            if isinstance(tables, dict):
                yield from self._kinds(tables, target, ("target", target))

    def _kinds(
        self, tables: Mapping[str, Any], marker: str | None, above: Path
    ) -> Iterator[tuple[Mapping[str, Any], str | None, Path]]:
        for name in _TABLES:
            table = tables.get(name)
            if isinstance(table, dict):
                yield table, marker, (*above, name)
            elif table is not None:
                self.note("expected a table", (*above, name))

    def _read(
        self,
        key: str,
        entry: Mapping[str, Any],
        path: Path,
        marker: str | None,
        groups: tuple[str, ...],
        origin: str,
    ) -> Declared:
        """One dependency; `origin` is the manifest that its path is told from."""
        scope: Scope = _TABLES.get(path[-2], "unknown") if path[0] != "workspace" else "unknown"
        optional = entry.get("optional") is True
        crate = _text(entry.get("package")) or key
        git, directory = _text(entry.get("git")), _text(entry.get("path"))
        version = _text(entry.get("version"))
        source: DependencySource = "path" if directory is not None else "git" if git else "registry"
        registry = _text(entry.get("registry")) or _text(entry.get("registry-index"))
        if "version" in entry and version is None:
            self.note("`version` must be a text", path)
        return Declared(
            key=key,
            crate=crate,
            requirement=version or (_describe_git(git, entry) if source == "git" and git else None),
            scope="optional" if optional and scope == "runtime" else scope,
            optional=optional,
            source=source,
            foreign=registry not in (None, CRATES_IO),
            marker=marker,
            groups=groups if optional else (),
            path=path,
            target=resolve_path(origin, f"{directory}/{NAME}") if directory is not None else None,
        )


class _Root:
    """The root of a manifest's workspace, looked for only when something is inherited."""

    def __init__(self, manifest: Manifest, siblings: Mapping[str, bytes], known: dict[str, Manifest]) -> None:
        self._manifest = manifest
        self._siblings = siblings
        self._known = known

    def complete(self, key: str, entry: Mapping[str, Any], path: Path) -> tuple[Mapping[str, Any], str]:
        """What the root tells for a dependency, with what the member adds, and the root's path."""
        own = {name: value for name, value in entry.items() if name in ("optional", "features")}
        root = self._found
        if root is None:
            self._manifest.note("inherited from a workspace whose root is not at hand", path)
            return own, self._manifest.path
        shared = (root.workspace or {}).get("dependencies")
        told = _as_table(shared.get(key)) if isinstance(shared, dict) else None
        if told is None:
            self._manifest.note("inherited, and the workspace's root does not name it", path)
            return own, self._manifest.path
        return {name: value for name, value in told.items() if name != "optional"} | own, root.path

    @cached_property
    def _found(self) -> Manifest | None:
        manifest = self._manifest
        if manifest.workspace is not None:
            return manifest
        places = _list_roots(manifest)
        manifest.needs += places
        return next((root for place in places if (root := self._read(place)) and root.workspace is not None), None)

    def _read(self, place: str) -> Manifest | None:
        if place not in self._known and place in self._siblings:
            try:
                self._known[place] = Manifest(place, self._siblings[place])
            except InvalidManifest:
                return None
        return self._known.get(place)


def _list_roots(manifest: Manifest) -> list[str]:
    """Where the root may be: where the package says, else in a folder above."""
    named = _text(manifest.package.get("workspace"))
    if named is not None:
        place = resolve_path(manifest.path, f"{named}/{NAME}")
        return [place] if place else []
    places, folder = [], posixpath.dirname(manifest.path)
    while folder and len(places) < MAX_FOLDERS:
        folder = posixpath.dirname(folder)
        places.append(posixpath.join(folder, NAME))
    return places


def _as_table(value: object) -> Mapping[str, Any] | None:
    return {"version": value} if isinstance(value, str) else value if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _describe_git(git: str, entry: Mapping[str, Any]) -> str:
    """The address with what is taken of it, as lockfiles write it."""
    named = next((f"?{name}={value}" for name in ("branch", "tag", "rev") if (value := _text(entry.get(name)))), "")
    return f"{git}{named}"
