"""Imports of dumps: how far each has come, so that one that was stopped goes on where it was.

The position is written in the transaction that saves the records before it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.records import DumpInfo, PackageRecord
from wump_core.store.base import key_column, metadata, time_column

imports = Table(
    "imports",
    metadata,
    key_column(),
    Column("provider", Text, nullable=False),
    Column("dump", Text, nullable=False, comment="What tells it from the provider's other dumps."),
    time_column("made_at", comment="When the upstream made it; null: it does not say."),
    Column("packages", BigInteger, comment="How many it holds; null: it does not say."),
    Column("deferred", Boolean, nullable=False, comment="What follows from its statements is derived at its end."),
    Column("position", BigInteger, nullable=False, server_default=text("0"), comment="How many records are done."),
    Column("saved", BigInteger, nullable=False, server_default=text("0")),
    Column("unchanged", BigInteger, nullable=False, server_default=text("0"), comment="Known as they are."),
    Column("kept", BigInteger, nullable=False, server_default=text("0"), comment="Newer or better facts were kept."),
    Column("error", Text, comment="Why it stopped; null: it did not."),
    time_column("started_at", nullable=False, default_now=True),
    time_column("finished_at"),
    Index("uq_imports_unfinished", "provider", "dump", unique=True, postgresql_where=text("finished_at IS NULL")),
    CheckConstraint("position = saved + unchanged + kept", name="position"),
)


@dataclass(frozen=True, slots=True)
class Import:
    """An import that is not finished: its key, how many records are done, and whether deriving waits for its end."""

    id: int
    position: int
    deferred: bool


async def start_import(connection: AsyncConnection, provider: str, dump: str, info: DumpInfo) -> Import:
    """Begin an import, or go on with the one of the same dump that was stopped.

    Deriving is put off where most of the dump is new here and it is a good part of all that is known: then all of it
    is derived at once in the end.
    """
    values = {
        "provider": provider,
        "dump": dump,
        "made_at": info.made_at,
        "packages": info.packages,
        "repositories": info.repositories,
    }
    row = (await connection.execute(_GET, values)).one_or_none()
    if row is None:
        row = (await connection.execute(_START, values)).one()
    return Import(row.id, row.position, row.deferred)


async def save_position(
    connection: AsyncConnection, import_id: int, *, saved: int = 0, unchanged: int = 0, kept: int = 0
) -> None:
    """Note that so many more records are done, in the transaction that saves them."""
    values = {"id": import_id, "saved": saved, "unchanged": unchanged, "kept": kept}
    await connection.execute(_ADVANCE, values)


async def save_import_error(connection: AsyncConnection, import_id: int, reason: str) -> None:
    """Note why an import stopped."""
    await connection.execute(
        text("UPDATE imports SET error = :reason WHERE id = :id"), {"id": import_id, "reason": reason}
    )


async def analyze_facts(connection: AsyncConnection) -> None:
    """Bring the statistics of all that was loaded up to date: planned without, deriving looks up row by row."""
    await connection.execute(text(f"ANALYZE {_JOINED}"))


async def finish_import(connection: AsyncConnection, import_id: int) -> dict[str, int]:
    """Note that all is done; returns how many records were `saved`, `unchanged` and `kept`."""
    row = (await connection.execute(_FINISH, {"id": import_id})).one()
    return dict(row._mapping)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a batch's packages: those whose facts stay, and those that the provider told of before."""

    settled: frozenset[str]
    told: frozenset[str]


async def list_known_packages(
    connection: AsyncConnection, provider: str, records: Iterable[PackageRecord], *, made_at: datetime | None, own: bool
) -> Known:
    """Which facts are not replaced by these, since newer ones are known, or better ones; and which are compared.

    Args:
        provider: Who tells the records.
        records: One per package.
        made_at: When the provider said so; null: unknown, and nothing is newer.
        own: It is the packages' registry; else facts of another provider are better.
    """
    values = {"provider": provider, "purls": [record.purl for record in records], "made_at": made_at, "own": own}
    rows = (await connection.execute(_LIST_KNOWN, values)).all()
    return Known(
        frozenset(row.purl for row in rows if row.settled), frozenset(row.purl for row in rows if not row.settled)
    )


async def save_told(connection: AsyncConnection, provider: str, purls: Collection[str], told_at: datetime) -> None:
    """Note that a provider told of these packages then, as if it had been asked for each."""
    values = {"provider": provider, "purls": sorted(purls), "told_at": told_at}
    await connection.execute(_SAVE_TOLD, values)


# By what deriving joins them alone: of texts there is too much to look at.
_JOINED = (
    "packages (id, repository_id, organization_id), sources (id, package_id, repository_id),"
    " statements (package_id, source_id, direct, removed_at), repositories (id, account_id),"
    " accounts (id, organization_id), organizations (id)"
)
_GET = text(
    "SELECT id, position, deferred FROM imports WHERE provider = :provider AND dump = :dump AND finished_at IS NULL"
)
# Counting is cheap beside an import. What the statistics believe about statements is near enough here.
_START = text(
    "INSERT INTO imports (provider, dump, made_at, packages, deferred)"
    " SELECT :provider, :dump, CAST(:made_at AS timestamptz), :packages, coalesce("
    "   (SELECT count(*) FROM packages WHERE provider = :provider) + (SELECT count(DISTINCT repository_id)"
    "     FROM sources WHERE provider = :provider AND package_id IS NULL) < held / 2"
    "   AND (SELECT greatest(c.reltuples, 0) FROM pg_class c WHERE c.oid = 'statements'::regclass)"
    "     <= held * 50, false)"
    " FROM (SELECT CAST(:packages AS bigint) + coalesce(CAST(:repositories AS bigint), 0) AS held) dump"
    " RETURNING id, position, deferred"
)
_ADVANCE = text(
    "UPDATE imports SET position = position + :saved + :unchanged + :kept, saved = saved + :saved,"
    " unchanged = unchanged + :unchanged, kept = kept + :kept, error = NULL WHERE id = :id"
)
_FINISH = text("UPDATE imports SET finished_at = now(), error = NULL WHERE id = :id RETURNING saved, unchanged, kept")
_LIST_KNOWN = text(
    "SELECT purl, coalesce(fetched_at > CAST(:made_at AS timestamptz), false) OR (provider <> :provider AND NOT :own)"
    " AS settled FROM packages WHERE purl = ANY(CAST(:purls AS text[])) AND provider IS NOT NULL"
)
_SAVE_TOLD = text(
    "INSERT INTO provider_subjects AS s (provider, capability, subject, last_attempt_at, last_ok_at)"
    " SELECT :provider, 'fetch_package', subject, :told_at, :told_at FROM unnest(CAST(:purls AS text[])) subject"
    " ON CONFLICT (subject, capability, provider) DO UPDATE SET last_attempt_at = excluded.last_attempt_at,"
    " last_ok_at = excluded.last_ok_at, error = NULL WHERE s.last_attempt_at < excluded.last_attempt_at"
)
