"""The one way in which facts about packages are saved: any number at once, in few statements whatever the number.

Everything derived from them is brought up to date in the same transaction.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.records import PackageRecord
from wump_core.store.base import fill_temporary_table
from wump_core.store.dependencies import Pair, list_pairs_of_organizations, refresh_dependencies
from wump_core.store.dependents import Totals, add_deltas, merge_deltas, refresh_answers
from wump_core.store.packages import add_packages
from wump_core.store.repositories import Repository, RepositoryName, add_repositories
from wump_core.store.sources import SourceChange, list_stated_packages, move_sources, save_package_sources


@dataclass(frozen=True, slots=True)
class Names:
    """Keys of all that some records name: packages by purl, repositories by host and path."""

    package_ids: Mapping[str, int]
    repositories: Mapping[RepositoryName, Repository]


async def add_names(connection: AsyncConnection, records: Iterable[PackageRecord]) -> Names:
    """Find what these records name, or add it: packages as stubs, repositories and their owners.

    Meant for a short transaction of its own: what is inserted here is waited for by everyone else who names
    the same new thing.
    """
    records = list(records)
    purls = {record.purl for record in records}
    purls.update(item.purl for record in records for item in record.dependencies or () if item.purl)
    package_ids = await add_packages(connection, purls)
    claims = [record.repository for record in records if record.repository]
    return Names(package_ids, await add_repositories(connection, claims) if claims else {})


async def save_unchanged_packages(
    connection: AsyncConnection, provider: str, records: Iterable[PackageRecord]
) -> frozenset[str]:
    """Date the packages whose newest facts are these very records, told by that provider; returns their purls.

    Nothing else needs to be done for them. The others are left alone: they are for `save_packages`.
    """
    fingerprints = {record.purl: make_fingerprint(provider, record) for record in records}
    rows = await connection.execute(
        _SAVE_UNCHANGED,
        {"provider": provider, "purls": list(fingerprints), "fingerprints": list(fingerprints.values())},
    )
    return frozenset(rows.scalars())


def make_fingerprint(provider: str, record: PackageRecord) -> UUID:
    """Hash of everything that saving depends on, so that the same again needs no saving."""
    digest = hashlib.blake2b(provider.encode(), digest_size=16)
    digest.update(b"\0" + record.model_dump_json().encode())
    return UUID(bytes=digest.digest())


async def save_packages(
    connection: AsyncConnection, provider: str, records: Sequence[PackageRecord], names: Names
) -> None:
    """Save packages' facts, their statements, and all that is derived from them, in the caller's transaction.

    One lock order holds throughout: packages, then dependencies, then answers, each in key order. The packages
    themselves are locked for writing, and what they depend on, or did, for reading: whether a pair is its own
    organization's depends on both ends, so neither may change unseen while the pair is computed.

    Args:
        provider: Name of the provider that told the records.
        records: One per package; unknown dependencies leave the statements as they are.
        names: Keys of all that the records name.
    """
    saved = {names.package_ids[record.purl]: record for record in records}
    ids = sorted(saved)
    # First alone: whoever holds these changes what the packages say, so that can be read to know what to lock.
    await connection.execute(_LOCK_SAYING, {"ids": ids})
    stated_before = await list_stated_packages(connection, ids)
    named = {names.package_ids[item.purl] for record in records for item in record.dependencies or () if item.purl}
    await _lock_packages(connection, ids, named.union(*stated_before.values()))
    owners = await _replace_facts(connection, provider, saved, names.repositories)
    telling = {key: record for key, record in saved.items() if record.dependencies is not None}
    changes = await save_package_sources(connection, provider, telling, names.package_ids)
    moved = [key for key in ids if owners[key].moved]
    if moved:
        await move_sources(connection, moved)
    stated = await list_stated_packages(connection, ids) if changes or moved else stated_before

    pairs = await _list_moved_pairs(connection, owners)
    answers: set[tuple[int, int]] = set()
    unowned: list[tuple[int, Totals]] = []
    for key in ids:
        owner, change = owners[key], changes.get(key, SourceChange())
        before, now = stated_before.get(key, frozenset()), stated.get(key, frozenset())
        touched = before | now if owner.moved else change.changed
        homes = [home for home in (owner.old_repository, owner.new_repository) if home is not None]
        pairs.update((target, home) for target in touched for home in homes)
        if change.revised and owner.new_organization is not None:
            # The evidence shown names the version, so after a new one the rows it stands in are written again.
            answers.update((target, owner.new_organization) for target in now)
        if owner.old_repository is None:
            unowned += [(target, Totals(no_owner=-1)) for target in before]
        if owner.new_repository is None:
            unowned += [(target, Totals(no_owner=1)) for target in now]
    await _refresh_derived(connection, pairs, answers, unowned)


async def _refresh_derived(
    connection: AsyncConnection,
    pairs: Collection[Pair],
    answers: Collection[tuple[int, int]],
    unowned: Iterable[tuple[int, Totals]],
) -> None:
    """Bring dependencies, then the answer, then its totals up to date with the statements."""
    changes = await refresh_dependencies(connection, pairs)
    touched = {(change.package_id, key) for change in changes for key in change.organization_ids}
    listed = await refresh_answers(connection, touched.union(answers))
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


async def _lock_packages(connection: AsyncConnection, writing: Collection[int], reading: Collection[int]) -> None:
    """Lock in the order of keys whatever the kind of lock, so that two that need each other can't deadlock."""
    written = set(writing)
    ordered = sorted(written.union(reading))
    await connection.execute(_LOCK_PACKAGES, {"ids": ordered, "writing": [key in written for key in ordered]})


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
    repositories: Mapping[RepositoryName, Repository],
) -> dict[int, _Owner]:
    rows = [_facts_row(key, provider, record, repositories) for key, record in sorted(records.items())]
    await fill_temporary_table(connection, "incoming_packages", _INCOMING, _COLUMNS, rows)
    found = await connection.execute(_REPLACE_FACTS)
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
    key: int, provider: str, record: PackageRecord, repositories: Mapping[RepositoryName, Repository]
) -> tuple[object, ...]:
    claim = record.repository
    repository = repositories[claim.host, claim.path] if claim else None
    return (
        key,
        provider,
        record.latest_version,
        record.description,
        record.homepage,
        None if record.licences is None else list(record.licences),
        None if record.funding is None else json.dumps([link.model_dump() for link in record.funding]),
        record.deprecated,
        repository.id if repository else None,
        claim.directory if claim else None,
        bool(claim and claim.verified),
        repository.organization_id if repository else None,
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
_LOCK_SAYING = text(
    "SELECT pg_advisory_xact_lock(-id) FROM (SELECT id FROM unnest(CAST(:ids AS bigint[])) AS given(id)"
    " ORDER BY id) ordered"
)
# Row by row: what joins laterally is looked up, and so locked, in the order of what it joins.
_LOCK_PACKAGES = text(
    "SELECT count(written.id), count(read.id) FROM (SELECT * FROM unnest(CAST(:ids AS bigint[]),"
    " CAST(:writing AS boolean[])) AS given(id, writing) ORDER BY id) given"
    " LEFT JOIN LATERAL (SELECT p.id FROM packages p WHERE p.id = given.id AND given.writing"
    "   FOR NO KEY UPDATE) written ON true"
    " LEFT JOIN LATERAL (SELECT p.id FROM packages p WHERE p.id = given.id AND NOT given.writing"
    "   FOR SHARE) read ON true"
)
_REPLACE_FACTS = text(
    f"UPDATE packages p SET {', '.join(f'{name} = i.{name}' for name in _COLUMNS if name not in ('id', 'funding'))},"
    " funding = CAST(i.funding AS jsonb), missing = NULL, fetched_at = now()"
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
    " dated AS (UPDATE packages p SET fetched_at = now() FROM same WHERE p.id = same.id),"
    " checked AS (UPDATE sources s SET checked_at = now() FROM same"
    "   WHERE s.package_id = same.id AND s.provider = :provider)"
    " SELECT purl FROM same"
)
