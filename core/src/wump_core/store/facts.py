"""The one way in which facts about packages are saved: any number at once, in few statements whatever the number.

Everything derived from them is brought up to date in the same transaction.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.records import PackageRecord
from wump_core.store.base import fill_temporary_table
from wump_core.store.dependencies import Counts, Pair, list_pairs_of_organizations
from wump_core.store.derived import lock_packages, lock_repositories, lock_saying, refresh_derived
from wump_core.store.packages import add_packages
from wump_core.store.repositories import RepositoryName, add_repositories
from wump_core.store.sources import (
    SourceChange,
    add_package_sources,
    list_stated_packages,
    move_sources,
    save_package_sources,
)


@dataclass(frozen=True, slots=True)
class Names:
    """Keys of all that some records name: packages by purl, repositories by host and path."""

    package_ids: Mapping[str, int]
    repositories: Mapping[RepositoryName, int]


async def add_names(
    connection: AsyncConnection, records: Iterable[PackageRecord], *, known: Mapping[str, int] | None = None
) -> Names:
    """Find what these records name, or add it: packages as stubs, repositories and their owners.

    Meant for a short transaction of its own: what is inserted here is waited for by everyone else who names
    the same new thing. `known` are keys of packages by purl from earlier calls, which need not be looked up again.
    """
    records = list(records)
    purls = {record.purl for record in records}
    purls.update(item.purl for record in records for item in record.dependencies or () if item.purl)
    package_ids = {purl: known[purl] for purl in purls if purl in known} if known else {}
    package_ids |= await add_packages(connection, purls - package_ids.keys())
    claims = [record.repository for record in records if record.repository]
    return Names(package_ids, await add_repositories(connection, claims) if claims else {})


async def save_unchanged_packages(
    connection: AsyncConnection, provider: str, records: Iterable[PackageRecord], *, told_at: datetime | None = None
) -> frozenset[str]:
    """Date the packages whose newest facts are these very records, told by that provider; returns their purls.

    Nothing else needs to be done for them. The others are left alone: they are for `save_packages`. `told_at` is when
    the provider said so; null: now.
    """
    fingerprints = {record.purl: make_fingerprint(provider, record) for record in records}
    rows = await connection.execute(
        _SAVE_UNCHANGED,
        {
            "provider": provider,
            "purls": list(fingerprints),
            "fingerprints": list(fingerprints.values()),
            "told_at": told_at,
        },
    )
    return frozenset(rows.scalars())


def make_fingerprint(provider: str, record: PackageRecord) -> UUID:
    """Hash of everything that saving depends on, so that the same again needs no saving."""
    digest = hashlib.blake2b(provider.encode(), digest_size=16)
    digest.update(b"\0" + record.model_dump_json().encode())
    return UUID(bytes=digest.digest())


async def save_packages(
    connection: AsyncConnection,
    provider: str,
    records: Sequence[PackageRecord],
    names: Names,
    *,
    told_at: datetime | None = None,
) -> None:
    """Save packages' facts, their statements, and all that is derived from them, in the caller's transaction.

    The packages themselves are locked for writing, and what they depend on, or did, for reading: whether a pair is
    its own organization's depends on both ends, so neither may change unseen while the pair is computed. The
    repositories that they name, or did, are locked for reading: their owner counts, and their files confirm or refute
    the claim.

    Args:
        provider: Name of the provider that told the records.
        records: One per package; unknown dependencies leave the statements as they are.
        names: Keys of all that the records name.
        told_at: When the provider said so; null: now.

    Raises:
        ServerUnavailable: A repository was renamed since they were looked up: look them up again.
    """
    saved = {names.package_ids[record.purl]: record for record in records}
    ids = sorted(saved)
    # First alone: whoever holds these changes what the packages say, so that can be read to know what to lock.
    await lock_saying(connection, ids)
    homes = {names.repositories[claim.host, claim.path] for record in records if (claim := record.repository)}
    homes.update((await connection.execute(_LIST_HOMES, {"ids": ids})).scalars())
    organizations = await lock_repositories(connection, homes)
    stated_before = await list_stated_packages(connection, ids)
    named = {names.package_ids[item.purl] for record in records for item in record.dependencies or () if item.purl}
    await lock_packages(connection, writing=ids, reading=named.union(*stated_before.values()))
    owners = await _replace_facts(connection, provider, saved, names.repositories, organizations, told_at)
    telling = {key: record for key, record in saved.items() if record.dependencies is not None}
    changes = await save_package_sources(connection, provider, telling, names.package_ids)
    moved = [key for key in ids if owners[key].moved]
    if moved:
        await move_sources(connection, moved)
    stated = await list_stated_packages(connection, ids) if changes or moved else stated_before

    pairs = await _list_moved_pairs(connection, owners)
    answers: set[tuple[int, int]] = set()
    unowned: Counts = Counter()
    for key in ids:
        owner, change = owners[key], changes.get(key, SourceChange())
        before, now = stated_before.get(key, frozenset()), stated.get(key, frozenset())
        touched = before | now if owner.moved else change.changed
        both = [home for home in (owner.old_repository, owner.new_repository) if home is not None]
        pairs.update((target, home) for target in touched for home in both)
        if change.revised and owner.new_organization is not None:
            # The evidence shown names the version, so after a new one the rows it stands in are written again.
            answers.update((target, owner.new_organization) for target in now)
        if owner.old_repository is None:
            unowned.subtract((target, "no_owner") for target in before)
        if owner.new_repository is None:
            unowned.update((target, "no_owner") for target in now)
    await refresh_derived(connection, pairs, answers, unowned)


async def save_claims(
    connection: AsyncConnection, provider: str, records: Iterable[PackageRecord], names: Names
) -> None:
    """Save which repositories packages name, as an aggregator says, of those that nobody was asked about.

    They stay such: a package's own registry, once it is asked, knows better.

    Args:
        records: One per package, each with a repository and with unknown dependencies.
        names: Keys of all that the records name.
    """
    given = {names.package_ids[record.purl]: record for record in records}
    await lock_saying(connection, given)
    homeless = sorted((await connection.execute(_LIST_HOMELESS, {"ids": sorted(given)})).scalars())
    if homeless:
        await save_packages(connection, provider, [given[key] for key in homeless], names)
        await connection.execute(_FORGET_ASKING, {"ids": homeless})


async def load_packages(
    connection: AsyncConnection,
    provider: str,
    records: Sequence[PackageRecord],
    names: Names,
    *,
    told_at: datetime | None = None,
) -> None:
    """Save packages' facts and their statements as `save_packages` does, and derive nothing from them.

    For whoever derives all of it afterwards (`audit.rebuild`), which takes a fraction of the time. Until then `wump db
    verify` finds what is missing.
    """
    saved = {names.package_ids[record.purl]: record for record in records}
    await lock_saying(connection, saved)
    homes = {names.repositories[claim.host, claim.path] for record in records if (claim := record.repository)}
    organizations = await lock_repositories(connection, homes)
    await lock_packages(connection, writing=saved, reading=())
    told_before = frozenset((await connection.execute(_LIST_TOLD, {"ids": sorted(saved)})).scalars())
    owners = await _replace_facts(connection, provider, saved, names.repositories, organizations, told_at)
    telling = {key: record for key, record in saved.items() if record.dependencies is not None}
    first = {key: record for key, record in telling.items() if key not in told_before}
    await add_package_sources(connection, provider, first, names.package_ids)
    again = {key: record for key, record in telling.items() if key in told_before}
    await save_package_sources(connection, provider, again, names.package_ids)
    # Sources that are new were saved with the repository as it is now.
    if moved := sorted(key for key, owner in owners.items() if owner.moved and key in told_before):
        await move_sources(connection, moved)


@dataclass(frozen=True, slots=True)
class _Owner:
    """Where a package's repository was and is, and whose it was and is."""

    old_repository: int | None
    new_repository: int | None
    old_organization: int | None
    new_organization: int | None
    moved: bool


