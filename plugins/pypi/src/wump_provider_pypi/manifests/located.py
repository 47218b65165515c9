"""Texts that know where they stand."""


class Located(str):
    """A text of a file, as its format reads it; `line` is where it starts, from 1."""

    __slots__ = ("line",)
    line: int


def locate(text: str, line: int) -> Located:
    """The text with its line."""
    located = Located(text)
    located.line = line
    return located
