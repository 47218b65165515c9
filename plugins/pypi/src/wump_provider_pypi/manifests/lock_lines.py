"""Lines in lockfiles, which are too long for a walk over every token.

Tools write them one way: each package starts with a header or key on a line of its own. Those lines are found with
one search; only where they tell the same names in the same order as the data are they believed. So a line is right or
null, whatever a text may hold in strings and comments.
"""

import re
from typing import Any

_TOML_NAME = re.compile(r"""^[ \t]*name[ \t]*=[ \t]*["']([^"'\n]*)["']""", re.MULTILINE)
_SECOND_LEVEL = re.compile(r'\s*\{\s*"[^"\\]*":\s*\{\r?(\n[ \t]+)"')


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
    """The line of each key two levels deep, in a JSON text with one key to a line."""
    first = _SECOND_LEVEL.match(text)
    keys = [(outer, key) for outer, inner in document.items() if isinstance(inner, dict) for key in inner]
    places = list(re.finditer(rf'{first[1]}"([^"\\]*)":', text)) if first else []
    if [place[1] for place in places] != [key for _, key in keys]:
        return {}
    lines: dict[tuple[str, str], int] = {}
    line, counted = 1, 0
    for key, place in zip(keys, places, strict=True):
        start = place.start(1)
        line += text.count("\n", counted, start)
        counted = start
        lines[key] = line
    return lines
