"""Lines: where in a JSON text a key stands.

Python's JSON reader keeps no places. This is one linear scan over a text that it has already accepted, so
that the syntax can be trusted.

Source: RFC 8259. Of several equal keys the last counts, as in JavaScript and Python.
"""

import json
import re
from collections.abc import Collection

# Unrolled, so that a long text can't make the scan look back.
_TOKEN = re.compile(r'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")|(?P<mark>[{}\[\]:])|(?P<line>\r\n|\n|\r)', re.DOTALL)


def find_lines(text: str, fields: Collection[str]) -> dict[tuple[str, ...], int]:
    """The line of every key of the outermost object, and of every key of the objects under `fields`.

    Args:
        text: A valid JSON text whose outermost value is an object.
        fields: The keys of the outermost object into which to look.

    Returns:
        Lines from 1 by path, such as `("dependencies", "express")`.
    """
    outer: dict[str, int] = {}
    inner: dict[str, dict[str, int]] = {}
    line, depth, field = 1, 0, ""
    last_text, last_line = "", 1
    for token in _TOKEN.finditer(text):
        if token.lastgroup == "line":
            line += 1
        elif token.lastgroup == "text":
            last_text, last_line = token[0], line
        elif token[0] in "{[":
            depth += 1
        elif token[0] in "}]":
            depth -= 1
        elif depth == 1:
            field = _read_key(last_text)
            outer[field] = last_line
            inner[field] = {}  # what an earlier object under the same key held doesn't count any more
        elif depth == 2 and field in fields:
            inner[field][_read_key(last_text)] = last_line
    lines: dict[tuple[str, ...], int] = {(key,): place for key, place in outer.items()}
    for key, places in inner.items():
        lines.update({(key, inside): place for inside, place in places.items()})
    return lines


def _read_key(token: str) -> str:
    return json.loads(token) if "\\" in token else token[1:-1]
