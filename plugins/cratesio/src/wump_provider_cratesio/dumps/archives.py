"""The files of a dump: members of a tar, packed or not, or files of a folder, read one after another.

Nothing is written: a member is found by its name and read as it comes by, so that a path which climbs out, a link or a
device does no harm. What an archive makes a reader keep in memory, its headers, is bounded here.
"""

import csv
import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from wump_core import InvalidDump

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


def read_files(path: Path, names: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    """Those of these files that a dump holds, in the dump's own order; each must be read before the next is asked for.

    Args:
        path: A folder, or a tar with gzip or without.
        names: Such as `data/crates.csv`, in the folder itself or in one below it.

    Raises:
        InvalidDump: It is no archive, ends before its end, or is made to do harm.
        OSError: It can't be opened.
    """
    return _read_folder(path, names) if path.is_dir() else _read_tar(path, names)


def _read_folder(path: Path, names: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    for name in sorted(names):
        found = [place for place in (path / name, *sorted(path.glob(f"*/{name}"))) if place.is_file()]
        if len(found) > 1:
            raise InvalidDump(f"{path} holds several {name}: name the folder of one dump")
        if found:
            with found[0].open("rb") as file:
                yield name, file


def _read_tar(path: Path, names: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    with _open_tar(path) as archive:
        left = set(names)
        while left:
            with reading(lambda: path.name):
                member = archive.next()
            if member is None:
                return
            name = next((item for item in left if _is_named(member.name, item)), None)
            if name is None or member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                continue
            left.remove(name)
            if (file := archive.extractfile(member)) is not None:
                yield name, file


def _is_named(path: str, name: str) -> bool:
    """Whether a member is that file, in the archive itself or in one folder of it."""
    parts = PurePosixPath(path).parts
    return name in ("/".join(parts), "/".join(parts[1:])) and parts[0] not in ("/", "..")


@contextmanager
def _open_tar(path: Path) -> Generator[tarfile.TarFile]:
    with path.open("rb") as packed:
        is_packed = packed.read(2) == b"\x1f\x8b"
        packed.seek(0)
        stream: Any = _Bounded(packed, path) if is_packed else packed
        with reading(lambda: path.name):
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
def reading(place: Callable[[], str]) -> Generator[None]:
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
