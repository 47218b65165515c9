"""Organizations and the accounts they have on code hosts."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Table, Text, UniqueConstraint, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import key_column, metadata, public_id_column, time_column

ACCOUNT_KINDS = ("organization", "user", "unknown")

organizations = Table(
    "organizations",
    metadata,
    key_column(),
    public_id_column(),
    Column("host", Text, nullable=False, comment="Host of the account it is known by."),
    Column("login", Text, nullable=False, comment="Case-folded login or nested group path of that account."),
    Column("kind", Text, nullable=False, server_default="unknown"),
    time_column("created_at", nullable=False, default_now=True),
    UniqueConstraint("host", "login"),
    CheckConstraint(f"kind IN {ACCOUNT_KINDS}", name="kind"),
)

accounts = Table(
    "accounts",
    metadata,
    key_column(),
    public_id_column(),
    Column("host", Text, nullable=False),
    Column("login", Text, nullable=False, comment="Case-folded login, or nested group path."),
    Column("organization_id", BigInteger, ForeignKey("organizations.id"), nullable=False),
    time_column("created_at", nullable=False, default_now=True),
    UniqueConstraint("host", "login"),
    Index("ix_accounts_organization_id", "organization_id"),
)


@dataclass(frozen=True, slots=True)
class Account:
    """Keys of an account and of the organization it belongs to."""

    id: int
    organization_id: int


AccountName = tuple[str, str]
"""(host, case-folded login)"""


async def list_accounts(connection: AsyncConnection, names: Collection[AccountName]) -> dict[AccountName, Account]:
    """Those of these accounts that are known, by name."""
    rows = await connection.execute(_LIST, name_arrays(names))
    return {(row.host, row.name): Account(row.id, row.organization_id) for row in rows}


async def add_accounts(connection: AsyncConnection, names: Collection[AccountName]) -> dict[AccountName, Account]:
    """Find these accounts, or add each with an organization of its own; kind unknown until a host tells."""
    known = await list_accounts(connection, names)
    missing = set(names) - known.keys()
    if missing:
        await connection.execute(_ADD_ORGANIZATIONS, name_arrays(missing))
        await connection.execute(_ADD_ACCOUNTS, name_arrays(missing))
        known |= await list_accounts(connection, missing)
    return known


def name_arrays(names: Collection[tuple[str, str]]) -> dict[str, list[str]]:
    """Names on hosts as the parameters `hosts` and `names`, in an order that all writers keep."""
    ordered = sorted(names)
    return {"hosts": [host for host, _ in ordered], "names": [name for _, name in ordered]}


GIVEN_NAMES = "unnest(CAST(:hosts AS text[]), CAST(:names AS text[])) AS given(host, name)"
_LIST = text(
    f"SELECT given.host, given.name, a.id, a.organization_id FROM {GIVEN_NAMES}"
    " JOIN accounts a ON a.host = given.host AND a.login = given.name"
)
_ADD_ORGANIZATIONS = text(
    f"INSERT INTO organizations (host, login) SELECT host, name FROM {GIVEN_NAMES} ON CONFLICT DO NOTHING"
)
_ADD_ACCOUNTS = text(
    f"INSERT INTO accounts (host, login, organization_id) SELECT o.host, o.login, o.id FROM {GIVEN_NAMES}"
    " JOIN organizations o ON o.host = given.host AND o.login = given.name ORDER BY o.host, o.login"
    " ON CONFLICT DO NOTHING"
)
