"""Lines of keys and array elements in a TOML document, which TOML readers do not tell.

Source: TOML 1.0 and 1.1. The text is known to be valid, since `tomli` has read it; this walk only has to find
where things stand. Whoever uses a line checks it against the text, so that a mistake here is a null there.
"""

import re

TomlPath = tuple[str | int, ...]

MAX_DEPTH = 16
MAX_TOKENS = 100_000
"""Beyond these, lines are null: nobody writes a manifest of that size by hand."""

# No two alternatives begin alike, so that each is linear. Possessive quantifiers would say so too, but Python's have
# a fault before 3.11.5 (python/cpython#106052). Blanks and comments stand before a piece and are not part of it.
_TOKEN = re.compile(
    r"""
    (?:[ \t\r]|\#[^\n]*)*
    ( \n | [\[\]{},=.]
    | \"{3}(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5} | '{3}(?:[^']|'{1,2}(?!'))*'{3,5}
    | "(?:[^"\\\n]|\\.)*" | '[^'\n]*'
    | [^\s\[\]{},=."'\#]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_SIGNS = frozenset("[]{},=\n")


def find_lines(text: str) -> dict[TomlPath, int]:
    """Line, from 1, of every key, table and array element; empty where the text can't be followed."""
    pieces = _TOKEN.findall(text)
    if len(pieces) > MAX_TOKENS:
        return {}
    lines, line = [], 1
    for piece in pieces:
        lines.append(line)
        if piece == "\n":
            line += 1
        elif len(piece) > 5 and piece[0] in "\"'":
            line += piece.count("\n")
    walk = _Walk(pieces, lines)
    try:
        walk.document()
    except IndexError:
        return {}
    return walk.found


class _Walk:
    """Walks over the pieces of a document; `found` is what it has met. An IndexError says that it has lost its way."""

    def __init__(self, pieces: list[str], lines: list[int]) -> None:
        self._pieces = pieces
        self._lines = lines
        self._at = 0
        self._last_element: dict[TomlPath, int] = {}
        self.found: dict[TomlPath, int] = {}

    def document(self) -> None:
        table: TomlPath = ()
        pieces = self._pieces
        while self._at < len(pieces):
            piece, line = pieces[self._at], self._lines[self._at]
            if piece == "\n":
                self._at += 1
            elif piece == "[":
                is_array = pieces[self._at + 1] == "["
                self._at += 2 if is_array else 1
                table = self._header(self._key(), is_array=is_array)
                self._at += 2 if is_array else 1
                self.found.setdefault(table, line)
            else:
                path = (*table, *self._key())
                self._at += 1  # the equals sign
                self.found.setdefault(path, line)
                self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while (piece := self._pieces[self._at]) not in _SIGNS:
            if piece != ".":
                parts.append(piece[1:-1] if piece[0] in "\"'" else piece)
            self._at += 1
        if not parts:
            raise IndexError
        return parts

    def _header(self, parts: list[str], *, is_array: bool) -> TomlPath:
        """The path of a table; in an array of tables it stands under the array's last element."""
        path: TomlPath = ()
        for number, part in enumerate(parts, 1):
            path = (*path, part)
            if path in self._last_element and not (is_array and number == len(parts)):
                path = (*path, self._last_element[path])
        if is_array:
            self._last_element[path] = self._last_element.get(path, -1) + 1
            path = (*path, self._last_element[path])
        return path

    def _value(self, path: TomlPath) -> None:
        """Walk over one value with a stack of open brackets: [path, number of the element or None]."""
        open_brackets: list[tuple[TomlPath, int | None]] = []
        needs_key = False
        pieces = self._pieces
        while self._at < len(pieces):
            piece = pieces[self._at]
            if piece == "\n":
                if not open_brackets:
                    return
            elif piece in ("]", "}"):
                open_brackets.pop()
                needs_key = False
            elif piece == ",":
                outer, number = open_brackets[-1]
                needs_key = number is None
                open_brackets[-1] = (outer, None if number is None else number + 1)
            elif needs_key:
                line = self._lines[self._at]
                path = _below(open_brackets[-1][0], *self._key())
                self.found.setdefault(path, line)
                needs_key = False  # now at the equals sign
            else:
                if open_brackets and open_brackets[-1][1] is not None:
                    path = _below(open_brackets[-1][0], open_brackets[-1][1])
                    self.found.setdefault(path, self._lines[self._at])
                if piece == "[":
                    open_brackets.append((path, 0))
                elif piece == "{":
                    open_brackets.append((path, None))
                    needs_key = True
            self._at += 1


def _below(path: TomlPath, *parts: str | int) -> TomlPath:
    """A longer path, but for depths that nobody asks for."""
    return (*path, *parts) if len(path) < MAX_DEPTH else path
