"""The open data of Libraries.io, read into records: one for each project of a platform that wump knows, and one for
each repository that has manifests, or of which such a project is published.

Source: the description of the release's files, `projects` and `dependencies`, CSV with a header. Of a project's
versions the latest counts; most rows are of others, and are told apart by a hash of the version, four bytes for each
project.
"""

import re
import sqlite3
import zlib
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

from wump_core import (
    Diagnostic,
    DumpInfo,
    DumpKeys,
    DumpTable,
    InvalidDump,
    InvalidPurl,
    InvalidResponse,
    InventoryRecord,
    PackageRecord,
    make_purl,
    parse_purl,
    read_dump_files,
)

from wump_provider_librariesio import inventories
from wump_provider_librariesio.addresses import ECOSYSTEMS
from wump_provider_librariesio.inventories import REPOSITORIES, REPOSITORY_DEPENDENCIES
from wump_provider_librariesio.parse import GONE, parse_package
from wump_provider_librariesio.spill import add_rows, open_spill

PROJECTS = "projects-*.csv"
DEPENDENCIES = "dependencies-*.csv"
MAX_DEPENDENCIES = 20_000
MAX_PROJECT_ID = 25_000_000
"""Five bytes of memory for each number up to the largest; the last release has some five million projects."""
KNOWN, TOLD = 1, 2
"""Of a project: it is there; and its latest version is known."""
_ROOM = bytes(1 << 20)

_SCHEMA = """
CREATE TABLE projects (id INTEGER PRIMARY KEY, platform, name, repository_url, description, homepage, licenses, status,
  latest, repository_id INTEGER, purl UNIQUE);
CREATE TABLE dependencies (id INTEGER PRIMARY KEY, project_id INTEGER, version, name, platform, kind, optional,
  requirements);
"""
_LIST_PROJECTS = """
SELECT id, purl, platform, name, repository_url, description, homepage, licenses, status, latest
  FROM projects ORDER BY id"""
_LIST_DEPENDENCIES = """
SELECT d.project_id, d.name, d.platform, d.kind, d.optional, d.requirements FROM dependencies d
  JOIN projects p ON p.id = d.project_id AND p.latest = d.version ORDER BY d.project_id, d.id"""


def read_dump(path: Path) -> Iterator[DumpInfo | PackageRecord | InventoryRecord]:
    """Read a release of the open data: a folder with its CSV files, or a tar of it.

    Raises:
        InvalidDump: A file or column is missing, or a row can't be read; the text names it.
        OSError: It can't be opened.
    """
    with closing(open_spill(_SCHEMA + inventories.SCHEMA)) as spill:
        made_at, read = _fill(spill, path)
        (packages,) = spill.execute("SELECT count(*) FROM projects").fetchone()
        repositories = inventories.collect_repositories(spill, read)
        yield DumpInfo(made_at=made_at, packages=packages, repositories=repositories)
        yield from _list_packages(spill)
        yield from inventories.list_inventories(spill, is_told=REPOSITORY_DEPENDENCIES in read)


def _fill(spill: sqlite3.Connection, path: Path) -> tuple[datetime | None, dict[str, str]]:
    """Take what is needed; returns the day of the release, as its files are named, and those names."""
    projects = _Projects(spill)
    made_at: datetime | None = None
    readers: dict[str, Callable[[str, IO[bytes]], None]] = {
        PROJECTS: projects.read,
        DEPENDENCIES: projects.read_dependencies,
        REPOSITORIES: partial(inventories.read_repositories, spill),
        REPOSITORY_DEPENDENCIES: partial(inventories.read_repository_dependencies, spill),
    }
    done: dict[str, str] = {}
    while not {PROJECTS, DEPENDENCIES} <= done.keys():
        before = len(done)
        for name, file_name, file in read_dump_files(path, readers.keys() - done.keys()):
            # Whose a dependency is must be known before it.
            if name != DEPENDENCIES or PROJECTS in done:
                readers[name](file_name, file)
                done[name] = file_name
            if name == PROJECTS:
                made_at = _read_day(file_name)
        if len(done) == before or PROJECTS not in done:
            missing = DEPENDENCIES if PROJECTS in done else PROJECTS
            raise InvalidDump(f"{path} has no {missing}: it is no open data of Libraries.io")
    return made_at, done


def _read_day(file_name: str) -> datetime | None:
    found = re.search(r"(\d{4})-(\d\d)-(\d\d)", file_name)
    try:
        return datetime(*map(int, found.groups()), tzinfo=UTC) if found else None
    except ValueError:
        return None


