"""Software bills of materials: SPDX and CycloneDX as JSON, of any ecosystem that wump knows.

A bill is no format of one ecosystem, so the core reads it: as the provider `sbom`, which only parses, and for
providers whose `fetch_dependency_graph` brings one.

Source: SPDX 2.2 and 2.3 (packages, external references, relationships); CycloneDX 1.2 to 1.7 (components, scope,
dependencies, and the taxonomy of properties); the purl specification.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

from wump_core.errors import InvalidManifest, InvalidPurl
from wump_core.hookspecs import ProviderInfo, hookimpl
from wump_core.manifests import Format, NoManifest, decode_text, list_globs, make_manifest, parse_with
from wump_core.purl import ECOSYSTEMS, make_purl_text
from wump_core.records import Diagnostic, ManifestRecord, Project, Scope
from wump_core.values import read_items, read_mapping, read_text

MAX_BYTES = 10_000_000
MAX_VALUES = 500_000
MAX_PACKAGES = 50_000
"""Of one bill. Those behind them are counted, and left out."""

MAX_NESTED = 50
MAX_ESCAPES = 100_000
"""Backslashes in a file whose lines are told: each package URL with one is decoded by itself."""

_CODE_HOSTS = frozenset(("github", "gitlab", "bitbucket"))
_EXACT = re.compile(r"[vV]?\d[\w.+!~-]*", re.ASCII)
_LOCATOR = re.compile(rb'"(?:purl|referenceLocator)"\s*:\s*"(pkg:[^"\\\n]*(?:\\.[^"\\\n]*)*)"')
_SPDX_SCOPES: dict[str, Scope] = {
    "DEV_DEPENDENCY_OF": "development",
    "DEV_TOOL_OF": "development",
    "BUILD_DEPENDENCY_OF": "build",
    "BUILD_TOOL_OF": "build",
    "TEST_DEPENDENCY_OF": "test",
    "TEST_TOOL_OF": "test",
    "OPTIONAL_DEPENDENCY_OF": "optional",
    "PROVIDED_DEPENDENCY_OF": "peer",
    "RUNTIME_DEPENDENCY_OF": "runtime",
}
_CYCLONEDX_SCOPES: dict[str, Scope] = {"required": "runtime", "optional": "optional", "excluded": "development"}
_ELSEWHERE = re.compile(r"(?:^|&)(vcs_url|repository_url)=[^&]", re.IGNORECASE)
_DEVELOPMENT = re.compile(r"cdx:[a-z]+:package:(?:development|isDevRequirement)")
_STRENGTH: tuple[Scope, ...] = ("runtime", "peer", "optional", "build", "development", "test")

Row = dict[str, Any]
"""The fields of a `DependencyRecord`."""


@dataclass(frozen=True, slots=True)
class Sbom:
    """What a bill says: whose it is, what is in it, each with its package URL as written, and what is unread."""

    project: Project | None
    rows: list[Row]
    locators: list[str]
    diagnostics: tuple[Diagnostic, ...]


class _Package(NamedTuple):
    """One entry, before its package URL is read."""

    identifier: str
    locator: str | None
    name: str
    version: str | None
    scope: Scope
    field: str


def read_spdx(document: Mapping[str, Any]) -> Sbom:
    """Read an SPDX document that was decoded already.

    Direct is what the described package itself depends on. A bill that says nothing of that names what it contains,
    and all of it counts as direct.

    Raises:
        InvalidManifest: It has no list of packages.
    """
    packages = document.get("packages", [])
    if not isinstance(packages, list):
        raise InvalidManifest("the SPDX document has no list of `packages`")
    relations = [
        (_identifier(item, "spdxElementId"), str(item.get("relationshipType")), _identifier(item, "relatedSpdxElement"))
        for item in map(read_mapping, read_items(document.get("relationships")))
    ]
    roots = {
        *map(str, read_items(document.get("documentDescribes"))),
        *(target for _, kind, target in relations if kind == "DESCRIBES"),
        *(source for source, kind, _ in relations if kind == "DESCRIBED_BY"),
    }
    if len(roots) > 1 and not any(source in roots and kind != "DESCRIBED_BY" for source, kind, _ in relations):
        roots = set()  # a list of packages that belong to nothing
    scopes = _find_scopes(relations)
    entries = [read_mapping(item) for item in packages]
    others = (
        _Package(
            identifier=_identifier(item),
            locator=_find_locator(item),
            name=str(item.get("name") or ""),
            version=read_text(item.get("versionInfo"), 255),
            scope=scopes.get(_identifier(item), "unknown"),
            field="packages",
        )
        for item in entries
        if _identifier(item) not in roots
    )
    described = next((item for item in entries if _identifier(item) in roots), {})
    project = _project(described.get("name"), described.get("versionInfo"))
    return _collect(project, others, _find_direct(relations, roots))


def _find_scopes(relations: list[tuple[str, str, str]]) -> dict[str, Scope]:
    """What packages are for: of several statements the one that says most."""
    scopes: dict[str, Scope] = {}
    for source, kind, _ in relations:
        if (scope := _SPDX_SCOPES.get(kind)) is not None:
            scopes[source] = min(scope, scopes.get(source, scope), key=_STRENGTH.index)
    return scopes


def _find_direct(relations: list[tuple[str, str, str]], roots: set[str]) -> set[str]:
    depended = {target for source, kind, target in relations if kind == "DEPENDS_ON" and source in roots}
    depended |= {source for source, kind, target in relations if kind.endswith("DEPENDENCY_OF") and target in roots}
    return depended or {target for source, kind, target in relations if source in roots and kind != "DESCRIBED_BY"}


def _identifier(item: Mapping[str, Any], name: str = "SPDXID") -> str:
    return str(item.get(name))


def _find_locator(item: Mapping[str, Any]) -> str | None:
    for reference in map(read_mapping, read_items(item.get("externalRefs"))):
        if reference.get("referenceType") == "purl":
            return str(reference.get("referenceLocator"))
    return None


def read_cyclonedx(document: Mapping[str, Any]) -> Sbom:
    """Read a CycloneDX document that was decoded already. A component without a scope is required.

    Raises:
        InvalidManifest: It has no list of components, or they are nested too deeply.
    """
    components = document.get("components", [])
    if not isinstance(components, list):
        raise InvalidManifest("the CycloneDX document has no list of `components`")
    described = read_mapping(read_mapping(document.get("metadata")).get("component"))
    root = described.get("bom-ref")
    graph = map(read_mapping, read_items(document.get("dependencies")))
    direct = {
        str(reference)
        for item in graph
        if root is not None and item.get("ref") == root
        for reference in read_items(item.get("dependsOn"))
    }
    packages = (
        _Package(
            identifier=str(item.get("bom-ref")),
            locator=read_text(item.get("purl")),
            name=_component_name(item),
            version=read_text(item.get("version"), 255),
            scope=_component_scope(item),
            field="components",
        )
        for item in _walk(components)
    )
    return _collect(_project(described.get("name"), described.get("version")), packages, direct)


def _walk(components: Iterable[Any], depth: int = 0) -> Iterator[dict[str, Any]]:
    """All components, those inside of others, too."""
    if depth > MAX_NESTED:
        raise InvalidManifest(f"components are nested more than {MAX_NESTED} deep")
    for item in map(read_mapping, components):
        yield item
        if nested := read_items(item.get("components")):
            yield from _walk(nested, depth + 1)


def _component_name(item: Mapping[str, Any]) -> str:
    group, name = item.get("group"), str(item.get("name") or "")
    return f"{group}/{name}" if group and isinstance(group, str) else name


def _component_scope(item: Mapping[str, Any]) -> Scope:
    for entry in map(read_mapping, read_items(item.get("properties"))):
        if _DEVELOPMENT.fullmatch(str(entry.get("name"))) and str(entry.get("value")).lower() == "true":
            return "development"
    return _CYCLONEDX_SCOPES.get(str(item.get("scope") or "required"), "unknown")


def _project(name: object, version: object) -> Project | None:
    known = read_text(name, 214)
    return Project(name=known, version=read_text(version, 255)) if known else None


def _collect(project: Project | None, packages: Iterable[_Package], direct: set[str]) -> Sbom:
    """Rows of those that have a package URL; the others are counted, and those of unknown ecosystems by ecosystem."""
    rows: list[Row] = []
    locators: list[str] = []
    diagnostics: list[Diagnostic] = []
    without, unknown, read = 0, Counter[str](), 0
    for package in packages:
        if not package.locator:
            without += 1
            continue
        read += 1
        if read > MAX_PACKAGES:
            continue
        name = package.name or unquote(package.locator)
        try:
            ecosystem, purl, source = read_locator(package.locator)
        except InvalidPurl as error:
            diagnostics.append(Diagnostic(field=package.field, message=str(error)[:500]))
            if not package.locator.startswith("pkg:"):
                continue
            ecosystem, purl, source = None, None, "registry"
            name = _locator_name(package.locator)  # it can't be one there, and is kept as it is written
        if ecosystem is not None and purl is None and source == "registry":
            unknown[ecosystem] += 1
        locators.append(package.locator)
        is_direct = not direct or package.identifier in direct
        rows.append({"purl": purl, "name": name[:214], "source": source, "direct": is_direct, **_describe(package)})
    counts = _tell_counts(without, read - MAX_PACKAGES)
    return Sbom(project, rows, locators, (*counts, *diagnostics, *_tell_unknown(unknown)))


def _describe(package: _Package) -> Row:
    version = package.version or _locator_version(package.locator or "")
    exact = version is not None and _EXACT.fullmatch(version) is not None and ".*" not in version
    return {
        "requirement": None if exact else version,
        "resolved_version": version if exact else None,
        "scope": package.scope,
        "optional": package.scope == "optional",
        "field": package.field,
    }


def _tell_counts(without: int, more: int) -> Iterator[Diagnostic]:
    if more > 0:
        yield Diagnostic(message=f"packages beyond the first {MAX_PACKAGES:,}: {more:,}")
    if without:
        yield Diagnostic(message=f"entries without a package URL: {without:,}")


def _tell_unknown(unknown: Mapping[str, int]) -> Iterator[Diagnostic]:
    for ecosystem, count in sorted(unknown.items())[:50]:
        why = "they come from another registry" if ecosystem in ECOSYSTEMS else "wump doesn't know this ecosystem"
        yield Diagnostic(field=ecosystem, message=f"{why}: packages without a purl: {count:,}")


def read_locator(locator: str) -> tuple[str, str | None, str]:
    """Ecosystem, canonical purl, and where the package comes from, of a package URL with all that it may carry.

    The purl is null where wump doesn't know the ecosystem, where the package is a repository, and where a qualifier
    says that it comes from another registry than the public one.

    Raises:
        InvalidPurl: It is none, or its name can't be one of its ecosystem's.
    """
    if not locator.startswith("pkg:"):
        raise InvalidPurl(f"{locator[:80]!r} is no package URL")
    plain, _, rest = locator.removeprefix("pkg:").lstrip("/").partition("#")[0].partition("?")
    elsewhere = {name.lower() for name in _ELSEWHERE.findall(rest)}
    ecosystem, _, name = plain.partition("/")
    ecosystem = ecosystem.lower()
    if ecosystem in _CODE_HOSTS or "vcs_url" in elsewhere:
        return ecosystem, None, "git"
    if ecosystem not in ECOSYSTEMS or "repository_url" in elsewhere:
        return read_text(ecosystem, 40) or "", None, "registry"
    if "@" in name[1:]:
        name = name.rpartition("@")[0]
    name = unquote(name.rstrip("/"))
    if ecosystem == "githubactions":
        # An action in a folder has its path behind the repository that it is known by.
        name = "/".join(name.split("/")[:2])
    return ecosystem, make_purl_text(ecosystem, name), "registry"


def _locator_name(locator: str) -> str:
    path = locator.partition("?")[0].partition("#")[0].partition("/")[2]
    return unquote(path.rpartition("@")[0] if "@" in path[1:] else path) or locator


def _locator_version(locator: str) -> str | None:
    _, found, version = locator.partition("?")[0].partition("#")[0].rpartition("@")
    return read_text(unquote(version), 255) if found and "/" not in version else None


def _parse_spdx(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    document = _decode(content)
    return _make_record(path, "SPDX", read_spdx(read_mapping(document.get("sbom")) or document), content)


def _parse_cyclonedx(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    document = _decode(content)
    found = read_cyclonedx(document)
    if "bomFormat" not in document and not found.locators:
        raise NoManifest("no CycloneDX: it has neither `bomFormat` nor a component with a package URL")
    return _make_record(path, "CycloneDX", found, content)


def _decode(content: bytes) -> Mapping[str, Any]:
    """The document, if what it holds is bounded: a value takes up to a hundred times of its text in memory."""
    values = content.count(b",") + content.count(b"[") + content.count(b"{")
    if values > MAX_VALUES:
        raise InvalidManifest(f"has {values:,} values: at most {MAX_VALUES:,} are read")
    try:
        document = json.loads(decode_text(content))
    except ValueError as error:
        raise InvalidManifest(f"not JSON: {error}"[:500]) from None
    if not isinstance(document, dict):
        raise InvalidManifest("the document is no JSON object")
    return document


def _make_record(path: str, format: str, found: Sbom, content: bytes) -> ManifestRecord:  # noqa: A002
    lines, times = _find_lines(content), Counter(found.locators)
    for row, locator in zip(found.rows, found.locators, strict=True):
        where = lines.get(locator, ())
        if where and len(where) == times[locator]:  # else it stands elsewhere, too, and no line is certain
            times[locator] -= 1
            row["line"] = where.pop()
    return make_manifest(
        path,
        format=format,
        ecosystem="sbom",
        kind="lockfile",
        project=found.project,
        dependencies=found.rows,
        diagnostics=found.diagnostics,
    )


def _find_lines(content: bytes) -> dict[str, list[int]]:
    """The lines on which each package URL stands, the last one first."""
    lines: dict[str, list[int]] = {}
    if content.count(b"\\") > MAX_ESCAPES:
        return lines
    line, at = 1, 0
    for found in _LOCATOR.finditer(content):
        line += content.count(b"\n", at, found.start(1))
        at = found.start(1)
        with suppress(ValueError):
            text = found[1].decode()
            locator = json.loads(f'"{text}"') if "\\" in text else text
            lines.setdefault(locator, []).append(line)
    for found_lines in lines.values():
        found_lines.reverse()
    return lines


FORMATS = (
    Format(
        name="SPDX",
        globs=("*.spdx.json", "spdx.json", "sbom.json"),
        kind="lockfile",
        max_bytes=MAX_BYTES,
        yields="packages with a package URL, at most 50,000; direct by the relationships of the described package;"
        " scope by `…_DEPENDENCY_OF`. JSON of SPDX 2 only.",
        parse=_parse_spdx,
        marker=b'"spdxVersion"',
    ),
    Format(
        name="CycloneDX",
        globs=("bom.json", "*.cdx.json", "cyclonedx.json", "sbom.json"),
        kind="lockfile",
        max_bytes=MAX_BYTES,
        yields="components with a package URL, nested ones too, at most 50,000; direct by the graph of the described"
        " component; scope, and development by property. JSON only.",
        parse=_parse_cyclonedx,
    ),
)


@hookimpl
def describe_provider() -> ProviderInfo:
    """Say what this provider is: a part of the core, which asks nobody."""
    return ProviderInfo(
        title="Bills of materials",
        provider_type="aggregator",
        ecosystems=(),
        manifests=list_globs(FORMATS),
        licence="None of its own: a bill has its author's.",
        attribution="The files themselves",
    )


@hookimpl
def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read an SPDX or CycloneDX document."""
    return parse_with(FORMATS, path, content, siblings)
