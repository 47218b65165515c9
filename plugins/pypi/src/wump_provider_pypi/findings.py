"""What a reading gathers: dependencies and diagnostics, within the bounds of wump's records."""

from wump_core import DependencyRecord, Diagnostic

from wump_provider_pypi.fields import MAX_SHORT, MAX_TEXT, make_storable, shorten

MAX_DEPENDENCIES = 20_000
MAX_DIAGNOSTICS = 500


class Findings:
    """Dependencies without identical repetitions, and what had to be left out."""

    def __init__(self) -> None:
        self._dependencies: dict[DependencyRecord, None] = {}
        self._diagnostics: dict[Diagnostic, None] = {}

    def add(self, dependency: DependencyRecord) -> None:
        """Take one dependency. Callers stop when `full`."""
        if len(self._dependencies) < MAX_DEPENDENCIES:
            self._dependencies[dependency] = None

    def note(self, message: str, *, field: str | None = None, line: int | None = None) -> None:
        """Take one diagnostic; the last place is kept for the one that says that reading stopped."""
        if len(self._diagnostics) < MAX_DIAGNOSTICS - 1:
            self._diagnostics[_diagnostic(message, field, line)] = None

    def stop(self, *, field: str | None = None, line: int | None = None) -> bool:
        """Whether a bound is reached: then the rest is left out, which is noted here."""
        full = len(self._dependencies) >= MAX_DEPENDENCIES or len(self._diagnostics) >= MAX_DIAGNOSTICS - 1
        if full and len(self._diagnostics) < MAX_DIAGNOSTICS:
            message = (
                f"reading stopped here: more than {MAX_DEPENDENCIES:,} dependencies "
                f"or {MAX_DIAGNOSTICS:,} unreadable entries"
            )
            self._diagnostics[_diagnostic(message, field, line)] = None
        return full

    @property
    def dependencies(self) -> tuple[DependencyRecord, ...]:
        """In the order they were found."""
        return tuple(self._dependencies)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """In the order they were noted."""
        return tuple(self._diagnostics)


def _diagnostic(message: str, field: str | None, line: int | None) -> Diagnostic:
    return Diagnostic(
        field=None if field is None else shorten(make_storable(field), MAX_SHORT),
        message=shorten(make_storable(message), MAX_TEXT),
        line=line,
    )
