"""The lines of tables and keys in a TOML document, which readers of TOML don't tell.

Source: TOML 1.0 and 1.1.
"""

import re

MAX_PARTS = 8
"""Of a key; nobody asks for what is deeper."""

_NAME = r"""(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"{_NAME}(?:[ \t]*\.[ \t]*{_NAME})*"
_BEGINNING = re.compile(rf'"""|\'\'\'|^[ \t]*(?:\[\[?[ \t]*({_DOTTED})[ \t]*\]|({_DOTTED})[ \t]*=)', re.MULTILINE)
_PART = re.compile(_NAME)

Path = tuple[str, ...]


def find_lines(text: str) -> dict[Path, int]:
    """The line, from 1, of each key and table that begins one.

    Texts over several lines are passed over. An array over several lines holds no lines that look like a key.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    inside: str | None = None
    line, counted = 1, 0
    for match in _BEGINNING.finditer(text):
        header, key = match.groups()
        if header is None and key is None:
            quotes = match[0]
            inside = quotes if inside is None else None if inside == quotes else inside
        elif inside is None:
            line += text.count("\n", counted, match.start())
            counted = match.start()
            parts = _split(header or key)
            path = parts if header is not None else (*table, *parts)
            if header is not None:
                table = parts
            found.setdefault(path, line)
            if header is None and len(parts) > 1:  # `serde.workspace = true` begins `serde`
                found.setdefault((*table, parts[0]), line)
    return found


def _split(key: str) -> Path:
    if key.isalnum():
        return (key,)
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in _PART.findall(key)[:MAX_PARTS])
