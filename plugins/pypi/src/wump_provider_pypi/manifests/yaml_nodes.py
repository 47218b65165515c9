"""YAML that strangers wrote: texts that know their lines, and nothing else.

Source: YAML 1.1. PyYAML's loaders recurse, which lets a row of brackets end the process (yaml/pyyaml#895), and copy
merged keys again and again. Its events don't: they come one by one, with their places, and are put together here,
within bounds. An alias is the same object once more, and a merge key is a key like others.
"""

from collections.abc import Iterator
from typing import Any

import yaml
from wump_core import InvalidManifest

from wump_provider_pypi.manifests.located import locate

MAX_EVENTS = 600_000
MAX_DEPTH = 64

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(text: str) -> Any:
    """Read the first document into dicts, lists and `Located` texts; of equal keys the last counts.

    Raises:
        InvalidManifest: It is no YAML, is nested too deeply, or is too large.
    """
    try:
        return _compose(yaml.parse(text, Loader=_LOADER))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = str(getattr(error, "problem", None) or "unreadable")[:100]
        raise InvalidManifest(f"no valid YAML: {reason}{f' in line {mark.line + 1}' if mark else ''}") from None
    except (RecursionError, ValueError) as error:
        raise InvalidManifest(f"no valid YAML: {type(error).__name__}") from None


def _compose(events: Iterator[Any]) -> Any:
    anchors: dict[str, Any] = {}
    stack: list[Any] = []
    keys: list[Any] = []  # per open collection: the key that waits for its value; _NO_KEY where none does
    root: Any = None
    for number, event in enumerate(events):
        if number > MAX_EVENTS or len(stack) > MAX_DEPTH:
            raise InvalidManifest(f"no YAML that is read: over {MAX_EVENTS:,} nodes, or over {MAX_DEPTH} levels")
        kind = type(event)
        if kind is yaml.ScalarEvent:
            node: Any = locate(event.value, event.start_mark.line + 1)
        elif kind is yaml.MappingStartEvent:
            node = {}
        elif kind is yaml.SequenceStartEvent:
            node = []
        elif kind is yaml.AliasEvent:
            node = anchors.get(event.anchor)
        elif kind in (yaml.MappingEndEvent, yaml.SequenceEndEvent):
            stack.pop()
            keys.pop()
            continue
        elif kind is yaml.DocumentEndEvent:
            return root
        else:
            continue
        if kind is not yaml.AliasEvent and event.anchor:
            anchors[event.anchor] = node
        if stack:
            _put(stack[-1], keys, node)
        else:
            root = node
        if kind in (yaml.MappingStartEvent, yaml.SequenceStartEvent):
            stack.append(node)
            keys.append(_NO_KEY)
    return root


_NO_KEY = object()


def _put(parent: Any, keys: list[Any], node: Any) -> None:
    if isinstance(parent, list):
        parent.append(node)
    elif keys[-1] is _NO_KEY:
        keys[-1] = node if isinstance(node, str) else None  # a key that is no text says nothing here
    else:
        parent[keys[-1]] = node
        keys[-1] = _NO_KEY
