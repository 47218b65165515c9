"""Organizations and the accounts they have on code hosts.

An account's row is a name on a host, with what the host says of whoever has that name now. Who owns several belongs
to one organization, on evidence: see `organizations`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.records import SponsorshipRecord
from wump_core.store.base import key_column, metadata, prefix_index, public_id_column, time_column

ACCOUNT_KINDS = ("organization", "user", "unknown")

organizations = Table(
    "organizations",
    metadata,
    key_column(),
    public_id_column(),
    Column("host", Text, nullable=False, comment="Host of the account it is known by."),
    Column("login", Text, nullable=False, comment="Case-folded login or nested group path of that account."),
    Column("kind", Text, nullable=False, server_default="unknown", comment="That of the account it is known by."),
    Column("stars", BigInteger, comment="Of all its repositories that are known; null: not added up so far."),
    Column("repositories", BigInteger, comment="Public ones, as its hosts count them; null: unknown."),
    Column("merged_into", BigInteger, ForeignKey("organizations.id"), comment="Null: it stands for itself."),
    time_column("restamp_at", comment="Since when rows of the answer may show an older kind; null: none does."),
    time_column("enriched_at", comment="When its hosts were asked about it last."),
    time_column("created_at", nullable=False, default_now=True),
    UniqueConstraint("host", "login"),
    CheckConstraint(f"kind IN {ACCOUNT_KINDS}", name="kind"),
    prefix_index("organizations", "login"),
    Index("ix_organizations_enriched_at", text("enriched_at NULLS FIRST")),
    Index("ix_organizations_merged_into", "merged_into", postgresql_where=text("merged_into IS NOT NULL")),
)

accounts = Table(
    "accounts",
    metadata,
    key_column(),
    public_id_column(),
    Column("host", Text, nullable=False),
    Column("login", Text, nullable=False, comment="Case-folded login, or nested group path."),
    Column("organization_id", BigInteger, ForeignKey("organizations.id"), nullable=False),
    Column("host_id", Text, comment="The host's own id of who has this name, which outlives renames."),
    Column("kind", Text, nullable=False, server_default="unknown"),
    Column("name", Text),
    Column("description", Text),
    Column("website", Text),
    Column("verified_domain", Text, comment="The website's domain, where the host checked that it is the account's."),
    Column("location", Text),
    Column("public_repositories", BigInteger),
    Column("followers", BigInteger),
    Column("sponsorable", Boolean, comment="Whether it can be sponsored at its host; null: unknown."),
    Column("sponsors", BigInteger, comment="A lower bound: private ones are not told."),
    Column("sponsoring", BigInteger, comment="A lower bound: private ones are not told."),
    Column("funding", JSONB, comment="Where it asks for money; null: not asked yet."),
    Column("missing", Text, comment="Why the host does not show it (any more); null: it does, or was not asked."),
    time_column("archived_at"),
    time_column("fetched_at", comment="When its host was asked about it last."),
    time_column("created_at", nullable=False, default_now=True),
    UniqueConstraint("host", "login"),
    CheckConstraint(f"kind IN {ACCOUNT_KINDS}", name="kind"),
    Index("ix_accounts_organization_id", "organization_id"),
    Index("ix_accounts_host_id", "host", "host_id", postgresql_where=text("host_id IS NOT NULL")),
    Index("ix_accounts_verified_domain", "verified_domain", postgresql_where=text("verified_domain IS NOT NULL")),
)

sponsorships = Table(
    "sponsorships",
    metadata,
    Column("sponsor_id", BigInteger, ForeignKey("accounts.id"), nullable=False),
    Column("maintainer_id", BigInteger, ForeignKey("accounts.id"), nullable=False),
    Column("provider", Text, nullable=False),
    Column("active", Boolean, comment="Null: the upstream does not tell."),
    Column("one_time", Boolean, comment="Null: the upstream does not tell."),
    time_column("started_at"),
    time_column("first_seen_at", nullable=False, default_now=True),
    time_column("checked_at", nullable=False, default_now=True),
    PrimaryKeyConstraint("sponsor_id", "maintainer_id", "provider"),
    Index("ix_sponsorships_maintainer_id", "maintainer_id"),
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


async def save_sponsorships(
    connection: AsyncConnection, provider: str, records: Sequence[SponsorshipRecord], ids: Mapping[AccountName, Account]
) -> frozenset[tuple[int, int]]:
    """Save who pays whom, as a host says; the accounts are there already. Returns (sponsor, maintainer) of each."""
    found = {
        (ids[record.host, record.sponsor.lower()].id, ids[record.host, record.maintainer.lower()].id): record
        for record in records
    }
    for (sponsor_id, maintainer_id), record in sorted(found.items(), key=lambda item: item[0]):
        values = {"sponsor_id": sponsor_id, "maintainer_id": maintainer_id, "provider": provider}
        told = {"active": record.active, "one_time": record.one_time, "started_at": record.created_at}
        await connection.execute(_SAVE_SPONSORSHIP, values | told)
    return frozenset(found)


async def end_sponsorships(
    connection: AsyncConnection, provider: str, account_id: int, told: Collection[tuple[int, int]]
) -> None:
    """What a host does not tell of an account any more, though it told all, is over."""
    values = {"sponsors": [pair[0] for pair in told], "maintainers": [pair[1] for pair in told]}
    await connection.execute(_END_SPONSORSHIPS, values | {"provider": provider, "id": account_id})


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
_SAVE_SPONSORSHIP = text(
    "INSERT INTO sponsorships (sponsor_id, maintainer_id, provider, active, one_time, started_at)"
    " VALUES (:sponsor_id, :maintainer_id, :provider, :active, :one_time, :started_at)"
    " ON CONFLICT (sponsor_id, maintainer_id, provider) DO UPDATE SET active = excluded.active,"
    " one_time = excluded.one_time, started_at = excluded.started_at, checked_at = now()"
)
_END_SPONSORSHIPS = text(
    "UPDATE sponsorships SET active = false, checked_at = now() WHERE provider = :provider"
    " AND (sponsor_id = :id OR maintainer_id = :id) AND active IS NOT FALSE"
    " AND (sponsor_id, maintainer_id) NOT IN (SELECT * FROM unnest(CAST(:sponsors AS bigint[]),"
    "   CAST(:maintainers AS bigint[])))"
)
