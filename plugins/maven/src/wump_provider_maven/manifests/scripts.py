"""Scripts in Groovy, Kotlin and Scala, taken apart and never run: tokens, nested groups, statements.

The three languages write strings, comments and brackets alike, as far as build scripts go. Nesting is bounded, and
everything is linear.

Source: the lexical structure of Groovy, Kotlin and Scala in their documentation.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wump_core import InvalidManifest

MAX_DEPTH = 60
MAX_TOKENS = 400_000

# Scala writes `s` before a string that holds variables. A string may hold `${…}` with strings of its own in it. What
# isn't closed ends with the line, or the file.
_TOKEN = re.compile(
    r"""
    (?P<blank>[ \t\r\f\ufeff]+|\\\r?\n|(?:s|f|raw)(?="))
    | (?P<comment>//[^\n]*|/\*.*?\*/|/\*.*|\#![^\n]*)
    | (?P<newline>\n)
    | (?P<word>[^\W\d][\w$]*|`[^`\n]*`)
    | (?P<long>\"{3}.*?\"{3}|'{3}.*?'{3})
    | (?P<string>"(?:[^"\\$\n]+|\\.|\$(?!\{)|\$\{(?:[^{}"\n]+|"[^"\n]*"){0,200}\}?){0,2000}"?
        |'(?:[^'\\\n]+|\\.){0,2000}'?)
    | (?P<number>\d[\w]*)
    | (?P<sign>%%%|%%|\+\+=|\+=|:=|->|=>|==|!=|<=|>=|\?:|\?\.|!!|::|&&|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CLOSERS = {"(": ")", "[": "]", "{": "}"}
_CONTINUES_AFTER = frozenset(", = + . ?. : ?: % %% %%% := += ++= -> && ||".split())
_CONTINUES_BEFORE = frozenset(". ?. ?: % %% %%% + ++ && ||".split())
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class Token(NamedTuple):
    """A word, number, sign, or the inside of a string."""

    kind: str
    text: str
    line: int

    def is_sign(self, *texts: str) -> bool:
        """Whether it is one of these signs."""
        return self.kind == "sign" and self.text in texts


class Group(NamedTuple):
    """What stands between brackets: `opening` is the first of them."""

    opening: str
    items: "list[Item]"
    line: int

    kind = "group"
    text = ""

    def is_sign(self, *_: str) -> bool:
        """A group is no sign."""
        return False


Item = Token | Group
Statement = Sequence[Item]


def parse_script(text: str) -> list[Item]:
    """The items of a script, with everything between brackets in groups.

    Raises:
        InvalidManifest: It is nested too deeply, or too long.
    """
    root: list[Item] = []
    stack: list[tuple[list[Item], str]] = [(root, "")]
    for count, token in enumerate(_tokenize(text)):
        if count > MAX_TOKENS:
            raise InvalidManifest(f"more than {MAX_TOKENS:,} words and signs")
        items, closer = stack[-1]
        if token.kind == "sign" and token.text in _CLOSERS:
            if len(stack) > MAX_DEPTH:
                raise InvalidManifest("nested too deeply")
            group = Group(token.text, [], token.line)
            items.append(group)
            stack.append((group.items, _CLOSERS[token.text]))
        elif token.kind == "sign" and token.text == closer:
            stack.pop()
        elif token.is_sign(")", "]", "}"):
            _close(stack, token.text)
        else:
            items.append(token)
    return root


def list_statements(items: Sequence[Item]) -> Iterator[list[Item]]:
    """The statements of a block: a line each, or several where a line can't end there."""
    statement: list[Item] = []
    position, size = 0, len(items)
    while position < size:
        item = items[position]
        position += 1
        kind = item.kind
        if kind == "sign" and item.text == ";":
            if statement:
                yield statement
            statement = []
        elif kind != "newline":
            statement.append(item)
        elif statement and not statement[-1].is_sign(*_CONTINUES_AFTER):
            while position < size and items[position].kind == "newline":
                position += 1
            if position < size and not _goes_on(statement, items[position]):
                yield statement
                statement = []
    if statement:
        yield statement


def split(items: Sequence[Item], *signs: str) -> list[list[Item]]:
    """The parts between these signs, without line ends; none where there is nothing."""
    part: list[Item] = []
    parts = [part]
    for item in items:
        kind = item.kind
        if kind == "sign" and item.text in signs:
            part = []
            parts.append(part)
        elif kind != "newline":
            part.append(item)
    return [part for part in parts if part]


def unescape(text: str) -> str:
    """The inside of a string with its escapes resolved; those of `$` stay, as they tell it from a variable."""
    if "\\" not in text:
        return text
    return re.sub(r"\\([^$u])", lambda match: _ESCAPES.get(match[1], match[1]), text)


def _goes_on(statement: Statement, following: Item) -> bool:
    """Whether a line belongs to the statement before it."""
    if isinstance(following, Group):
        return following.opening == "{" and not (isinstance(statement[-1], Group) and statement[-1].opening == "{")
    return following.is_sign(*_CONTINUES_BEFORE)


def _tokenize(text: str) -> Iterator[Token]:
    line = 1
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind == "newline":
            yield Token("newline", "\n", line)
            line += 1
        elif kind == "string":
            quote = match[0][0]
            inside = match[0][1:].removesuffix(quote)
            yield Token("string" if quote == '"' else "literal", inside, line)
        elif kind == "long":
            quote = match[0][:3]
            inside = match[0][3:].removesuffix(quote)
            yield Token("string" if quote == '"""' else "literal", inside, line)
            line += match[0].count("\n")
        elif kind in ("blank", "comment"):
            line += match[0].count("\n")
        else:
            yield Token(kind, match[0].strip("`") if kind == "word" else match[0], line)


def _close(stack: list[tuple[list[Item], str]], closer: str) -> None:
    """Close up to the bracket that this one belongs to; one that belongs to none is passed over."""
    for depth in range(len(stack) - 1, 0, -1):
        if stack[depth][1] == closer:
            del stack[depth:]
            return
