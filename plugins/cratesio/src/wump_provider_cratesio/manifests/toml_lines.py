"""TOML that strangers wrote, read within bounds, and the lines that readers of TOML don't tell.

Source: TOML 1.0 and 1.1. `rtoml` is compiled, bounds nesting and the parts of a key, and is linear.
"""

import re
from typing import Any

import rtoml
from wump_core import InvalidManifest

MAX_VALUES = 400_000
"""In one file. A value can be two characters of text and cost two hundred bytes of memory."""

MAX_DOTS = 50_000
"""In names of tables and keys. Each part of a dotted key is a table."""

_NAME = r"""(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_HEADER = re.compile(rf"\s*\[\[?\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*\]")
_KEY = re.compile(rf"\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=")
_PART = re.compile(_NAME)
_DOTTED = re.compile(r"^[^\n=\"']*\.[^\n=\"']*", re.MULTILINE)
_TRIPLE = re.compile(r'"""|\'\'\'')
MAX_PARTS = 8
MAX_LINE = 2_000

Path = tuple[str, ...]


def load_toml(text: str) -> dict[str, Any]:
    """Read a document.

    Raises:
        InvalidManifest: It is no TOML, is nested too deeply, or holds too many values.
    """
    if sum(map(text.count, "=,[{")) > MAX_VALUES:
        raise InvalidManifest(f"no TOML that is read: more than {MAX_VALUES:,} values")
    if text.count(".") > MAX_DOTS and sum(found[0].count(".") for found in _DOTTED.finditer(text)) > MAX_DOTS:
        raise InvalidManifest(f"no TOML that is read: more than {MAX_DOTS:,} dots in keys")
    try:
        return rtoml.loads(text)
    except RecursionError:
        raise InvalidManifest("no valid TOML: nested too deeply") from None
    except ValueError as error:
        raise InvalidManifest(f"no valid TOML: {str(error)[:200]}") from None


def find_lines(text: str) -> dict[Path, int]:
    """The line, from 1, of each key and table that begins one.

    Texts over several lines are passed over. An array over several lines holds no lines that look like a key.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    inside: str | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if len(line) > MAX_LINE:
            return found  # nobody wrote this by hand
        if inside is None and (header := _HEADER.match(line)):
            table = _split(header[1])
            found.setdefault(table, number)
        elif inside is None and (key := _KEY.match(line)):
            parts = _split(key[1])
            found.setdefault((*table, *parts), number)
            if len(parts) > 1:  # `serde.workspace = true` begins `serde`
                found.setdefault((*table, parts[0]), number)
        if '"""' in line or "'''" in line:
            for quotes in _TRIPLE.findall(line):
                if inside is None:
                    inside = quotes
                elif inside == quotes:
                    inside = None
    return found


def _split(key: str) -> Path:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in _PART.findall(key)[:MAX_PARTS])
