"""Lines in lockfiles, which are too long for a walk over every token.

Tools write them one way: each package starts with a header or key on a line of its own. Those lines are found with
one search; only where they tell the same names in the same order as the data are they believed. So a line is right or
null, whatever a text may hold in strings and comments.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from wump_provider_pypi.manifests.located import find_single, is_short

_TOML_NAME = re.compile(r"""^[ \t]*name[ \t]*=[ \t]*["']([^"'\n]*)["']""", re.MULTILINE)
_SECOND_LEVEL = re.compile(r'\s*\{\s*"[^"\\]*":\s*\{\r?(\n[ \t]+")')


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


def find_object_lines(text: str, document: dict[str, Any]) -> Sequence[int | None]:
    """The lines of the keys of all objects that stand in the outermost one, in a JSON text.

    It has one key to a line, or is all one line. What stands before the first key of the document is passed over.
    """
    keys = [key for inner in document.values() if isinstance(inner, dict) for key in inner]
    if not keys:
        return []
    if first := _SECOND_LEVEL.match(text):
        start = text.find(f'"{next(iter(document), "")}":')
        places = list(_key_pattern(first[1]).finditer(text, max(start, 0)))
        if [place[1] for place in places] == keys:
            return _count_lines(text, places)
    elif "\n" not in (body := text.rstrip()) and "\r" not in body:
        return [1] * len(keys)
    if is_short(text):
        return [find_single(text, f'"{key}": {{') for key in keys]
    return [None] * len(keys)


@lru_cache(maxsize=16)
def _key_pattern(before: str) -> re.Pattern[str]:
    return re.compile(rf'{before}([^"\\]*)":')


def _count_lines(text: str, places: Iterable[re.Match[str]]) -> list[int]:
    lines, line, counted = [], 1, 0
    for place in places:
        start = place.start(1)
        line += text.count("\n", counted, start)
        counted = start
        lines.append(line)
    return lines
