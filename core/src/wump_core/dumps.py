"""Dumps: what the plugins that read one share. Files of a folder or an archive, and tables of them, within bounds.

A dump is a stranger's file that doesn't fit into memory. An archive is read from its start to its end, and nothing of
it is written anywhere; tables are read row by row, and whatever is wrong is told with its place.

Source: RFC 4180 for CSV, with line ends inside of quotes; the columns are found by the header, since they come and go.
"""

import csv
import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, NoReturn

from wump_core.errors import InvalidDump

MAX_FIELD = 8 * 1024 * 1024
"""Characters of a field, or bytes of a line: a readme may stand in one."""

MAX_KEY = 60_000_000

MAX_HEADER_BYTES = 1_000_000
MAX_GROWTH = 200
"""How many times larger than it is packed a dump may be: real ones grow about five times."""

FREE_BYTES = 100_000_000
"""Below this, growth is not looked at."""

_BLOCK = 1 << 20
_LONG_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class DumpFile(NamedTuple):
    """A file of a dump: the name it was wanted by, the name it has, and its content."""

    wanted: str
    name: str
    content: IO[bytes]


def read_dump_files(path: Path, names: Collection[str]) -> Iterator[DumpFile]:
    """Those of these files that a dump holds, in the dump's own order; each must be read before the next is asked for.

    Nothing is written: a member of an archive is found by its name and read as it comes by, so that a path which climbs
    out, a link or a device does no harm.

    Args:
        path: A folder, or a tar with gzip or without.
        names: Such as `data/crates.csv` or `projects-*.csv`, in the folder itself or in one of its folders.

    Raises:
        InvalidDump: It is no archive, ends before its end, or is made to do harm.
        OSError: It can't be opened.
    """
    return _read_folder(path, names) if path.is_dir() else _read_tar(path, names)


def _read_folder(path: Path, names: Collection[str]) -> Iterator[DumpFile]:
    for name in sorted(names):
        found = [place for place in (*sorted(path.glob(name)), *sorted(path.glob(f"*/{name}"))) if place.is_file()]
        if len(found) > 1:
            raise InvalidDump(f"{path} holds several {name}: name the folder of one dump")
        if found:
            with found[0].open("rb") as file:
                yield DumpFile(name, found[0].name, file)


def _read_tar(path: Path, names: Collection[str]) -> Iterator[DumpFile]:
    with _open_tar(path) as archive:
        left = set(names)
        while left:
            with reading_dump(lambda: path.name):
                member = archive.next()
            if member is None:
                return
            name = next((item for item in left if _is_named(member.name, item)), None)
            if name is None or member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                continue
            left.remove(name)
            if (file := archive.extractfile(member)) is not None:
                yield DumpFile(name, PurePosixPath(member.name).name, file)


def _is_named(path: str, name: str) -> bool:
    """Whether a member is that file, in the archive itself or in one folder of it."""
    parts = PurePosixPath(path).parts
    inside = ("/".join(parts), "/".join(parts[1:]))
    return parts[:1] not in (("/",), ("..",)) and any(
        text.count("/") == name.count("/") and fnmatchcase(text, name) for text in inside
    )


@contextmanager
def _open_tar(path: Path) -> Generator[tarfile.TarFile]:
    with path.open("rb") as packed:
        is_packed = packed.read(2) == b"\x1f\x8b"
        packed.seek(0)
        stream: Any = _Bounded(packed, path) if is_packed else packed
        with reading_dump(lambda: path.name):
            archive = tarfile.TarFile.open(fileobj=stream, mode="r|", bufsize=_BLOCK, tarinfo=_Info)
        with archive:
            yield archive


class _Bounded(io.RawIOBase):
    """The content of a packed file, which may not grow without end."""

    def __init__(self, packed: IO[bytes], path: Path) -> None:
        self._packed = packed
        self._name = path.name
        self._content = gzip.GzipFile(fileobj=packed)
        self._grown = 0

    def read(self, size: int = -1) -> bytes:
        block = self._content.read(size)
        self._grown += len(block)
        if self._grown > FREE_BYTES and self._grown > MAX_GROWTH * self._packed.tell():
            raise InvalidDump(f"{self._name} grows more than {MAX_GROWTH} times when it is unpacked: it is no dump")
        return block


