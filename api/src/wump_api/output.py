"""How lists are printed: a table for people, JSON, NDJSON and CSV for programs."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

Document = dict[str, Any]


class Format(StrEnum):
    """What a command prints."""

    table = "table"
    json = "json"
    ndjson = "ndjson"
    csv = "csv"


def print_rows(rows: Sequence[Document], meta: Document, output: Format, *, columns: Sequence[tuple[str, str]]) -> None:
    """Print rows.

    Args:
        columns: For the table, (heading, key) of what people read; a dotted key looks into nested documents.
    """
    if output is Format.json:
        print_json({"data": rows, "meta": meta})
    elif output is Format.ndjson:
        for row in rows:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    elif output is Format.csv:
        sys.stdout.write(as_csv(rows))
    else:
        print_table(rows, columns)


def print_json(document: object) -> None:
    """Print one document."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def print_table(rows: Iterable[Document], columns: Sequence[tuple[str, str]]) -> None:
    """Print a table; text from upstreams is never markup."""
    table = Table(*(heading for heading, _ in columns), box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(escape(_cell(look_up(row, key))) for _, key in columns))
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False).print(table)


def as_csv(rows: Sequence[Document]) -> str:
    """CSV with a heading; nested values are dotted columns. Cells that a spreadsheet would run are quoted."""
    if not rows:
        return ""
    flat = [_flatten(row) for row in rows]
    names = list(dict.fromkeys(name for row in flat for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    for row in flat:
        writer.writerow({name: _harmless(value) for name, value in row.items()})
    return text.getvalue()


def look_up(row: Document, key: str) -> Any:
    """A value by its dotted key."""
    value: Any = row
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _flatten(row: Document, prefix: str = "") -> Document:
    flat: Document = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = ";".join(map(str, value)) if isinstance(value, list) else value
    return flat


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _cell(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
