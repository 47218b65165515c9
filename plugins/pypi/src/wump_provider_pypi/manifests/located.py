"""Texts that know where they stand."""

MAX_SHORT_TEXT = 1_000
"""In longer texts one walk over all is quicker than a search for each entry."""


class Located(str):
    """A text of a file, as its format reads it; `line` is where it starts, from 1."""

    __slots__ = ("line",)
    line: int


def locate(text: str, line: int) -> Located:
    """The text with its line."""
    located = Located(text)
    located.line = line
    return located


def is_short(text: str) -> bool:
    """Whether it is a text for `find_single`: of few characters, without escapes and strings of several lines."""
    return len(text) <= MAX_SHORT_TEXT and "\\" not in text and '"""' not in text and "'''" not in text


def find_single(text: str, writing: str) -> int | None:
    """The line of what stands in a short text only once; null where it doesn't.

    What a file without escapes holds is written in it as it was read: the only place of it is the right one.
    """
    at = text.find(writing)
    return text.count("\n", 0, at) + 1 if at >= 0 and text.find(writing, at + 1) < 0 else None
