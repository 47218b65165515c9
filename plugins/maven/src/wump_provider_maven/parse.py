"""A model of a published project becomes a package record. Pure.

Source: Maven's POM reference. There is no element for funding, and none for deprecation but a relocation.
"""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from wump_core import DependencyRecord, Diagnostic, PackageRecord, Purl, collect_items, make_purl

from wump_provider_maven.coordinates import make_name
from wump_provider_maven.interpolation import describe_unknown, is_known
from wump_provider_maven.models import Dependency, Model
from wump_provider_maven.poms import Pom
from wump_provider_maven.repositories import list_own, parse_repository
from wump_provider_maven.scopes import SCOPES
from wump_provider_maven.xml import children, each, text_of

MAX_DEPENDENCIES = 20_000
MAX_DIAGNOSTICS = 500
MAX_LICENCES = 50
MAX_TEXT = 2_000

_MAIL = re.compile(r"<?[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}>?")
_RELOCATION = ("distributionManagement", "relocation")


def parse_package(
    purl: Purl, version: str, model: Model, missing_imports: Sequence[str], notes: Sequence[Diagnostic]
) -> PackageRecord:
    """Make the record of a package out of the model of its latest version.

    Args:
        purl: The package.
        version: The version whose model this is.
        model: Its POM, parents and imports.
        missing_imports: What could not be imported, so that versions may be unknown.
        notes: What went wrong on the way.
    """
    diagnostics = list(notes)
    moved = _parse_relocation(model)
    if moved:
        dependencies: tuple[DependencyRecord, ...] = (moved,)
        diagnostics.append(Diagnostic(field=".".join(_RELOCATION), message=f"it moved to {moved.name}"))
    else:
        dependencies, unread = _parse_dependencies(model, missing_imports)
        diagnostics += unread
    fields: dict[str, Any] = {
        "purl": str(purl),
        "latest_version": version,
        "description": _parse_description(model),
        "homepage": _parse_homepage(model),
        "licences": _parse_licences(model),
        "deprecated": True if moved else None,
        "repository": parse_repository(model),
        "dependencies": dependencies,
    }
    return _build(fields, diagnostics)


def _parse_dependencies(
    model: Model, missing_imports: Sequence[str]
) -> tuple[tuple[DependencyRecord, ...], list[Diagnostic]]:
    found = model.list_dependencies()
    outside = [f"the import {name}" for name in missing_imports[:3]]
    if (parent := model.missing_parent) is not None:
        outside.insert(0, f"the parent {parent.group}:{parent.artifact}:{parent.version}")
    notes = [_describe_unknown(item, " or ".join(outside)) for item in found if not is_known(item.version)]
    records, unread = collect_items(found[:MAX_DEPENDENCIES], _make_dependency)
    notes += [note.model_copy(update={"field": "dependencies"}) for note in unread]
    if parent is not None:
        notes.append(Diagnostic(field="parent", message="what it inherits from a parent that is missing is not told"))
    if (more := len(found) - MAX_DEPENDENCIES) > 0:
        notes.append(Diagnostic(field="dependencies", message=f"{more:,} more dependencies were left out"))
    return records, notes


def _make_dependency(found: Dependency) -> DependencyRecord:
    is_local = found.scope == "system"
    return DependencyRecord(
        purl=None if is_local else str(make_purl("maven", f"{found.group}/{found.artifact}")),
        name=make_name(found.group, found.artifact),
        requirement=found.version if is_known(found.version) else None,
        scope=SCOPES.get(found.scope, "unknown"),
        optional=found.optional,
        source="path" if is_local else "registry",
        field=found.declared.field,
    )


def _describe_unknown(found: Dependency, outside: str) -> Diagnostic:
    name = make_name(found.group, found.artifact)
    value = f", {describe_unknown(found.version)}," if found.version else ""
    told = f": {outside} may tell it" if outside else ""
    return Diagnostic(field="dependencies", message=f"the version of {name}{value} is not known{told}"[:MAX_TEXT])


def _parse_relocation(model: Model) -> DependencyRecord | None:
    """What the package is called now: whoever depends on it gets that one. What isn't said stays as it was."""
    moved = children(children(model.lineage[0].fields.get(_RELOCATION[0])).get(_RELOCATION[1]))
    if not moved:
        return None
    fill = model.values.fill
    group, artifact, version = (
        fill(text_of(moved.get(name)) or own or "")
        for name, own in (("groupId", model.group), ("artifactId", model.artifact), ("version", model.version))
    )
    if (group, artifact) == (model.group, model.artifact):
        return None
    records, _ = collect_items(
        [(group, artifact)],
        lambda names: DependencyRecord(
            purl=str(make_purl("maven", "/".join(names))),
            name=make_name(*names),
            requirement=version or None,
            scope="runtime",
            field=".".join(_RELOCATION),
        ),
    )
    return records[0] if records else None


def _parse_description(model: Model) -> str | None:
    """The nearest one, as Maven inherits it, but from no other project: without line ends and mail addresses."""
    for pom in list_own(model):
        if text := pom.text("description"):
            return _MAIL.sub("[e-mail]", " ".join(model.values_of(pom).fill(text[: MAX_TEXT * 2]).split()))[:MAX_TEXT]
    return None


def _parse_homepage(model: Model) -> str | None:
    for place in (("url",), ("organization", "url")):
        for pom in list_own(model):
            text = pom.text(*place)
            address = model.values_of(pom).fill(text) if text else ""
            if re.match(r"https?://[^\s/@]+", address) and is_known(address):
                return address
    return None


def _parse_licences(model: Model) -> tuple[str, ...] | None:
    """The nearest list that isn't empty, as a whole; null where none is known, since a POM may leave it out."""
    for pom in model.lineage:
        names = [_name_licence(item, model, pom) for item in each(pom.fields.get("licenses"), "license")]
        if known := tuple(dict.fromkeys(name for name in names if name)):
            return known[:MAX_LICENCES]
    return None


def _name_licence(element: Any, model: Model, pom: Pom) -> str | None:
    fields = children(element)
    text = text_of(fields.get("name")) or text_of(fields.get("url"))
    return " ".join(_MAIL.sub("[e-mail]", model.values_of(pom).fill(text)).split())[:MAX_TEXT] if text else None


def _build(fields: dict[str, Any], diagnostics: list[Diagnostic]) -> PackageRecord:
    """The record; a value that its types refuse is left out with a diagnostic, so that one costs no other."""
    if (more := len(diagnostics) - MAX_DIAGNOSTICS) > 0:
        diagnostics[MAX_DIAGNOSTICS - 1 :] = [Diagnostic(message=f"{more + 1:,} more diagnostics were left out")]
    while True:
        try:
            return PackageRecord(**fields, diagnostics=tuple(diagnostics))
        except ValidationError as error:
            mistake = error.errors(include_url=False, include_input=False)[0]
            field = str(mistake["loc"][0])
            if field == "purl" or field not in fields:
                raise
            del fields[field]
            diagnostics[MAX_DIAGNOSTICS - 1 :] = []
            diagnostics.append(Diagnostic(field=field, message=mistake["msg"]))
