"""How lists are printed: a table for people, JSON, NDJSON and CSV for programs."""

import json
import os
import stat
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from wump_core.errors import ConfigurationError

from wump_api.documents import csv_lines, flatten

Document = dict[str, Any]


class Format(StrEnum):
    """What a command prints."""

    table = "table"
    json = "json"
    ndjson = "ndjson"
    csv = "csv"


def print_rows(
    rows: Sequence[Document],
    meta: Document,
    output: Format,
    *,
    columns: Sequence[tuple[str, str]],
    csv_columns: Sequence[str] | None = None,
) -> None:
    """Print rows.

    Args:
        columns: For the table, (heading, key) of what people read; a dotted key looks into nested documents.
        csv_columns: For CSV, whatever the rows hold; null: those that the rows hold.
    """
    if output is Format.json:
        print_json({"data": rows, "meta": meta})
    elif output is Format.ndjson:
        for row in rows:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    elif output is Format.csv:
        sys.stdout.write(as_csv(rows, csv_columns))
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


def as_csv(rows: Sequence[Document], columns: Sequence[str] | None = None) -> str:
    """CSV with a heading; nothing where there are neither columns nor rows."""
    columns = columns or list(dict.fromkeys(name for row in rows for name in flatten(row)))
    return csv_lines(columns, rows, heading=True) if columns else ""


@contextmanager
def writing_to(name: str | None) -> Generator[BinaryIO]:
    """A file that is there only when all has been written, or standard output.

    A reader of standard output that has seen enough, such as `head`, is no error: it ends this quietly.

    Raises:
        ConfigurationError: The file can't be written.
    """
    if name is None or name == "-":
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # What is left in the buffer would be complained about when the process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    path = Path(name).resolve()
    # A device or a pipe is written to as it is; a file would stand in its place.
    part = path.with_name(f".{path.name}.{os.getpid()}.part") if _is_file_or_missing(path) else path
    try:
        with part.open("wb") as file:
            yield file
        if part != path:
            part.replace(path)
    except OSError as error:
        raise ConfigurationError(f"--output: {name!r} can't be written: {error.strerror or error}") from None
    finally:
        if part != path:
            with suppress(OSError):
                part.unlink()


def _is_file_or_missing(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def look_up(row: Document, key: str) -> Any:
    """A value by its dotted key."""
    value: Any = row
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _cell(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
