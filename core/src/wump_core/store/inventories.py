"""What aggregators say of repositories and of their files, many at once: a word that the host's own outdoes.

A repository whose files wump has read itself keeps what was read; reading it later ends what an aggregator said of its
files, since those are none of the files that are there then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.errors import ServerUnavailable
from wump_core.hosts import make_permalink
from wump_core.noise import mark_path
from wump_core.records import InventoryRecord, ManifestRecord, RepositoryClaim
from wump_core.store.base import fill_temporary_table
from wump_core.store.dependencies import Pair
from wump_core.store.dependents import Answer
from wump_core.store.derived import lock_packages, refresh_derived
from wump_core.store.facts import Names
from wump_core.store.packages import add_packages
from wump_core.store.repositories import add_repositories
from wump_core.store.sources import (
    dump_diagnostics,
    make_statement_rows,
    replace_statements,
)


@dataclass(frozen=True, slots=True)
class InventoryOutcome:
    """How many repositories were saved, how many said what they had said, and how many keep what is known better."""

    saved: int = 0
    unchanged: int = 0
    kept: int = 0


async def add_inventory_names(
    connection: AsyncConnection, records: Iterable[InventoryRecord], *, known: Mapping[str, int] | None = None
) -> Names:
    """Find what these records name, or add it; meant for a short transaction of its own.

    `known` are keys of packages by purl from earlier calls, which need not be looked up again.
    """
    records = list(records)
    files = (file for record in records for file in record.manifests or ())
    purls = {item.purl for file in files for item in file.dependencies if item.purl}
    package_ids = {purl: known[purl] for purl in purls if purl in known} if known else {}
    package_ids |= await add_packages(connection, purls - package_ids.keys())
    claims = [_claim(record) for record in records]
    return Names(package_ids, await add_repositories(connection, claims) if claims else {})


async def save_inventories(
    connection: AsyncConnection,
    provider: str,
    records: Sequence[InventoryRecord],
    names: Names,
    *,
    told_at: datetime | None = None,
    derive: bool = True,
) -> InventoryOutcome:
    """Save what an aggregator says of repositories and their files, in the caller's transaction.

    Repositories are locked first, in the order of keys, so that nobody else says anything of them; see `derived`.

    Args:
        provider: Name of the aggregator.
        records: One per repository; of two that are one repository today, the first counts.
        names: Keys of all that the records name.
        told_at: When it said so; null: now.
        derive: Whether all that follows is brought up to date, too. Else it is up to the caller: `audit.rebuild`.

    Raises:
        ServerUnavailable: A repository was renamed since they were looked up: look them up again.
    """
    given: dict[int, InventoryRecord] = {}
    for record in records:
        claim = _claim(record)
        given.setdefault(names.repositories[claim.host, claim.path], record)
    values = {"ids": sorted(given), "provider": provider, "told_at": told_at}
    locked = (await connection.execute(_LOCK, values)).all()
    if any(row.renamed_to is not None for row in locked):
        raise ServerUnavailable("a repository was renamed meanwhile: it is tried again under its new name")
    known = {row.id: row for row in (await connection.execute(_LIST_KNOWN, values)).all()}
    fresh = {key: record for key, record in given.items() if not known[key].is_settled}
    if fresh:
        saving = _Saving(connection, provider, fresh, names, told_at)
        same = await (saving.save(known) if derive else saving.load(known))
    else:
        same = 0
    return InventoryOutcome(len(fresh) - same, same, len(records) - len(fresh))


def _claim(record: InventoryRecord) -> RepositoryClaim:
    """Under which name its row is found; the hosts that aggregators name ignore case."""
    repository = record.repository
    owner = repository.owner.lower() if repository.owner else None
    return RepositoryClaim(host=repository.host, path=repository.path.lower(), owner=owner)


@dataclass
class _Saving:
    """One call of `save_inventories`, of those repositories of which nothing better is known."""

    connection: AsyncConnection
    provider: str
    records: Mapping[int, InventoryRecord]
    names: Names
    told_at: datetime | None

    async def load(self, known: Mapping[int, Row[Any]]) -> int:
        """Save and derive nothing; returns how many repositories said the same before."""
        changed, _ = await self._save_facts()
        return len(self.records.keys() - changed.union(await self._save_files(known)))

    async def save(self, known: Mapping[int, Row[Any]]) -> int:
        """Save and derive; returns how many repositories said the same before."""
        before = await self._list_pairs()
        told = {self.names.package_ids[item.purl] for item in self._dependencies() if item.purl}
        await lock_packages(self.connection, writing=(), reading=told.union(pair[0] for pair in before))
        changed, recounted = await self._save_facts()
        stated = await self._save_files(known)
        pairs: set[Pair] = {(target, key) for key, targets in stated.items() for target in targets}
        pairs.update(pair for pair in before if pair[1] in recounted)
        shown = changed.union(stated)
        answers: set[Answer] = {
            (package_id, owner) for (package_id, key), owner in before.items() if key in shown and owner is not None
        }
        await refresh_derived(self.connection, pairs, answers)
        return len(self.records.keys() - shown)

    def _dependencies(self) -> Iterable[Any]:
        return (
            item
            for record in self.records.values()
            for file in record.manifests or ()
            for item in file.dependencies
            if item.direct
        )

    async def _list_pairs(self) -> dict[Pair, int | None]:
        rows = await self.connection.execute(_LIST_PAIRS, {"ids": sorted(self.records)})
        return {(row.package_id, row.repository_id): row.organization_id for row in rows}

    async def _save_facts(self) -> tuple[set[int], set[int]]:
        """Returns the repositories of which anything differs, and those that may count otherwise now."""
        rows = [
            (key, told.description, told.default_branch, told.stars, told.fork, told.archived, told.pushed_at)
            for key, record in sorted(self.records.items())
            for told in (record.repository,)
        ]
        await fill_temporary_table(self.connection, "incoming_repositories", _INCOMING, ("id", *_TOLD), rows)
        found = (await self.connection.execute(_SAVE_FACTS)).all()
        return {row.id for row in found}, {row.id for row in found if row.recounted}

    async def _save_files(self, known: Mapping[int, Row[Any]]) -> dict[int, set[int]]:
        """Save files and statements; returns the packages whose statements differ, by repository."""
        told = {key: record for key, record in self.records.items() if record.manifests is not None}
        files = {
            (key, file.path): (record, file) for key, record in sorted(told.items()) for file in record.manifests or ()
        }
        changed: dict[int, set[int]] = {}
        if again := sorted(key for key in told if known[key].is_told):
            gone = {
                "ids": again,
                "provider": self.provider,
                "repository_ids": [key for key, _ in files],
                "paths": [path for _, path in files],
            }
            for row in (await self.connection.execute(_END_FILES, gone)).all():
                changed.setdefault(row.repository_id, set()).add(row.package_id)
        values = _file_columns(files) | {"provider": self.provider, "told_at": self.told_at}
        saved = (await self.connection.execute(_SAVE_FILES, values)).all() if files else []
        homes = {row.id: row.repository_id for row in saved}
        statements: list[tuple[Any, ...]] = [
            (row.id, *statement)
            for row in saved
            for statement in make_statement_rows(
                (item for item in files[row.repository_id, row.path][1].dependencies if item.direct),
                self.names.package_ids,
            )
        ]
        compared = [row.id for row in saved if row.known]
        for source, targets in (await replace_statements(self.connection, statements, known=compared)).items():
            changed.setdefault(homes[source], set()).update(targets)
        revised = {row.id for row in saved if row.revised}
        for source, target, *_ in statements:
            if source in revised:
                changed.setdefault(homes[source], set()).add(target)
        return changed


def _file_columns(files: Mapping[tuple[int, str], tuple[InventoryRecord, ManifestRecord]]) -> dict[str, list[Any]]:
    rows = [
        (
            key,
            path,
            file.kind,
            mark_path(path),
            record.revision,
            _make_url(record, path),
            dump_diagnostics(file.diagnostics),
        )
        for (key, path), (record, file) in files.items()
    ]
    return {name: [row[position] for row in rows] for position, name in enumerate(_FILE_COLUMNS)}


def _make_url(record: InventoryRecord, path: str) -> str | None:
    if record.revision is None:
        return None
    return make_permalink(record.repository.host, record.repository.path, record.revision, path)


_TOLD = ("description", "default_branch", "stars", "fork", "archived", "pushed_at")
_INCOMING = (
    "id bigint, description text, default_branch text, stars bigint, fork boolean, archived boolean,"
    " pushed_at timestamptz"
)
_FILE_COLUMNS = ("repository_ids", "paths", "kinds", "marks", "revisions", "urls", "diagnostics")
_LOCK = text(
    "SELECT id, renamed_to FROM repositories WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR NO KEY UPDATE"
)
# A statement of its own: what came while the lock was waited for is seen by it.
_LIST_KNOWN = text(
    "SELECT r.id, r.files_at IS NOT NULL OR coalesce(told.checked_at > CAST(:told_at AS timestamptz), false)"
    " AS is_settled, told.checked_at IS NOT NULL AS is_told"
    " FROM repositories r LEFT JOIN LATERAL (SELECT max(so.checked_at) AS checked_at FROM sources so"
    "   WHERE so.repository_id = r.id AND so.provider = :provider AND so.package_id IS NULL) told ON true"
    " WHERE r.id = ANY(CAST(:ids AS bigint[]))"
)
_LIST_PAIRS = text(
    "SELECT package_id, repository_id, organization_id FROM dependencies"
    " WHERE repository_id = ANY(CAST(:ids AS bigint[]))"
)
_SAVE_FACTS = text(
    f"UPDATE repositories r SET {', '.join(f'{name} = coalesce(i.{name}, r.{name})' for name in _TOLD)}"
    " FROM incoming_repositories i WHERE r.id = i.id AND r.fetched_at IS NULL"
    f" AND ({' OR '.join(f'coalesce(i.{name}, r.{name}) IS DISTINCT FROM r.{name}' for name in _TOLD)})"
    " RETURNING r.id, (old.fork, old.archived) IS DISTINCT FROM (new.fork, new.archived) AS recounted"
)
_END_FILES = text(
    "WITH gone AS (UPDATE sources so SET gone_at = now() WHERE so.repository_id = ANY(CAST(:ids AS bigint[]))"
    "   AND so.provider = :provider AND so.package_id IS NULL AND so.gone_at IS NULL AND NOT EXISTS"
    "   (SELECT FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:paths AS text[])) AS given(repository_id, path)"
    "     WHERE given.repository_id = so.repository_id AND given.path = so.path) RETURNING so.id, so.repository_id)"
    " UPDATE statements s SET removed_at = now() FROM gone WHERE s.source_id = gone.id AND s.removed_at IS NULL"
    " RETURNING gone.repository_id, s.package_id"
)
_SHOWN = ("kind", "mark", "revision", "url")
_SAVE_FILES = text(
    "INSERT INTO sources AS so (kind, provider, repository_id, repository_verified, path, mark, revision, url,"
    " diagnostics, checked_at) SELECT kind, :provider, repository_id, true, path, mark, revision, url,"
    " CAST(diagnostics AS jsonb), coalesce(CAST(:told_at AS timestamptz), now())"
    " FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:paths AS text[]), CAST(:kinds AS text[]),"
    "   CAST(:marks AS text[]), CAST(:revisions AS text[]), CAST(:urls AS text[]), CAST(:diagnostics AS text[]))"
    "   AS given(repository_id, path, kind, mark, revision, url, diagnostics) ORDER BY repository_id, path"
    " ON CONFLICT (repository_id, path, provider) WHERE package_id IS NULL DO UPDATE SET"
    f" {', '.join(f'{name} = excluded.{name}' for name in _SHOWN)}, diagnostics = excluded.diagnostics,"
    " checked_at = excluded.checked_at, gone_at = NULL"
    " RETURNING new.id, new.repository_id, new.path, old.id IS NOT NULL AS known,"
    f" old.id IS NOT NULL AND ({', '.join('old.' + name for name in _SHOWN)})"
    f" IS DISTINCT FROM ({', '.join('new.' + name for name in _SHOWN)}) AS revised"
)
