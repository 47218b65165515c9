"""CycloneDX documents.

Source: CycloneDX 1.2 to 1.7 (components, scope, dependencies, and the taxonomy of properties).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wump_core.errors import InvalidManifest
from wump_core.records import Scope
from wump_core.sboms.bills import Package, Sbom, collect, make_project
from wump_core.values import read_items, read_mapping, read_text

MAX_NESTED = 50
_SCOPES: dict[str, Scope] = {"required": "runtime", "optional": "optional", "excluded": "development"}
_DEVELOPMENT = re.compile(r"cdx:[a-z]+:package:(?:development|isDevRequirement)")


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
        Package(
            identifier=str(item.get("bom-ref")),
            locator=read_text(item.get("purl")),
            name=_component_name(item),
            version=read_text(item.get("version"), 255),
            scope=_component_scope(item),
            field="components",
        )
        for item in _walk(components)
    )
    return collect(make_project(described.get("name"), described.get("version")), packages, direct)


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
    return _SCOPES.get(str(item.get("scope") or "required"), "unknown")
