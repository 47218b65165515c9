"""One TOML manifest under reading: its data, its lines, and what has been found."""

from collections.abc import Iterator
from typing import Any

from wump_core import DependencyRecord, DependencySource, decode_text

from wump_provider_pypi.fields import MAX_SHORT, make_storable, quote, shorten
from wump_provider_pypi.findings import Findings
from wump_provider_pypi.manifests.toml import load_toml
from wump_provider_pypi.manifests.toml_lines import TomlPath, find_lines
from wump_provider_pypi.requirements import Place, Reading, canonical_name, leading_name, parse_requirement

MAX_LINE_LENGTH = 20_000
"""Longer ones were not written by hand, and aren't searched for every entry."""


class Document:
    """The parsed file. `sources` says which packages come from elsewhere than the registry."""

    def __init__(self, content: bytes) -> None:
        """Raises InvalidManifest: no UTF-8, or no TOML."""
        text = decode_text(content)
        self.data: dict[str, Any] = load_toml(text)
        self.findings = Findings()
        self.own_name: str | None = None
        self.sources: dict[str, tuple[DependencySource, str | None]] = {}
        self._lines = find_lines(text)
        self._text_lines = text.split("\n")

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
        line = self._lines.get(path)
        text = "" if line is None else self._text_lines[line - 1]
        return line if text and len(text) <= MAX_LINE_LENGTH and needle in text else None

    def note(self, message: str, path: TomlPath) -> None:
        """A diagnostic for what stands at a path."""
        last = path[-1] if path else ""
        self.findings.note(message, field=field_of(path), line=self.line(path, last if isinstance(last, str) else ""))

    def add_requirement(self, path: TomlPath, entry: object, place: Place) -> DependencyRecord | None:
        """Read one PEP 508 entry and keep it."""
        if not isinstance(entry, str):
            self.note(f"expected a requirement, found {quote(entry)}", path)
            return None
        line = self.line(path, leading_name(entry.strip()) or "")
        return self.add(path, parse_requirement(entry, place._replace(line=line)))

    def add(self, path: TomlPath, reading: Reading) -> DependencyRecord | None:
        """Keep what was read at a path: its line, and its source where a table says another one."""
        dependency, problem = reading
        name = dependency.name if dependency else ""
        line = dependency.line if dependency and dependency.line else self.line(path, name)
        if problem:
            self.findings.note(problem, field=field_of(path), line=line)
        if dependency is None or canonical_name(name) == self.own_name:
            return None
        changes: dict[str, Any] = {} if line == dependency.line else {"line": line}
        if dependency.source == "registry" and (other := self.sources.get(canonical_name(name))):
            changes |= {"source": other[0], "purl": None}
            changes["requirement"] = dependency.requirement or other[1]
        dependency = dependency.model_copy(update=changes) if changes else dependency
        self.findings.add(dependency)
        return dependency


def field_of(path: TomlPath) -> str:
    """A path as a key of the document is written; numbers of elements are left out."""
    return shorten(make_storable(".".join(part for part in path if isinstance(part, str))), MAX_SHORT)
