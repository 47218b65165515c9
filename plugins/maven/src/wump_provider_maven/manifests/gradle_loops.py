"""Loops over lists in blocks of dependencies: `["a", "b"].each { api "g:$it:1" }`, and Kotlin's `for` and `forEach`.

Source: Groovy's and Kotlin's documentation of loops and of functions of collections.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from wump_provider_maven.manifests.expressions import Value
from wump_provider_maven.manifests.scripts import Group, Item, Statement

MAX_ROUNDS = 500
"""Of all loops of one script."""

_MAX_SIZE = 100
"""Words and signs of a loop's block. With more it is no list of dependencies."""


class Loop(NamedTuple):
    """A block, and the texts that a name in it stands for, one after the other."""

    name: str
    values: list[str]
    items: Sequence[Item]


def find_loop(statement: Statement, evaluate: Callable[[Sequence[Item]], Value]) -> Loop | None:
    """The loop that a statement is; null where it is none, or its list can't be told."""
    block = statement[-1]
    if len(statement) < 3 or not isinstance(block, Group) or block.opening != "{" or _measure(block.items) > _MAX_SIZE:
        return None
    body, name, listed = block.items, "it", statement[:-3]
    if statement[0].text == "for" and isinstance(header := statement[1], Group):
        at = next((at for at, item in enumerate(header.items) if item.text in ("in", ":")), 0)
        name, listed = header.items[at - 1].text if at else "", header.items[at + 1 :]
    elif statement[-2].text not in ("each", "forEach"):
        return None
    elif len(body) > 1 and body[1].is_sign("->"):
        name, body = body[0].text, body[2:]
    values = evaluate(listed)
    texts = [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
    return Loop(name, texts, body) if name and texts and len(texts) == len(values or ()) else None


def _measure(items: Sequence[Item]) -> int:
    """How many words and signs there are, counted until it is too many."""
    size = 0
    waiting = [items]
    while waiting and size <= _MAX_SIZE:
        inside = waiting.pop()
        size += len(inside)
        waiting += [item.items for item in inside[: _MAX_SIZE + 1] if isinstance(item, Group)]
    return size