class _Info(tarfile.TarInfo):
    """A member whose further headers, which are read at once, can't be of any size."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _LONG_HEADERS and self.size > MAX_HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        return super()._proc_member(archive)  # ty: ignore[missing-attribute]


@contextmanager
def reading_dump(place: Callable[[], str]) -> Generator[None]:
    """What goes wrong while a part of a dump is read, with its place."""
    try:
        yield
    except EOFError:
        raise InvalidDump(f"{place()}: the archive ends in the middle") from None
    except tarfile.TarError as error:
        raise InvalidDump(f"{place()}: the archive can't be read: {error}") from None
    except (zlib.error, gzip.BadGzipFile) as error:
        raise InvalidDump(f"{place()}: the archive is damaged: {error}") from None
    except csv.Error as error:
        raise InvalidDump(f"{place()}: this is no CSV: {error}") from None
    except UnicodeDecodeError as error:
        raise InvalidDump(f"{place()}: this is no UTF-8: {error.reason}") from None


class DumpKeys(bytearray):
    """What is known of a table's keys: a byte for each, 0 for those that aren't there."""

    def mark(self, key: int, state: int) -> None:
        """Note what is known of a key, which is at most `MAX_KEY`."""
        if key >= len(self):
            self.extend(bytes(min(MAX_KEY + 1, max(key + 1, 2 * len(self))) - len(self)))
        self[key] = state

    def look_up(self, key: int) -> int:
        """What is known of a key."""
        return self[key] if key < len(self) else 0


class DumpTable:
    """One table under reading. A row's number counts from 1, the header not included."""

    def __init__(self, name: str, file: IO[bytes], columns: Sequence[str], *, optional: Sequence[str] = ()) -> None:
        """Wants these columns in this order, behind them the optional ones, which are empty where they are missing.

        Raises InvalidDump: a column is missing, or the header can't be read.
        """
        self.name = name
        self.row = 0
        self._columns = columns
        self._content = _Content(file)
        text = io.TextIOWrapper(io.BufferedReader(self._content, _BLOCK), encoding="utf-8", newline="")
        self._reader = csv.reader(text, strict=True)
        with reading_dump(self._place_of_next):
            header = next(self._reader, None)
        if header is None:
            raise InvalidDump(f"{name} is empty: expected a header with {', '.join(columns)}")
        missing = [column for column in columns if column not in header]
        if missing:
            raise InvalidDump(f"{name}, row 0 (the header): the column {', '.join(missing)} is missing")
        self._header = header
        # What is missing is found behind the last column.
        places = [header.index(column) if column in header else len(header) for column in (*columns, *optional)]
        self._lacks = len(header) in places
        self.pick: Callable[[Sequence[str]], tuple[str, ...]] = itemgetter(*places)

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
        with _field_size_limit(), reading_dump(self._place_of_next):
            for row in self._reader:
                self.row += 1
                if len(row) != width:
                    missing = self._header[len(row)] if len(row) < width else None
                    self.refuse(missing, f"the row has {len(row)} columns, and the header {width}")
                if self._lacks:
                    row.append("")
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

    def new_key(self, text: str, column: str, keys: DumpKeys) -> int:
        """The key of a row that no other row has.

        Raises:
            InvalidDump: It is none, is too large, or was there before.
        """
        key = self.number(text, column)
        if key > MAX_KEY:
            self.refuse(column, f"{key} is larger than any id that is read, {MAX_KEY}")
        if keys.look_up(key):
            self.refuse(column, f"{key} was there before")
        return key

    def require(self, text: str, column: str, keys: DumpKeys, other: str) -> int:
        """The key of a row of another table.

        Raises:
            InvalidDump: It is none, or the other table has no such row.
        """
        key = self.number(text, column)
        if not keys.look_up(key):
            self.refuse(column, f"{key} names no row of {other}")
        return key

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
def _field_size_limit() -> Generator[None]:
    """Room for large fields in this process's CSV reader, for as long as this is open."""
    before = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
