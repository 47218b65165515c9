"""What hosts say of repositories, as lists and searches bring it: many at once, and nothing of their files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.records import RepositoryRecord
from wump_core.store.accounts import AccountName, add_accounts
from wump_core.store.base import fill_temporary_table
from wump_core.store.dependencies import Pair
from wump_core.store.dependents import Answer
from wump_core.store.derived import lock_packages, refresh_derived


@dataclass(frozen=True, slots=True)
class Found:
    """How many repositories were not known before, and the paths of all that should be read, the most starred first."""

    added: int
    to_read: Sequence[str]


async def add_described_owners(connection: AsyncConnection, records: Sequence[RepositoryRecord]) -> None:
    """Find the owners of these repositories, or add them; meant for a short transaction of its own."""
    await add_accounts(connection, {_owner_of(record) for record in records if record.owner})


async def save_descriptions(connection: AsyncConnection, host: str, records: Mapping[str, RepositoryRecord]) -> Found:
    """Save what a host says of some of its repositories, by their paths in the table; their owners are there already.

    New ones are added. Of known ones, stars, times and what leaves them out are brought up to date, with all that is
    derived; what the host does not tell here stays. Where the owner or the host's id is another one than before, all
    is left to reading the repository.
    """
    rows = [_make_row(path, record) for path, record in sorted(records.items())]
    await fill_temporary_table(connection, "described_repositories", _INCOMING, ("path", "login", *_TOLD), rows)
    added = (await connection.execute(_ADD, {"host": host})).scalars().all()
    known = (await connection.execute(_LOCK_KNOWN, {"host": host, "added": added})).all()
    await _update(connection, [row for row in known if not row.is_another])
    to_read = (await connection.execute(_LIST_TO_READ, {"host": host})).scalars().all()
    return Found(len(added), to_read)


async def _update(connection: AsyncConnection, known: Sequence[Row[Any]]) -> None:
    recounted = {row.id for row in known if row.recounted}
    changed = recounted.union(row.id for row in known if row.reshown)
    pairs: set[Pair] = set()
    answers: set[Answer] = set()
    for row in (await connection.execute(_LIST_PAIRS, {"ids": sorted(changed)})).all() if changed else ():
        if row.repository_id in recounted:
            pairs.add((row.package_id, row.repository_id))
        if row.organization_id is not None:
            answers.add((row.package_id, row.organization_id))
    await lock_packages(connection, writing=(), reading={package_id for package_id, _ in pairs})
    await connection.execute(_UPDATE, {"ids": sorted(row.id for row in known)})
    await refresh_derived(connection, pairs, answers)


def _owner_of(record: RepositoryRecord) -> AccountName:
    return record.host, (record.owner or "").lower()


def _make_row(path: str, record: RepositoryRecord) -> tuple[object, ...]:
    login = record.owner.lower() if record.owner else None
    return (
        path,
        login,
        record.host_id,
        record.path,
        record.description,
        record.default_branch,
        record.stars,
        record.fork,
        record.archived,
        record.template,
        record.pushed_at,
    )


_TOLD = (
    *("host_id", "current_path", "description", "default_branch", "stars", "fork", "archived", "template"),
    "pushed_at",
)
_INCOMING = (
    "path text, login text, host_id text, current_path text, description text, default_branch text, stars bigint,"
    " fork boolean, archived boolean, template boolean, pushed_at timestamptz"
)


def _differs(*names: str) -> str:
    return " OR ".join(f"coalesce(d.{name}, r.{name}) IS DISTINCT FROM r.{name}" for name in names)


_ADD = text(
    f"INSERT INTO repositories (host, path, account_id, {', '.join(_TOLD)}, fetched_at)"
    f" SELECT :host, d.path, a.id, {', '.join('d.' + name for name in _TOLD)}, now() FROM described_repositories d"
    " LEFT JOIN accounts a ON a.host = :host AND a.login = d.login"
    " WHERE NOT EXISTS (SELECT FROM repositories r WHERE r.host = :host AND r.path = d.path)"
    " ORDER BY d.path ON CONFLICT DO NOTHING RETURNING id"
)
# What the statement sees is of before it waited, but whoever it waited for had the same from the host.
_LOCK_KNOWN = text(
    "SELECT r.id, r.renamed_to IS NOT NULL OR a.login IS DISTINCT FROM d.login"
    "   OR (r.host_id IS NOT NULL AND r.host_id IS DISTINCT FROM d.host_id) AS is_another,"
    f" {_differs('fork', 'archived', 'template')} AS recounted, {_differs('stars', 'pushed_at')} AS reshown"
    " FROM described_repositories d JOIN repositories r ON r.host = :host AND r.path = d.path"
    " LEFT JOIN accounts a ON a.id = r.account_id WHERE NOT r.id = ANY(CAST(:added AS bigint[]))"
    " ORDER BY r.id FOR NO KEY UPDATE OF r"
)
_LIST_PAIRS = text(
    "SELECT package_id, repository_id, organization_id FROM dependencies"
    " WHERE repository_id = ANY(CAST(:ids AS bigint[]))"
)
_UPDATE = text(
    f"UPDATE repositories r SET {', '.join(f'{name} = coalesce(d.{name}, r.{name})' for name in _TOLD)},"
    " missing = NULL, missing_since = NULL, fetched_at = now()"
    " FROM described_repositories d WHERE r.path = d.path AND r.id = ANY(CAST(:ids AS bigint[]))"
)
# Never read, pushed to since, or not what it was.
_LIST_TO_READ = text(
    "SELECT d.path FROM described_repositories d JOIN repositories r ON r.host = :host AND r.path = d.path"
    " LEFT JOIN accounts a ON a.id = r.account_id"
    " WHERE d.archived IS NOT TRUE AND d.fork IS NOT TRUE AND (r.files_at IS NULL OR d.pushed_at > r.files_at"
    "   OR r.renamed_to IS NOT NULL OR a.login IS DISTINCT FROM d.login OR r.host_id IS DISTINCT FROM d.host_id)"
    " ORDER BY d.stars DESC NULLS LAST, d.path"
)
