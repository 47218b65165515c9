"""Hash partitions by package for the big tables: an option of an installation, which needs it to be stopped.

No revision knows of it: statements and revisions name the tables, and the database finds the partition. Each table
is turned over in a transaction of its own, so that a run that ends early can be run again, and everything that reads
or writes works with any mixture meanwhile.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.store import metadata
from wump_core.store.audit import build_keys

TABLES = ("statements", "dependencies", "package_organizations")
MOST_PARTITIONS = 128
"""Deriving everything anew locks all partitions and their indexes at once; more don't fit Postgres' lock table."""
GB = 2**30

_NEW = "partitions_new"
_LOCK_TIMEOUT = "10s"
# A new copy of a table is never larger than the old one; building its indexes sorts in temporary files.
_SPACE_FACTOR = 1.3
# Postgres keeps about as much of its log, by default.
_LOG_BYTES = 2 * GB


@dataclass(frozen=True, slots=True)
class Layout:
    """How a big table lies on disk. No `partitions` are a plain table; `bytes` count indexes too."""

    table: str
    partitions: int
    bytes: int


async def list_layouts(engine: AsyncEngine) -> list[Layout]:
    """How the big tables lie on disk now."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT name, count(i.inhrelid) AS partitions,"
                " (pg_total_relation_size(to_regclass(name))"
                "   + coalesce(sum(pg_total_relation_size(i.inhrelid)), 0))::bigint AS bytes"
                " FROM unnest(CAST(:tables AS text[])) WITH ORDINALITY listed (name, place)"
                " LEFT JOIN pg_inherits i ON i.inhparent = to_regclass(name) GROUP BY name, place ORDER BY place"
            ),
            {"tables": list(TABLES)},
        )
        return [Layout(row.name, row.partitions, row.bytes) for row in rows]


def count_needed_bytes(layouts: list[Layout], partitions: int) -> int:
    """Bytes that must be free to turn over what has not this many partitions yet: one table at a time."""
    sizes = [layout.bytes for layout in layouts if layout.partitions != partitions]
    return int(_SPACE_FACTOR * max(sizes)) + _LOG_BYTES if sizes and max(sizes) else 0


def require_space(layouts: list[Layout], partitions: int, *, free_bytes: int) -> None:
    """Make sure that the disk has room for what `count_needed_bytes` says.

    Raises:
        ConfigurationError: It has not.
    """
    needed = count_needed_bytes(layouts, partitions)
    if free_bytes < needed:
        raise ConfigurationError(
            f"the disk has {free_bytes / GB:,.1f} GB free, and this needs up to {needed / GB:,.1f} GB: make room"
        )


async def require_stopped(engine: AsyncEngine) -> None:
    """Make sure that nobody else uses the database.

    Raises:
        ConfigurationError: Somebody does; the text names each connection.
    """
    async with engine.connect() as connection:
        rows = await connection.execute(
            text(
                "SELECT coalesce(nullif(application_name, ''), 'unnamed') || ' (pid ' || pid || ')'"
                " FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
                " AND pid <> pg_backend_pid() ORDER BY pid"
            )
        )
        others = list(rows.scalars())
    if others:
        raise ConfigurationError(
            f"the database is in use by {', '.join(others[:20])}: stop workers, schedulers, the API and other clients"
        )


async def partition_tables(engine: AsyncEngine, partitions: int, *, notify: Callable[[str], None]) -> None:
    """Give each big table this many partitions, or none. Tables that have them already are left alone.

    Args:
        engine: Connects as a role that may act as the tables' owner.
        partitions: 2 to 128; 0 makes plain tables again.
        notify: Is told about each table that is done.

    Raises:
        ConfigurationError: The number is out of range.
        ServerUnavailable: The database refused, as when its disk is full. The table it was at is as it was, those
            before it are done, and the next run goes on.
    """
    if partitions != 0 and not 2 <= partitions <= MOST_PARTITIONS:
        raise ConfigurationError(f"--partitions {partitions}: give 2 to {MOST_PARTITIONS}, or 0 for plain tables")
    for layout in await list_layouts(engine):
        if layout.partitions == partitions:
            notify(f"{layout.table}: is so already")
            continue
        started = time.monotonic()
        try:
            async with engine.begin() as connection:
                await _turn_over(connection, metadata.tables[layout.table], partitions)
        except DBAPIError as error:
            raise ServerUnavailable(
                f"{layout.table} stays as it was, the database refused: {str(error.orig).splitlines()[0][:300]}."
                " Tables named before are done; run this again to go on"
            ) from error
        async with engine.connect() as connection:
            maintenance = await connection.execution_options(isolation_level="AUTOCOMMIT")
            # Autovacuum never looks at the whole of a partitioned table, only at its parts.
            await maintenance.execute(text(f"VACUUM (ANALYZE) {layout.table}"))
        notify(f"{layout.table}: done, {time.monotonic() - started:.0f} s")


