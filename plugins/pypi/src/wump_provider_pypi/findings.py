"""What a reading gathers: dependencies and diagnostics, within the bounds of wump's records."""

from typing import Literal

from wump_core import DependencyRecord, Diagnostic, ManifestRecord, Project

from wump_provider_pypi.fields import MAX_NAME, MAX_SHORT, MAX_TEXT, given, is_storable, make_storable, shorten

MAX_DEPENDENCIES = 20_000
MAX_DIAGNOSTICS = 500
MAX_NOTES = 5_000
"""Those that say the same of the same place included."""


class Findings:
    """Dependencies, and what had to be left out."""

    def __init__(self) -> None:
        self._dependencies: list[DependencyRecord] = []
        self._diagnostics: dict[tuple[str, str | None, int | None], Diagnostic] = {}
        self._notes = 0

    def add(self, dependency: DependencyRecord) -> None:
        """Take one dependency. Callers stop when `full`."""
        if len(self._dependencies) < MAX_DEPENDENCIES:
            self._dependencies.append(dependency)

    def note(self, message: str, *, field: str | None = None, line: int | None = None) -> None:
        """Take one diagnostic; the last place is kept for the one that says that reading stopped."""
        self._notes += 1
        if len(self._diagnostics) < MAX_DIAGNOSTICS - 1 and (message, field, line) not in self._diagnostics:
            self._diagnostics[message, field, line] = _diagnostic(message, field, line)

    def stop(self, *, field: str | None = None, line: int | None = None) -> bool:
        """Whether a bound is reached: then the rest is left out, which is noted here."""
        full = (
            len(self._dependencies) >= MAX_DEPENDENCIES
            or self._notes >= MAX_NOTES
            or len(self._diagnostics) >= MAX_DIAGNOSTICS - 1
        )
        if full and len(self._diagnostics) < MAX_DIAGNOSTICS:
            message = (
                f"reading stopped here: more than {MAX_DEPENDENCIES:,} dependencies "
                f"or {MAX_DIAGNOSTICS:,} unreadable entries"
            )
            self._diagnostics[message, field, line] = _diagnostic(message, field, line)
        return full

    @property
    def dependencies(self) -> tuple[DependencyRecord, ...]:
        """In the order they were found; one that says the same of the same place twice is told once."""
        places = {(dependency.line, dependency.name) for dependency in self._dependencies}
        if len(places) == len(self._dependencies):
            return tuple(self._dependencies)
        return tuple({_identity(dependency): dependency for dependency in reversed(self._dependencies)}.values())[::-1]

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """In the order they were noted."""
        return tuple(self._diagnostics.values())

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
        diagnostics = self.diagnostics
        return ManifestRecord(
            path=shorten(make_storable(path), MAX_TEXT),
            format=format_name,
            ecosystem="pypi",
            kind=kind,
            status="partial" if diagnostics else "ok",
            project=project,
            dependencies=self.dependencies,
            needs=needs,
            diagnostics=diagnostics,
        )


def make_project(name: object, version: object) -> Project | None:
    """What a manifest says of itself; what it doesn't say, or what can't be stored, is left out."""
    name, version = (
        text if (text := given(value)) and len(text) <= limit and is_storable(text) else None
        for value, limit in ((name, MAX_NAME), (version, MAX_SHORT))
    )
    return Project(name=name, version=version) if name or version else None


def _identity(dependency: DependencyRecord) -> tuple[object, ...]:
    return (
        *(dependency.name, dependency.line, dependency.requirement, dependency.resolved_version, dependency.scope),
        *(dependency.groups, dependency.marker, dependency.source, dependency.field, dependency.direct),
    )


def _diagnostic(message: str, field: str | None, line: int | None) -> Diagnostic:
    return Diagnostic(
        field=None if field is None else shorten(make_storable(field), MAX_SHORT),
        message=shorten(make_storable(message), MAX_TEXT),
        line=line,
    )
