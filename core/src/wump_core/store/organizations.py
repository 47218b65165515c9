"""Organizations: which accounts are one, what shows it, and what changes with that. All of it can be undone.

An organization that was absorbed keeps its row, without accounts, so that undoing gives it back what it had.
A transaction may merge, undo or separate once: what it locks is locked in one order.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.errors import ServerUnavailable, WumpError
from wump_core.store.base import key_column, metadata, public_id_column, time_column
from wump_core.store.dependencies import list_pairs_of_organizations
from wump_core.store.derived import lock_packages, refresh_derived

Evidence = Literal["host_id", "verified_domain", "operator"]
"""What shows that two organizations are one: the host's id of an account, a domain that two hosts checked, a person."""
MAX_PAIRS = 500_000
"""More than this is not brought up to date in one transaction."""


class TooMuchAtOnce(WumpError):
    """A change touches more rows than one transaction should hold; the text says how many."""


organization_merges = Table(
    "organization_merges",
    metadata,
    key_column(),
    public_id_column(),
    Column("absorbed_id", BigInteger, ForeignKey("organizations.id"), nullable=False),
    Column("into_id", BigInteger, ForeignKey("organizations.id"), nullable=False),
    Column("account_ids", ARRAY(BigInteger), nullable=False, comment="The accounts that moved with it."),
    Column("evidence", Text, nullable=False, comment="What shows that both are one."),
    Column("detail", Text, nullable=False, comment="The evidence in words."),
    time_column("merged_at", nullable=False, default_now=True),
    time_column("undone_at", comment="Null: it holds."),
    Column("undone_because", Text),
    CheckConstraint("evidence IN ('host_id', 'verified_domain', 'operator')", name="evidence"),
    Index("ix_organization_merges_absorbed_id", "absorbed_id"),
    Index("ix_organization_merges_into_id", "into_id"),
)


async def merge_organizations(
    connection: AsyncConnection, absorbed_id: int, into_id: int, evidence: Evidence, detail: str
) -> UUID | None:
    """Let the accounts of one organization belong to another, with all that is derived; returns the merge's public id.

    Null where nothing is done: both are one already, or a merge of the two was undone, which only an operator does
    again.

    Raises:
        ServerUnavailable: Accounts or repositories came meanwhile: try again.
        TooMuchAtOnce: It is too much for one transaction.
    """
    await lock_organizations(connection)
    standing = (await connection.execute(_LIST_STANDING, {"ids": [absorbed_id, into_id]})).all()
    if absorbed_id == into_id or any(row.merged_into is not None for row in standing):
        return None
    if evidence != "operator" and await _was_undone(connection, absorbed_id, into_id):
        return None
    account_ids = frozenset((await connection.execute(_LIST_ACCOUNTS, {"id": absorbed_id})).scalars())
    await _move(connection, await _lock_moving(connection, account_ids, into_id), into_id)
    values = {"absorbed_id": absorbed_id, "into_id": into_id, "evidence": evidence, "detail": detail}
    await connection.execute(_SAVE_MERGED_INTO, {"id": absorbed_id, "into_id": into_id})
    saved = await connection.execute(_ADD_MERGE, values | {"account_ids": sorted(account_ids)})
    public_id: UUID = saved.scalar_one()
    return public_id


async def undo_merge(connection: AsyncConnection, public_id: UUID, *, because: str) -> None:
    """Give an absorbed organization back the accounts that it brought, with all that is derived.

    An account that belongs to somebody else by now stays there.

    Raises:
        WumpError: There is no such merge, or it was undone before.
        ServerUnavailable: Accounts or repositories came meanwhile: try again.
    """
    await lock_organizations(connection)
    merge = (await connection.execute(_GET_MERGE, {"public_id": public_id})).first()
    if merge is None:
        raise WumpError(f"there is no merge {public_id}: `wump merges` lists them")
    if merge.undone_at is not None:
        raise WumpError(f"the merge {public_id} was undone before")
    rows = await connection.execute(_LIST_TO_RETURN, {"ids": merge.account_ids, "into_id": merge.into_id})
    account_ids = frozenset(rows.scalars())
    moving = await _lock_moving(connection, account_ids, merge.absorbed_id)
    await connection.execute(_SAVE_MERGED_INTO, {"id": merge.absorbed_id, "into_id": None})
    await connection.execute(_SAVE_UNDONE, {"id": merge.id, "because": because})
    await _move(connection, moving, merge.absorbed_id)


