"""What is kept how long. A fact that is still the newest is never removed.

Each function does a bounded step in the caller's transaction, and is called again until nothing is left.
"""

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


async def remove_old_statements(connection: AsyncConnection, *, days: int, limit: int) -> int:
    """Remove statements that nobody has made for so many days; returns how many.

    What a source said last stays as long as the source has said nothing since: that is all that is known of it.
    """
    return (await connection.execute(_REMOVE_STATEMENTS, {"days": days, "limit": limit})).rowcount


async def archive_executions(connection: AsyncConnection, *, days: int, limit: int) -> int:
    """Move runs that were completed so many days ago out of the ledger, but the newest of each subject."""
    return len((await connection.execute(_ARCHIVE, {"days": days, "limit": limit})).all())


_LIST_VANISHED = text(
    "SELECT r.id FROM repositories r WHERE r.missing_since < now() - make_interval(days => :days)"
    " AND EXISTS (SELECT FROM sources so WHERE so.repository_id = r.id AND so.package_id IS NULL"
    "   AND so.gone_at IS NULL) ORDER BY r.id LIMIT :limit"
)
_REMOVE_STATEMENTS = text(
    "DELETE FROM statements s USING (SELECT o.package_id, o.id FROM statements o"
    "   WHERE o.removed_at < now() - make_interval(days => :days) AND EXISTS (SELECT FROM statements n"
    "     WHERE n.source_id = o.source_id AND (n.removed_at IS NULL OR n.removed_at > o.removed_at))"
    "   ORDER BY o.removed_at LIMIT :limit) old"
    " WHERE s.package_id = old.package_id AND s.id = old.id"
)
_ARCHIVE = text(
    "WITH old AS (SELECT e.id FROM job_executions e WHERE e.state = 'completed'"
    "     AND e.finished_at < now() - make_interval(days => :days) AND EXISTS (SELECT FROM job_executions n"
    "     WHERE n.job = e.job AND n.subject = e.subject AND n.id > e.id)"
    "   ORDER BY e.finished_at LIMIT :limit FOR UPDATE SKIP LOCKED),"
    " gone AS (DELETE FROM job_executions e USING old WHERE e.id = old.id RETURNING e.*)"
    " INSERT INTO archived_executions (id, public_id, job, subject, state, finished_at, execution)"
    " SELECT id, public_id, job, subject, state, finished_at, to_jsonb(gone) FROM gone RETURNING id"
)