async def _replace_facts(
    connection: AsyncConnection,
    provider: str,
    records: Mapping[int, PackageRecord],
    repositories: Mapping[RepositoryName, int],
    organizations: Mapping[int, int | None],
    told_at: datetime | None,
) -> dict[int, _Owner]:
    rows = []
    for key, record in sorted(records.items()):
        claim = record.repository
        repository = repositories[claim.host, claim.path] if claim else None
        organization = None if repository is None else organizations[repository]
        rows.append(_facts_row(key, provider, record, repository, organization))
    await fill_temporary_table(connection, "incoming_packages", _INCOMING, _COLUMNS, rows)
    found = (await connection.execute(_REPLACE_FACTS, {"told_at": told_at})).all()
    return {
        row.id: _Owner(
            old_repository=row.old_repository,
            new_repository=row.repository_id,
            old_organization=row.old_organization,
            new_organization=row.organization_id,
            moved=(row.old_repository, row.old_verified) != (row.repository_id, row.repository_verified),
        )
        for row in found
    }


def _facts_row(
    key: int, provider: str, record: PackageRecord, repository_id: int | None, organization_id: int | None
) -> tuple[object, ...]:
    claim = record.repository
    return (
        key,
        provider,
        record.latest_version,
        record.description,
        record.homepage,
        None if record.licences is None else list(record.licences),
        None if record.funding is None else json.dumps([link.model_dump() for link in record.funding]),
        record.deprecated,
        repository_id,
        claim.directory if claim else None,
        bool(claim and claim.verified),
        organization_id,
        make_fingerprint(provider, record),
        record.dependencies_unknown,
    )


