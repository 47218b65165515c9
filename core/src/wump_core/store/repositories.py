"""Repositories on code hosts. What only the host knows of one is null until a host provider tells."""

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Row, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
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
    Column("host_id", Text, comment="The host's own id, which outlives renames."),
    Column("current_path", Text, comment="What the host calls it now, as it writes it."),
    Column(
        "renamed_to", BigInteger, ForeignKey("repositories.id"), comment="Who has taken over its facts; null: itself."
    ),
    Column("description", Text),
    Column("default_branch", Text),
    Column("stars", BigInteger, comment="Null: unknown."),
    Column("fork", Boolean, comment="Null: unknown."),
    Column("archived", Boolean, comment="Null: unknown."),
    Column("template", Boolean, comment="Null: unknown."),
    Column("funding", JSONB, comment="What its own files and its host say; null: not asked yet."),
    Column("revision", Text, comment="The commit whose files were read last."),
    Column("files_incomplete", Text, comment="Why not all files that count were read; null: they were."),
    Column("missing", Text, comment="Why the host does not show it (any more); null: it does."),
    time_column("pushed_at"),
    time_column("fetched_at"),
    time_column("files_at", comment="When its files were read last."),
    time_column("missing_since", comment="When the host did not show it first; null: it does."),
    time_column("created_at", nullable=False, default_now=True),
    UniqueConstraint("host", "path"),
    Index("ix_repositories_account_id", "account_id", "id"),
    Index("ix_repositories_host_id", "host", "host_id", postgresql_where=text("host_id IS NOT NULL")),
    Index("ix_repositories_renamed_to", "renamed_to", postgresql_where=text("renamed_to IS NOT NULL")),
    Index("ix_repositories_fetched_at", "fetched_at", postgresql_where=text("fetched_at IS NOT NULL")),
)


RepositoryName = tuple[str, str]
"""(host, path)"""


async def add_repositories(connection: AsyncConnection, claims: Iterable[RepositoryClaim]) -> dict[RepositoryName, int]:
    """Find the claimed repositories, or add them with their owners; returns their keys by the name that is claimed.

    The key of one that was renamed is that of its name of today.
    """
    return {name: row.home for name, row in (await _find_or_add(connection, claims)).items()}


async def add_named_repositories(
    connection: AsyncConnection, claims: Iterable[RepositoryClaim]
) -> dict[RepositoryName, int]:
    """The same for the rows of these very names, wherever the facts of a renamed one are."""
    return {name: row.id for name, row in (await _find_or_add(connection, claims)).items()}


async def _find_or_add(
    connection: AsyncConnection, claims: Iterable[RepositoryClaim]
) -> dict[RepositoryName, Row[Any]]:
    owners = {(claim.host, claim.path): claim.owner for claim in claims}
    known = await _list_repositories(connection, owners)
    missing = sorted(owners.keys() - known.keys())
    if missing:
        # Hosts ignore the case of logins, but not always that of paths.
        wanted = {(host, owner.lower()) for host, path in missing if (owner := owners[host, path])}
        accounts = await add_accounts(connection, wanted) if wanted else {}
        found = [accounts.get((host, (owners[host, path] or "").lower())) for host, path in missing]
        account_ids = [account.id if account else None for account in found]
        await connection.execute(_ADD, name_arrays(missing) | {"account_ids": account_ids})
        known |= await _list_repositories(connection, missing)
    return known


async def _list_repositories(
    connection: AsyncConnection, names: Collection[RepositoryName]
) -> dict[RepositoryName, Row[Any]]:
    rows = (await connection.execute(_LIST, name_arrays(names))).all()
    return {(row.host, row.name): row for row in rows}


async def save_missing_repository(connection: AsyncConnection, repository_id: int, reason: str) -> None:
    """Note that the host does not show it (any more). What is known of it stays, dated."""
    await connection.execute(
        text(
            "UPDATE repositories SET missing = :reason, missing_since = coalesce(missing_since, now()),"
            " fetched_at = now() WHERE id = :id"
        ),
        {"id": repository_id, "reason": reason},
    )


_LIST = text(
    f"SELECT given.host, given.name, r.id, coalesce(r.renamed_to, r.id) AS home FROM {GIVEN_NAMES}"
    " JOIN repositories r ON r.host = given.host AND r.path = given.name"
)
_ADD = text(
    "INSERT INTO repositories (host, path, account_id) SELECT * FROM unnest(CAST(:hosts AS text[]),"
    " CAST(:names AS text[]), CAST(:account_ids AS bigint[])) ON CONFLICT DO NOTHING"
)
