"""Tables of a dump: CSV as Postgres writes it, row by row within bounds, with the place of whatever is wrong.

Source: PostgreSQL's documentation of `COPY … CSV HEADER`: RFC 4180 with line ends inside of quotes; null is an empty
field without quotes. Columns are found by the header, since they come and go.
"""

import csv
import io
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import IO, Any, NoReturn

from wump_core import InvalidDump

from wump_provider_cratesio.dumps.archives import reading

MAX_FIELD = 8 * 1024 * 1024
"""Characters. A readme stands in a field, and crates.io takes none larger."""

_BLOCK = 1 << 20


class Table:
    """One table under reading. A row's number counts from 1, the header not included."""

    def __init__(self, name: str, file: IO[bytes], columns: Sequence[str]) -> None:
        """Raises InvalidDump: a column is missing, or the header can't be read."""
        self.name = name
        self.row = 0
        self._columns = columns
        self._content = _Content(file)
        text = io.TextIOWrapper(io.BufferedReader(self._content, _BLOCK), encoding="utf-8", newline="")
        self._reader = csv.reader(text, strict=True)
        with reading(self._place_of_next):
            header = next(self._reader, None)
        if header is None:
            raise InvalidDump(f"{name} is empty: expected a header with {', '.join(columns)}")
        missing = [column for column in columns if column not in header]
        if missing:
            raise InvalidDump(f"{name}, row 0 (the header): the column {', '.join(missing)} is missing")
        self._header = header
        self.pick: Callable[[Sequence[str]], tuple[str, ...]] = itemgetter(
            *(header.index(column) for column in columns)
        )

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The wanted columns of each row, in the order that was asked for.

        Raises:
            InvalidDump: A row can't be read; the text names it.
        """
        return map(self.pick, self.whole_rows())

    def whole_rows(self) -> Iterator[list[str]]:
        """All columns of each row, for whoever looks at most rows only to pass over them; see `find` and `pick`.

        Raises:
            InvalidDump: A row can't be read; the text names it.
        """
        width = len(self._header)
        with field_size_limit(), reading(self._place_of_next):
            for row in self._reader:
                self.row += 1
                if len(row) != width:
                    missing = self._header[len(row)] if len(row) < width else None
                    self.refuse(missing, f"the row has {len(row)} columns, and the header {width}")
                yield row
        if not self._content.is_whole:
            self.refuse(self._columns[-1], "the file ends in the middle of a row")

    def find(self, column: str) -> int:
        """Where a wanted column stands in a whole row."""
        return self._header.index(column)

    def refuse(self, column: str | None, what: str) -> NoReturn:
        """Raises InvalidDump with the place."""
        place = f"{self.name}, row {self.row} (line {self._reader.line_num})"
        raise InvalidDump(f"{place}, column {column}: {what}" if column else f"{place}: {what}")

    def number(self, text: str, column: str) -> int:
        """A key of the database, which is a small number.

        Raises:
            InvalidDump: It is none.
        """
        if not text.isdecimal() or not text.isascii() or len(text) > 18:
            self.refuse(column, f"{text[:40]!r} is no id")
        return int(text)

    def _place_of_next(self) -> str:
        return f"{self.name}, row {self.row + 1} (line {self._reader.line_num})"


class _Content(io.RawIOBase):
    """What a file holds, however it can be read. Closing it leaves the file: the archive goes on behind it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._line = 0
        self.is_whole = True

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read on, but for a line that does not end: whoever reads would collect it.

        Raises:
            csv.Error: There is such a line.
        """
        content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        if content:
            end = content.rfind(b"\n")
            self._line = len(content) - end - 1 if end >= 0 else self._line + len(content)
            self.is_whole = self._line == 0
            if self._line > MAX_FIELD:
                raise csv.Error(f"a line of more than {MAX_FIELD:,} bytes")
        return len(content)


@contextmanager
def field_size_limit() -> Generator[None]:
    """Room for large fields in this process's CSV reader, for as long as this is open."""
    before = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
