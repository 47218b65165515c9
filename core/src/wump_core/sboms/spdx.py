"""SPDX documents.

Source: SPDX 2.2 and 2.3 (packages, external references, relationships).
"""

from collections.abc import Mapping
from typing import Any

from wump_core.errors import InvalidManifest
from wump_core.records import Scope
from wump_core.sboms.bills import Package, Sbom, collect, make_project
from wump_core.values import read_items, read_mapping, read_text

_SCOPES: dict[str, Scope] = {
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
_STRENGTH: tuple[Scope, ...] = ("runtime", "peer", "optional", "build", "development", "test")


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
        Package(
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
    project = make_project(described.get("name"), described.get("versionInfo"))
    return collect(project, others, _find_direct(relations, roots))


def _find_scopes(relations: list[tuple[str, str, str]]) -> dict[str, Scope]:
    """What packages are for: of several statements the one that says most."""
    scopes: dict[str, Scope] = {}
    for source, kind, _ in relations:
        if (scope := _SCOPES.get(kind)) is not None:
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
