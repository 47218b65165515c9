"""Version catalogs: what a build calls `libs.…`, from a TOML file or from settings.gradle.

Source: Gradle's documentation of version catalogs. In an accessor `-`, `_` and `.` are the same.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from wump_core import decode_text, load_toml

_SECTION = re.compile(r"\s*\[\s*([\w-]+)\s*(?:\.\s*[\"']?([\w.-]+)[\"']?\s*)?\]")
_KEY = re.compile(r"\s*[\"']?([\w.-]+?)[\"']?\s*(?:\.\s*[\w.-]+\s*)?=")
_SEPARATOR = re.compile(r"[-_]")


class Library(NamedTuple):
    """One entry; of a plugin, the group is its id and the artifact null."""

    group: str
    artifact: str | None
    version: str | None
    line: int | None = None


class Catalog:
    """The entries of one catalog, by the accessor that names them."""

    def __init__(self) -> None:
        self.versions: dict[str, str] = {}
        self.libraries: dict[str, Library] = {}
        self.plugins: dict[str, Library] = {}
        self.bundles: dict[str, list[str]] = {}
        self.unreadable: list[tuple[str, int | None]] = []

    def find_version(self, alias: str) -> str | None:
        """The version of that name, however it is written."""
        return self.versions.get(accessor_of(alias))


def accessor_of(alias: str) -> str:
    """An alias as a build script writes it."""
    return _SEPARATOR.sub(".", alias)


def read_catalog(content: bytes) -> Catalog:
    """Read a `libs.versions.toml`.

    Raises:
        InvalidManifest: It is no TOML in UTF-8.
    """
    text = decode_text(content)
    document = load_toml(text)
    lines = _find_lines(text)
    catalog = Catalog()
    for alias, value in _table(document, "versions").items():
        if (version := read_version(value, {})) is not None:
            catalog.versions[accessor_of(alias)] = version
    for alias, value in _table(document, "libraries").items():
        _add(catalog, catalog.libraries, alias, _read_library(value, catalog.versions), lines.get(("libraries", alias)))
    for alias, value in _table(document, "plugins").items():
        _add(catalog, catalog.plugins, alias, _read_plugin(value, catalog.versions), lines.get(("plugins", alias)))
    for alias, value in _table(document, "bundles").items():
        if isinstance(value, list):
            catalog.bundles[accessor_of(alias)] = [accessor_of(item) for item in value if isinstance(item, str)]
    return catalog


def read_version(value: Any, versions: Mapping[str, str]) -> str | None:
    """A version: a text, a reference, or a rich one, of which the strictest part counts.

    A reference to what isn't there stays as `${name}`, which says "unknown".
    """
    if isinstance(value, str):
        return value or None
    if not isinstance(value, dict):
        return None
    if isinstance(reference := value.get("ref"), str):
        return versions.get(accessor_of(reference), f"${{{reference}}}")
    parts = (value.get(name) for name in ("strictly", "require", "prefer"))
    return next((part for part in parts if isinstance(part, str) and part), None)


def _read_library(value: Any, versions: Mapping[str, str]) -> Library | None:
    if isinstance(value, str):
        parts = value.split(":")
        return Library(parts[0], parts[1], parts[2] if len(parts) > 2 else None) if len(parts) in (2, 3, 4) else None
    if not isinstance(value, dict):
        return None
    group, artifact = value.get("group"), value.get("name")
    if isinstance(module := value.get("module"), str):
        group, _, artifact = module.partition(":")
    if not (isinstance(group, str) and isinstance(artifact, str) and group and artifact):
        return None
    return Library(group, artifact, read_version(value.get("version"), versions))


def _read_plugin(value: Any, versions: Mapping[str, str]) -> Library | None:
    if isinstance(value, str):
        name, _, version = value.partition(":")
        return Library(name, None, version or None) if name else None
    if isinstance(value, dict) and isinstance(name := value.get("id"), str) and name:
        return Library(name, None, read_version(value.get("version"), versions))
    return None


def _add(catalog: Catalog, entries: dict[str, Library], alias: str, entry: Library | None, line: int | None) -> None:
    if entry is None:
        catalog.unreadable.append((alias, line))
    else:
        entries[accessor_of(alias)] = entry._replace(line=line)


def _table(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = document.get(name)
    return table if isinstance(table, dict) else {}


def _find_lines(text: str) -> dict[tuple[str, str], int]:
    """The line of each entry. A key inside of a longer text would be found, too: the first of a name counts."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.split("\n"), 1):
        if header := _SECTION.match(line):
            section = header[1]
            if header[2]:
                found.setdefault((section, header[2]), number)
        elif key := _KEY.match(line):
            found.setdefault((section, key[1]), number)
    return found
