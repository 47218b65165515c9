"""Organizations and the accounts they have on code hosts."""

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


async def get_account(connection: AsyncConnection, host: str, login: str) -> Account | None:
    """The account of that name on that host."""
    row = (
        await connection.execute(
            text("SELECT id, organization_id FROM accounts WHERE host = :host AND login = :login"),
            {"host": host, "login": login},
        )
    ).first()
    return Account(row.id, row.organization_id) if row else None


async def add_account(connection: AsyncConnection, host: str, login: str) -> Account:
    """Find the account, or add it together with an organization of its own; kind unknown until a host tells."""
    if account := await get_account(connection, host, login):
        return account
    name = {"host": host, "login": login}
    await connection.execute(
        text("INSERT INTO organizations (host, login) VALUES (:host, :login) ON CONFLICT DO NOTHING"), name
    )
    await connection.execute(
        text(
            "INSERT INTO accounts (host, login, organization_id)"
            " SELECT host, login, id FROM organizations WHERE host = :host AND login = :login ON CONFLICT DO NOTHING"
        ),
        name,
    )
    account = await get_account(connection, host, login)
    if account is None:
        raise RuntimeError(f"account {host}/{login} vanished while it was added")
    return account
