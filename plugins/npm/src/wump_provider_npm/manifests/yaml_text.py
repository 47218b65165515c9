"""YAML as package managers write it, with the line of every key.

A reader of its own, because the fast loaders give no lines, turn `1.10` into 1.1 and, fed with hostile text, end the
process or take minutes, and the slow ones take longer still for a lockfile than everything else together. It reads
mappings, sequences, every kind of scalar and flow collections, and keeps scalars as written. Anchors, aliases,
merge keys and tags are refused: no package manager writes them, and with them goes every way to blow a text up.

Source: YAML 1.2.2, chapters 6 to 9. The tests compare it with PyYAML.
"""

import re
from collections.abc import Iterator
from typing import Any, NoReturn

from wump_core import InvalidManifest

from wump_provider_npm.manifests.texts import read_text
from wump_provider_npm.manifests.yaml_flow import (
    COMMENT,
    DOUBLE_QUOTED,
    MAX_DEPTH,
    NULLS,
    SINGLE_QUOTED,
    Flow,
    Node,
    YamlMap,
    fail,
    unquote,
)

_NEXT_CONTENT = re.compile(r"^([ \t]*)([^ \t\n#][^\n]*)", re.MULTILINE)
_LINE = re.compile(r"( *)([^\n]*)(?:\n|\Z)")
_SEPARATOR = re.compile(r":(?=[ \t]|\Z)")
_PLAIN_ENTRY = re.compile(r"""(?:([A-Za-z0-9_/][^\s:#]*)|'([^'\n]+)'):(?:[ ]+([^\s#].*))?""")
_PLAIN_PAIR = re.compile(r"""\{(?:([A-Za-z0-9_]+): (?:([A-Za-z0-9][\w.+/=-]*)|'([^'\n]*)'))?\}""", re.ASCII)
"""What nearly all keys, and nearly all collections in brackets, look like; whatever fits needs no further look."""
_INDICATORS = frozenset("&*!|>\"'{[@`%]},-?")
_KEY_END = re.compile(r"[ \t]*:(?=[ \t]|\Z)")


def parse_yaml(content: bytes) -> list[YamlMap]:
    """Read the documents of a text whose outermost values are mappings; empty ones are left out.

    Scalars are texts as written, or null.

    Raises:
        InvalidManifest: It is no UTF-8, no such YAML, too long, nested too deeply, or uses aliases or tags.
    """
    documents = []
    for node in _Reader(read_text(content)).documents():
        if isinstance(node, YamlMap):
            documents.append(node)
        elif node is not None:
            raise InvalidManifest("must be a YAML mapping")
    return documents


