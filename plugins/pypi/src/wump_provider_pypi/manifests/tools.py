"""The tables of PDM, uv, Hatch, Flit, Rye and Pixi in pyproject.toml.

Source: the manuals of PDM (`tool.pdm.dev-dependencies`), uv (`tool.uv.dev-dependencies`, `tool.uv.sources`), Hatch
(`tool.hatch.envs`), Flit (`tool.flit.metadata`, before it read `[project]`) and Rye (`tool.rye.dev-dependencies`);
Pixi's, which may stand in a file of their own, are read in `pixi`.
"""

from collections.abc import Callable
from typing import Any

from packaging.utils import canonicalize_name
from wump_core import DependencySource

from wump_provider_pypi.fields import MAX_TEXT, is_storable, quote, shorten
from wump_provider_pypi.manifests.document import Document, Sources, field_of
from wump_provider_pypi.manifests.locations import parse_location
from wump_provider_pypi.manifests.pixi import add_pixi
from wump_provider_pypi.manifests.scopes import scope_of_group
from wump_provider_pypi.manifests.toml_lines import TomlPath
from wump_provider_pypi.requirements import Place, without_credentials


def add_tools(document: Document) -> None:
    """Read what each of them states besides the standard tables."""
    for tool in document.table("tool"):
        if read := _READERS.get(tool):
            read(document)


def _add_pdm(document: Document) -> None:
    _add_groups(document, ("tool", "pdm", "dev-dependencies"))


def _add_uv(document: Document) -> None:
    _add_list(document, ("tool", "uv", "dev-dependencies"), "dev")


def _add_rye(document: Document) -> None:
    _add_list(document, ("tool", "rye", "dev-dependencies"), "dev")


def _add_hatch(document: Document) -> None:
    for environment in document.table("tool", "hatch", "envs"):
        for key in ("dependencies", "extra-dependencies"):
            _add_list(document, ("tool", "hatch", "envs", environment, key), environment)


def _add_groups(document: Document, table: tuple[str, ...]) -> None:
    for group in document.table(*table):
        _add_list(document, (*table, group), group)


def _add_list(document: Document, path: tuple[str, ...], group: str) -> None:
    name = canonicalize_name(group)
    scope = "development" if name == "default" else scope_of_group(name)
    place = Place(field=field_of(path), scope=scope, groups=(name,) if name else ())
    for entry_path, entry in document.entries(*path):
        _add_entry(document, entry_path, entry, place)


def _add_entry(document: Document, path: TomlPath, entry: Any, place: Place) -> None:
    text = entry.strip() if isinstance(entry, str) else ""
    if text.startswith("-e "):
        document.add(path, parse_location(text.removeprefix("-e ").strip(), place))
    else:
        document.add_requirement(path, entry, place)


def _add_flit(document: Document) -> None:
    base = ("tool", "flit", "metadata")
    document.add_requirements(*base, "requires")
    document.add_requirements(*base, "dev-requires", scope="development")
    for extra in document.table(*base, "requires-extra"):
        groups = (canonicalize_name(extra),) if extra.strip() else ()
        document.add_requirements(*base, "requires-extra", extra, scope="optional", groups=groups, optional=True)


def _add_pixi(document: Document) -> None:
    add_pixi(document, "tool", "pixi")


_READERS: dict[str, Callable[[Document], None]] = {
    "pdm": _add_pdm,
    "uv": _add_uv,
    "rye": _add_rye,
    "hatch": _add_hatch,
    "flit": _add_flit,
    "pixi": _add_pixi,
}


def uv_sources(document: Document) -> Sources:
    """Packages that uv takes from elsewhere. A list may hold one source per platform: the registry wins."""
    sources: Sources = {}
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
