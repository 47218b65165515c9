"""What `wump parse` says of a file, and a bill of materials of all of them.

Source: the CycloneDX 1.6 JSON schema (ECMA-424).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from operator import attrgetter
from typing import Any
from urllib.parse import quote

from wump_core.manifests import make_printable
from wump_core.records import DependencyRecord, ManifestRecord

Document = dict[str, Any]

_DEPENDENCY_FIELDS = (
    "purl name alias requirement resolved_version scope direct groups marker source line".split()  # in this order
)
_GET_FIELDS = attrgetter(*_DEPENDENCY_FIELDS)
_COMPONENT_SCOPES = {"runtime": "required", "peer": "required", "unknown": "required", "optional": "optional"}
"""Everything else is `excluded`: what tests, builds and development need is not in the product."""


def describe_manifest(path: str, record: ManifestRecord) -> Document:
    """What was read of a file."""
    project = record.project
    return {
        "path": make_printable(path, len(path) * 6),
        "format": record.format,
        "ecosystem": record.ecosystem,
        "kind": record.kind,
        "status": record.status,
        "project": {"name": project.name, "version": project.version} if project else None,
        "dependencies": [_describe_dependency(item) for item in record.dependencies],
        "diagnostics": [
            {"line": item.line, "message": f"{item.field}: {item.message}" if item.field else item.message}
            for item in record.diagnostics
        ],
    }


def describe_refusal(path: str, reason: str) -> Document:
    """A file that can't be read, and why."""
    return {
        "path": make_printable(path, len(path) * 6),
        "format": None,
        "ecosystem": None,
        "kind": None,
        "status": "refused",
        "project": None,
        "dependencies": [],
        "diagnostics": [{"line": None, "message": make_printable(reason, 1_000)}],
    }


def _describe_dependency(record: DependencyRecord) -> Document:
    return dict(zip(_DEPENDENCY_FIELDS, _GET_FIELDS(record), strict=True))


def make_bill(documents: Iterable[Document]) -> Document:
    """A CycloneDX 1.6 document: the files, and what they need with the places that say so.

    A dependency that no registry offers has no purl; its `requirement` says where it comes from.
    """
    files: list[Document] = []
    seen: Counter[str] = Counter()
    components: dict[str, Document] = {}
    graph: list[Document] = []
    for document in documents:
        seen[document["path"]] += 1  # of several folders
        file = _file_component(document, seen[document["path"]])
        files.append(file)
        needed: dict[str, None] = {}
        for item in document["dependencies"]:
            component = _library_component(item)
            known = components.setdefault(component["bom-ref"], component)
            known["scope"] = _stronger(known["scope"], component["scope"])
            known["evidence"]["occurrences"].append(_occurrence(document["path"], item))
            needed[component["bom-ref"]] = None
        graph.append({"ref": file["bom-ref"], "dependsOn": list(needed)})
    tool = {"type": "application", "name": "wump", "version": version("wump-worker")}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"tools": {"components": [tool]}},
        "components": [*files, *components.values()],
        "dependencies": graph,
    }


def _file_component(document: Document, nth: int) -> Document:
    project = document["project"] or {}
    told = {
        "status": document["status"],
        "format": document["format"],
        "ecosystem": document["ecosystem"],
        "kind": document["kind"],
        "project": project.get("name"),
        "project-version": project.get("version"),
    }
    return {
        "type": "file",
        "bom-ref": f"file:{document['path']}" + (f"#{nth}" if nth > 1 else ""),
        "name": document["path"],
        "properties": _properties(told) + [_property("diagnostic", _tell(item)) for item in document["diagnostics"]],
    }


def _library_component(item: Mapping[str, Any]) -> Document:
    found = item["resolved_version"]
    purl = item["purl"] and item["purl"] + (f"@{quote(found, safe='')}" if found else "")
    component = {
        "type": "library",
        "bom-ref": purl or f"{item['source']}:{item['name']}:{found or item['requirement'] or ''}",
        "name": item["name"],
        "scope": _COMPONENT_SCOPES.get(item["scope"], "excluded"),
        "evidence": {"occurrences": []},
    }
    if found:
        component["version"] = found
    if purl:
        component["purl"] = purl
    else:
        component["properties"] = _properties({"source": item["source"], "requirement": item["requirement"]})
    return component


def _occurrence(path: str, item: Mapping[str, Any]) -> Document:
    told = {
        "scope": item["scope"],
        "requirement": item["requirement"],
        "alias": item["alias"],
        "groups": ",".join(item["groups"]),
        "marker": item["marker"],
        "transitive": None if item["direct"] else "true",
    }
    context = "; ".join(f"{name}={value}" for name, value in told.items() if value)
    return {"location": path, **({"line": item["line"]} if item["line"] else {}), "additionalContext": context}


def _stronger(one: str, other: str) -> str:
    order = ("required", "optional", "excluded")
    return min(one, other, key=order.index)


def _properties(values: Mapping[str, str | None]) -> list[Document]:
    return [_property(name, value) for name, value in values.items() if value]


def _property(name: str, value: str) -> Document:
    return {"name": f"wump:{name}", "value": value}


def _tell(diagnostic: Mapping[str, Any]) -> str:
    return f"line {diagnostic['line']}: {diagnostic['message']}" if diagnostic["line"] else diagnostic["message"]
