"""What a version declares that it needs, as deps.dev has it: another shape for each system.

Source: the documentation of the deps.dev API, `GetRequirements`.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from wump_core import (
    DependencyRecord,
    Diagnostic,
    Scope,
    collect_items,
    read_items,
    read_mapping,
    read_requirement,
    read_text,
)

_EXTRA = re.compile(r"""\bextra\s*==\s*["']([^"']{1,200})["']""")
_NPM_SCOPES: tuple[tuple[str, Scope], ...] = (
    ("dependencies", "runtime"),
    ("devDependencies", "development"),
    ("optionalDependencies", "optional"),
    ("peerDependencies", "peer"),
)
_CARGO_SCOPES: dict[str, Scope] = {"": "runtime", "normal": "runtime", "dev": "development", "build": "build"}
_MAVEN_SCOPES: dict[str, Scope] = {
    "": "runtime",
    "compile": "runtime",
    "runtime": "runtime",
    "provided": "peer",
    "system": "peer",
    "test": "test",
    "import": "build",
}
Fields = dict[str, Any]


def parse_requirements(
    ecosystem: str, document: Any
) -> tuple[tuple[DependencyRecord, ...] | None, tuple[Diagnostic, ...]]:
    """Read what a version needs; null where the document has nothing of the system, as with one not read yet."""
    stated = read_mapping(document).get(ecosystem)
    if not isinstance(stated, dict):
        return None, ()
    found, diagnostics = collect_items(_READERS[ecosystem](stated), lambda item: _make_dependency(ecosystem, item))
    return found if found or not diagnostics else None, diagnostics


def _make_dependency(ecosystem: str, fields: Fields) -> DependencyRecord:
    name, requirement = fields.pop("name"), fields.pop("requirement")
    return DependencyRecord(**read_requirement(ecosystem, name, requirement) | fields)


def _read_npm(stated: dict[str, Any]) -> Iterator[Fields]:
    groups = read_mapping(stated.get("dependencies"))
    optional_peers = {
        item.get("name")
        for item in read_items(groups.get("peerDependencyMetadata"))
        if isinstance(item, dict) and item.get("optional") is True
    }
    for field, scope in _NPM_SCOPES:
        for item in _objects(groups.get(field)):
            is_optional_peer = scope == "peer" and item.get("name") in optional_peers
            yield {
                "name": item.get("name"),
                "requirement": read_text(item.get("requirement")),
                "scope": scope,
                "optional": scope == "optional" or is_optional_peer,
                "field": field,
            }


def _read_pypi(stated: dict[str, Any]) -> Iterator[Fields]:
    for item in _objects(stated.get("dependencies")):
        marker = read_text(item.get("environmentMarker"))
        extras = tuple(dict.fromkeys(_EXTRA.findall(marker or "")))
        yield {
            "name": item.get("projectName"),
            "requirement": read_text(item.get("versionSpecifier")),
            "scope": "optional" if extras else "runtime",
            "optional": bool(extras),
            "groups": extras,
            "marker": marker,
            "field": "dependencies",
        }


def _read_cargo(stated: dict[str, Any]) -> Iterator[Fields]:
    for item in _objects(stated.get("dependencies")):
        kind = str(item.get("kind") or "").lower()
        optional = item.get("optional") is True
        scope = _CARGO_SCOPES.get(kind, "unknown")
        name, alias = item.get("name"), read_text(item.get("packageAlias"), 214)
        yield {
            "name": name,
            "alias": alias if alias != name else None,
            "requirement": read_text(item.get("requirement")),
            "scope": "optional" if optional and scope == "runtime" else scope,
            "optional": optional,
            "marker": read_text(item.get("target")),
            "field": kind or "normal",
        }


def _read_maven(stated: dict[str, Any]) -> Iterator[Fields]:
    """Those of the POM itself and its parents. What is only managed is not needed."""
    for item in _objects(stated.get("dependencies")):
        if str(item.get("origin") or "") in ("management", "import"):
            continue
        scope = _MAVEN_SCOPES.get(str(item.get("scope") or "").lower(), "unknown")
        optional = str(item.get("optional")).lower() == "true"
        requirement = read_text(item.get("resolvedVersion") or item.get("version"))
        yield {
            "name": item.get("resolvedName") or item.get("name"),
            "requirement": None if requirement and "${" in requirement else requirement,
            "scope": "optional" if optional and scope == "runtime" else scope,
            "optional": optional,
            "field": str(item.get("scope") or "compile")[:255],
        }


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """The entries; what is no object is handed on empty, so that it is named and not lost."""
    yield from (item if isinstance(item, dict) else {} for item in read_items(value))


_READERS: dict[str, Callable[[dict[str, Any]], Iterator[Fields]]] = {
    "npm": _read_npm,
    "pypi": _read_pypi,
    "cargo": _read_cargo,
    "maven": _read_maven,
}
