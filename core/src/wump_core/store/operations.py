"""What an operator sees of the ledger and does to it: list, requeue, discard, and how far the work has come.

The command line and the API's operator routes share these.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.executions import OPEN, QUEUES, STATES

_SHOWN = (
    "public_id AS id, job, subject, arguments, arguments_version, queue, state, attempts, lost_leases,"
    " records_processed, outcome, created_at, due_at, started_at, finished_at, lease_until, outage_since, schedule,"
    " fire_at, rerun_requested, metadata, split_part(trace_context->>'traceparent', '-', 2) AS trace_id"
)


async def list_executions(
    connection: AsyncConnection,
    *,
    states: Sequence[str] = (),
    job: str | None = None,
    queue: str | None = None,
    subject: str | None = None,
    before: UUID | None = None,
    limit: int = 50,
) -> list[Mapping[str, Any]]:
    """Runs, the newest first.

    Args:
        states: Only those in one of `STATES`; empty for all.
        job: Only of this job.
        queue: Only in this queue.
        subject: Only about exactly this.
        before: Only those planned before this run: the last of the page before.
        limit: Rows at the most.
    """
    # Only what is asked for, and states as constants: so the indexes of open and of dead runs are of use.
    wanted = [f"state = '{state}'" for state in STATES if state in states]
    conditions = [f"({' OR '.join(wanted) or 'false'})"] if states else []
    equal = {"job": job, "queue": queue, "subject": subject}
    conditions += [f"{name} = :{name}" for name, value in equal.items() if value is not None]
    conditions += ["public_id < :before"] if before is not None else []
    rows = await connection.execute(
        text(
            f"SELECT {_SHOWN} FROM job_executions WHERE {' AND '.join(conditions) or 'true'}"
            " ORDER BY public_id DESC LIMIT :limit"
        ),
        {name: value for name, value in {**equal, "before": before, "limit": limit}.items() if value is not None},
    )
    return [row._mapping for row in rows]


async def get_execution_details(connection: AsyncConnection, public_id: UUID) -> Mapping[str, Any] | None:
    """One run with all that an operator may want to know."""
    row = await connection.execute(
        text(f"SELECT {_SHOWN} FROM job_executions WHERE public_id = :id"), {"id": public_id}
    )
    found = row.first()
    return found._mapping if found else None


async def list_dead_ids(connection: AsyncConnection, *, job: str | None = None, limit: int = 10_000) -> list[UUID]:
    """The dead runs, the oldest first, of one job or of all."""
    rows = await connection.execute(
        text(
            "SELECT public_id FROM job_executions WHERE state = 'dead' AND (CAST(:job AS text) IS NULL OR job = :job)"
            " ORDER BY id LIMIT :limit"
        ),
        {"job": job, "limit": limit},
    )
    return list(rows.scalars())


async def retry_executions(connection: AsyncConnection, public_ids: Sequence[UUID]) -> list[UUID]:
    """Make these dead or failed runs due now, as if they were new; returns those that are.

    A dead run whose job is open again for the same subject stays as it is: that one does its work.
    """
    rows = await connection.execute(
        text(
            "WITH wanted AS (SELECT DISTINCT ON (job, subject) id FROM job_executions e"
            "   WHERE public_id = ANY(CAST(:ids AS uuid[])) AND (state = 'failed' OR state = 'dead' AND NOT EXISTS"
            "     (SELECT FROM job_executions o WHERE o.job = e.job AND o.subject = e.subject AND o.state IN"
            "      ('pending', 'running', 'failed'))) ORDER BY job, subject, id DESC)"
            " UPDATE job_executions e SET state = 'pending', due_at = now(), attempts = 0, lost_leases = 0,"
            " sent_at = NULL, outage_since = NULL, finished_at = NULL, rerun_requested = false"
            " FROM wanted WHERE e.id = wanted.id AND e.state IN ('failed', 'dead') RETURNING e.public_id"
        ),
        {"ids": list(public_ids)},
    )
    return list(rows.scalars())


async def discard_executions(connection: AsyncConnection, public_ids: Sequence[UUID]) -> list[Mapping[str, Any]]:
    """Remove these runs from the ledger, unless they are running or completed; returns id, job and subject of each."""
    rows = await connection.execute(
        text(
            "DELETE FROM job_executions WHERE public_id = ANY(CAST(:ids AS uuid[]))"
            " AND state IN ('pending', 'failed', 'dead') RETURNING public_id AS id, job, subject"
        ),
        {"ids": list(public_ids)},
    )
    return [row._mapping for row in rows]


async def describe_backlog(connection: AsyncConnection) -> Mapping[str, Any]:
    """How far the work has come.

    Counts of waiting, running and dead runs; for how many seconds the oldest due one has waited, those of paused jobs
    left out, and how long ago a run last started or ended, null: not within a day.
    """
    row = (
        await connection.execute(
            text(
                "SELECT count(*) FILTER (WHERE state IN ('pending', 'failed')) AS waiting,"
                " count(*) FILTER (WHERE state = 'running') AS running,"
                " count(*) FILTER (WHERE state <> 'running' AND due_at <= now() AND NOT paused) AS due,"
                " coalesce(extract(epoch FROM now() - min(due_at) FILTER"
                "   (WHERE state <> 'running' AND due_at <= now() AND NOT paused)), 0)::float8 AS oldest_due_seconds,"
                " extract(epoch FROM now() - greatest(max(started_at), max(last.at)))::float8 AS idle_seconds,"
                " max(last.at) AS last_finished_at,"
                " (SELECT count(*) FROM job_executions WHERE state = 'dead') AS dead,"
                " (SELECT extract(epoch FROM now() - min(next_at))::float8 FROM schedules"
                "   WHERE paused_at IS NULL AND next_at < now()) AS schedule_late_seconds"
                " FROM (SELECT max(finished_at) AS at FROM job_executions"
                "   WHERE finished_at > now() - interval '1 day') last LEFT JOIN"
                " (SELECT state, due_at, started_at, job IN (SELECT name FROM pauses WHERE kind = 'job') AS paused"
                f"   FROM job_executions WHERE {OPEN}) open_runs ON true"
            )
        )
    ).one()
    return row._mapping


async def describe_queues(connection: AsyncConnection) -> tuple[dict[str, tuple[int, float]], int]:
    """Of each queue, how many due runs wait and for how many seconds the oldest has; and the database's size in bytes.

    Those of paused jobs are left out.
    """
    rows = await connection.execute(
        text(
            "SELECT queue, count(*) AS depth, extract(epoch FROM now() - min(due_at))::float8 AS lag"
            " FROM job_executions WHERE state IN ('pending', 'failed') AND due_at <= now()"
            " AND job NOT IN (SELECT name FROM pauses WHERE kind = 'job') GROUP BY queue"
        )
    )
    queues = dict.fromkeys(QUEUES, (0, 0.0)) | {row.queue: (row.depth, row.lag) for row in rows}
    size = (await connection.execute(text("SELECT pg_database_size(current_database())"))).scalar_one()
    return queues, size


async def describe_recent(connection: AsyncConnection, *, minutes: int) -> list[Mapping[str, Any]]:
    """Of each job, the runs that ended lately: completed, failed (a retry is due) and dead."""
    rows = await connection.execute(
        text(
            "SELECT job, count(*) FILTER (WHERE state = 'completed') AS completed,"
            " count(*) FILTER (WHERE state = 'failed') AS failed, count(*) FILTER (WHERE state = 'dead') AS dead"
            " FROM (SELECT job, state FROM job_executions WHERE finished_at > now() - make_interval(mins => :minutes)"
            "   UNION ALL SELECT job, state FROM job_executions WHERE state = 'failed'"
            "   AND started_at > now() - make_interval(mins => :minutes)) ended GROUP BY job ORDER BY job"
        ),
        {"minutes": minutes},
    )
    return [row._mapping for row in rows]
