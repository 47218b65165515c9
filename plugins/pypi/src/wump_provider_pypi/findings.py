"""What a reading gathers: dependencies and diagnostics, within the bounds of wump's records."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from wump_core import DependencyRecord, Diagnostic, ManifestRecord, Project, make_dependencies, make_manifest

from wump_provider_pypi.fields import MAX_NAME, MAX_SHORT, MAX_TEXT, given, is_storable, make_storable, shorten
from wump_provider_pypi.requirements import Row

MAX_DEPENDENCIES = 20_000
MAX_DIAGNOSTICS = 500
MAX_NOTES = 5_000
"""Those that say the same of the same place included."""


class Findings:
    """Dependencies, and what had to be left out. They become records all at once, at the end."""

    __slots__ = ("_notes", "_number_of_notes", "_rows")

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._notes: dict[tuple[str, str | None, int | None], None] = {}
        self._number_of_notes = 0

    def add(self, row: Row) -> None:
        """Take one dependency. Callers stop when `full`."""
        if len(self._rows) < MAX_DEPENDENCIES:
            self._rows.append(row)

    def note(self, message: str, *, field: str | None = None, line: int | None = None) -> None:
        """Take one diagnostic; the last place is kept for the one that says that reading stopped."""
        self._number_of_notes += 1
        if len(self._notes) < MAX_DIAGNOSTICS - 1:
            self._notes[message, field, line] = None

    def stop(self, *, field: str | None = None, line: int | None = None) -> bool:
        """Whether a bound is reached: then the rest is left out, which is noted here."""
        if len(self._rows) < MAX_DEPENDENCIES and self._number_of_notes < MAX_DIAGNOSTICS - 1:
            return False
        full = len(self._rows) >= MAX_DEPENDENCIES or (
            self._number_of_notes >= MAX_DIAGNOSTICS - 1
            and (self._number_of_notes >= MAX_NOTES or len(self._notes) >= MAX_DIAGNOSTICS - 1)
        )
        if full and len(self._notes) < MAX_DIAGNOSTICS:
            message = (
                f"reading stopped here: more than {MAX_DEPENDENCIES:,} dependencies "
                f"or {MAX_DIAGNOSTICS:,} unreadable entries"
            )
            self._notes[message, field, line] = None
        return full

    @property
    def rows(self) -> Sequence[Row]:
        """In the order they were found; one that says the same of the same place twice is told once."""
        rows = self._rows
        if len(rows) < 2 or len({row["name"] for row in rows}) == len(rows):  # nearly always
            return rows
        if len({(row["line"], row["name"]) for row in rows}) == len(rows):
            return rows
        last_first = {tuple(sorted(row.items())): row for row in reversed(rows)}
        return list(last_first.values())[::-1]

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """In the order they were noted."""
        return tuple([_diagnostic(*note) for note in self._notes]) if self._notes else ()

    def finish_dependencies(self) -> tuple[DependencyRecord, ...]:
        """The records, for what is no manifest."""
        records, refused = make_dependencies(self.rows)
        for diagnostic in refused:
            self.note(diagnostic.message, field=diagnostic.field, line=diagnostic.line)
        return tuple(records)

    def finish(
        self,
        path: str,
        format_name: str,
        kind: Literal["manifest", "lockfile"] = "manifest",
        *,
        project: Project | None = None,
        needs: tuple[str, ...] = (),
    ) -> ManifestRecord:
        """The record of a file that was read to its end, or as far as the bounds allow."""
        return make_manifest(
            path,
            format=format_name,
            ecosystem="pypi",
            kind=kind,
            project=project,
            dependencies=self.rows,
            needs=needs,
            diagnostics=self.diagnostics,
        )


def make_project(name: object, version: object) -> Project | None:
    """What a manifest says of itself; what it doesn't say, or what can't be stored, is left out."""
    name, version = _fitting(name, MAX_NAME), _fitting(version, MAX_SHORT)
    return Project(name=name, version=version) if name or version else None


def _fitting(value: object, limit: int) -> str | None:
    text = given(value)
    return text if text and len(text) <= limit and is_storable(text) else None


@lru_cache(maxsize=256)  # most files have the same one: that the manifest is not at hand
def _diagnostic(message: str, field: str | None, line: int | None) -> Diagnostic:
    return Diagnostic(
        field=None if field is None else shorten(make_storable(field), MAX_SHORT),
        message=shorten(make_storable(message), MAX_TEXT),
        line=line,
    )
