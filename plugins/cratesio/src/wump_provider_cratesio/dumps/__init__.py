"""The database dump of crates.io, read into records: one for each crate, as its default version is.

Source: the README and the tables of crates.io's daily dump. The four tables that are needed may stand in any order, so
that a packed dump may have to be gone through more than once.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import msgspec
from pydantic import ValidationError
from wump_core import (
    Diagnostic,
    DumpInfo,
    DumpTable,
    InvalidDump,
    InvalidPurl,
    PackageRecord,
    make_dependencies,
    make_purl,
    make_purl_text,
    read_dump_files,
    reading_dump,
)

from wump_provider_cratesio.crates import make_record
from wump_provider_cratesio.dependencies import find_features, make_row
from wump_provider_cratesio.dumps.spill import DEFAULT, KNOWN, UNKNOWN, Crate, Spill

KINDS = ("normal", "build", "dev")
"""As the database numbers them."""

MAX_METADATA_BYTES = 1_000_000
MAX_DEPENDENCIES = 20_000
METADATA = "metadata.json"
_CRATES = ("id", "name", "description", "homepage", "documentation", "repository")
_DEFAULTS = ("version_id", "crate_id")
_VERSIONS = (
    *("id", "crate_id", "num", "license", "yanked", "description", "homepage", "documentation", "repository"),
    "features",
)
_DEPENDENCIES = ("id", "version_id", "crate_id", "explicit_name", "req", "kind", "optional", "target")


def read_dump(path: Path) -> Iterator[DumpInfo | PackageRecord]:
    """Read a dump: a `db-dump.tar.gz`, or the folder that it was unpacked to.

    Raises:
        InvalidDump: A file or column is missing, or a row can't be read; the text names it.
        OSError: It can't be opened.
    """
    with Spill() as spill:
        yield DumpInfo(made_at=_fill(spill, path), packages=spill.count())
        for crate in spill.list_crates():
            yield _make_package(crate)


def _fill(spill: Spill, path: Path) -> datetime | None:
    """Take what is needed of the dump; returns when it was made, where it says so."""
    made_at: datetime | None = None
    wanted = [METADATA, *_READERS]
    while any(name in wanted for name in _READERS):
        read = []
        for name, _, file in read_dump_files(path, wanted):
            if name == METADATA:
                made_at = _read_metadata(file)
                read.append(name)
            # What a table refers to must have been read before it.
            elif all(other in read or other not in wanted for other in _before(name)):
                _READERS[name](spill, name, file)
                read.append(name)
        wanted = [name for name in wanted if name not in read and name != METADATA]
        if wanted and not read:
            raise InvalidDump(f"{path} has no {wanted[0]}: it is no database dump of crates.io, or an old one")
    if (lacking := spill.find_lacking()) is not None:
        raise InvalidDump(
            f"data/default_versions.csv, row {lacking[0]}, column version_id: {lacking[1]} names no row of"
            " data/versions.csv"
        )
    return made_at


def _before(name: str) -> tuple[str, ...]:
    names = tuple(_READERS)
    return names[: names.index(name)]


def _read_metadata(file: IO[bytes]) -> datetime | None:
    with reading_dump(lambda: METADATA):
        content = file.read(MAX_METADATA_BYTES)
    try:
        told = msgspec.json.decode(content)
        return DumpInfo(made_at=told.get("timestamp")).made_at
    except (ValueError, RecursionError, AttributeError, ValidationError):
        raise InvalidDump(f"{METADATA}: expected an object with the moment `timestamp`") from None


def _read_crates(spill: Spill, name: str, file: IO[bytes]) -> None:
    table = DumpTable(name, file, _CRATES)

    def rows() -> Iterator[tuple[Any, ...]]:
        for key, crate, *said in table.rows():
            try:
                make_purl_text("cargo", crate)
            except InvalidPurl as error:
                table.refuse("name", str(error))
            spill.crates.mark(table.new_key(key, "id", spill.crates), KNOWN)
            yield (int(key), crate, *said)

    spill.add("crates", table, rows(), len(_CRATES))


def _read_defaults(spill: Spill, name: str, file: IO[bytes]) -> None:
    table = DumpTable(name, file, _DEFAULTS)

    def rows() -> Iterator[tuple[Any, ...]]:
        for version, crate in table.rows():
            table.require(crate, "crate_id", spill.crates, "data/crates.csv")
            spill.versions.mark(table.new_key(version, "version_id", spill.versions), DEFAULT)
            yield int(version), int(crate), table.row

    spill.add("defaults", table, rows(), 3)


def _read_versions(spill: Spill, name: str, file: IO[bytes]) -> None:
    table = DumpTable(name, file, _VERSIONS)
    crates, versions = spill.crates, spill.versions

    def rows() -> Iterator[tuple[Any, ...]]:
        at_key, at_crate = table.find("id"), table.find("crate_id")
        for row in table.whole_rows():
            number = table.number(row[at_key], "id")
            table.require(row[at_crate], "crate_id", crates, "data/crates.csv")
            if versions.look_up(number) != DEFAULT:
                versions.mark(table.new_key(row[at_key], "id", versions), KNOWN)
                continue
            _, _, *said = table.pick(row)
            try:
                msgspec.json.decode(said[-1] or "{}")
            except (ValueError, RecursionError):
                table.refuse("features", "is no JSON")
            yield (number, *said)

    spill.add("versions", table, rows(), len(_VERSIONS) - 1)


def _read_dependencies(spill: Spill, name: str, file: IO[bytes]) -> None:
    table = DumpTable(name, file, _DEPENDENCIES)
    crates, versions = spill.crates, spill.versions
    kinds = {str(number): number for number in range(len(KINDS))}
    booleans = {"t": 1, "f": 0}

    def rows() -> Iterator[tuple[Any, ...]]:
        # Most of all rows of a dump go through here, and most of them are of old versions.
        at_version, at_crate = table.find("version_id"), table.find("crate_id")
        version: str | None = None
        number, state = 0, UNKNOWN
        for row in table.whole_rows():
            crate = row[at_crate]
            if row[at_version] != version:  # mostly, a version's rows stand together
                version = row[at_version]
                number = table.require(version, "version_id", versions, "data/versions.csv")
                state = versions[number]
            try:
                is_crate = crates[int(crate)]
            except (IndexError, ValueError):
                is_crate = UNKNOWN
            if not is_crate or crate[0] == "-":
                table.require(crate, "crate_id", crates, "data/crates.csv")
            if state == DEFAULT:
                key, _, _, alias, requirement, kind, optional, target = table.pick(row)
                if kind not in kinds:
                    table.refuse("kind", f"{kind[:40]!r} is none of 0 (normal), 1 (build) and 2 (dev)")
                if optional not in booleans:
                    table.refuse("optional", f"{optional[:40]!r} is neither t nor f")
                yield (
                    *(table.number(key, "id"), number, table.number(crate, "crate_id")),
                    *(alias or None, requirement or None),
                    *(kinds[kind], booleans[optional], target or None),
                )

    spill.add("dependencies", table, rows(), len(_DEPENDENCIES))


_READERS: dict[str, Callable[[Spill, str, IO[bytes]], None]] = {
    "data/crates.csv": _read_crates,
    "data/default_versions.csv": _read_defaults,
    "data/versions.csv": _read_versions,
    "data/dependencies.csv": _read_dependencies,
}
"""The tables that are needed, each after those that it refers to."""


def _make_package(crate: Crate) -> PackageRecord:
    purl = make_purl("cargo", crate.name)
    if not crate.version:
        unknown = "the dump names no default version of it"
        return make_record(purl, crate.crate, {}, number=None, yanked=None, dependencies=None, unknown=unknown)
    is_any_optional = any(optional for _, _, _, _, optional, _ in crate.dependencies)
    groups = find_features(msgspec.json.decode(crate.features or "{}")) if is_any_optional else {}

    dependencies, diagnostics = make_dependencies(
        [
            make_row(
                crate=name,
                alias=alias,
                requirement=requirement,
                kind=KINDS[kind],
                optional=bool(optional),
                target=target,
                groups=groups.get(alias or name, ()),
            )
            for name, alias, requirement, kind, optional, target in crate.dependencies[:MAX_DEPENDENCIES]
        ]
    )
    if (more := len(crate.dependencies) - MAX_DEPENDENCIES) > 0:
        diagnostics.insert(0, Diagnostic(message=f"{more:,} more dependencies were left out"))
    return make_record(
        purl,
        crate.crate,
        crate.version,
        number=crate.version["num"],
        yanked=crate.version["yanked"],
        dependencies=tuple(dependencies),
        diagnostics=diagnostics,
    )
