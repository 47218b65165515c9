"""Lines of keys and array elements in a TOML document, which TOML readers do not tell.

Source: TOML 1.0 and 1.1. The text is known to be valid, since `tomli` has read it; this walk only has to find
where things stand. Whoever uses a line checks it against the text, so that a mistake here is a null there.
"""

import re
from typing import NamedTuple

TomlPath = tuple[str | int, ...]

MAX_DEPTH = 16
MAX_TOKENS = 100_000
"""Beyond these, lines are null: nobody writes a manifest of that size by hand."""

# No two alternatives begin alike, so that each is linear. Possessive quantifiers would say so too, but Python's have
# a fault before 3.11.5 (python/cpython#106052).
_TOKEN = re.compile(
    r"""
    (?P<skip>[ \t\r]+|\#[^\n]*)
  | (?P<newline>\n)
  | (?P<text>\"{3}(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5} | '{3}(?:[^']|'{1,2}(?!'))*'{3,5}
           | "(?:[^"\\\n]|\\.)*" | '[^'\n]*')
  | (?P<sign>[\[\]{},=.])
  | (?P<bare>[^\s\[\]{},=."'\#]+)
    """,
    re.VERBOSE | re.DOTALL,
)


class _Token(NamedTuple):
    kind: str
    text: str
    line: int


def find_lines(text: str) -> dict[TomlPath, int]:
    """Line, from 1, of every key, table and array element; empty where the text can't be followed."""
    walk = _Walk(_tokens(text))
    try:
        walk.document()
    except IndexError:
        return {}
    return walk.lines


def _tokens(text: str) -> list[_Token]:
    tokens, line = [], 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind != "skip":
            tokens.append(_Token(kind, match.group(), line))
            if len(tokens) > MAX_TOKENS:
                return []
        if kind in ("newline", "text"):
            line += match.group().count("\n")
    return tokens


class _Walk:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._last_element: dict[TomlPath, int] = {}
        self.lines: dict[TomlPath, int] = {}

    def document(self) -> None:
        table: TomlPath = ()
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "newline":
                self._at += 1
            elif token.text == "[":
                is_array = self._tokens[self._at + 1].text == "["
                self._at += 2 if is_array else 1
                table = self._header(self._key(), is_array=is_array)
                self._at += 2 if is_array else 1
                self.lines.setdefault(table, token.line)
            else:
                path = (*table, *self._key())
                self._at += 1  # the equals sign
                self.lines.setdefault(path, token.line)
                self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while (token := self._tokens[self._at]).text == "." or token.kind in ("bare", "text"):
            if token.text != ".":
                parts.append(token.text[1:-1] if token.kind == "text" else token.text)
            self._at += 1
        if not parts:
            raise IndexError  # not a key: the walk has lost its way
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
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "newline":
                if not open_brackets:
                    return
                self._at += 1
                continue
            if token.text in ("]", "}"):
                open_brackets.pop()
                needs_key = False
            elif token.text == ",":
                outer, number = open_brackets[-1]
                needs_key = number is None
                open_brackets[-1] = (outer, None if number is None else number + 1)
            elif needs_key:
                path = _below(open_brackets[-1][0], *self._key())
                self.lines.setdefault(path, token.line)
                needs_key = False  # now at the equals sign
            else:
                if open_brackets and open_brackets[-1][1] is not None:
                    path = _below(open_brackets[-1][0], open_brackets[-1][1])
                    self.lines.setdefault(path, token.line)
                if token.text == "[":
                    open_brackets.append((path, 0))
                elif token.text == "{":
                    open_brackets.append((path, None))
                    needs_key = True
            self._at += 1


def _below(path: TomlPath, *parts: str | int) -> TomlPath:
    """A longer path, but for depths that nobody asks for."""
    return (*path, *parts) if len(path) < MAX_DEPTH else path
