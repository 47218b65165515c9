"""Values in build scripts, as far as they can be told without running them: texts, lists and maps.

What can't be told is null; in a text it stays as `${name}`, so that `${` in a result means "unknown". Lengths and
depths are bounded, since a variable may double another one.

Source: Groovy's and Kotlin's documentation of strings, lists and maps; Gradle's of properties.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from wump_provider_maven.manifests.scripts import Group, Item, Token, parse_script, split, unescape

MAX_LENGTH = 1_000
MAX_DEPTH = 30
MAX_ITEMS = 2_000
MAX_STEPS = 80_000
"""Of one script: where variables double one another, it ends here."""

Value = str | list[Any] | dict[str, Any] | None
LookUp = Callable[[Sequence[str]], Value]

_INSERTED = re.compile(r"\\\$|\$\{([^{}]{1,200})\}|\$([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)")
_WITH_DEFAULT = re.compile(r"(?i)^(?:safe|get|find|read|default)\w*|ext|prop|(?:or|with)default")
_LISTS = frozenset("listOf mutableListOf arrayListOf setOf arrayOf Seq List".split())
_MAPS = frozenset("mapOf mutableMapOf hashMapOf linkedMapOf".split())
_GETTERS = frozenset("property findProperty getProperty get gradleProperty getAt optional getOrElse".split())
_NEUTRAL = frozenset("get toString trim asProvider getOrNull toLowerCase intern orNull toList flatten".split())
_HARMLESS = _NEUTRAL | {"as", "String", "apply", "also"}
_HOLDERS = frozenset("project rootProject ext extra gradle parent this properties providers allprojects".split())


class Evaluator:
    """Works out expressions with a function that looks names up."""

    def __init__(self, look_up: LookUp) -> None:
        self._look_up = look_up
        self._depth = 0
        self._steps = 0

    def evaluate(self, items: Sequence[Item]) -> Value:
        """The value of an expression; null where it can't be told."""
        self._steps += 1
        if not items or len(items) > MAX_ITEMS or self._depth >= MAX_DEPTH or self._steps > MAX_STEPS:
            return None
        self._depth += 1
        try:
            return self._evaluate([item for item in items if item.kind != "newline"])
        finally:
            self._depth -= 1

    def fill(self, text: str) -> str:
        """A text with everything filled in that is known."""
        if "$" not in text or len(text) > MAX_LENGTH or self._depth >= MAX_DEPTH or self._steps > MAX_STEPS:
            return text
        self._depth += 1
        try:
            filled = _INSERTED.sub(self._insert, text)
        finally:
            self._depth -= 1
        return filled if len(filled) <= MAX_LENGTH else text

    def _evaluate(self, items: list[Item]) -> Value:
        if not items:
            return None
        if len(choices := split(items, "?:")) > 1:
            return next((value for part in choices if (value := self.evaluate(part)) is not None), None)
        if len(branches := split(items, "?")) == 2:
            return self._choose(split(branches[1], ":"))
        if len(parts := split(items, "+")) > 1:
            return self._join(parts)
        head, rest = items[0], items[1:]
        if isinstance(head, Group):
            if head.opening == "[":
                return self._collection(head.items) if _is_plain_tail(rest) else None
            return self.evaluate(head.items) if head.opening == "(" and _is_plain_tail(rest) else None
        if head.kind in ("string", "literal"):
            text = unescape(head.text)
            text = self.fill(text) if head.kind == "string" else text
            return text if _is_plain_tail(rest) else None
        if head.kind == "number":
            return "".join(item.text for item in items) if all(item.kind != "group" for item in items) else None
        return self._path(items) if head.kind == "word" else None

    def _choose(self, branches: Sequence[list[Item]]) -> Value:
        """`condition ? a : b`: the first that is known, since the usual condition is whether something is set."""
        return next((value for part in branches[:2] if (value := self.evaluate(part)) is not None), None)

    def _join(self, parts: Sequence[list[Item]]) -> Value:
        values = [self.evaluate(part) for part in parts]
        if all(isinstance(value, str) for value in values):
            joined = "".join(value for value in values if isinstance(value, str))
            return joined if len(joined) <= MAX_LENGTH else None
        if isinstance(values[0], list) and all(isinstance(value, list | str) for value in values):
            flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
            return flat[:MAX_ITEMS]
        return None

    def _collection(self, items: Sequence[Item]) -> Value:
        """`[a, b]`, `[key: value]` or `[:]`."""
        parts = split(items, ",")
        found: dict[str, Any] = {}
        for part in parts:
            if len(part) > 1 and part[1].is_sign(":"):
                key = self.evaluate(part[:1]) if part[0].kind in ("string", "literal") else part[0].text
                if isinstance(key, str):
                    found[key] = self.evaluate(part[2:])
        if found or (len(parts) == 1 and parts[0][0].is_sign(":")):
            return found
        return [self.evaluate(part) for part in parts]

    def _path(self, items: list[Item]) -> Value:
        """A variable, what is inside it, or one of the few calls that give a value."""
        head = items[0].text
        if len(items) > 1 and isinstance(items[1], Group) and items[1].opening == "(":
            arguments = split(items[1].items, ",")
            if head in _LISTS:
                return [self.evaluate(part) for part in arguments]
            if head in _MAPS:
                return self._pairs(arguments)
            if len(arguments) == 2 and len(items) == 2 and _WITH_DEFAULT.search(head):
                return self._get_or_default(*arguments)
        path = self.read_path(items)
        return None if path is None else self._look_up(path)

    def read_path(self, items: Sequence[Item]) -> list[str] | None:
        """`a.b["c"].get()` as a list of names; null where it is something else."""
        path: list[str] = []
        for position, item in enumerate(items):
            following = items[position + 1] if position + 1 < len(items) else None
            if isinstance(item, Group):
                inside = self.evaluate(item.items) if item.items and item.opening in "[(" else None
                if item.opening == "[" and isinstance(inside, str):
                    path.append(inside)
                elif item.opening == "(" and path and path[-1] in _GETTERS and isinstance(inside, str):
                    path[-1] = inside
                elif not (item.opening == "(" and path and path[-1] in _NEUTRAL and not item.items):
                    return None
                else:
                    path.pop()
            elif item.kind == "word":
                if item.text == "as":
                    break
                path.append(item.text)
                if following is not None and following.kind in ("word", "string", "literal") and following.text != "as":
                    return None
            elif item.kind in ("string", "literal"):
                path.append(item.text)
            elif not item.is_sign(".", "?.", "!!"):
                return None
        while len(path) > 1 and path[0] in _HOLDERS:
            path.pop(0)
        return path or None

    def _get_or_default(self, name: Sequence[Item], default: Sequence[Item]) -> Value:
        """`safeExtGet("name", "1.0")`: a function that many scripts define, for what others may set."""
        stated = self.evaluate(name)
        value = self._look_up((stated,)) if isinstance(stated, str) else None
        return self.evaluate(default) if value is None else value

    def _pairs(self, arguments: Sequence[list[Item]]) -> dict[str, Any]:
        """`"key" to value`."""
        found: dict[str, Any] = {}
        for part in arguments:
            middle = next((at for at, item in enumerate(part) if item.kind == "word" and item.text == "to"), None)
            key = self.evaluate(part[:middle]) if middle else None
            if middle and isinstance(key, str):
                found[key] = self.evaluate(part[middle + 1 :])
        return found

    def _insert(self, match: re.Match[str]) -> str:
        if match[0] == "\\$":
            return "$"
        expression = match[1] if match[1] is not None else match[2]
        value = self.evaluate(parse_script(expression)) if "\n" not in expression else None
        if isinstance(value, str):
            return value
        return "${" + re.sub(r"[${}]", "", expression) + "}"


def _is_plain_tail(items: Sequence[Item]) -> bool:
    """Whether nothing follows a value that changes it: `.trim()`, `as String`, a closure."""
    return all(
        item.is_sign(".", "!!")
        or (isinstance(item, Group) and item.opening != "[")
        or (
            isinstance(item, Token)
            and item.kind == "word"
            and item.text in {*_NEUTRAL, "as", "String", "apply", "also"}
        )
        for item in items
    )
