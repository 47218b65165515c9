"""Dumps: what the plugins that read one share. Files of a folder or an archive, and tables of them, within bounds.

A dump is a stranger's file that doesn't fit into memory. An archive is read from its start to its end, and nothing of
it is written anywhere; tables are read row by row, and whatever is wrong is told with its place.

Source: RFC 4180 for CSV, with line ends inside of quotes; the columns are found by the header, since they come and go.
"""

import csv
import gzip
import io
import tarfile
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import chain
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple, NoReturn, cast

from isal import igzip_lib, igzip_threaded

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
_LINES = 1 << 16
"""Bytes of a table at once: as much is lost of an archive that breaks off, and of the place of the error."""
_LONG_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


@dataclass(slots=True)
class DumpProgress:
    """How far the reading of a dump is: rows of the table that is read, and bytes on disk, of how many.

    A dump may be gone through more than once: then the bytes count anew.
    """

    table: str = ""
    rows: int = 0
    done: int = 0
    total: int = 0


_progress: ContextVar[DumpProgress | None] = ContextVar("progress", default=None)


@contextmanager
def watching_dump(progress: DumpProgress) -> Generator[None]:
    """Keep this up to date while a dump is read within, in this thread or task."""
    token = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(token)


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
    places = {name: place for name in sorted(names) if (place := _find(path, name)) is not None}
    done, total = 0, sum(place.stat().st_size for place in places.values())
    for name, place in places.items():
        with place.open("rb") as file:
            yield DumpFile(name, place.name, cast(IO[bytes], _Bounded(file, place, done=done, total=total)))
        done += place.stat().st_size


def _find(path: Path, name: str) -> Path | None:
    found = [place for place in (*sorted(path.glob(name)), *sorted(path.glob(f"*/{name}"))) if place.is_file()]
    if len(found) > 1:
        raise InvalidDump(f"{path} holds several {name}: name the folder of one dump")
    return found[0] if found else None


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
        with closing(_Bounded(packed, path, total=path.stat().st_size, is_packed=is_packed)) as content:
            stream: Any = content
            with reading_dump(lambda: path.name):
                try:
                    archive = tarfile.TarFile.open(fileobj=stream, mode="r|", bufsize=_BLOCK, tarinfo=_Info)
                except tarfile.ReadError as error:
                    expected = "expected a tar, packed with gzip or not; unpack what is anything else, name the folder"
                    raise InvalidDump(f"{path.name}: the archive can't be read: {error}: {expected}") from None
            with archive:
                yield archive


class _Bounded(io.RawIOBase):
    """The content of a file, which may be packed and may not grow without end."""

    def __init__(self, file: IO[bytes], path: Path, *, done: int = 0, total: int, is_packed: bool = False) -> None:
        self._file = file
        self._name = path.name
        # Unpacked ahead by a thread, which needs another processor for it and hardly ever the interpreter.
        self._content: Any = igzip_threaded.open(file, "rb", block_size=_BLOCK) if is_packed else file
        self._grown = 0
        self._done = done
        self._progress = _progress.get() or DumpProgress()
        self._progress.done, self._progress.total = done, total

    def read(self, size: int = -1) -> bytes:
        block: bytes = self._content.read(size)
        self._grown += len(block)
        self._progress.done = self._done + self._file.tell()
        if self._grown > FREE_BYTES and self._grown > MAX_GROWTH * self._file.tell():
            raise InvalidDump(f"{self._name} grows more than {MAX_GROWTH} times when it is unpacked: it is no dump")
        return block

    def close(self) -> None:
        """Ends the thread that unpacks."""
        if self._content is not self._file:
            self._content.close()
        super().close()


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
    except (igzip_lib.IsalError, gzip.BadGzipFile) as error:  # ty: ignore[invalid-exception-caught]
        raise InvalidDump(f"{place()}: the archive is damaged: {error}") from None
    except csv.Error as error:
        raise InvalidDump(f"{place()}: this is no CSV: {error}") from None