async def separate_account(connection: AsyncConnection, account_id: int, *, because: str) -> bool:
    """Let an account be an organization of its own again: whoever has its name now is somebody else.

    True: that is not all; it must be called again, in another transaction.

    Raises:
        ServerUnavailable: Repositories came meanwhile: try again.
    """
    await lock_organizations(connection)
    own = (await connection.execute(_GET_OWN_ORGANIZATION, {"id": account_id})).one()
    if own.id == own.organization_id:
        merged = (await connection.execute(_LIST_MERGED_INTO, {"id": own.id})).scalars().all()
        if merged:
            await undo_merge(connection, merged[0], because=because)
        return len(merged) > 1
    moving = await _lock_moving(connection, frozenset([account_id]), own.id)
    await connection.execute(_SAVE_MERGED_INTO, {"id": own.id, "into_id": None})
    await connection.execute(_SAVE_UNDONE_OF, {"absorbed_id": own.id, "because": because})
    await _move(connection, moving, own.id)
    return False


async def list_merges(connection: AsyncConnection, *, limit: int = 100) -> list[Mapping[str, Any]]:
    """The newest merges, with the names of both organizations."""
    return [row._mapping for row in await connection.execute(_LIST_MERGES, {"limit": limit})]


async def get_organization_id(connection: AsyncConnection, host: str, login: str) -> int | None:
    """The organization that an account belongs to."""
    found = await connection.execute(_GET_ORGANIZATION_ID, {"host": host, "login": login.lower()})
    return found.scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class _Moving:
    """Accounts that change their organization, and what of them was locked."""

    account_ids: frozenset[int]
    repositories: frozenset[int]
    organizations: frozenset[int]


