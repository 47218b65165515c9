"""Poetry's tables in pyproject.toml.

Source: Poetry's manual (the pyproject.toml file; dependency specification; project plugins). Constraints are kept as
written: their carets and tildes are Poetry's own. In Poetry 2 the table may also only enrich `[project]`: then it says
where a package comes from, and its entry is not stated twice. `requires-plugins` are what Poetry itself needs: build.
"""

from collections.abc import Iterator
from typing import Any

from packaging.utils import canonicalize_name
from wump_core import DependencySource

from wump_provider_pypi.fields import MAX_TEXT, is_storable, quote, shorten
from wump_provider_pypi.manifests.document import Document, Sources, field_of
from wump_provider_pypi.manifests.scopes import scope_of_group
from wump_provider_pypi.manifests.toml_lines import TomlPath
from wump_provider_pypi.requirements import Place, Reading, make_dependency, without_credentials

_LOCATIONS: tuple[tuple[str, DependencySource], ...] = (
    ("git", "git"), ("hg", "git"), ("svn", "git"), ("bzr", "git"), ("path", "path"), ("file", "path"), ("url", "url")
)  # fmt: skip
_LOCATION_KEYS = frozenset(key for key, _ in _LOCATIONS)
_REVISIONS = ("rev", "ref", "tag", "branch")


def has_poetry_dependencies(document: Document) -> bool:
    """Whether `[tool.poetry.dependencies]` states what `[project]` calls dynamic."""
    tool = document.data.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    return isinstance(poetry, dict) and isinstance(poetry.get("dependencies"), dict)


def poetry_sources(document: Document) -> Sources:
    """Packages that `[tool.poetry.dependencies]` takes from elsewhere than the registry."""
    sources: Sources = {}
    for name, value in document.table("tool", "poetry", "dependencies").items():
        if isinstance(value, dict) and (location := location_of(value)):
            sources[canonicalize_name(name)] = (location[0], shorten(without_credentials(location[1]), MAX_TEXT))
    return sources


def add_poetry(document: Document) -> None:
    """Read the dependencies, extras and groups of `[tool.poetry]`."""
    base = ("tool", "poetry")
    if not document.table(*base):
        return
    stated = {
        canonicalize_name(row["name"])
        for row in document.findings.rows
        if (row["field"] or "").startswith(("project.dependencies", "project.optional-dependencies"))
    }
    extras = _extras(document)
    for name, path, constraint in _constraints(document, (*base, "dependencies")):
        if canonicalize_name(name) in stated:
            continue
        groups = tuple(sorted(extras.get(canonicalize_name(name), ())))
        optional = isinstance(constraint, dict) and constraint.get("optional") is True
        place = Place(
            field=field_of(path[:3]),
            scope="optional" if optional else "runtime",
            groups=groups if optional else (),
            optional=optional,
        )
        document.add(path, parse_constraint(name, constraint, place))
    plugins = (*base, "requires-plugins")
    for name, path, constraint in _constraints(document, plugins):
        document.add(path, parse_constraint(name, constraint, Place(field=field_of(plugins), scope="build")))
    _add_group(document, (*base, "dev-dependencies"), "dev")
    for group in document.table(*base, "group"):
        _add_group(document, (*base, "group", group, "dependencies"), canonicalize_name(group))


def _add_group(document: Document, table: tuple[str, ...], group: str) -> None:
    place = Place(field=field_of(table), scope=scope_of_group(group), groups=(group,) if group else ())
    for name, path, constraint in _constraints(document, table):
        document.add(path, parse_constraint(name, constraint, place))


def _extras(document: Document) -> dict[str, set[str]]:
    """The extras that each package belongs to."""
    extras: dict[str, set[str]] = {}
    for extra in document.table("tool", "poetry", "extras"):
        for _, name in document.entries("tool", "poetry", "extras", extra):
            if isinstance(name, str) and extra.strip():
                extras.setdefault(canonicalize_name(name), set()).add(canonicalize_name(extra))
    return extras


def _constraints(document: Document, table: tuple[str, ...]) -> Iterator[tuple[str, TomlPath, Any]]:
    """Every constraint with its package; a package may have several, one per environment."""
    for name, value in document.table(*table).items():
        if canonicalize_name(name) == "python":
            continue
        for constraint in value if isinstance(value, list) else [value]:
            if document.findings.stop(field=field_of(table)):
                return
            yield name, (*table, name), constraint


def parse_constraint(name: str, constraint: Any, place: Place) -> Reading:
    """Read what stands behind a package's name: a version, or a table with a version or a location."""
    if isinstance(constraint, str):
        return make_dependency(name, place, requirement=_storable_text(constraint))
    if not isinstance(constraint, dict):
        return None, f"{quote(name)}: expected a constraint, found {quote(constraint)}"
    version, marker = (_storable_text(constraint.get(key)) for key in ("version", "markers"))
    if location := location_of(constraint):
        return make_dependency(name, place, requirement=location[1], marker=marker, source=location[0])
    return make_dependency(name, place, requirement=version, marker=marker)


def location_of(constraint: dict[str, Any]) -> tuple[DependencySource, str] | None:
    """Where it comes from, with the revision of a repository as pip writes it."""
    if _LOCATION_KEYS.isdisjoint(constraint):
        return None
    for key, source in _LOCATIONS:
        if key in constraint and (location := _storable_text(constraint[key])):
            if source == "git":
                revision = next(filter(None, (_storable_text(constraint.get(key)) for key in _REVISIONS)), None)
                return source, f"{location}@{revision}" if revision else location
            return "url" if source == "path" and "://" in location else source, location
    return None


def _storable_text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) and is_storable(value) else None
