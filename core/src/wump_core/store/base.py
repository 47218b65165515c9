"""What every table shares: metadata, naming, column kinds, and how to reach the database."""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
from pydantic import SecretStr
from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, MetaData, Uuid, func, literal_column, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from wump_core.errors import ConfigurationError

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def key_column() -> Column[int]:
    """A bigint key for joins; it never leaves the database."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def public_id_column() -> Column[Any]:
    """The id that leaves the database."""
    return Column("public_id", Uuid, nullable=False, server_default=text("uuidv7()"), unique=True)


def time_column(
    name: str, *, nullable: bool = True, default_now: bool = False, comment: str | None = None
) -> Column[Any]:
    """A moment, with its zone."""
    return Column(
        name,
        DateTime(timezone=True),
        nullable=nullable,
        server_default=text("now()") if default_now else None,
        comment=comment,
    )


def prefix_index(table: str, column: str) -> Index:
    """An index by which a search finds names that begin so, in whatever case."""
    folded = func.lower(literal_column(column)).label(column)
    return Index(f"ix_{table}_{column}_prefix", folded, postgresql_ops={column: "text_pattern_ops"})


def prefix_end(prefix: str) -> str:
    """A text that is above all that begin so, byte by byte: with `~>=~` and `~<=~`, a range of such an index."""
    return prefix + "\U0010ffff"


def make_engine(
    database_url: SecretStr, *, application_name: str, pool_size: int = 5, statement_timeout_ms: int = 30_000
) -> AsyncEngine:
    """An engine on asyncpg whose every wait is bounded. asyncpg reads the URL itself, with all it says of TLS.

    Raises:
        ConfigurationError: The URL can't be read.
    """
    text_url = database_url.get_secret_value()
    try:
        url = make_url(text_url).set(drivername="postgresql+asyncpg")
    except Exception:
        raise ConfigurationError(
            "WUMP_DATABASE_URL or WUMP_READ_DATABASE_URL is not a database URL: postgresql://user:password@host/name"
        ) from None
    settings = {"application_name": application_name, "statement_timeout": str(statement_timeout_ms)}

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(
            text_url, timeout=5, command_timeout=statement_timeout_ms / 1000 + 5, server_settings=settings
        )

    return create_async_engine(
        url,
        async_creator=connect,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=2,
        pool_pre_ping=False,
    )


async def raw_connection(connection: AsyncConnection) -> Any:
    """The asyncpg connection beneath, in the same transaction, for COPY and for fixed statements."""
    return (await connection.get_raw_connection()).driver_connection


async def fill_temporary_table(
    connection: AsyncConnection, name: str, definition: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """COPY rows into a temporary table that empties itself when the transaction ends.

    The table is made once per connection, so that a busy worker doesn't fill Postgres' catalogue with the
    remains of dropped ones.
    """
    await connection.execute(text(f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({definition}) ON COMMIT DELETE ROWS"))
    await connection.execute(text(f"DELETE FROM {name}"))
    raw = await raw_connection(connection)
    await raw.copy_records_to_table(name, schema_name="pg_temp", columns=list(columns), records=rows)
