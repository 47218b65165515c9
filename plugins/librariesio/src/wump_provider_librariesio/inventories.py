"""What the open data tells of repositories: who they are, and what their own manifests need.

Source: the description of the release's files, `repositories` and `repository_dependencies`. A row of the latter is one
line of a manifest. Rows of one repository mostly stand together; each such run is kept packed, so that what is kept
meanwhile is a fraction of the file, and is put together by repository at the end.
"""

import json
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from posixpath import dirname
from typing import IO, Any, NamedTuple

from wump_core import (
    Diagnostic,
    DumpTable,
    InvalidDump,
    InvalidPurl,
    InventoryRecord,
    ManifestRecord,
    RepositoryRecord,
    make_dependencies,
    make_printable,
    make_purl_text,
    read_text,
    read_time,
)

from wump_provider_librariesio.addresses import ECOSYSTEMS
from wump_provider_librariesio.dependencies import make_dependency_row, read_scope
from wump_provider_librariesio.parse import DOMAINS, GONE
from wump_provider_librariesio.spill import add_rows, writing

REPOSITORIES = "repositories-*.csv"
REPOSITORY_DEPENDENCIES = "repository_dependencies-*.csv"
MAX_ROWS = 100_000
"""Rows of a repository that are read."""
MAX_MANIFESTS = 1_000
MAX_DEPENDENCIES = 20_000
"""Of a repository, in all of its manifests."""
_RUN = 5_000

SCHEMA = """
CREATE TABLE repositories (id INTEGER PRIMARY KEY, host, path, uuid, description, fork, stars, pushed_at, branch);
CREATE TABLE runs (repository_id INTEGER, row INTEGER, line INTEGER, content BLOB);
CREATE TABLE wanted (id INTEGER PRIMARY KEY);
"""
_COLLECT = """
CREATE INDEX runs_of_repositories ON runs (repository_id);
INSERT OR IGNORE INTO wanted
  SELECT id FROM repositories WHERE id IN (
    SELECT repository_id FROM runs WHERE content IS NOT NULL UNION SELECT repository_id FROM projects);
"""
_FIND_LACKING = """
SELECT row, line, repository_id FROM runs WHERE repository_id NOT IN (SELECT id FROM repositories) ORDER BY row LIMIT 1
"""
_LIST_REPOSITORIES = """
SELECT id, host, path, uuid, description, fork, stars, pushed_at, branch FROM repositories
 WHERE id IN wanted AND host IS NOT NULL ORDER BY id"""
_LIST_RUNS = "SELECT repository_id, content FROM runs WHERE content IS NOT NULL ORDER BY repository_id, rowid"
_FLAGS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class _Line(NamedTuple):
    """One row of `repository_dependencies`."""

    ecosystem: str
    path: str
    branch: str
    is_lockfile: bool
    name: str
    requirement: str
    kind: str
    optional: bool


def read_repositories(spill: sqlite3.Connection, name: str, file: IO[bytes]) -> None:
    """Keep what is told of repositories; those on hosts without a known name, and those that are gone, only as known.

    Raises:
        InvalidDump: A column is missing, or a row can't be read.
    """
    columns = ("ID", "Host Type", "Name with Owner")
    # Releases differ in whether a flag is a question.
    optional = (
        *("UUID", "Description", "Fork", "Fork?", "Stars Count", "Last pushed Timestamp", "Default branch", "Status"),
        *("Private",),
    )
    table = DumpTable(name, file, columns, optional=optional)

    def rows() -> Iterator[tuple[Any, ...]]:
        for (
            text,
            host_type,
            path,
            uuid,
            description,
            fork,
            is_fork,
            stars,
            pushed,
            branch,
            status,
            private,
        ) in table.rows():
            key = table.number(text, "ID")
            host = DOMAINS.get(host_type.lower())
            if status in GONE or _FLAGS.get(private.lower()) or not _is_path(host, path):
                host = None
            flag = _FLAGS.get((fork or is_fork).lower())
            yield (key, host, path, uuid, description, flag, stars, pushed, branch)

    add_rows(spill, table, f"INSERT INTO repositories VALUES ({', '.join('?' * 9)})", rows())


