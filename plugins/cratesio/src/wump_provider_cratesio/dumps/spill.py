"""What is kept of a dump while it is read: a temporary database on disk, so that memory stays small.

Its file has no name any more once it is open, and is gone with the process. One byte is kept in memory for each key of
a crate and of a version, which says whether there is such a one.
"""

import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from wump_core import DumpKeys, DumpTable, InvalidDump

UNKNOWN, KNOWN, DEFAULT = 0, 1, 2
"""What is known of a key; of a version, whether it is its crate's default version."""

_CACHE_KIBIBYTES = 24 * 1024
_SCHEMA = """
CREATE TABLE crates (id INTEGER PRIMARY KEY, name, description, homepage, documentation, repository);
CREATE TABLE defaults (version_id INTEGER PRIMARY KEY, crate_id INTEGER, row INTEGER);
CREATE TABLE versions (id INTEGER PRIMARY KEY, num, license, yanked, description, homepage, documentation,
  repository, features);
CREATE TABLE dependencies (id INTEGER PRIMARY KEY, version_id INTEGER, crate_id INTEGER, alias, req, kind INTEGER,
  optional INTEGER, target);
"""
_PACKAGES = """
SELECT d.version_id, c.name, c.description, c.homepage, c.documentation, c.repository, v.num, v.license, v.yanked,
       v.description, v.homepage, v.documentation, v.repository, v.features
  FROM defaults d JOIN crates c ON c.id = d.crate_id JOIN versions v ON v.id = d.version_id ORDER BY d.version_id"""
_DEPENDENCIES = """
SELECT d.version_id, t.name, d.alias, d.req, d.kind, d.optional, d.target
  FROM dependencies d JOIN crates t ON t.id = d.crate_id ORDER BY d.version_id, d.id"""
_VERSIONLESS = """
SELECT name, description, homepage, documentation, repository FROM crates
 WHERE id NOT IN (SELECT crate_id FROM defaults) ORDER BY id"""
_LACKING = """
SELECT row, version_id FROM defaults WHERE version_id NOT IN (SELECT id FROM versions) ORDER BY row LIMIT 1"""
_SAYING = ("description", "homepage", "documentation", "repository")


class Crate(NamedTuple):
    """A crate with its default version, as `crates.make_record` takes them, and that version's dependencies.

    A dependency is (crate, alias, requirement, kind, optional, target).
    """

    name: str
    crate: dict[str, Any]
    version: dict[str, Any]
    features: str
    dependencies: list[tuple[Any, ...]]


class Spill:
    """The temporary database. Use it as a context manager, from one thread at a time."""

    def __init__(self) -> None:
        # The order by which it is closed follows whoever stops reading, maybe in another thread.
        self._connection = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        for setting in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_CACHE_KIBIBYTES}"):
            self._connection.execute(f"PRAGMA {setting}")
        self._connection.executescript(_SCHEMA)
        self.crates = DumpKeys()
        self.versions = DumpKeys()

    def __enter__(self) -> "Spill":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def add(self, name: str, table: DumpTable, rows: Iterable[tuple[Any, ...]], columns: int) -> None:
        """Take rows, which are made out of a table's as they are read, with all columns of ours.

        Raises:
            InvalidDump: A row can't be read, its key was there before, or there is no room left on the disk.
        """
        with _writing():
            self._connection.execute("BEGIN")
            try:
                self._connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * columns)})", rows)
            except sqlite3.IntegrityError:
                table.refuse("id", "it was there before")
            self._connection.execute("COMMIT")

    def count(self) -> int:
        """How many crates there are."""
        return int(self._connection.execute("SELECT count(*) FROM crates").fetchone()[0])

    def find_lacking(self) -> tuple[int, int] | None:
        """A default version that is none of the versions: its row in the table of defaults, and its key."""
        found: tuple[int, int] | None = self._connection.execute(_LACKING).fetchone()
        return found

    def list_crates(self) -> Iterator[Crate]:
        """All crates, in the order of their default versions; those that have none come last."""
        groups = groupby(self._connection.execute(_DEPENDENCIES), key=itemgetter(0))
        at, group = next(groups, (None, iter(())))
        for row in self._connection.execute(_PACKAGES):
            dependencies: list[tuple[Any, ...]] = []
            if at == row[0]:
                dependencies = [dependency[1:] for dependency in group]
                at, group = next(groups, (None, iter(())))
            yield Crate(
                name=row[1],
                crate=dict(zip(_SAYING, row[2:6], strict=True)),
                version={"num": row[6], "license": row[7], "yanked": row[8] == "t"}
                | dict(zip(_SAYING, row[9:13], strict=True)),
                features=row[13],
                dependencies=dependencies,
            )
        for name, *said in self._connection.execute(_VERSIONLESS):
            yield Crate(name, dict(zip(_SAYING, said, strict=True)), {}, "", [])


@contextmanager
def _writing() -> Generator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise InvalidDump(f"what is kept of the dump meanwhile can't be written ({error}): is TMPDIR full?") from None