class _Reader:
    """Walks over the lines; the current one is `text`, which stands at column `indent` of line `line`.

    At the end of a document `indent` is -1.
    """

    def __init__(self, text: str) -> None:
        self._source = text
        self._at = 0  # where the next line starts
        self._end = 0  # where the current one ends, without trailing blanks
        self._counted_to = 0
        self._depth = 0
        self.line = 1
        self._next()

    def documents(self) -> Iterator[Node]:
        while not self._is_over:
            if self.indent == -1 or self.text.startswith("%"):
                self._next()
                continue
            yield self._block()
            if self.indent != -1:
                self._fail("not expected here")

    def _next(self) -> None:
        """Go to the next line that holds anything."""
        found = _NEXT_CONTENT.search(self._source, self._at)
        self._is_over = found is None
        if found is None:
            self.indent, self.text = -1, ""
            return
        blanks, text = found.groups()
        start, self._at = found.start(), min(found.end() + 1, len(self._source))
        self.indent, self.text = len(blanks), text.rstrip(" \t")
        self._end = start + self.indent + len(self.text)
        self.line += self._source.count("\n", self._counted_to, start)
        self._counted_to = start
        if self.indent == 0 and self.text[:3] in ("---", "...") and self.text[3:4] in ("", " ", "\t"):
            rest = self.text[3:].strip()
            self.indent, self.text = (-1, "") if not rest or rest.startswith("#") else (0, rest)
        elif "\t" in blanks:
            self._fail("a tab can't indent")

    def _block(self) -> Node:
        """The value that starts with the current line."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidManifest("nested too deeply")
        if self._is_item():
            node: Node = self._sequence()
        elif self.text.startswith("? ") or self._split_key() is not None:
            node = self._mapping()
        else:
            node = self._scalar(self.text, self.indent - 1)
        self._depth -= 1
        return node

    def _is_item(self) -> bool:
        return self.text == "-" or self.text.startswith(("- ", "-\t"))

    def _sequence(self) -> list[Any]:
        indent, items = self.indent, []
        while self.indent == indent and self._is_item():
            items.append(self._after_mark())
        return items

    def _after_mark(self) -> Node:
        """The value behind `-`, `?` or `:`, which may itself be a block that starts on the same line."""
        indent = self.indent
        rest = self.text[1:].lstrip()
        if not rest or rest.startswith("#"):
            return self._nested(indent)
        self.indent, self.text = indent + len(self.text) - len(rest), rest
        return self._block()

    def _mapping(self) -> YamlMap:
        indent, found = self.indent, YamlMap()
        while self.indent == indent and not self._is_item():
            line = self.line
            if self.text.startswith("? "):
                key = self._after_mark()
                value = self._after_mark() if self.indent == indent and self.text[:1] == ":" else None
            else:
                split = self._split_key()
                if split is None:
                    self._fail("expected a key")
                key, rest = split
                value = self._scalar(rest, indent) if rest else self._nested(indent, may_be_items=True)
            if not isinstance(key, str) or key == "<<":
                self._fail("merge keys and keys that are no text are not read")
            found[key] = value
            found.lines[key] = line
        if self.indent > indent:
            self._fail("wrong indentation")
        return found

    def _nested(self, indent: int, *, may_be_items: bool = False) -> Node:
        """The value below a key or mark that has nothing behind it."""
        self._next()
        if self.indent > indent or (may_be_items and self.indent == indent and self._is_item()):
            return self._block()
        return None

    def _split_key(self) -> tuple[str, str] | None:
        """The key that the current line starts with, and what stands behind its colon; null if there is none."""
        text = self.text
        if plain := _PLAIN_ENTRY.fullmatch(text):
            return plain[1] or plain[2], plain[3] or ""
        if text[0] in "\"'":
            found = (DOUBLE_QUOTED if text[0] == '"' else SINGLE_QUOTED).match(text)
            colon = _KEY_END.match(text, found.end()) if found else None
            if found is None or colon is None:
                return None
            key, end = unquote(found[0]), colon.end()
        else:
            colon = _SEPARATOR.search(text)
            if colon is None or text[0] in "{[|>&*!#%@`" or " #" in text[: colon.start()]:
                return None
            key, end = text[: colon.start()].rstrip(" \t"), colon.end()
        rest = text[end:].lstrip()
        return key, "" if rest.startswith("#") else rest

    def _scalar(self, text: str, indent: int) -> Node:
        """A value that starts as `text`; lines that are indented deeper than `indent` go on with it."""
        start = text[0]
        if start in _INDICATORS:
            if start in "|>":
                return self._literal(indent, folded=start == ">")
            if start in "\"'":
                return self._quoted(text)
            if start in "{[":
                return self._flow(text)
            self._refuse(text)
        parts = [_without_comment(text)]
        self._next()
        while self.indent > indent:
            parts.append(_without_comment(self.text))
            self._next()
        plain = " ".join(parts)
        if len(parts) == 1 and ":" in plain and _SEPARATOR.search(plain):
            self._fail("a mapping can't start here")
        return None if plain in NULLS else plain

    def _refuse(self, text: str) -> None:
        """Refuse what a plain scalar can't start with."""
        if text[0] in "&*!":
            self._fail("aliases, anchors and tags are not read")
        if text.startswith(("- ", "? ")):
            self._fail("a list or mapping can't start here")
        if text[0] in "@`%]},":
            self._fail("a value can't start so")

    def _literal(self, indent: int, *, folded: bool) -> str:
        """A block scalar; nothing wump reads is one, so trailing line feeds aren't kept."""
        lines = []
        while (found := _LINE.match(self._source, self._at)) and self._at < len(self._source):
            if found[2] and len(found[1]) <= indent:
                break
            lines.append(found[2])
            self._at = found.end()
        self._next()
        return (" " if folded else "\n").join(lines).strip()

    def _quoted(self, text: str) -> str:
        start = self._end - len(text)
        found = (DOUBLE_QUOTED if text[0] == '"' else SINGLE_QUOTED).match(self._source, start)
        if found is None:
            self._fail("a quoted text without an end")
        self._go_behind(found.end())
        return unquote(found[0])

    def _flow(self, text: str) -> Node:
        if plain := _PLAIN_PAIR.fullmatch(text):
            found, (key, value, quoted) = YamlMap(), plain.groups()
            if key:
                found[key] = quoted if value is None else None if value in NULLS else value
                found.lines[key] = self.line
            self._next()
            return found
        node, end = Flow(self.line).read(self._source, self._end - len(text))
        self._go_behind(end)
        return node

    def _go_behind(self, end: int) -> None:
        """Go to the line below the one where a value ended, which may have been several lines long."""
        rest = _LINE.match(self._source, end)
        if rest is None or COMMENT.sub("", rest[0]).strip():
            self._fail("more text behind a value")
        self._at = rest.end()
        self._next()

    def _fail(self, message: str) -> NoReturn:
        fail(message, self.line)


def _without_comment(text: str) -> str:
    return COMMENT.sub("", text).rstrip(" \t") if "#" in text else text
