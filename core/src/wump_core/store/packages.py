"""Packages, and the one way in which facts about a package are saved."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, ForeignKey, Index, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.purl import Purl
from wump_core.records import PackageRecord
from wump_core.store.base import key_column, metadata, public_id_column, time_column
from wump_core.store.dependencies import Pair, list_pairs_of_organizations, refresh_dependencies
from wump_core.store.dependents import Totals, add_deltas, merge_deltas, refresh_answers
from wump_core.store.repositories import Repository
from wump_core.store.sources import SourceChange, list_stated_packages, move_sources, save_package_source

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
    Column("dependencies_unknown", Text, comment="Why its dependencies are not known; null: they are."),
    Column("missing", Text, comment="Why the registry has it no more; null: it has."),
    time_column("fetched_at"),
    time_column("created_at", nullable=False, default_now=True),
    UniqueConstraint("ecosystem", "name"),
    Index("ix_packages_name", "name"),
    Index("ix_packages_repository_id", "repository_id"),
    Index("ix_packages_organization_id", "organization_id"),
)


@dataclass(frozen=True, slots=True)
class SavedPackage:
    """What saving a package came to."""

    package_id: int
    statements: int
    dependency_ids: frozenset[int]


async def add_packages(connection: AsyncConnection, purls: Iterable[Purl]) -> dict[str, int]:
    """Find these packages, or add them as stubs; returns their keys by purl.

    Meant for a short transaction of its own: what is inserted here is waited for by everyone else who names
    the same new package.
    """
    wanted = {str(purl): purl for purl in purls}
    known = await _keys_of(connection, wanted)
    missing = [wanted[text_] for text_ in sorted(wanted.keys() - known.keys())]
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
        known |= await _keys_of(connection, [str(purl) for purl in missing])
    return known


async def _keys_of(connection: AsyncConnection, purls: Collection[str]) -> dict[str, int]:
    rows = await connection.execute(
        text("SELECT purl, id FROM packages WHERE purl = ANY(CAST(:purls AS text[]))"), {"purls": list(purls)}
    )
    return {row.purl: row.id for row in rows}


async def track_package(connection: AsyncConnection, purl: Purl) -> int:
    """Mark a package as tracked, adding it where it is new; returns its key."""
    package_id = (await add_packages(connection, [purl]))[str(purl)]
    await connection.execute(
        text("UPDATE packages SET tracked = true WHERE id = :id AND NOT tracked"), {"id": package_id}
    )
    return package_id


async def save_missing_package(connection: AsyncConnection, package_id: int, reason: str) -> None:
    """Note that the registry has no such package (any more). What is known of it stays, dated."""
    await connection.execute(
        text("UPDATE packages SET missing = :reason WHERE id = :id"), {"id": package_id, "reason": reason}
    )


async def save_package(
    connection: AsyncConnection,
    provider: str,
    record: PackageRecord,
    repository: Repository | None,
    package_ids: Mapping[str, int],
) -> SavedPackage:
    """Save a package's facts, its statements, and all that is derived from them, in the caller's transaction.

    One lock order holds throughout: packages, then dependencies, then answers, each in key order. The package
    itself is locked for writing, and what it depends on, or did, for reading: whether a pair is its own
    organization's depends on both ends, so neither may change unseen while the pair is computed.

    Args:
        provider: Name of the provider that told the record.
        record: The record; unknown dependencies leave the statements as they are.
        repository: The claimed repository's keys.
        package_ids: Keys of the package and of all registry packages that the record names.
    """
    package_id = package_ids[record.purl]
    # First alone: whoever holds this changes what the package says, so what it says can be read to know what to lock.
    await connection.execute(text("SELECT pg_advisory_xact_lock(-CAST(:id AS bigint))"), {"id": package_id})
    stated_before = await list_stated_packages(connection, package_id)
    named = {package_ids[item.purl] for item in record.dependencies or () if item.purl}
    await _lock_packages(connection, package_id, stated_before | named)
    owner = await _replace_facts(connection, package_id, provider, record, repository)
    change = SourceChange(frozenset(), revised=False)
    if record.dependencies is not None:
        change = await save_package_source(
            connection,
            provider,
            package_id,
            record.latest_version,
            record.dependencies,
            record.diagnostics,
            package_ids,
        )
    if owner.moved:
        await move_sources(connection, package_id, owner.new_repository, verified=owner.verified)
    stated = await list_stated_packages(connection, package_id)

    touched = stated_before | stated if owner.moved else change.changed
    homes = [key for key in (owner.old_repository, owner.new_repository) if key is not None]
    pairs = {(target, home) for target in touched for home in homes}
    if owner.old_organization != owner.new_organization:
        organizations = [key for key in (owner.old_organization, owner.new_organization) if key is not None]
        pairs |= set(await list_pairs_of_organizations(connection, package_id, organizations))
    # The evidence shown names the version, so after a new one the rows it stands in are written again.
    answers = {(target, owner.new_organization) for target in stated if change.revised and owner.new_organization}
    unowned = [(target, Totals(no_owner=-1)) for target in stated_before if owner.old_repository is None]
    unowned += [(target, Totals(no_owner=1)) for target in stated if owner.new_repository is None]
    await _refresh_derived(connection, pairs, answers, unowned)
    return SavedPackage(package_id, len(record.dependencies or ()), stated)


async def _refresh_derived(
    connection: AsyncConnection,
    pairs: Collection[Pair],
    answers: Iterable[tuple[int, int]],
    unowned: Iterable[tuple[int, Totals]],
) -> None:
    """Bring dependencies, then the answer, then its totals up to date with the statements."""
    changes = await refresh_dependencies(connection, pairs)
    touched = {(change.package_id, key) for change in changes for key in change.organization_ids}
    listed = await refresh_answers(connection, touched | set(answers))
    deltas = merge_deltas(
        unowned,
        (
            (
                change.package_id,
                Totals(
                    repositories=change.repositories,
                    own_organization=change.own_organization,
                    no_owner=change.no_owner,
                ),
            )
            for change in changes
        ),
        ((target, Totals(organizations=change)) for target, change in listed.items()),
    )
    await add_deltas(connection, deltas)


async def _lock_packages(connection: AsyncConnection, package_id: int, stated: Collection[int]) -> None:
    """Lock in the order of keys whatever the kind of lock, so that two packages that need each other can't deadlock."""
    ordered = sorted({package_id, *stated})
    for writing, keys in groupby(ordered, key=lambda key: key == package_id):
        lock = "FOR NO KEY UPDATE" if writing else "FOR SHARE"
        await connection.execute(
            text(f"SELECT FROM packages WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id {lock}"), {"ids": list(keys)}
        )