async def lock_organizations(connection: AsyncConnection) -> None:
    """Let nobody else change which accounts are whose, or who they are, until the end. Comes before all other locks."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


async def lock_belongings(connection: AsyncConnection, account_ids: Collection[int]) -> frozenset[int]:
    """Lock the repositories of accounts, then the accounts, so that none comes or goes; returns the repositories.

    Whoever derives rows from one of them is done by then, and whoever does so later sees what is committed here.

    Raises:
        ServerUnavailable: A repository came while this was waited for: try again.
    """
    values = {"ids": sorted(account_ids)}
    found = frozenset((await connection.execute(_LIST_REPOSITORIES, values)).scalars())
    await connection.execute(_LOCK_REPOSITORIES, {"ids": sorted(found)})
    await connection.execute(_LOCK_ACCOUNTS, values)
    if frozenset((await connection.execute(_LIST_REPOSITORIES, values)).scalars()) != found:
        raise ServerUnavailable("repositories of an account came or went meanwhile: it is tried again")
    return found


async def _lock_moving(connection: AsyncConnection, account_ids: frozenset[int], target_id: int) -> _Moving:
    found = await connection.execute(_LIST_ORGANIZATIONS, {"ids": sorted(account_ids)})
    organizations = frozenset(found.scalars()) | {target_id}
    return _Moving(account_ids, await lock_belongings(connection, account_ids), organizations)


async def _move(connection: AsyncConnection, moving: _Moving, target_id: int) -> None:
    """Repoint accounts and packages, and derive anew all that depends on who owns them."""
    values = {"ids": sorted(moving.repositories)}
    own = frozenset((await connection.execute(_LIST_OWN_PACKAGES, values)).scalars())
    stated = frozenset((await connection.execute(_LIST_STATED, values)).scalars())
    await lock_packages(connection, writing=own, reading=stated - own)
    await connection.execute(_MOVE_ACCOUNTS, {"ids": sorted(moving.account_ids), "target_id": target_id})
    await connection.execute(_MOVE_PACKAGES, {"ids": sorted(own), "target_id": target_id})
    rows = await connection.execute(_LIST_PAIRS, values)
    pairs = {(row.package_id, row.repository_id) for row in rows}
    owned = [(package_id, key) for package_id in sorted(own) for key in sorted(moving.organizations)]
    pairs.update(await list_pairs_of_organizations(connection, owned) if owned else ())
    if len(pairs) > MAX_PAIRS:
        raise TooMuchAtOnce(f"{len(pairs):,} dependencies change their owner, at most {MAX_PAIRS:,} do at once")
    await refresh_derived(connection, pairs)


async def _was_undone(connection: AsyncConnection, one: int, other: int) -> bool:
    return bool((await connection.execute(_IS_UNDONE, {"one": one, "other": other})).scalar_one())


_LOCK = 0x77756D70_05
_LIST_ACCOUNTS = text("SELECT id FROM accounts WHERE organization_id = :id")
_LIST_STANDING = text("SELECT merged_into FROM organizations WHERE id = ANY(CAST(:ids AS bigint[]))")
_IS_UNDONE = text(
    "SELECT EXISTS (SELECT FROM organization_merges WHERE undone_at IS NOT NULL"
    " AND (absorbed_id, into_id) IN ((:one, :other), (:other, :one)))"
)
_LIST_ORGANIZATIONS = text("SELECT DISTINCT organization_id FROM accounts WHERE id = ANY(CAST(:ids AS bigint[]))")
_LIST_REPOSITORIES = text("SELECT id FROM repositories WHERE account_id = ANY(CAST(:ids AS bigint[]))")
_LOCK_REPOSITORIES = text(
    "SELECT FROM repositories WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR NO KEY UPDATE"
)
# Stronger than an update needs: whoever gives an account another repository waits.
_LOCK_ACCOUNTS = text("SELECT FROM accounts WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR UPDATE")
_LIST_OWN_PACKAGES = text("SELECT id FROM packages WHERE repository_id = ANY(CAST(:ids AS bigint[]))")
_LIST_STATED = text(
    "SELECT DISTINCT s.package_id FROM sources so JOIN statements s ON s.source_id = so.id"
    " WHERE so.repository_id = ANY(CAST(:ids AS bigint[])) AND s.removed_at IS NULL AND s.direct"
    " UNION SELECT package_id FROM dependencies WHERE repository_id = ANY(CAST(:ids AS bigint[]))"
)
_LIST_PAIRS = text(
    "SELECT package_id, repository_id FROM dependencies WHERE repository_id = ANY(CAST(:ids AS bigint[]))"
)
_MOVE_ACCOUNTS = text("UPDATE accounts SET organization_id = :target_id WHERE id = ANY(CAST(:ids AS bigint[]))")
_MOVE_PACKAGES = text("UPDATE packages SET organization_id = :target_id WHERE id = ANY(CAST(:ids AS bigint[]))")
_SAVE_MERGED_INTO = text("UPDATE organizations SET merged_into = CAST(:into_id AS bigint) WHERE id = :id")
_ADD_MERGE = text(
    "INSERT INTO organization_merges (absorbed_id, into_id, account_ids, evidence, detail)"
    " VALUES (:absorbed_id, :into_id, CAST(:account_ids AS bigint[]), :evidence, :detail) RETURNING public_id"
)
_GET_MERGE = text(
    "SELECT id, absorbed_id, into_id, account_ids, undone_at FROM organization_merges WHERE public_id = :public_id"
)
# Where `into` was absorbed itself meanwhile, the accounts went on with it.
_LIST_TO_RETURN = text(
    "WITH RECURSIVE onward AS (SELECT id, merged_into FROM organizations WHERE id = :into_id"
    "   UNION SELECT o.id, o.merged_into FROM organizations o JOIN onward ON o.id = onward.merged_into)"
    " SELECT a.id FROM accounts a JOIN onward ON a.organization_id = onward.id WHERE a.id = ANY(CAST(:ids AS bigint[]))"
)
_SAVE_UNDONE = text("UPDATE organization_merges SET undone_at = now(), undone_because = :because WHERE id = :id")
_SAVE_UNDONE_OF = text(
    "UPDATE organization_merges SET undone_at = now(), undone_because = :because"
    " WHERE absorbed_id = :absorbed_id AND undone_at IS NULL"
)
_GET_OWN_ORGANIZATION = text(
    "SELECT o.id, a.organization_id FROM accounts a JOIN organizations o ON o.host = a.host AND o.login = a.login"
    " WHERE a.id = :id"
)
_LIST_MERGED_INTO = text(
    "SELECT public_id FROM organization_merges WHERE into_id = :id AND undone_at IS NULL ORDER BY id"
)
_LIST_MERGES = text(
    "SELECT m.public_id AS id, f.host AS absorbed_host, f.login AS absorbed_login, t.host AS into_host,"
    " t.login AS into_login, m.evidence, m.detail, m.merged_at, m.undone_at, m.undone_because"
    " FROM organization_merges m JOIN organizations f ON f.id = m.absorbed_id JOIN organizations t ON t.id = m.into_id"
    " ORDER BY m.id DESC LIMIT :limit"
)
_GET_ORGANIZATION_ID = text("SELECT organization_id FROM accounts WHERE host = :host AND login = :login")