async def _list_moved_pairs(connection: AsyncConnection, owners: Mapping[int, _Owner]) -> set[Pair]:
    """Pairs of packages that have another owner now, whose own organization that may be."""
    moved = [
        (key, organization)
        for key, owner in owners.items()
        if owner.old_organization != owner.new_organization
        for organization in (owner.old_organization, owner.new_organization)
        if organization is not None
    ]
    return set(await list_pairs_of_organizations(connection, moved)) if moved else set()


_COLUMNS = (
    *("id", "provider", "latest_version", "description", "homepage", "licences", "funding", "deprecated"),
    *("repository_id", "repository_directory", "repository_verified", "organization_id", "fingerprint"),
    "dependencies_unknown",
)
_INCOMING = (
    "id bigint, provider text, latest_version text, description text, homepage text, licences text[], funding text,"
    " deprecated boolean, repository_id bigint, repository_directory text, repository_verified boolean,"
    " organization_id bigint, fingerprint uuid, dependencies_unknown text"
)
_LIST_TOLD = text("SELECT package_id FROM sources WHERE package_id = ANY(CAST(:ids AS bigint[]))")
_LIST_HOMES = text(
    "SELECT repository_id FROM packages WHERE id = ANY(CAST(:ids AS bigint[])) AND repository_id IS NOT NULL"
)
_LIST_HOMELESS = text(
    "SELECT id FROM packages WHERE id = ANY(CAST(:ids AS bigint[])) AND fetched_at IS NULL AND repository_id IS NULL"
)
_FORGET_ASKING = text(
    "UPDATE packages SET fetched_at = NULL, changed_at = NULL, fingerprint = NULL"
    " WHERE id = ANY(CAST(:ids AS bigint[]))"
)
_TOLD_AT = "coalesce(CAST(:told_at AS timestamptz), now())"
_REPLACE_FACTS = text(
    f"UPDATE packages p SET {', '.join(f'{name} = i.{name}' for name in _COLUMNS if name not in ('id', 'funding'))},"
    f" funding = CAST(i.funding AS jsonb), missing = NULL, missing_since = NULL, fetched_at = {_TOLD_AT},"
    " changed_at = CASE WHEN p.fingerprint IS DISTINCT FROM i.fingerprint THEN now() ELSE p.changed_at END"
    " FROM incoming_packages i WHERE p.id = i.id"
    " RETURNING p.id, p.repository_id, p.organization_id, p.repository_verified,"
    " old.repository_id AS old_repository, old.organization_id AS old_organization,"
    " old.repository_verified AS old_verified"
)
# In key order, like all locks on packages; what another writer changed meanwhile is left to `save_packages`.
_SAVE_UNCHANGED = text(
    "WITH same AS (SELECT p.id, p.purl FROM unnest(CAST(:purls AS text[]), CAST(:fingerprints AS uuid[]))"
    "     AS given(purl, fingerprint) JOIN packages p ON p.purl = given.purl AND p.fingerprint = given.fingerprint"
    "   ORDER BY p.id FOR NO KEY UPDATE OF p),"
    f" dated AS (UPDATE packages p SET fetched_at = {_TOLD_AT} FROM same WHERE p.id = same.id),"
    " checked AS (UPDATE sources s SET checked_at = now() FROM same"
    "   WHERE s.package_id = same.id AND s.provider = :provider)"
    " SELECT purl FROM same"
)