class _Projects:
    """Reads the tables, with a byte and a hash for each project in memory."""

    def __init__(self, spill: sqlite3.Connection) -> None:
        self._spill = spill
        self._keys = DumpKeys()
        self._latest = array("I")
        self._name = PROJECTS

    def read(self, name: str, file: IO[bytes]) -> None:
        """Take the projects of known platforms that weren't removed; of two that are the same package, the first."""
        columns = ("ID", "Platform", "Name", "Repository URL")
        optional = ("Description", "Homepage URL", "Licenses", "Status", "Latest Release Number", "Repository ID")
        table = DumpTable(name, file, columns, optional=optional)
        self._name = name

        def rows() -> Iterator[tuple[Any, ...]]:
            for text, platform, project, *said, repository in table.rows():
                key = table.new_key(text, "ID", self._keys)
                if key > MAX_PROJECT_ID:
                    table.refuse("ID", f"{key} is larger than any project's that is read, {MAX_PROJECT_ID}")
                self._keys.mark(key, KNOWN)
                ecosystem = ECOSYSTEMS.get(platform.lower())
                if ecosystem is None or said[4] in GONE:
                    continue
                try:
                    purl = str(make_purl(ecosystem, project))
                except InvalidPurl:
                    continue  # what was a name in its early days is none any more
                if said[5]:
                    self._keys.mark(key, TOLD)
                    while len(self._latest) <= key:
                        self._latest.frombytes(_ROOM)
                    self._latest[key] = zlib.crc32(said[5].encode())
                yield (key, platform, project, *said, repository or None, purl)

        add_rows(self._spill, table, f"INSERT OR IGNORE INTO projects VALUES ({', '.join('?' * 11)})", rows())

    def read_dependencies(self, name: str, file: IO[bytes]) -> None:
        """Take what the latest versions of these projects need."""
        columns = ("ID", "Project ID", "Version Number", "Dependency Name", "Dependency Platform", "Dependency Kind")
        optional = ("Optional Dependency", "Dependency Requirements")
        table = DumpTable(name, file, columns, optional=optional)
        at_project, at_version = table.find("Project ID"), table.find("Version Number")
        keys, latest = self._keys, self._latest

        def rows() -> Iterator[tuple[Any, ...]]:
            for row in table.whole_rows():
                key = table.require(row[at_project], "Project ID", keys, self._name)
                if keys[key] == TOLD and latest[key] == zlib.crc32(row[at_version].encode()):
                    text, _, version, *said = table.pick(row)
                    yield (table.number(text, "ID"), key, version, *said)

        add_rows(self._spill, table, f"INSERT INTO dependencies VALUES ({', '.join('?' * 8)})", rows())


def _list_packages(spill: sqlite3.Connection) -> Iterator[PackageRecord]:
    groups = groupby(spill.execute(_LIST_DEPENDENCIES), key=itemgetter(0))
    at, group = next(groups, (None, iter(())))
    for key, purl, platform, name, repository, description, homepage, licences, status, latest in spill.execute(
        _LIST_PROJECTS
    ):
        dependencies: list[dict[str, Any]] = []
        if at == key:
            dependencies = [_make_dependency(*row[1:]) for row in group][:MAX_DEPENDENCIES]
            at, group = next(groups, (None, iter(())))
        document = {
            "name": name,
            "platform": platform,
            "repository_url": repository or None,
            "description": description or None,
            "homepage": homepage or None,
            "licenses": licences or None,
            "status": status or None,
            "latest_release_number": latest or None,
            # Without a latest version nobody knows which one's count.
            "dependencies": dependencies if latest else None,
        }
        yield _make_package(purl, document)


def _make_package(purl: str, document: dict[str, Any]) -> PackageRecord:
    """The record; what one project says must not end the reading of all others."""
    try:
        return parse_package(parse_purl(purl), document)
    except (InvalidResponse, ValueError) as error:
        reason = f"can't be read: {type(error).__name__}"
        return PackageRecord(purl=purl, dependencies_unknown=reason, diagnostics=(Diagnostic(message=reason),))


def _make_dependency(name: str, platform: str, kind: str, optional: str, requirements: str) -> dict[str, Any]:
    """As the API tells one."""
    return {
        "project_name": name,
        "name": name,
        "platform": platform,
        "kind": kind,
        "optional": optional.lower() in ("true", "t"),
        "requirements": requirements or None,
    }
