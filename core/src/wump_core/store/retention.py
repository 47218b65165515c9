"""What is kept how long. A fact that is still the newest is never removed.

Each function takes a bounded step in the caller's transaction, and says where the next one goes on: what stays is
looked at once in a walk.
"""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Index, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import metadata, time_column

archived_executions = Table(
    "archived_executions",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("public_id", Uuid, nullable=False, unique=True),
    Column("job", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("state", Text, nullable=False),
    time_column("finished_at", nullable=False),
    Column("execution", JSONB, nullable=False, comment="All of its row in the ledger."),
    time_column("archived_at", nullable=False, default_now=True),
    Index("ix_archived_executions_subject", "subject", "job"),
    Index("ix_archived_executions_finished_at", "finished_at"),
)


async def list_vanished_repositories(connection: AsyncConnection, *, days: int, limit: int) -> list[int]:
    """Repositories that their host has not shown for so many days, and whose files still say something."""
    found = await connection.execute(_LIST_VANISHED, {"days": days, "limit": limit})
    return list(found.scalars())


@dataclass(frozen=True, slots=True)
class Step:
    """How many rows a step took away, and the key that the next step goes on from; null: there is no more."""

    count: int
    after: int | None


async def remove_old_statements(connection: AsyncConnection, *, days: int, limit: int, after: int) -> Step:
    """Remove statements that nobody has made for so many days.

    What a source said last stays as long as the source has said nothing since: that is all that is known of it.

    Args:
        limit: How many are looked at.
        after: Key of the last one that was looked at; 0 at the beginning.
    """
    values = {"days": days, "limit": limit, "after": after}
    row = (await connection.execute(_REMOVE_STATEMENTS, values)).one()
    return Step(row.gone, row.last if row.looked == limit else None)


async def archive_executions(connection: AsyncConnection, *, days: int, limit: int, after: int) -> Step:
    """Move runs that were completed so many days ago out of the ledger, but the newest of each subject.

    Args:
        limit: How many are looked at.
        after: Key of the last one that was looked at; 0 at the beginning.
    """
    row = (await connection.execute(_ARCHIVE, {"days": days, "limit": limit, "after": after})).one()
    return Step(row.gone, row.last if row.looked == limit else None)


_LIST_VANISHED = text(
    "SELECT r.id FROM repositories r WHERE r.missing_since < now() - make_interval(days => :days)"
    " AND EXISTS (SELECT FROM sources so WHERE so.repository_id = r.id AND so.package_id IS NULL"
    "   AND so.gone_at IS NULL) ORDER BY r.id LIMIT :limit"
)
_REMOVE_STATEMENTS = text(
    "WITH looked AS MATERIALIZED (SELECT package_id, id, source_id, removed_at FROM statements"
    "   WHERE removed_at < now() - make_interval(days => :days) AND id > :after ORDER BY id LIMIT :limit),"
    " gone AS (DELETE FROM statements s USING looked WHERE s.package_id = looked.package_id AND s.id = looked.id"
    "   AND (EXISTS (SELECT FROM statements n WHERE n.source_id = looked.source_id AND n.removed_at IS NULL)"
    "   OR EXISTS (SELECT FROM statements n WHERE n.source_id = looked.source_id"
    "     AND n.removed_at > looked.removed_at)) RETURNING s.id)"
    " SELECT (SELECT count(*) FROM gone) AS gone, count(*) AS looked, max(id) AS last FROM looked"
)
_ARCHIVE = text(
    "WITH looked AS MATERIALIZED (SELECT id, job, subject FROM job_executions WHERE state = 'completed'"
    "   AND finished_at < now() - make_interval(days => :days) AND id > :after ORDER BY id LIMIT :limit),"
    " gone AS (DELETE FROM job_executions e USING looked WHERE e.id = looked.id AND EXISTS"
    "   (SELECT FROM job_executions n WHERE n.job = looked.job AND n.subject = looked.subject AND n.id > looked.id)"
    "   RETURNING e.*),"
    " saved AS (INSERT INTO archived_executions (id, public_id, job, subject, state, finished_at, execution)"
    "   SELECT id, public_id, job, subject, state, finished_at, to_jsonb(gone) FROM gone RETURNING id)"
    " SELECT (SELECT count(*) FROM saved) AS gone, count(*) AS looked, max(id) AS last FROM looked"
)
