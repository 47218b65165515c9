"""Repositories on code hosts. What only the host knows of one is null until a host provider tells."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text, UniqueConstraint, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.records import RepositoryClaim
from wump_core.store.accounts import add_account
from wump_core.store.base import key_column, metadata, public_id_column, time_column

repositories = Table(
    "repositories",
    metadata,
    key_column(),
    public_id_column(),
    Column("host", Text, nullable=False),
    Column("path", Text, nullable=False, comment="Path on the host, case-folded where the host ignores case."),
    Column("account_id", BigInteger, ForeignKey("accounts.id"), comment="Null: the owner is unknown."),
    Column("stars", BigInteger, comment="Null: unknown."),
    time_column("pushed_at"),
    time_column("created_at", nullable=False, default_now=True),
    UniqueConstraint("host", "path"),
    Index("ix_repositories_account_id", "account_id"),
)


@dataclass(frozen=True, slots=True)
class Repository:
    """Keys of a repository and of the organization that owns it (null where the owner is unknown)."""

    id: int
    organization_id: int | None


async def add_repository(connection: AsyncConnection, claim: RepositoryClaim) -> Repository:
    """Find the claimed repository, or add it with its owner."""
    account = await add_account(connection, claim.host, claim.owner) if claim.owner else None
    name = {"host": claim.host, "path": claim.path, "account_id": account.id if account else None}
    await connection.execute(
        text(
            "INSERT INTO repositories (host, path, account_id) SELECT :host, :path, CAST(:account_id AS bigint)"
            " WHERE NOT EXISTS (SELECT FROM repositories WHERE host = :host AND path = :path) ON CONFLICT DO NOTHING"
        ),
        name,
    )
    row = (
        await connection.execute(
            text(
                "SELECT r.id, a.organization_id FROM repositories r LEFT JOIN accounts a ON a.id = r.account_id"
                " WHERE r.host = :host AND r.path = :path"
            ),
            {"host": claim.host, "path": claim.path},
        )
    ).one()
    return Repository(row.id, row.organization_id)
