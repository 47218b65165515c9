"""pnpm-lock.yaml, lockfile versions 5, 6 and 9.

Source: pnpm's lockfile specification (pnpm/spec, `lockfile/`) and pnpm/pnpm `packages/lockfile-types`. Packages are
keyed `/name/version` in version 5, `/name@version` in 6 and `name@version` in 9, each with the peers it was built
with behind, which don't make it another package; those of other sources have their address there, and say their name
and version themselves. `requirement` is what an importer, which is a package.json of the tree, declares, and null for
what only other packages need.

Scope is what the flags `dev` and `optional` say; version 9 has dropped `dev`, and there it follows from what the
importers reach. Links to workspaces are kept as such. Of several documents the last is the project's; the one before
fixes the package manager itself.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wump_core import DependencySource, ManifestRecord, Scope, is_code_host

from wump_provider_npm.dependencies import SCOPE_BY_FIELD
from wump_provider_npm.manifests.catalogs import DEFAULT, PREFIX
from wump_provider_npm.manifests.findings import Dependency, Findings
from wump_provider_npm.manifests.locked import Roots, find_scopes, merge
from wump_provider_npm.manifests.references import find_requirement, find_source, split_descriptor
from wump_provider_npm.manifests.yaml_text import YamlMap, parse_yaml

_FIELDS = ("dependencies", "devDependencies", "optionalDependencies")
_WITHOUT_FLAGS = "9"
_EMPTY = YamlMap()


class _Statement(NamedTuple):
    """What an importer asks for: under which name, in which map, with which range, and what it got."""

    name: str
    field: str
    written: str
    got: str
    line: int | None


def parse_pnpm_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a pnpm-lock.yaml.

    Raises:
        InvalidManifest: It is no such YAML.
    """
    findings = Findings()
    for document in parse_yaml(content)[-1:]:
        findings.add(merge(_Lock(document, findings).list_dependencies()))
    return findings.finish(path, "pnpm-lock.yaml", "lockfile")


