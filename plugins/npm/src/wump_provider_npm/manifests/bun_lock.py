"""bun.lock, Bun's lockfile as text.

Source: oven-sh/bun `src/install/lockfile/bun.lock.zig` and Bun's manual. It is JSON with trailing commas. Packages
are keyed by the names on the way to where they are installed, `a` or `a/b`; a value is an array whose first element is
`name@version` or `name@address`. `requirement` is what a workspace declares, and null for what only other packages
need; scope follows from what the workspaces reach.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from wump_core import DependencySource, ManifestRecord, Scope

from wump_provider_npm.dependencies import SCOPE_BY_FIELD
from wump_provider_npm.manifests.catalogs import DEFAULT, PREFIX, Catalogs, list_catalogs
from wump_provider_npm.manifests.findings import Dependency, Findings, parse_project
from wump_provider_npm.manifests.json_text import MAX_KEY_LENGTH, KeyFinder, decode_json, read_jsonc
from wump_provider_npm.manifests.locked import Roots, find_scopes, merge
from wump_provider_npm.manifests.references import find_commit, find_requirement, find_source, split_descriptor

_ROOT = "root:"
"""What stands for the version of the project itself."""

_Statements = dict[str, dict[str, tuple[str, str]]]
"""What the workspaces ask for: by key of the package, by the name it is asked for under, (field, range)."""


def parse_bun_lock(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a bun.lock.

    Raises:
        InvalidManifest: It is no JSON object in UTF-8 with at most comments and trailing commas.
    """
    text = read_jsonc(content)
    findings = Findings()
    lock = decode_json(text)
    workspaces = _map(lock.get("workspaces"))
    packages = _read_packages(lock, text, findings)
    for package in packages.values():
        if package.folder is not None:
            version = _map(workspaces.get(package.folder)).get("version")
            package.version = version if isinstance(version, str) else None
    statements = _list_statements(lock, workspaces, packages)
    findings.add(merge(_list_dependencies(packages, statements)))
    root = _map(workspaces.get(""))
    project = parse_project(root.get("name"), root.get("version"), findings)
    return findings.finish(path, "bun.lock", "lockfile", project)


class _Package:
    """One entry: who it is, and what it needs."""

    __slots__ = ("folder", "line", "name", "needs", "peers", "source", "version", "wants")

    def __init__(self, values: list[Any], line: int | None) -> None:
        self.name, reference = split_descriptor(values[0])
        self.line = line
        self.source: DependencySource = find_source(reference) if ":" in reference or "/" in reference else "registry"
        self.folder = reference.removeprefix("workspace:") if self.source == "workspace" else None
        commit = find_commit(reference) if self.source == "git" else None
        self.version = reference if self.source == "registry" else commit
        about = next((value for value in values[1:] if isinstance(value, dict)), {})
        self.needs = _map(about.get("dependencies"))
        self.wants = _map(about.get("optionalDependencies"))
        self.peers = _map(about.get("peerDependencies"))


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read_packages(lock: Mapping[str, Any], text: bytes, findings: Findings) -> dict[str, _Package]:
    find_line = KeyFinder(text, "packages").find
    packages = {}
    for key, values in _map(lock.get("packages")).items():
        line = find_line(key)
        if isinstance(values, list) and values and isinstance(values[0], str) and "@" in values[0][1:]:
            if not values[0].endswith(f"@{_ROOT}"):
                packages[key] = _Package(values, line)
        else:
            findings.note(f"packages.{key}"[:255], "not an entry of a lockfile", line)
    return packages


def _list_statements(
    lock: Mapping[str, Any], workspaces: Mapping[str, Any], packages: Mapping[str, _Package]
) -> _Statements:
    catalogs = list_catalogs(lock)
    statements: _Statements = {}
    for workspace in map(_map, workspaces.values()):
        own = workspace.get("name")
        for field in SCOPE_BY_FIELD:
            for name, written in _map(workspace.get(field)).items():
                key = _find_key(packages, own if isinstance(own, str) else "", name)
                if key is not None and isinstance(written, str):
                    asked = (field, _look_up(catalogs, name, written))
                    statements.setdefault(key, {}).setdefault(name, asked)
    return statements


def _look_up(catalogs: Catalogs, name: str, written: str) -> str:
    if not written.startswith(PREFIX):
        return written
    catalog = catalogs.get(written.removeprefix(PREFIX).strip() or DEFAULT, {})
    return str(catalog.get(name, written))


def _find_key(packages: Mapping[str, _Package], folder: str, name: str) -> str | None:
    """The package that a name means from within another one: the nearest on the way up."""
    while folder and len(folder) <= MAX_KEY_LENGTH:
        if (key := f"{folder}/{name}") in packages:
            return key
        folder = folder.rpartition("/")[0]
    return name if name in packages else None


def _find_scopes(packages: Mapping[str, _Package], statements: _Statements) -> Mapping[str, Scope]:
    roots: dict[str, set[str]] = {field: set() for field in SCOPE_BY_FIELD}
    for key, asked in statements.items():
        for field, _ in asked.values():
            roots[field].add(key)

    def follow(key: str, needed: Mapping[str, Any]) -> Iterator[str]:
        for name in needed:
            if (other := _find_key(packages, key, name)) is not None:
                yield other

    return find_scopes(
        Roots(
            roots["dependencies"], roots["optionalDependencies"], roots["peerDependencies"], roots["devDependencies"]
        ),
        lambda key: follow(key, packages[key].needs | packages[key].peers),
        lambda key: follow(key, packages[key].wants),
    )


def _list_dependencies(packages: Mapping[str, _Package], statements: _Statements) -> Iterator[Dependency]:
    scopes = _find_scopes(packages, statements)
    for key, package in packages.items():
        asked = statements.get(key, {})
        for name, statement in (asked or {_last_name(key): None}).items():
            requirement, source = None, package.source
            if statement is not None:
                requirement, wanted = find_requirement(name, statement[1])
                source = wanted if source == "registry" and wanted in ("git", "url", "path") else source
            scope = scopes.get(key, "runtime")
            yield Dependency(
                name=package.name,
                requirement=requirement,
                resolved_version=package.version,
                scope=scope,
                optional=scope == "optional",
                direct=statement is not None,
                alias=name if name != package.name else None,
                source=source,
                field="packages",
                line=package.line,
            )


def _last_name(key: str) -> str:
    """The last name of a path of names, of which scoped ones have a `/` themselves."""
    head, _, last = key.rpartition("/")
    scope = head.rpartition("/")[2]
    return f"{scope}/{last}" if scope.startswith("@") else last
