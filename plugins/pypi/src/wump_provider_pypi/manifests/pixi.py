"""Pixi's tables, in pixi.toml and under `[tool.pixi]`: only what comes from the Python index, the rest is conda's.

Source: Pixi's manual (the manifest: `pypi-dependencies`, `feature`, `target`). A feature is installed in the
environments that name it, so its name says what it is for.
"""

from collections.abc import Iterator, Mapping

from packaging.utils import canonicalize_name
from wump_core import ManifestRecord

from wump_provider_pypi.findings import make_project
from wump_provider_pypi.manifests.document import Document, field_of
from wump_provider_pypi.manifests.poetry import parse_constraint
from wump_provider_pypi.manifests.scopes import scope_of_group
from wump_provider_pypi.requirements import Place

FORMAT = "pixi.toml"
_KEY = "pypi-dependencies"


def parse_pixi(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one pixi.toml.

    Raises:
        InvalidManifest: It is no UTF-8, or no TOML.
    """
    document = Document(content)
    table = document.table("workspace") or document.table("project")
    project = make_project(table.get("name"), table.get("version"))
    add_pixi(document)
    return document.findings.finish(path, FORMAT, project=project)


def add_pixi(document: Document, *base: str) -> None:
    """Keep what stands below a table, in all features and for all platforms."""
    for table, kind in _list_tables(document, base):
        field = field_of((*table, _KEY))
        for name, value in document.table(*table, _KEY).items():
            if document.findings.stop(field=field):
                return
            document.add((*table, _KEY, name), parse_constraint(name, value, kind._replace(field=field)))


def _list_tables(document: Document, base: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Place]]:
    yield from _list_targets(document, base, Place())
    for feature in document.table(*base, "feature"):
        name = canonicalize_name(feature)
        place = Place(scope=scope_of_group(name), groups=(name,) if name else ())
        yield from _list_targets(document, (*base, "feature", feature), place)


def _list_targets(document: Document, table: tuple[str, ...], place: Place) -> Iterator[tuple[tuple[str, ...], Place]]:
    yield table, place
    for target in document.table(*table, "target"):
        yield (*table, "target", target), place