def _is_path(host: str | None, path: str) -> bool:
    try:
        return host is not None and "/" in path and bool(RepositoryRecord(host=host, path=path))
    except ValueError:
        return False


def read_repository_dependencies(spill: sqlite3.Connection, name: str, file: IO[bytes]) -> None:
    """Keep the lines of manifests of the platforms that wump knows.

    Raises:
        InvalidDump: A column is missing, or a row can't be read.
    """
    columns = ("Repository ID", "Manifest Platform", "Manifest Filepath", "Dependency Project Name")
    optional = ("Git branch", "Manifest kind", "Dependency Requirements", "Dependency Kind", "Optional")
    table = DumpTable(name, file, columns, optional=optional)
    at_repository = table.find("Repository ID")

    def rows() -> Iterator[tuple[Any, ...]]:
        for text, group in groupby(table.whole_rows(), key=itemgetter(at_repository)):
            key = table.number(text, "Repository ID")
            row, line, is_new = table.row, table.line, True
            lines = (found for item in group if (found := _read_line(*table.pick(item))) is not None)
            while run := list(islice(lines, _RUN)):
                yield (key, row, line, zlib.compress(json.dumps(run).encode(), 1))
                is_new = False
            if is_new:
                yield (key, row, line, None)  # only of platforms that wump doesn't know: it must be there all the same

    add_rows(spill, table, "INSERT INTO runs VALUES (?, ?, ?, ?)", rows())


def _read_line(
    _: str,
    platform: str,
    path: str,
    name: str,
    branch: str,
    manifest_kind: str,
    requirement: str,
    kind: str,
    optional: str,
) -> _Line | None:
    ecosystem = ECOSYSTEMS.get(platform.lower())
    if ecosystem is None or not name or not path:
        return None
    is_lockfile = manifest_kind.lower() == "lockfile"
    return _Line(
        ecosystem,
        path.removeprefix("/"),
        branch,
        is_lockfile,
        name,
        requirement,
        kind,
        _FLAGS.get(optional.lower(), False),
    )


def collect_repositories(spill: sqlite3.Connection, names: Mapping[str, str]) -> int | None:
    """Put together what was read, by repository; returns how many there are, null where nothing tells of any.

    Args:
        names: Of the files that were read.

    Raises:
        InvalidDump: What manifests are said of is no repository.
    """
    if REPOSITORIES not in names:
        if REPOSITORY_DEPENDENCIES in names:
            raise InvalidDump(f"there is no {REPOSITORIES}, whose rows {names[REPOSITORY_DEPENDENCIES]} names")
        return None
    if (lacking := spill.execute(_FIND_LACKING).fetchone()) is not None:
        row, line, key = lacking
        place = f"{names[REPOSITORY_DEPENDENCIES]}, row {row} (line {line}), column Repository ID"
        raise InvalidDump(f"{place}: {key} names no row of {names[REPOSITORIES]}")
    with writing():
        spill.executescript(_COLLECT)
    (count,) = spill.execute(f"SELECT count(*) FROM ({_LIST_REPOSITORIES})").fetchone()
    return int(count)


def list_inventories(spill: sqlite3.Connection, *, is_told: bool) -> Iterator[InventoryRecord]:
    """The repositories that have manifests, or of which a project is published, in the order of their keys.

    Args:
        is_told: Whether there were `repository_dependencies`: without, what they need is not known.
    """
    groups = groupby(spill.execute(_LIST_RUNS), key=itemgetter(0))
    at, group = next(groups, (None, iter(())))
    for key, *said in spill.execute(_LIST_REPOSITORIES):
        while at is not None and at < key:
            at, group = next(groups, (None, iter(())))
        lines: Iterator[_Line] = iter(())
        if at == key:
            lines = (_Line(*line) for _, content in group for line in json.loads(zlib.decompress(content)))
        found = list(islice(lines, MAX_ROWS))
        yield _make_inventory(said, found, more=sum(1 for _ in lines), is_told=is_told)


