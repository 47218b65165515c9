"""Lines in lockfiles, which are too long for a walk over every token.

Tools write them one way: each package starts with a header or key on a line of its own. Those lines are found with
one search; only where they tell the same names in the same order as the data are they believed. So a line is right or
null, whatever a text may hold in strings and comments.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

_TOML_NAME = re.compile(r"""^[ \t]*name[ \t]*=[ \t]*["']([^"'\n]*)["']""", re.MULTILINE)
_JSON_OPENING = re.compile(r'":[ \t]*\{')
_JSON_KEY = re.compile(r'[ \t]*("[^"\\\n]*(?:\\.[^"\\\n]*)*"):')


def find_table_lines(text: str, key: str, tables: object) -> list[int | None]:
    """The line of the name of every table of a TOML array of tables, such as `[[package]]`."""
    header = re.compile(rf"^[ \t]*\[\[[ \t]*{key}[ \t]*\]\]", re.MULTILINE)
    starts = [match.end() for match in header.finditer(text)]
    if not isinstance(tables, list):
        return []
    if len(starts) != len(tables):
        return [None] * len(tables)
    lines: list[int | None] = []
    line, counted = 1, 0
    for start, end, table in zip(starts, (*starts, len(text))[1:], tables, strict=True):
        name = _TOML_NAME.search(text, start, end)
        if name is None or not isinstance(table, dict) or name[1] != table.get("name"):
            lines.append(None)
            continue
        line += text.count("\n", counted, name.start(1))
        counted = name.start(1)
        lines.append(line)
    return lines


def find_object_lines(text: str, document: dict[str, Any]) -> dict[tuple[str, str], int]:
    """The line of each key that holds an object, two levels deep, in a JSON text with one key to a line."""
    expected = list(_object_keys(document, 0))
    openings = [match.start() for match in _JSON_OPENING.finditer(text)]
    if len(openings) != len(expected):
        return {}
    lines: dict[tuple[str, str], int] = {}
    line, counted, outer = 1, 0, ""
    for opening, (depth, key) in zip(openings, expected, strict=True):
        start = text.rfind("\n", counted, opening) + 1 or counted
        match = _JSON_KEY.match(text, start)
        if match is None or match.end() != opening + 2 or not _says(match[1], key):
            return {}
        line += text.count("\n", counted, start)
        counted = start
        if depth == 0:
            outer = key
        elif depth == 1:
            lines[outer, key] = line
    return lines


def _says(quoted: str, key: str) -> bool:
    return (json.loads(quoted) if "\\" in quoted else quoted[1:-1]) == key


def _object_keys(document: dict[str, Any], depth: int) -> Iterable[tuple[int, str]]:
    if depth > 4:
        return
    for key, value in document.items():
        if isinstance(value, dict):
            yield depth, key
            yield from _object_keys(value, depth + 1)
