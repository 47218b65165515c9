"""Takedowns: accounts that asked to be named nowhere. They are kept as names, so that no new fact brings them back.

Pairs of such an account are excluded as `suppressed` by the definition of a dependency itself, so what is derived,
verified, rebuilt and ingested anew honours the list. What only names accounts looks here when it is read.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Table, Text, UniqueConstraint, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import key_column, metadata, public_id_column, time_column
from wump_core.store.dependencies import Pair

takedowns = Table(
    "takedowns",
    metadata,
    key_column(),
    public_id_column(),
    Column("host", Text, nullable=False),
    Column("login", Text, nullable=False, comment="Case-folded login, or nested group path."),
    Column("reason", Text, comment="For the operator's own record; never shown to others."),
    Column("created_by", Text, comment="The key that asked for it; null: the command line on the machine itself."),
    time_column("created_at", nullable=False, default_now=True),
    UniqueConstraint("host", "login"),
)

_SHOWN = "public_id AS id, host, login, reason, created_by, created_at"


def is_suppressed(table: str) -> str:
    """The condition, in SQL, that the account or organization of this row is taken down."""
    return f"EXISTS (SELECT FROM takedowns td WHERE td.host = {table}.host AND td.login = {table}.login)"


async def add_takedown(
    connection: AsyncConnection, host: str, login: str, *, reason: str | None, created_by: str | None
) -> list[Mapping[str, Any]]:
    """Take down an account and all others of its organization, known or not; returns their rows, old or new."""
    rows = await connection.execute(
        text(
            "INSERT INTO takedowns (host, login, reason, created_by)"
            f" SELECT host, login, :reason, :created_by FROM ({_OF_ONE_OWNER}) named"
            " ORDER BY host, login ON CONFLICT (host, login) DO UPDATE SET reason = coalesce(excluded.reason,"
            f" takedowns.reason) RETURNING {_SHOWN}"
        ),
        {"host": host, "login": login, "reason": reason, "created_by": created_by},
    )
    return [row._mapping for row in rows]


async def delete_takedown(connection: AsyncConnection, public_id: UUID) -> Mapping[str, Any] | None:
    """Let an account be named again; returns the row as it was, null if there is none."""
    row = (
        await connection.execute(
            text(f"DELETE FROM takedowns WHERE public_id = :id RETURNING {_SHOWN}"), {"id": public_id}
        )
    ).first()
    return row._mapping if row else None


async def list_takedowns(
    connection: AsyncConnection, *, after: tuple[str, str] | None, limit: int
) -> Sequence[Mapping[str, Any]]:
    """A page of them, by host and login."""
    host, login = after or ("", "")
    rows = await connection.execute(
        text(f"SELECT {_SHOWN} FROM takedowns WHERE (host, login) > (:host, :login) ORDER BY host, login LIMIT :limit"),
        {"host": host, "login": login, "limit": limit},
    )
    return [row._mapping for row in rows]


async def get_takedown(connection: AsyncConnection, public_id: UUID) -> Mapping[str, Any] | None:
    """One of them."""
    row = (
        await connection.execute(text(f"SELECT {_SHOWN} FROM takedowns WHERE public_id = :id"), {"id": public_id})
    ).first()
    return row._mapping if row else None


async def list_pairs_of_account(
    connection: AsyncConnection, host: str, login: str, *, after: int, limit: int
) -> tuple[list[Pair], int | None]:
    """The pairs of some repositories of an account, and the key of the last of these; null: there are no more."""
    repositories = await connection.execute(
        text(
            "SELECT r.id FROM repositories r JOIN accounts a ON a.id = r.account_id"
            " WHERE a.host = :host AND a.login = :login AND r.id > :after ORDER BY r.id LIMIT :limit"
        ),
        {"host": host, "login": login, "after": after, "limit": limit},
    )
    ids = list(repositories.scalars())
    if not ids:
        return [], None
    pairs = await connection.execute(
        text("SELECT package_id, repository_id FROM dependencies WHERE repository_id = ANY(CAST(:ids AS bigint[]))"),
        {"ids": ids},
    )
    return [(row.package_id, row.repository_id) for row in pairs], ids[-1]


_OF_ONE_OWNER = (
    "SELECT CAST(:host AS text) AS host, CAST(:login AS text) AS login"
    " UNION SELECT other.host, other.login FROM accounts a JOIN accounts other"
    " ON other.organization_id = a.organization_id WHERE a.host = :host AND a.login = :login"
    " UNION SELECT o.host, o.login FROM accounts a JOIN organizations o ON o.id = a.organization_id"
    " WHERE a.host = :host AND a.login = :login"
)