def _make_inventory(said: list[Any], lines: list[_Line], *, more: int, is_told: bool) -> InventoryRecord:
    host, path, uuid, description, fork, stars, pushed_at, branch = said
    repository = RepositoryRecord(
        host=host,
        path=path,
        owner=path.rpartition("/")[0],
        host_id=read_text(uuid, 255),
        description=read_text(description),
        fork=None if fork is None else bool(fork),
        stars=int(stars) if stars.isdecimal() and len(stars) < 16 else None,
        pushed_at=_read_time(pushed_at),
        default_branch=read_text(branch, 255),
    )
    revision = next((text for line in lines if (text := read_text(line.branch, 255))), repository.default_branch)
    manifests = tuple(_make_manifests(lines, more)) if is_told else None
    return InventoryRecord(repository=repository, revision=revision, manifests=manifests)


def _read_time(text: str) -> datetime | None:
    """A moment as the files write it, `2020-01-12 08:00:00 UTC`."""
    return read_time(text.removesuffix(" UTC") + "+00:00") if text.endswith(" UTC") else read_time(text)


def _make_manifests(lines: list[_Line], more: int) -> Iterator[ManifestRecord]:
    """A record for each file, those near the root first, as far as there is room."""
    files: dict[str, list[_Line]] = {}
    stated: set[tuple[str, str, str]] = set()
    for line in lines:
        files.setdefault(line.path, []).append(line)
        if not line.is_lockfile:
            stated.add(_place_of(line))
    room = MAX_DEPENDENCIES
    ordered = sorted(files, key=lambda path: (path.count("/"), path))
    more += sum(len(files[path]) for path in ordered[MAX_MANIFESTS:])
    for path in ordered[:MAX_MANIFESTS]:
        # Which of a lockfile's packages are direct, only the manifest beside it says.
        wanted = [line for line in files[path] if not line.is_lockfile or _place_of(line) in stated]
        taken = wanted[:room]
        room -= len(taken)
        left_out, more = len(wanted) - len(taken) + more, 0
        if wanted and (record := _make_manifest(path, taken, left_out)):
            yield record


def _place_of(line: _Line) -> tuple[str, str, str]:
    """What a manifest and the lockfile beside it have in common where both name a package."""
    return line.ecosystem, dirname(line.path), line.name


def _make_manifest(path: str, lines: list[_Line], left_out: int) -> ManifestRecord | None:
    rows, diagnostics = [], []
    for line in lines:
        try:
            rows.append(_make_row(line))
        except InvalidPurl as error:
            diagnostics.append(Diagnostic(message=make_printable(f"an entry was left out: {error}", 2_000)))
    dependencies, refused = make_dependencies(rows)
    if left_out > 0:
        diagnostics.insert(0, Diagnostic(message=f"{left_out:,} more dependencies were left out"))
    try:
        return ManifestRecord(
            path=path,
            format=path.rpartition("/")[2],
            ecosystem=lines[0].ecosystem if lines else "unknown",
            kind="lockfile" if lines and lines[0].is_lockfile else "manifest",
            status="partial" if diagnostics or refused else "ok",
            dependencies=tuple(dependencies),
            diagnostics=tuple([*diagnostics, *refused][:500]),
        )
    except ValueError:
        return None  # its path is none that can be shown


def _make_row(line: _Line) -> dict[str, Any]:
    """A row for `make_dependencies`.

    Raises:
        InvalidPurl: No package can have that name.
    """
    if line.is_lockfile:
        scope, optional = read_scope(line.kind, optional=line.optional)
        return {
            "purl": make_purl_text(line.ecosystem, line.name),
            "name": line.name,
            "resolved_version": read_text(line.requirement, 255),
            "scope": scope,
            "optional": optional,
            "field": read_text(line.kind, 255),
        }
    return make_dependency_row(line.ecosystem, line.name, line.requirement, line.kind, optional=line.optional)
