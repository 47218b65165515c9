"""pyproject.toml: the standard tables; those of the tools are read by the modules beside this one.

Source: the pyproject.toml specification (PEP 518, 621) and setuptools' manual (`tool.setuptools.dynamic`).
"""

from collections.abc import Iterator, Mapping

from packaging.utils import canonicalize_name
from wump_core import ManifestRecord, Project

from wump_provider_pypi.findings import make_project
from wump_provider_pypi.manifests.dependency_groups import add_dependency_groups
from wump_provider_pypi.manifests.document import Document, field_of
from wump_provider_pypi.manifests.includes import Included
from wump_provider_pypi.manifests.poetry import add_poetry, has_poetry_dependencies, poetry_sources
from wump_provider_pypi.manifests.requirements_lines import Line
from wump_provider_pypi.manifests.requirements_txt import read_strangers
from wump_provider_pypi.manifests.tools import add_tools, uv_sources
from wump_provider_pypi.manifests.uv_workspace import inherit_sources
from wump_provider_pypi.requirements import Place, canonical_name

FORMAT = "pyproject.toml"

_PROJECT_TABLES = (("project",), ("tool", "poetry"), ("tool", "flit", "metadata"))


def parse_pyproject(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one pyproject.toml.

    Raises:
        InvalidManifest: It is no UTF-8, or no TOML.
    """
    document = Document(content)
    has_tools = "tool" in document.data
    project = _project(document)
    document.own_name = canonical_name(project.name) if project and project.name else None
    document.sources, needs = inherit_sources(path, document, siblings)
    if has_tools:
        document.sources |= poetry_sources(document) | uv_sources(document)
    included = Included(path, siblings, document.findings)
    if "project" in document.data:
        _add_dynamic(document, included)
    _add_project(document)
    add_dependency_groups(document)
    if has_tools:
        add_tools(document)
        add_poetry(document)
    return document.findings.finish(path, FORMAT, project=project, needs=included.needs + needs)


def _project(document: Document) -> Project | None:
    name, version = None, None
    for path in _PROJECT_TABLES:
        if path[0] not in document.data:
            continue
        table = document.table(*path)
        name = name or table.get("name") or table.get("module")
        version = version or table.get("version")
        if name and version:
            break
    return make_project(name, version) if name or version else None


def _add_dynamic(document: Document, included: Included) -> None:
    """What a build back end computes can't be read here, but where setuptools takes it from files.

    Poetry's own table is read, and is no gap.
    """
    dynamic = document.table("project").get("dynamic")
    if not isinstance(dynamic, list):
        return
    in_files = document.table("tool", "setuptools", "dynamic")
    for key, words in (("dependencies", "dependencies are"), ("optional-dependencies", "extras are")):
        files = list(_dynamic_files(document, key)) if key in in_files else []
        for file, place in files:
            included.add(Line(place.line or 1, "include", file))
            read_strangers(document.findings, included, place)
        if key in dynamic and not files and not has_poetry_dependencies(document):
            document.note(f"{words} dynamic: the build back end computes them", ("project", "dynamic"))


def _dynamic_files(document: Document, key: str) -> Iterator[tuple[str, Place]]:
    base = ("tool", "setuptools", "dynamic", key)
    if key == "dependencies":
        tables = [(base, Place())]
    else:
        extras = ((canonicalize_name(extra), (*base, extra)) for extra in document.table(*base))
        tables = [(path, Place(scope="optional", groups=(extra,), optional=True)) for extra, path in extras if extra]
    for path, shared in tables:
        files = document.table(*path).get("file")
        if files is None:
            continue
        place = shared._replace(field=field_of(path), line=document.line(path, path[-1]))
        for file in files if isinstance(files, list) else [files]:
            if isinstance(file, str):
                yield file, place


def _add_project(document: Document) -> None:
    document.add_requirements("project", "dependencies")
    document.add_requirements("build-system", "requires", scope="build")
    extras = ("project", "optional-dependencies")
    for extra in document.table(*extras):
        groups = (canonicalize_name(extra),) if extra.strip() else ()
        document.add_requirements(*extras, extra, scope="optional", groups=groups, optional=True)
