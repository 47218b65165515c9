"""Packages: tracked ones, and stubs that are known only because somebody needs them."""

from collections.abc import Collection

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, ForeignKey, Index, Table, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.purl import Purl, parse_purl
from wump_core.store.base import key_column, metadata, prefix_index, public_id_column, time_column

packages = Table(
    "packages",
    metadata,
    key_column(),
    public_id_column(),
    Column("purl", Text, nullable=False, unique=True, comment="Canonical, without a version."),
    Column("ecosystem", Text, nullable=False),
    Column("name", Text, nullable=False, comment="Canonical full name."),
    Column("tracked", Boolean, nullable=False, server_default=text("false"), comment="False: a stub, or followed."),
    Column("provider", Text, comment="Who told the facts below; null: nobody was asked yet."),
    Column("latest_version", Text),
    Column("description", Text),
    Column("homepage", Text),
    Column("licences", ARRAY(Text)),
    Column("funding", JSONB),
    Column("deprecated", Boolean),
    Column("repository_id", BigInteger, ForeignKey("repositories.id")),
    Column("repository_directory", Text),
    Column("repository_verified", Boolean, nullable=False, server_default=text("false")),
    Column("organization_id", BigInteger, ForeignKey("organizations.id"), comment="Owner of its repository."),
    Column("fingerprint", Uuid, comment="Hash of the record that the facts are from; null: none, or not seen so far."),
    Column("dependencies_unknown", Text, comment="Why its dependencies are not known; null: they are."),
    Column("missing", Text, comment="Why the registry has it no more; null: it has."),
    time_column("fetched_at"),
    time_column("changed_at", comment="When what its provider says of it was last another than before."),
    time_column("missing_since", comment="When the registry did not have it first; null: it has."),
    time_column("created_at", nullable=False, default_now=True),
    UniqueConstraint("ecosystem", "name"),
    Index("ix_packages_name", "name"),
    prefix_index("packages", "name"),
    Index("ix_packages_tracked", "ecosystem", "name", postgresql_where=text("tracked")),
    Index("ix_packages_repository_id", "repository_id"),
    Index("ix_packages_organization_id", "organization_id"),
    Index("ix_packages_refreshed", "fetched_at", postgresql_where=text("tracked")),
)


async def add_packages(connection: AsyncConnection, purls: Collection[str]) -> dict[str, int]:
    """Find the packages of these canonical purls, or add them as stubs; returns their keys by purl.

    Meant for a short transaction of its own: what is inserted here is waited for by everyone else who names
    the same new package.
    """
    known = await _list_keys(connection, purls)
    missing = [parse_purl(purl) for purl in sorted(set(purls) - known.keys())]
    if missing:
        await connection.execute(
            text(
                "INSERT INTO packages (purl, ecosystem, name) SELECT * FROM unnest(CAST(:purls AS text[]),"
                " CAST(:ecosystems AS text[]), CAST(:names AS text[])) ON CONFLICT DO NOTHING"
            ),
            {
                "purls": [str(purl) for purl in missing],
                "ecosystems": [purl.ecosystem for purl in missing],
                "names": [purl.name for purl in missing],
            },
        )
        known |= await _list_keys(connection, [str(purl) for purl in missing])
    return known


async def _list_keys(connection: AsyncConnection, purls: Collection[str]) -> dict[str, int]:
    rows = await connection.execute(
        text("SELECT purl, id FROM packages WHERE purl = ANY(CAST(:purls AS text[]))"), {"purls": list(purls)}
    )
    return {row.purl: row.id for row in rows.all()}


async def track_package(connection: AsyncConnection, purl: Purl) -> int:
    """Mark a package as tracked, adding it where it is new; returns its key."""
    package_id = (await add_packages(connection, [str(purl)]))[str(purl)]
    await connection.execute(
        text("UPDATE packages SET tracked = true WHERE id = :id AND NOT tracked"), {"id": package_id}
    )
    return package_id


async def is_tracked(connection: AsyncConnection, purl: str) -> bool:
    """Whether somebody asked for this package itself."""
    rows = await connection.execute(text("SELECT tracked FROM packages WHERE purl = :purl"), {"purl": purl})
    return bool(rows.scalar_one_or_none())


async def save_missing_package(connection: AsyncConnection, package_id: int, reason: str) -> None:
    """Note that the registry has no such package (any more). What is known of it stays, dated."""
    await connection.execute(
        text(
            "UPDATE packages SET missing = :reason, missing_since = coalesce(missing_since, now()), fingerprint = NULL,"
            " fetched_at = coalesce(fetched_at, now()) WHERE id = :id"
        ),
        {"id": package_id, "reason": reason},
    )
