"""YAML as a small tree with lines, in which every scalar is the text that stands there.

Read from the parser's events, so that nothing is converted (`on` and `1.10` stay text), no tag is obeyed and no
alias is copied: an alias is the node that it names, once more. Depth and number of nodes are bounded.

Source: YAML 1.1, and PyYAML's events.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from wump_core import InvalidManifest

MAX_DEPTH = 100
MAX_NODES = 150_000
MAX_REST = 200
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))


@dataclass(slots=True)
class Scalar:
    """A text, its line from 1, and what stands right behind it on its last line: a comment, mostly."""

    text: str
    line: int
    rest: str
    plain: bool

    @property
    def is_null(self) -> bool:
        """Whether it is YAML's null."""
        return self.plain and self.text in _NULLS


@dataclass(slots=True)
class Sequence:
    """A list."""

    line: int
    items: list["Node"] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    """Keys and values in their order; of equal keys the last counts, as in PyYAML."""

    line: int
    items: dict[str, "Node"] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)

    def get(self, key: str) -> "Node | None":
        """The value of a key; null where it is missing or YAML's null."""
        value = self.items.get(key)
        return None if isinstance(value, Scalar) and value.is_null else value

    def get_text(self, key: str) -> str | None:
        """The text of a key; null where it is no scalar."""
        value = self.get(key)
        return value.text if isinstance(value, Scalar) else None


Node = Scalar | Sequence | Mapping


def load_document(text: str) -> Node | None:
    """Read the first document of a YAML text; null where there is none.

    Raises:
        InvalidManifest: It is no YAML, or nested too deeply, or has too many nodes. The text names the line.
    """
    try:
        return _Composer(text).compose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" in line {mark.line + 1}" if mark is not None else ""
        problem = str(getattr(error, "problem", None) or "it can't be read")
        raise InvalidManifest(f"not YAML: {problem[:200]}{place}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidManifest(f"not YAML: {type(error).__name__}") from None


class _Composer:
    """Makes nodes of events, with a stack instead of recursion."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._rows = text.split("\n")
        self._anchors: dict[str, Node] = {}
        self._nodes = 0

    def compose(self) -> Node | None:
        stack: list[tuple[Sequence | Mapping, list[Scalar]]] = []
        for event in self._events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                node: Node = self._make_scalar(event)
            elif kind is yaml.AliasEvent:
                node = self._find_anchor(event)
            elif kind is yaml.SequenceStartEvent or kind is yaml.MappingStartEvent:
                make = Sequence if kind is yaml.SequenceStartEvent else Mapping
                stack.append((self._remember(event, make(event.start_mark.line + 1)), []))
                if len(stack) > MAX_DEPTH:
                    raise InvalidManifest(f"nested deeper than {MAX_DEPTH} levels in line {event.start_mark.line + 1}")
                continue
            elif kind is yaml.SequenceEndEvent or kind is yaml.MappingEndEvent:
                node = stack.pop()[0]
            elif kind is yaml.DocumentEndEvent:
                return None
            else:
                continue
            if not stack:
                return node
            self._attach(stack[-1], node)
        return None

    def _attach(self, top: tuple[Sequence | Mapping, list[Scalar]], node: Node) -> None:
        parent, keys = top
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise InvalidManifest(f"has more than {MAX_NODES:,} values")
        if isinstance(parent, Sequence):
            parent.items.append(node)
        elif not keys:
            keys.append(node if isinstance(node, Scalar) else Scalar("", 1, "", plain=True))
        else:
            key = keys.pop()
            parent.items[key.text] = node
            parent.lines[key.text] = key.line

    def _remember(self, event: Any, node: Any) -> Any:
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _make_scalar(self, event: Any) -> Scalar:
        end = event.end_mark
        rest = self._rows[end.line][end.column : end.column + MAX_REST] if end.line < len(self._rows) else ""
        plain = event.style in (None, "")
        return self._remember(event, Scalar(event.value, event.start_mark.line + 1, rest, plain))

    def _find_anchor(self, event: Any) -> Node:
        try:
            return self._anchors[event.anchor]
        except KeyError:
            line = event.start_mark.line + 1
            raise InvalidManifest(f"not YAML: the anchor {event.anchor[:40]!r} in line {line} is unknown") from None