class _Lock:
    """One document: its packages, and what its importers ask for."""

    def __init__(self, document: YamlMap, findings: Findings) -> None:
        self._document = document
        self._findings = findings
        self._packages = _map(document, "packages")
        self._snapshots = _map(document, "snapshots") or self._packages
        self._has_flags = not str(document.get("lockfileVersion", "")).startswith(_WITHOUT_FLAGS)
        self._direct: dict[str, list[_Statement]] = {}
        self._links: list[_Statement] = []
        for importer in _map(document, "importers").values() if "importers" in document else [document]:
            if isinstance(importer, YamlMap):
                self._read_importer(importer)

    def _read_importer(self, importer: YamlMap) -> None:
        for field in _FIELDS:
            entries = _map(importer, field)
            for name, value in entries.items():
                got = value.get("version") if isinstance(value, YamlMap) else value
                written = (
                    value.get("specifier") if isinstance(value, YamlMap) else _map(importer, "specifiers").get(name)
                )
                if not isinstance(got, str):
                    self._findings.note(f"{field}.{name}"[:255], "names no version", entries.lines[name])
                    continue
                text = self._look_up(name, written) if isinstance(written, str) else ""
                statement = _Statement(name, field, text, got, entries.lines.get(name))
                key = self._find_key(name, got)
                if key is not None:
                    self._direct.setdefault(key, []).append(statement)
                elif got.startswith("link:"):
                    self._links.append(statement)
                else:
                    self._findings.note(f"{field}.{name}"[:255], "not among the packages", statement.line)

    def _look_up(self, name: str, written: str) -> str:
        """What stands in the catalog that a range asks for; the lockfile repeats what it took from there."""
        if not written.startswith(PREFIX):
            return written
        catalog = _map(_map(self._document, "catalogs"), written.removeprefix(PREFIX).strip() or DEFAULT)
        found = _map(catalog, name).get("specifier")
        return found if isinstance(found, str) else written

    def _find_key(self, name: str, got: str) -> str | None:
        for key in (f"/{name}/{got}", f"/{name}@{got}", f"{name}@{got}", got):
            if key in self._snapshots:
                return key
        return None

    def _follow(self, key: str, field: str) -> Iterator[str]:
        package = self._snapshots.get(key)
        for name, got in _map(package, field).items() if isinstance(package, YamlMap) else ():
            other = self._find_key(name, got) if isinstance(got, str) else None
            if other is not None:
                yield other

    def _find_scopes(self) -> Mapping[str, Scope]:
        roots: dict[str, set[str]] = {field: set() for field in _FIELDS}
        for key, statements in self._direct.items():
            for statement in statements:
                roots[statement.field].add(key)
        return find_scopes(
            Roots(roots["dependencies"], roots["optionalDependencies"], set(), roots["devDependencies"]),
            lambda key: self._follow(key, "dependencies"),
            lambda key: self._follow(key, "optionalDependencies"),
        )

    def list_dependencies(self) -> Iterator[Dependency]:
        """The packages, and the links between workspaces."""
        scopes = {} if self._has_flags else self._find_scopes()
        for key in self._snapshots:
            yield from self._list_package(key, scopes.get(key, "runtime"))
        for link in self._links:
            requirement, asked = find_requirement(link.name, link.written)
            yield Dependency(
                name=link.name,
                requirement=requirement or None,
                scope=SCOPE_BY_FIELD[link.field],
                optional=link.field == "optionalDependencies",
                source=asked if asked in ("path", "link") else "workspace",
                field=link.field,
                line=link.line,
            )

    def _list_package(self, key: str, reached_as: Scope) -> Iterator[Dependency]:
        """One package: once for every name that importers ask for it under, or once."""
        plain = key if key in self._packages else key.partition("(")[0]
        package, line = _map(self._packages, plain), self._packages.lines.get(plain, self._snapshots.lines.get(key))
        name, version, found_source = _read_key(key, package)
        if not name or (version is None and found_source == "registry"):
            self._findings.note(key[:255], "names no package in a version", line)
            return
        is_optional = "true" in (package.get("optional"), _map(self._snapshots, key).get("optional"))
        scope = reached_as
        if self._has_flags:
            scope = "development" if package.get("dev") == "true" else "optional" if is_optional else "runtime"
        for statement in self._direct.get(key) or [None]:
            requirement, source = None, found_source
            if statement is not None:
                requirement, asked = find_requirement(statement.name, statement.written)
                source = asked if source == "registry" and asked in ("git", "url", "path") else source
            yield Dependency(
                name=name,
                requirement=requirement or None,
                resolved_version=version,
                scope=scope,
                optional=is_optional,
                direct=statement is not None,
                alias=statement.name if statement and statement.name != name else None,
                source=source,
                field="packages",
                line=line,
            )


def _map(holder: Any, key: str) -> YamlMap:
    value = holder.get(key)
    return value if isinstance(value, YamlMap) else _EMPTY


def _read_key(key: str, package: YamlMap) -> tuple[str, str | None, DependencySource]:
    """Name, version and source of a package. What it says of itself counts before its key."""
    name, version, source = _split_key(key.partition("(")[0])
    resolution = _map(package, "resolution")
    if isinstance(package.get("name"), str):
        name = package["name"]
    if isinstance(package.get("version"), str):
        version = package["version"]
    if resolution.get("type") == "directory":
        source = "path"
    elif resolution.get("type") == "git" or "commit" in resolution:
        source = "git"
    elif isinstance(tarball := resolution.get("tarball"), str):
        source = find_source(tarball, name, version)
    return name, version or None, source


def _split_key(key: str) -> tuple[str, str, DependencySource]:
    path = key.removeprefix("/")
    name, reference = split_descriptor(path)
    if reference and "/" not in name.partition("/")[2] and (name.startswith("@") or "/" not in name):
        source = find_source(reference) if ":" in reference or "/" in reference else "registry"
        return name, reference.partition("_")[0] if source == "registry" else "", source
    if ":" in path:
        return "", "", find_source(path)
    parts = path.split("/")
    if len(parts) > 1 and not key.startswith("/") and "." in parts[0]:  # a registry's or repository's host
        if is_code_host(parts[0]) or (len(parts) == 4 and not parts[3][:1].isdigit()):
            return "", "", "git"
        parts = parts[1:]
    width = 2 if parts[0].startswith("@") else 1
    version = parts[width].partition("_")[0] if len(parts) > width else ""
    return "/".join(parts[:width]), version if version[:1].isdigit() else "", "registry"
