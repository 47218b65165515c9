"""What aggregators say of the dependents of a package: statements of packages that their own registry was not asked."""

from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.records import DependencyRecord, DependentRecord
from wump_core.store.base import fill_temporary_table
from wump_core.store.dependencies import Pair
from wump_core.store.derived import lock_packages, lock_repositories, lock_saying, refresh_derived
from wump_core.store.sources import (
    INCOMING_STATEMENTS,
    JUDGED,
    STATEMENT_COLUMNS,
    list_stated_packages,
    make_statement_rows,
)


async def save_dependents(
    connection: AsyncConnection, provider: str, purl: str, records: Sequence[DependentRecord], ids: Mapping[str, int]
) -> int:
    """Save which packages depend on this one, as an aggregator says; returns how many.

    Of an aggregator's word on a dependent, only what it says about this package is replaced. A dependent's own
    registry knows better: where it was asked, its word alone stands.

    Args:
        records: Those that name a package for certain.
        ids: Keys of the package and of its dependents, by purl.
    """
    target = ids[purl]
    stated = _by_dependent(purl, records, ids)
    await lock_saying(connection, stated)
    asked = frozenset((await connection.execute(_LIST_ASKED, {"ids": sorted(stated)})).scalars())
    keys = sorted(stated.keys() - asked)
    if not keys:
        return 0
    homes = {row.id: row.repository_id for row in await connection.execute(_LIST_HOMES, {"ids": keys})}
    await lock_repositories(connection, {home for home in homes.values() if home is not None})
    before = await list_stated_packages(connection, keys)
    await lock_packages(connection, writing=(), reading=[*keys, target])
    sources = {
        row.package_id: row.id for row in await connection.execute(_SAVE_SOURCES, {"ids": keys, "provider": provider})
    }
    rows = [(sources[key], *row) for key in keys for row in make_statement_rows(stated[key], {purl: target})]
    await fill_temporary_table(
        connection, "incoming_statements", INCOMING_STATEMENTS, ("source_id", *STATEMENT_COLUMNS), rows
    )
    values = {"source_ids": sorted(sources.values()), "package_id": target}
    await connection.execute(_REMOVE, values)
    await connection.execute(_ADD, values)
    pairs: set[Pair] = {(target, home) for home in homes.values() if home is not None}
    unowned = [key for key in keys if homes[key] is None and target not in before.get(key, frozenset())]
    await refresh_derived(connection, pairs, (), Counter({(target, "no_owner"): len(unowned)}))
    return len(keys)


def _by_dependent(
    purl: str, records: Sequence[DependentRecord], ids: Mapping[str, int]
) -> dict[int, list[DependencyRecord]]:
    stated: dict[int, list[DependencyRecord]] = {}
    for record in records:
        if record.purl is None or record.purl == purl:
            continue
        stated.setdefault(ids[record.purl], []).append(
            DependencyRecord(
                purl=purl,
                name=purl,
                requirement=record.requirement,
                scope=record.scope,
                direct=record.direct is not False,
            )
        )
    return stated


_LIST_ASKED = text(
    "SELECT DISTINCT package_id FROM sources WHERE package_id = ANY(CAST(:ids AS bigint[]))"
    " AND kind = 'registry_version'"
)
_LIST_HOMES = text("SELECT id, repository_id FROM packages WHERE id = ANY(CAST(:ids AS bigint[]))")
_SAVE_SOURCES = text(
    "INSERT INTO sources (kind, provider, package_id, repository_id, repository_verified, refuted)"
    " SELECT 'aggregator', :provider, p.id, p.repository_id, judged.verified, judged.refuted"
    f" FROM packages p {JUDGED} WHERE p.id = ANY(CAST(:ids AS bigint[])) ORDER BY p.id"
    " ON CONFLICT (package_id, provider, kind) DO UPDATE SET checked_at = now() RETURNING id, package_id"
)
_REMOVE = text(
    "UPDATE statements s SET removed_at = now() WHERE s.removed_at IS NULL AND s.package_id = :package_id"
    " AND s.source_id = ANY(CAST(:source_ids AS bigint[])) AND NOT EXISTS (SELECT FROM incoming_statements i"
    "   WHERE i.source_id = s.source_id AND i.fingerprint = s.fingerprint)"
)
_ADD = text(
    f"INSERT INTO statements (source_id, {', '.join(STATEMENT_COLUMNS)})"
    f" SELECT i.source_id, {', '.join('i.' + column for column in STATEMENT_COLUMNS)} FROM incoming_statements i"
    " WHERE NOT EXISTS (SELECT FROM statements s WHERE s.source_id = i.source_id AND s.package_id = i.package_id"
    "   AND s.fingerprint = i.fingerprint AND s.removed_at IS NULL)"
    " ORDER BY i.source_id, i.fingerprint"
)
