"""Lines of keys and array elements in a TOML document, which TOML readers do not tell.

Source: TOML 1.0 and 1.1. The text is known to be valid, since it has been read; this walk only has to find where things
stand. Whoever uses a line checks it against the text, so that a mistake here is a null there.
"""

import re

TomlPath = tuple[str | int, ...]

MAX_DEPTH = 16
MAX_TOKENS = 100_000
"""Beyond these, lines are null: nobody writes a manifest of that size by hand."""

# Each alternative is linear, and only two begin alike. Possessive quantifiers would say so too, but Python's have a
# fault before 3.11.5 (python/cpython#106052). Blanks and comments stand before a piece and are not part of it; a piece
# of line ends takes the empty lines below with it, and a plain key its plain value, since these are what most are.
_TOKEN = re.compile(
    r"""
    (?:[ \t\r]|\#[^\n]*)*
    ( \n[ \t\r\n]* | [\[\]{},=.] | "[^"\\\n]*"(?!") | '[^'\n]*'(?!')
    | [A-Za-z0-9_-]+[ \t]*=[ \t]*(?:"[^"\\\n]*"(?!")|'[^'\n]*'(?!')|[A-Za-z0-9_+-]+)
    | \"{3}(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5} | '{3}(?:[^']|'{1,2}(?!'))*'{3,5}
    | "(?:[^"\\\n]|\\.)*" | [^\s\[\]{},=."'\#]+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_SIGNS = frozenset("[]{},=")


def find_lines(text: str) -> dict[TomlPath, int]:
    """Line, from 1, of every key, table and array element; empty where the text can't be followed."""
    pieces = _TOKEN.findall(text)
    if len(pieces) > MAX_TOKENS:
        return {}
    walk = _Walk(pieces)
    try:
        walk.document()
    except IndexError:
        return {}
    return walk.found


class _Walk:
    """Walks over the pieces of a document; `found` is what it has met. An IndexError says that it has lost its way."""

    def __init__(self, pieces: list[str]) -> None:
        self._pieces = pieces
        self._at = 0
        self._line = 1
        self._last_element: dict[TomlPath, int] = {}
        self.found: dict[TomlPath, int] = {}

    def document(self) -> None:
        table: TomlPath = ()
        pieces = self._pieces
        while self._at < len(pieces):
            piece = pieces[self._at]
            if piece[0] == "\n":
                self._line += piece.count("\n")
                self._at += 1
            elif piece[-1] != "=" and "=" in piece and piece[0] not in "\"'":  # the plainest: a key with its value
                path = (*table, piece[: piece.index("=")].rstrip())
                self.found.setdefault(path, self._line)
                self._at += 1
                if self._at < len(pieces) and pieces[self._at][0] != "\n":
                    self._value(path)
            elif piece == "[":
                is_array = pieces[self._at + 1] == "["
                self._at += 2 if is_array else 1
                table = self._header(self._key()[0], is_array=is_array)
                self._at += 2 if is_array else 1
                self.found.setdefault(table, self._line)
            else:
                parts, has_value = self._key()
                path = (*table, *parts)
                self.found.setdefault(path, self._line)
                if not has_value:
                    self._at += 1  # the equals sign
                self._value(path)

    def _key(self) -> tuple[list[str], bool]:
        """The parts of a key, and whether its value is passed too."""
        parts: list[str] = []
        while (piece := self._pieces[self._at]) not in _SIGNS:
            if piece[0] in "\"'":
                parts.append(piece[1:-1])
            elif "=" in piece:
                parts.append(piece[: piece.index("=")].rstrip())
                self._at += 1
                return parts, True
            elif piece != ".":
                parts.append(piece)
            self._at += 1
        if not parts:
            raise IndexError
        return parts, False

    def _header(self, parts: list[str], *, is_array: bool) -> TomlPath:
        """The path of a table; in an array of tables it stands under the array's last element."""
        if not self._last_element and not is_array:
            return tuple(parts)
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
        """Walk over one value. `number` is that of an array's element; it is null in a table, and outside."""
        pieces, found, at, line = self._pieces, self.found, self._at, self._line
        outside: list[tuple[TomlPath, int | None]] = []
        inside, number, needs_key = path, None, False
        while at < len(pieces):
            piece = pieces[at]
            if piece[0] == "\n":
                if not outside:
                    break
                line += piece.count("\n")
            elif piece == ",":
                needs_key = number is None
                number = None if number is None else number + 1
            elif piece in ("]", "}"):
                inside, number = outside.pop()
                needs_key = False
            elif needs_key:
                self._at = at
                parts, has_value = self._key()
                at = self._at
                path = _below(inside, *parts)
                found.setdefault(path, line)
                needs_key = False
                if has_value:
                    continue
            else:
                if number is not None:
                    path = _below(inside, number)
                    found.setdefault(path, line)
                if piece in ("[", "{"):
                    outside.append((inside, number))
                    inside, number, needs_key = path, 0 if piece == "[" else None, piece == "{"
                elif piece[:3] in ('"""', "'''"):
                    line += piece.count("\n")
            at += 1
        self._at, self._line = at, line


def _below(path: TomlPath, *parts: str | int) -> TomlPath:
    """A longer path, but for depths that nobody asks for."""
    return (*path, *parts) if len(path) < MAX_DEPTH else path
