"""Repositories on code hosts. What only the host knows of one is null until a host provider tells."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text, UniqueConstraint, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.records import RepositoryClaim
from wump_core.store.accounts import GIVEN_NAMES, add_accounts, name_arrays
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


RepositoryName = tuple[str, str]
"""(host, path)"""


async def add_repositories(
    connection: AsyncConnection, claims: Iterable[RepositoryClaim]
) -> dict[RepositoryName, Repository]:
    """Find the claimed repositories, or add them with their owners; returns their keys by name."""
    owners = {(claim.host, claim.path): claim.owner for claim in claims}
    known = await _list_repositories(connection, owners)
    missing = sorted(owners.keys() - known.keys())
    if missing:
        wanted = {(host, owner) for host, path in missing if (owner := owners[host, path])}
        accounts = await add_accounts(connection, wanted) if wanted else {}
        found = [accounts.get((host, owners[host, path] or "")) for host, path in missing]
        account_ids = [account.id if account else None for account in found]
        await connection.execute(_ADD, name_arrays(missing) | {"account_ids": account_ids})
        known |= await _list_repositories(connection, missing)
    return known


async def _list_repositories(
    connection: AsyncConnection, names: Collection[RepositoryName]
) -> dict[RepositoryName, Repository]:
    rows = await connection.execute(_LIST, name_arrays(names))
    return {(row.host, row.name): Repository(row.id, row.organization_id) for row in rows}


_LIST = text(
    f"SELECT given.host, given.name, r.id, a.organization_id FROM {GIVEN_NAMES}"
    " JOIN repositories r ON r.host = given.host AND r.path = given.name"
    " LEFT JOIN accounts a ON a.id = r.account_id"
)
_ADD = text(
    "INSERT INTO repositories (host, path, account_id) SELECT * FROM unnest(CAST(:hosts AS text[]),"
    " CAST(:names AS text[]), CAST(:account_ids AS bigint[])) ON CONFLICT DO NOTHING"
)
