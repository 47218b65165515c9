"""One TOML manifest under reading: its data, its lines, and what has been found."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

from wump_core import DependencySource, Scope, decode_text, load_toml

from wump_provider_pypi.fields import MAX_SHORT, make_storable, quote, shorten
from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.located import find_single, is_short
from wump_provider_pypi.manifests.toml_lines import TomlPath, find_lines
from wump_provider_pypi.requirements import Place, Reading, canonical_name, parse_requirement

MAX_LINE_LENGTH = 20_000
"""Longer ones were not written by hand, and aren't searched for every entry."""

Sources: TypeAlias = dict[str, tuple[DependencySource, str | None]]
"""What comes from elsewhere than the registry, by its canonical name: from where, and the address."""


class Document:
    """The parsed file. `sources` says which packages come from elsewhere than the registry."""

    def __init__(self, content: bytes) -> None:
        """Raises InvalidManifest: no UTF-8, or no TOML."""
        text = decode_text(content)
        self.data: dict[str, Any] = load_toml(text)
        self.findings = Findings()
        self.own_name: str | None = None
        self.sources: Sources = {}
        self._text = text
        self._is_short = is_short(text)
        self._lines: dict[TomlPath, int] | None = None
        self._text_lines: list[str] = []

    def table(self, *path: str) -> dict[str, Any]:
        """A table; empty where there is none, which is noted where something else stands in its place."""
        value: Any = self.data
        for depth, part in enumerate(path, 1):
            value = value.get(part)
            if value is None:
                return {}
            if not isinstance(value, dict):
                self.note("expected a table", path[:depth])
                return {}
        return value

    def entries(self, *path: str, parent: dict[str, Any] | None = None) -> Iterator[tuple[TomlPath, Any]]:
        """The elements of an array with their paths, until a bound is reached."""
        value = (self.table(*path[:-1]) if parent is None else parent).get(path[-1])
        if value is None:
            return
        if not isinstance(value, list):
            self.note("expected an array", path)
            return
        field = field_of(path)
        for index, entry in enumerate(value):
            if self.findings.stop(field=field):
                return
            yield (*path, index), entry

    def line(self, path: TomlPath, needle: str) -> int | None:
        """The line of a key or element, where that line really holds the needle; null when unsure."""
        if self._is_short and (single := find_single(self._text, needle)):
            return single
        if self._lines is None:  # most manifests without dependencies never ask
            self._lines, self._text_lines = find_lines(self._text), self._text.split("\n")
        line = self._lines.get(path)
        text = "" if line is None else self._text_lines[line - 1]
        return line if text and len(text) <= MAX_LINE_LENGTH and needle in text else None

    def note(self, message: str, path: TomlPath) -> None:
        """A diagnostic for what stands at a path."""
        last = path[-1] if path else ""
        self.findings.note(message, field=field_of(path), line=self.line(path, last if isinstance(last, str) else ""))

    def add_requirements(
        self, *path: str, scope: Scope = "runtime", groups: tuple[str, ...] = (), optional: bool = False
    ) -> None:
        """Read an array of PEP 508 entries and keep them."""
        if path[0] not in self.data or path[-1] not in (parent := self.table(*path[:-1])):
            return
        place = Place(field_of(path), None, scope, groups, optional)
        for entry_path, entry in self.entries(*path, parent=parent):
            self.add_requirement(entry_path, entry, place)

    def add_requirement(self, path: TomlPath, entry: object, place: Place) -> None:
        """Read one PEP 508 entry and keep it."""
        if isinstance(entry, str):
            row, problem = parse_requirement(entry, place)
            if row and self._is_short and f"'{entry}'" not in self._text:
                row["line"] = find_single(self._text, f'"{entry}"')
            self.add(path, (row, problem))
        else:
            self.note(f"expected a requirement, found {quote(entry)}", path)

    def add(self, path: TomlPath, reading: Reading) -> None:
        """Keep what was read at a path: its line, and its source where a table says another one."""
        row, problem = reading
        name = row["name"] if row else ""
        line = row["line"] if row and row["line"] else self.line(path, name)
        if problem:
            self.findings.note(problem, field=field_of(path), line=line)
        if row is None or (self.own_name and canonical_name(name) == self.own_name):
            return
        row["line"] = line
        if self.sources and row["purl"] and (other := self.sources.get(canonical_name(name))):
            row |= {"source": other[0], "purl": None, "requirement": row.get("requirement") or other[1]}
        self.findings.add(row)


@lru_cache(maxsize=1_024)
def field_of(path: TomlPath) -> str:
    """A path as a key of the document is written; numbers of elements are left out."""
    return shorten(make_storable(".".join(part for part in path if isinstance(part, str))), MAX_SHORT)
