"""Diagnostics: what could not be read, collected within the bounds of the records.

Messages give the reason and never the value, which may hold an e-mail address or a secret.
"""

from wump_core import Diagnostic

MAX_DIAGNOSTICS = 500
"""As many as a record holds."""

MAX_FIELD_LENGTH = 255


class Diagnostics:
    """Collects diagnostics; what goes beyond the bound is counted and not kept."""

    def __init__(self) -> None:
        self._kept: list[Diagnostic] = []
        self._count = 0

    def add(self, field: str, message: str, line: int | None = None) -> None:
        """Note that a field was left out. Its name comes from upstream and is made printable here."""
        self._count += 1
        if self._count <= MAX_DIAGNOSTICS:
            self._kept.append(Diagnostic(field=make_printable(field, MAX_FIELD_LENGTH), message=message, line=line))

    def finish(self) -> tuple[Diagnostic, ...]:
        """All of them, or as many as fit and one that says how many more there were."""
        if self._count <= MAX_DIAGNOSTICS:
            return tuple(self._kept)
        left_out = self._count - MAX_DIAGNOSTICS + 1
        return (*self._kept[:-1], Diagnostic(message=f"{left_out} more diagnostics were left out"))


def make_printable(text: str, limit: int) -> str:
    """The text with everything that can't be shown or stored escaped, cut to the limit."""
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text[:limit])[
        :limit
    ]
