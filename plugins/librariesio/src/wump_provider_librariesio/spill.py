"""What is kept of the open data while it is read: a temporary database on disk, so that memory stays small.

Its file has no name any more once it is open, and is gone with the process.
"""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from wump_core import DumpTable, InvalidDump

_CACHE_KIBIBYTES = 24 * 1024


def open_spill(schema: str) -> sqlite3.Connection:
    """An empty temporary database. Who closes it may be another thread than who filled it."""
    spill = sqlite3.connect("", check_same_thread=False, isolation_level=None)
    for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIBIBYTES}"):
        spill.execute(f"PRAGMA {setting}")
    spill.executescript(schema)
    return spill


def add_rows(spill: sqlite3.Connection, table: DumpTable, statement: str, rows: Iterator[tuple[Any, ...]]) -> None:
    """Insert rows that are made out of a table's as they are read.

    Raises:
        InvalidDump: A row can't be read, its ID was there before, or there is no room left on the disk.
    """
    with writing():
        spill.execute("BEGIN")
        try:
            spill.executemany(statement, rows)
        except sqlite3.IntegrityError:
            table.refuse("ID", "it was there before")
        spill.execute("COMMIT")


@contextmanager
def writing() -> Generator[None]:
    """Say what it means where the database can't be written.

    Raises:
        InvalidDump: There is no room left on the disk.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise InvalidDump(f"what is kept of the dump meanwhile can't be written ({error}): is TMPDIR full?") from None