async def _turn_over(connection: AsyncConnection, table: Table, partitions: int) -> None:
    """Put a copy in the place of a table; keys and indexes are built behind the rows."""
    name = table.name
    owner = (
        await connection.execute(
            text("SELECT relowner::regrole::text FROM pg_class WHERE oid = to_regclass(:name)"), {"name": name}
        )
    ).scalar_one()
    settings = (f"lock_timeout = '{_LOCK_TIMEOUT}'", "statement_timeout = 0", "maintenance_work_mem = '256MB'")
    for setting in (*settings, f"ROLE {owner}"):
        await connection.execute(text(f"SET LOCAL {setting}"))
    await connection.execute(text(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"))
    by_package = "PARTITION BY HASH (package_id)" if partitions else ""
    await connection.execute(text(f"CREATE TABLE {_NEW} (LIKE {name} INCLUDING ALL EXCLUDING INDEXES) {by_package}"))
    parts = [f"{name}_{number + 1}_of_{partitions}" for number in range(partitions)]
    for number, part in enumerate(parts):
        await connection.execute(
            text(f"CREATE TABLE {part} PARTITION OF {_NEW} FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number})")
        )
    await connection.execute(text(f"INSERT INTO {_NEW} OVERRIDING SYSTEM VALUE SELECT * FROM {name}"))
    for statement in await _list_what_rows_do_not_hold(connection, name, parts or [_NEW]):
        await connection.execute(text(statement))
    sequence = await _move_sequence(connection, name)
    await connection.execute(text(f"DROP TABLE {name}"))
    await connection.execute(text(f"ALTER TABLE {_NEW} RENAME TO {name}"))
    if sequence:
        await connection.execute(text(f"ALTER SEQUENCE {sequence} RENAME TO {name}_id_seq"))
    await build_keys(connection, table)


async def _list_what_rows_do_not_hold(connection: AsyncConnection, name: str, parts: list[str]) -> list[str]:
    """Statements that repeat a table's settings of storage, which partitions have for themselves, and its grants."""
    options = await connection.execute(
        text(
            "SELECT array_to_string(c.reloptions, ', ') FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid"
            " WHERE to_regclass(:name) IN (c.oid, i.inhparent) AND c.reloptions IS NOT NULL LIMIT 1"
        ),
        {"name": name},
    )
    statements = [f"ALTER TABLE {part} SET ({found})" for found in options.scalars() for part in parts]
    grants = await connection.execute(
        text(
            "SELECT format('GRANT %s ON %I TO %s', privilege_type, CAST(:new AS text),"
            " CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)"
            " || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END"
            " FROM pg_class, aclexplode(relacl) WHERE oid = to_regclass(:name) AND grantee <> relowner"
        ),
        {"name": name, "new": _NEW},
    )
    return [*statements, *grants.scalars()]


async def _move_sequence(connection: AsyncConnection, name: str) -> str | None:
    """Let the copy's keys go on where the table's are; returns the copy's sequence."""
    old, new = (
        await connection.execute(
            text(
                "SELECT (SELECT s.objid::regclass::text FROM pg_depend s JOIN pg_class c ON c.oid = s.objid"
                "   AND c.relkind = 'S' WHERE s.refobjid = to_regclass(:old) AND s.deptype = 'i'),"
                " (SELECT s.objid::regclass::text FROM pg_depend s JOIN pg_class c ON c.oid = s.objid"
                "   AND c.relkind = 'S' WHERE s.refobjid = to_regclass(:new) AND s.deptype = 'i')"
            ),
            {"old": name, "new": _NEW},
        )
    ).one()
    if old is not None:
        await connection.execute(text(f"SELECT setval('{new}', last_value, is_called) FROM {old}"))
    return new