@dataclass(frozen=True, slots=True)
class _Owner:
    """Where a package's repository was and is, and whose it was and is."""

    old_repository: int | None
    new_repository: int | None
    old_organization: int | None
    new_organization: int | None
    moved: bool
    verified: bool


async def _replace_facts(
    connection: AsyncConnection, package_id: int, provider: str, record: PackageRecord, repository: Repository | None
) -> _Owner:
    claim = record.repository
    verified = bool(claim and claim.verified)
    values = {
        "id": package_id,
        "provider": provider,
        "latest_version": record.latest_version,
        "description": record.description,
        "homepage": record.homepage,
        "licences": list(record.licences) if record.licences is not None else None,
        "funding": None if record.funding is None else json.dumps([link.model_dump() for link in record.funding]),
        "deprecated": record.deprecated,
        "repository_id": repository.id if repository else None,
        "repository_directory": claim.directory if claim else None,
        "repository_verified": verified,
        "organization_id": repository.organization_id if repository else None,
        "dependencies_unknown": record.dependencies_unknown,
    }
    row = (await connection.execute(_REPLACE_FACTS, values)).one()
    return _Owner(
        old_repository=row.old_repository,
        new_repository=values["repository_id"],
        old_organization=row.old_organization,
        new_organization=values["organization_id"],
        moved=(row.old_repository, row.old_verified) != (values["repository_id"], verified),
        verified=verified,
    )


_REPLACE_FACTS = text(
    "UPDATE packages SET provider = :provider, latest_version = :latest_version, description = :description,"
    " homepage = :homepage, licences = CAST(:licences AS text[]), funding = CAST(:funding AS jsonb),"
    " deprecated = :deprecated, repository_id = CAST(:repository_id AS bigint),"
    " repository_directory = :repository_directory, repository_verified = :repository_verified,"
    " organization_id = CAST(:organization_id AS bigint), dependencies_unknown = :dependencies_unknown,"
    " missing = NULL, fetched_at = now() WHERE id = :id"
    " RETURNING old.repository_id AS old_repository, old.organization_id AS old_organization,"
    " old.repository_verified AS old_verified"
)
