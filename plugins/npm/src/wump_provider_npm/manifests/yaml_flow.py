"""What `yaml_text` reads within one value: quoted texts, and collections in brackets.

Source: YAML 1.2.2, chapters 5.7 (escapes) and 7 (flow styles).
"""

import re
from typing import Any, NoReturn, TypeAlias

from wump_core import InvalidManifest

MAX_DEPTH = 64

# Repeated groups are bounded, since each round of one takes memory, and no two blanks are looked for in a row.
DOUBLE_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*){0,10000}"', re.DOTALL)
SINGLE_QUOTED = re.compile(r"'[^']*(?:''[^']*){0,10000}'")
COMMENT = re.compile(r"(?<![^ \t])#.*", re.DOTALL)
NULLS = frozenset({"", "~", "null", "Null", "NULL"})

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "v": "\v",
            "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029"}  # fmt: skip
_TOKEN = re.compile(
    r"""
    [ \t\n]*
    (?: (?P<mark>[{}\[\],])
      | (?P<skipped>\#[^\n]* | \?(?=[ \t\n]))
      | (?P<quoted>"[^"\\]*(?:\\.[^"\\]*){0,10000}" | '[^']*(?:''[^']*){0,10000}')
      | (?P<colon>:(?=[ \t\n,\[\]{}] | (?<=["']:)))
      | (?P<plain>(?:[^\s,\[\]{}:] | :(?![\s,\[\]{}]))
                  (?:[^,\[\]{}:\#]+ | :(?![\s,\[\]{}]) | (?<=[^ \t\n])\#){0,1000}) )
    """,
    re.VERBOSE | re.DOTALL,
)
_JOINED_LINE = re.compile(r"\\\n[ \t]*|(\\.)", re.DOTALL)
_NO_KEY = object()


class YamlMap(dict[str, Any]):
    """A mapping that knows the line, from 1, of each of its keys."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}


Node: TypeAlias = "str | list[Any] | YamlMap | None"


class Flow:
    """Reads one collection in brackets, with a stack of those that are open."""

    def __init__(self, line: int) -> None:
        self._line = line
        self._open: list[list[Any] | YamlMap] = []
        self._keys: list[Any] = []  # for each of them the key that waits for its value
        self._done: Node = None

    def read(self, source: str, at: int) -> tuple[Node, int]:
        """The collection that starts at an offset, and the offset behind it.

        Raises:
            InvalidManifest: It is none, or nested too deeply.
        """
        while True:
            found = _TOKEN.match(source, at)
            if found is None:
                self._fail("a flow collection without an end")
            self._line += source.count("\n", at, found.end())
            at = found.end()
            mark = found["mark"]
            if mark is None:
                if found["colon"]:
                    self._expect_value()
                elif found["skipped"] is None:
                    self._put(_read_scalar(found, self._line))
            elif mark in "{[":
                self._start(YamlMap() if mark == "{" else [])
            elif mark == ",":
                self._end_pair()
            else:
                self._finish(mark)
                if not self._open:
                    return self._done, at

    def _start(self, collection: list[Any] | YamlMap) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise InvalidManifest("nested too deeply")
        self._open.append(collection)
        self._keys.append(_NO_KEY)

    def _finish(self, mark: str) -> None:
        self._end_pair()
        self._keys.pop()
        self._done = self._open.pop()
        if isinstance(self._done, list) != (mark == "]"):
            self._fail("brackets that don't match")
        if self._open:
            self._put(self._done)

    def _expect_value(self) -> None:
        if self._keys[-1] is _NO_KEY:
            self._fail("a colon without a key")

    def _end_pair(self) -> None:
        if self._keys[-1] is not _NO_KEY:
            self._put(None)

    def _put(self, value: Node) -> None:
        """Add an element, or a key, or the value of the key before it."""
        top, key = self._open[-1], self._keys[-1]
        if isinstance(top, list):
            top.append(value)
        elif key is not _NO_KEY:
            top[key] = value
            self._keys[-1] = _NO_KEY
        elif isinstance(value, str):
            self._keys[-1] = value
            top.lines[value] = self._line
        else:
            self._fail("a key that is no text")

    def _fail(self, message: str) -> NoReturn:
        fail(message, self._line)


def unquote(text: str) -> str:
    """What a quoted text says."""
    inside = text[1:-1]
    if "\n" in inside:
        inside = _fold(_JOINED_LINE.sub(lambda found: found[1] or "", inside) if text[0] == '"' else inside)
    if text[0] == "'":
        return inside.replace("''", "'")
    return _ESCAPE.sub(_unescape, inside) if "\\" in inside else inside


def _fold(text: str) -> str:
    """One line feed is a blank, and each empty line a line feed."""
    first, *middle, last = text.split("\n")
    folded, empty = [first.rstrip(" \t")], 0
    for line in (*(each.strip(" \t") for each in middle), last.lstrip(" \t") + "\n"):
        if not line:
            empty += 1
            continue
        folded += ["\n" * empty or " ", line]
        empty = 0
    return "".join(folded)[:-1]


def fail(message: str, line: int) -> NoReturn:
    """Refuse the text."""
    raise InvalidManifest(f"not YAML that is read here: {message}, in line {line}")


def _read_scalar(found: re.Match[str], line: int) -> str | None:
    if quoted := found["quoted"]:
        return unquote(quoted)
    plain = found["plain"].strip()
    if "\n" in plain:
        plain = _fold(plain)
    if plain[:1] in ("&", "*", "!"):
        fail("aliases, anchors and tags are not read", line)
    return None if plain in NULLS else plain


def _unescape(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if not code:
        return _ESCAPED.get(found[4], found[4])
    number = int(code, 16)
    return chr(number) if number <= 0x10FFFF else "\ufffd"