class DumpKeys(bytearray):
    """What is known of a table's keys: a byte for each, 0 for those that aren't there."""

    def mark(self, key: int, state: int) -> None:
        """Note what is known of a key, which is at most `MAX_KEY`."""
        if key >= len(self):
            # By a quarter: while it grows, what is added is there twice.
            self.extend(bytes(min(MAX_KEY + 1, max(key + 1, len(self) * 5 // 4 + 1_000)) - len(self)))
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
        self._progress = _progress.get() or DumpProgress()
        self._content = _Content(file, self._tell)
        self._reader = csv.reader(chain.from_iterable(self._content.blocks()), strict=True)
        with reading_dump(self._place_of_next):
            header = next(self._reader, None)
        if header is None:
            raise InvalidDump(f"{name} is empty: expected a header with {', '.join(columns)}")
        header[:1] = [name.removeprefix("\ufeff") for name in header[:1]]
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
        width, content, lacks = len(self._header), self._content, self._lacks
        with _field_size_limit(), reading_dump(self._place_of_next):
            for number, row in enumerate(self._reader, 1):
                self.row = number
                if len(row) != width:
                    missing = self._header[len(row)] if len(row) < width else None
                    self.refuse(missing, f"the row has {len(row)} columns, and the header {width}")
                if content.is_suspect:
                    self._check_texts(row)
                if lacks:
                    row.append("")
                yield row
        if not self._content.is_whole:
            self.refuse(self._columns[-1], "the file ends in the middle of a row")

    @property
    def line(self) -> int:
        """The line of the file at which the row ends, from 1: a row may hold line ends."""
        return self._reader.line_num

    def _check_texts(self, row: list[str]) -> None:
        for column, field in zip(self._header, row, strict=True):
            if any("\udc80" <= character <= "\udcff" for character in field):
                self.refuse(column, "this is no UTF-8")

    def find(self, column: str) -> int:
        """Where a wanted column stands in a whole row."""
        return self._header.index(column)

    def refuse(self, column: str | None, what: str) -> NoReturn:
        """Raises InvalidDump with the place."""
        place = f"{self.name}, row {self.row} (line {self.line})"
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

    def _tell(self) -> None:
        """Once for each block: once for each row would take a tenth of the time."""
        self._progress.table, self._progress.rows = self.name, self.row

    def _place_of_next(self) -> str:
        return f"{self.name}, row {self.row + 1} (line {self.line})"


class _Content:
    """The lines of a file, in blocks that end where a line ends: that is several times faster than line by line."""

    def __init__(self, file: IO[bytes], tell: Callable[[], None]) -> None:
        self._file = file
        self._tell = tell
        self.is_whole = True
        self.is_suspect = False

    def blocks(self) -> Iterator[io.StringIO]:
        """One block after another.

        Raises:
            csv.Error: A line does not end: whoever reads would collect it.
        """
        left = b""
        while content := self._file.read(_LINES):
            self._tell()
            end = content.rfind(b"\n") + 1
            if not end and len(left) + len(content) > MAX_FIELD:
                raise csv.Error(f"a line of more than {MAX_FIELD:,} bytes")
            if end:
                yield self._decode(left + content[:end])
                left = content[end:]
            else:
                left += content
        self.is_whole = not left
        yield self._decode(left)

    def _decode(self, content: bytes) -> io.StringIO:
        """What is no UTF-8 is let through, and looked for row by row: in a block, its place would not be known."""
        try:
            text = content.decode()
        except UnicodeDecodeError:
            self.is_suspect = True
            text = content.decode(errors="surrogateescape")
        return io.StringIO(text, newline="")


@contextmanager
def _field_size_limit() -> Generator[None]:
    """Room for large fields in this process's CSV reader, for as long as this is open."""
    before = csv.field_size_limit(MAX_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)
