"""pyproject.toml: the standard tables, and those of Poetry, PDM and uv.

Source: the pyproject.toml specification (PEP 518, 621), the dependency groups specification (PEP 735), and
the manuals of PDM (`tool.pdm.dev-dependencies`) and uv (`tool.uv.dev-dependencies`, `tool.uv.sources`).
"""

from typing import Any

from packaging.utils import canonicalize_name
from wump_core import DependencySource, ManifestRecord, Project

from wump_provider_pypi.fields import MAX_NAME, MAX_SHORT, MAX_TEXT, given, is_storable, make_storable, quote, shorten
from wump_provider_pypi.manifests.dependency_groups import add_dependency_groups
from wump_provider_pypi.manifests.document import Document, field_of
from wump_provider_pypi.manifests.poetry import add_poetry, has_poetry_dependencies
from wump_provider_pypi.manifests.requirements_txt import parse_location
from wump_provider_pypi.manifests.scopes import scope_of_group
from wump_provider_pypi.requirements import Place, without_credentials

FORMAT = "pyproject.toml"


def parse_pyproject(path: str, content: bytes) -> ManifestRecord:
    """Read one pyproject.toml.

    Raises:
        InvalidManifest: It is too large, no UTF-8, or no TOML.
    """
    document = Document(content)
    project = _project(document)
    document.own_name = canonicalize_name(project.name) if project and project.name else None
    document.sources = _uv_sources(document)
    _note_dynamic(document)
    _add_project(document)
    add_dependency_groups(document)
    _add_pdm(document)
    _add_uv(document)
    add_poetry(document)
    diagnostics = document.findings.diagnostics
    return ManifestRecord(
        path=shorten(make_storable(path), MAX_TEXT),
        format=FORMAT,
        ecosystem="pypi",
        kind="manifest",
        status="partial" if diagnostics else "ok",
        project=project,
        dependencies=document.findings.dependencies,
        diagnostics=diagnostics,
    )


def _project(document: Document) -> Project | None:
    tables = (document.table("project"), document.table("tool", "poetry"))
    name, version = (
        next((text for table in tables if (text := given(table.get(key))) and _fits(text, limit)), None)
        for key, limit in (("name", MAX_NAME), ("version", MAX_SHORT))
    )
    return Project(name=name, version=version) if name or version else None


def _fits(text: str, limit: int) -> bool:
    return len(text) <= limit and is_storable(text)


def _note_dynamic(document: Document) -> None:
    """What a build back end computes can't be read here; Poetry's own table is read, and is no gap."""
    dynamic = document.table("project").get("dynamic")
    for key, words in (("dependencies", "dependencies are"), ("optional-dependencies", "extras are")):
        if isinstance(dynamic, list) and key in dynamic and not has_poetry_dependencies(document):
            document.note(f"{words} dynamic: the build back end computes them", ("project", "dynamic"))


def _add_project(document: Document) -> None:
    for path, entry in document.entries("project", "dependencies"):
        document.add_requirement(path, entry, Place(field=field_of(path)))
    for path, entry in document.entries("build-system", "requires"):
        document.add_requirement(path, entry, Place(field=field_of(path), scope="build"))
    for extra in document.table("project", "optional-dependencies"):
        groups = (canonicalize_name(extra),) if extra.strip() else ()
        for path, entry in document.entries("project", "optional-dependencies", extra):
            place = Place(field=field_of(path), scope="optional", groups=groups, optional=True)
            document.add_requirement(path, entry, place)


def _add_pdm(document: Document) -> None:
    for group in document.table("tool", "pdm", "dev-dependencies"):
        name = canonicalize_name(group)
        for path, entry in document.entries("tool", "pdm", "dev-dependencies", group):
            place = Place(field=field_of(path), scope=scope_of_group(name), groups=(name,) if name else ())
            editable = entry.strip().removeprefix("-e ") if isinstance(entry, str) else ""
            if isinstance(entry, str) and editable != entry.strip():
                document.add(path, parse_location(editable, place))
            else:
                document.add_requirement(path, entry, place)


def _add_uv(document: Document) -> None:
    for path, entry in document.entries("tool", "uv", "dev-dependencies"):
        document.add_requirement(path, entry, Place(field=field_of(path), scope="development", groups=("dev",)))


def _uv_sources(document: Document) -> dict[str, tuple[DependencySource, str | None]]:
    """Packages that uv takes from elsewhere. A list may hold one source per platform: the registry wins."""
    sources: dict[str, tuple[DependencySource, str | None]] = {}
    for name, value in document.table("tool", "uv", "sources").items():
        tables = value if isinstance(value, list) else [value]
        found = [_uv_source(table) for table in tables if isinstance(table, dict)]
        if len(found) != len(tables) or not found:
            document.note(f"expected a table, found {quote(value)}", ("tool", "uv", "sources", name))
        elif (first := found[0]) is not None and None not in found:
            sources[canonicalize_name(name)] = first
    return sources


def _uv_source(table: dict[str, Any]) -> tuple[DependencySource, str | None] | None:
    if table.get("workspace") is True:
        return "workspace", None
    kinds: tuple[DependencySource, ...] = ("git", "path", "url")
    for kind in kinds:
        if isinstance(location := table.get(kind), str) and is_storable(location):
            return kind, shorten(without_credentials(location), MAX_TEXT) or None
    return None
