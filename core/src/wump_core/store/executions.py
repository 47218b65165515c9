"""The ledger: every run of a job is a row here. Postgres is the truth; a message only rings the bell.

A row goes pending → running → completed, or → failed (a retry is due) → … → dead (kept for the operator).
Each start hands out a fencing token; only its holder may finish the row.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Column, Index, Integer, SmallInteger, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import key_column, metadata, public_id_column, time_column

STATES = ("pending", "running", "completed", "failed", "dead")
QUEUES = ("high", "normal", "low")
_OPEN = "state IN ('pending', 'running', 'failed')"
_CLAIM_LOCK = 0x77756D70_03

job_executions = Table(
    "job_executions",
    metadata,
    key_column(),
    public_id_column(),
    Column("job", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="What it is about, such as a purl."),
    Column("arguments", JSONB, nullable=False, server_default=text("'{}'")),
    Column("queue", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    time_column("due_at", nullable=False, default_now=True),
    time_column("sent_at"),
    time_column("lease_until"),
    Column("token", Uuid),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0"), comment="Job faults so far."),
    Column("lost_leases", SmallInteger, nullable=False, server_default=text("0")),
    Column("rerun_requested", Boolean, nullable=False, server_default=text("false")),
    Column("records_processed", Integer),
    Column("outcome", JSONB, comment="What it came to, or the last error: {code, message}."),
    time_column("created_at", nullable=False, default_now=True),
    time_column("started_at"),
    time_column("finished_at"),
    CheckConstraint(f"state IN {STATES}", name="state"),
    CheckConstraint(f"queue IN {QUEUES}", name="queue"),
    Index("uq_job_executions_open", "job", "subject", unique=True, postgresql_where=text(_OPEN)),
    Index("ix_job_executions_due_at", "due_at", postgresql_where=text(_OPEN)),
    Index("ix_job_executions_subject", "subject", "job"),
)


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a job as its worker sees it. `token` proves that the run is still its own."""

    id: int
    job: str
    subject: str
    arguments: Mapping[str, Any]
    queue: str
    token: UUID
    attempts: int
    age_seconds: float


@dataclass(frozen=True, slots=True)
class DueExecution:
    """What is to be sent: the row's key and its queue."""

    id: int
    queue: str


async def add_execution(
    connection: AsyncConnection, job: str, subject: str, *, queue: str, arguments: Mapping[str, Any] | None = None
) -> UUID:
    """Add a due run, or join the open one of the same job and subject; returns its public id.

    An open run that is already under way is asked to run once more, with these arguments, since it may have
    read before this request was made; one that waits for a retry becomes due at once.
    """
    return (
        await connection.execute(
            text(
                "INSERT INTO job_executions AS e (job, subject, queue, arguments)"
                " VALUES (:job, :subject, :queue, CAST(:arguments AS jsonb))"
                f" ON CONFLICT (job, subject) WHERE {_OPEN} DO UPDATE SET"
                " rerun_requested = e.rerun_requested OR e.state = 'running',"
                " arguments = excluded.arguments,"
                " queue = CASE WHEN excluded.queue = 'high' THEN 'high' ELSE e.queue END,"
                " due_at = CASE WHEN e.state = 'running' THEN e.due_at ELSE least(e.due_at, now()) END"
                " RETURNING public_id"
            ),
            {"job": job, "subject": subject, "queue": queue, "arguments": json.dumps(dict(arguments or {}))},
        )
    ).scalar_one()


async def add_followed_executions(connection: AsyncConnection, job: str, subjects: list[str], depth: int) -> None:
    """Add due runs for these subjects but those that are open or were followed as deep within a day."""
    await connection.execute(
        text(
            "INSERT INTO job_executions (job, subject, queue, arguments)"
            " SELECT :job, subject, 'low', jsonb_build_object('depth', CAST(:depth AS int))"
            " FROM unnest(CAST(:subjects AS text[])) subject"
            " WHERE NOT EXISTS (SELECT FROM job_executions e WHERE e.job = :job AND e.subject = subject.subject"
            "   AND e.created_at > now() - interval '1 day'"
            "   AND coalesce((e.arguments->>'depth')::int, 0) >= :depth)"
            f" ORDER BY subject ON CONFLICT (job, subject) WHERE {_OPEN} DO NOTHING"
        ),
        {"job": job, "subjects": subjects, "depth": depth},
    )


async def claim_due_executions(
    connection: AsyncConnection, *, limit: int, resend_after_seconds: int
) -> list[DueExecution]:
    """Take what is due for sending: new, due again, or sent a while ago and not started.

    At most `limit` rows are sent and unstarted within the time after which they are sent again, so that a
    queue holds no more than workers will soon take. Any number of schedulers may run: one claims at a time,
    as two would each count before the other has claimed, and the others get nothing.
    """
    if not (
        await connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _CLAIM_LOCK})
    ).scalar_one():
        return []
    rows = await connection.execute(
        text(
            "WITH waiting AS (SELECT count(*) AS n FROM (SELECT FROM job_executions"
            "   WHERE state IN ('pending', 'failed') AND due_at <= now()"
            "   AND sent_at > now() - make_interval(secs => :resend) LIMIT :limit) w),"
            " due AS (SELECT id FROM job_executions WHERE state IN ('pending', 'failed') AND due_at <= now()"
            "   AND (sent_at IS NULL OR sent_at <= now() - make_interval(secs => :resend))"
            "   ORDER BY array_position(ARRAY['high', 'normal', 'low'], queue), due_at, id"
            "   LIMIT (SELECT greatest(:limit - n, 0) FROM waiting) FOR UPDATE SKIP LOCKED)"
            " UPDATE job_executions e SET sent_at = now() FROM due WHERE e.id = due.id RETURNING e.id, e.queue"
        ),
        {"limit": limit, "resend": resend_after_seconds},
    )
    return [DueExecution(row.id, row.queue) for row in rows]


async def start_execution(connection: AsyncConnection, execution_id: int, *, lease_seconds: int) -> Execution | None:
    """Begin a due run under a new token; null if it isn't due (any more): a message rang twice."""
    row = (
        await connection.execute(
            text(
                "UPDATE job_executions SET state = 'running', token = gen_random_uuid(), started_at = now(),"
                " rerun_requested = false,"
                " lease_until = now() + make_interval(secs => :lease)"
                " WHERE id = :id AND state IN ('pending', 'failed') AND due_at <= now()"
                " RETURNING id, job, subject, arguments, queue, token, attempts,"
                " extract(epoch FROM now() - created_at)::float8 AS age"
            ),
            {"id": execution_id, "lease": lease_seconds},
        )
    ).first()
    if row is None:
        return None
    return Execution(row.id, row.job, row.subject, row.arguments, row.queue, row.token, row.attempts, row.age)


async def renew_lease(connection: AsyncConnection, execution: Execution, *, lease_seconds: int) -> bool:
    """Hold on to a run; false if it belongs to somebody else by now."""
    result = await connection.execute(
        text(
            "UPDATE job_executions SET lease_until = now() + make_interval(secs => :lease)"
            " WHERE id = :id AND token = :token AND state = 'running'"
        ),
        {"id": execution.id, "token": execution.token, "lease": lease_seconds},
    )
    return result.rowcount == 1


async def release_lost_leases(connection: AsyncConnection, *, max_lost_leases: int) -> int:
    """Make runs due again whose worker is gone; one that lost too many workers is dead. Returns how many."""
    result = await connection.execute(
        text(
            "UPDATE job_executions e SET lost_leases = e.lost_leases + 1, token = NULL, lease_until = NULL,"
            " sent_at = NULL, due_at = now(),"
            " state = CASE WHEN e.lost_leases + 1 >= :max THEN 'dead' ELSE 'pending' END,"
            " finished_at = CASE WHEN e.lost_leases + 1 >= :max THEN now() END,"
            " outcome = CASE WHEN e.lost_leases + 1 >= :max THEN"
            "   jsonb_build_object('code', 'lease_lost', 'message', 'its workers died again and again')"
            "   ELSE e.outcome END"
            " FROM (SELECT id FROM job_executions WHERE state = 'running' AND lease_until < now()"
            "   ORDER BY id FOR UPDATE SKIP LOCKED) lost WHERE e.id = lost.id"
        ),
        {"max": max_lost_leases},
    )
    return result.rowcount


async def finish_execution(
    connection: AsyncConnection, execution: Execution, *, records_processed: int, outcome: Mapping[str, Any]
) -> bool:
    """Complete a run within the transaction of its effects; false if it belongs to somebody else by now.

    A rerun that was requested since it started becomes a new due row.
    """
    row = (
        await connection.execute(
            text(
                "UPDATE job_executions SET state = 'completed', finished_at = now(), lease_until = NULL, token = NULL,"
                " records_processed = :records, outcome = CAST(:outcome AS jsonb)"
                " WHERE id = :id AND token = :token AND state = 'running' RETURNING rerun_requested, queue, arguments"
            ),
            {
                "id": execution.id,
                "token": execution.token,
                "records": records_processed,
                "outcome": json.dumps(dict(outcome)),
            },
        )
    ).first()
    if row is None:
        return False
    if row.rerun_requested:
        # The row's own values: the request may have asked for more than this run was started with.
        await add_execution(connection, execution.job, execution.subject, queue=row.queue, arguments=row.arguments)
    return True


async def fail_execution(
    connection: AsyncConnection,
    execution: Execution,
    *,
    state: str,
    delay_seconds: float,
    attempts: int,
    outcome: Mapping[str, Any],
) -> bool:
    """Note a fault: `failed` is due again after the delay, `dead` waits for the operator."""
    result = await connection.execute(
        text(
            "UPDATE job_executions SET state = :state, attempts = :attempts, token = NULL, lease_until = NULL,"
            " sent_at = NULL, due_at = now() + make_interval(secs => :delay),"
            " finished_at = CASE WHEN :state = 'dead' THEN now() END, outcome = CAST(:outcome AS jsonb)"
            " WHERE id = :id AND token = :token AND state = 'running'"
        ),
        {
            "id": execution.id,
            "token": execution.token,
            "state": state,
            "delay": delay_seconds,
            "attempts": attempts,
            "outcome": json.dumps(dict(outcome)),
        },
    )
    return result.rowcount == 1


async def get_execution(connection: AsyncConnection, public_id: UUID) -> Mapping[str, Any] | None:
    """One run as the API shows it."""
    row = (
        await connection.execute(
            text(
                "SELECT public_id AS id, job, subject, queue, state, attempts, lost_leases, records_processed, outcome,"
                " created_at, due_at, started_at, finished_at FROM job_executions WHERE public_id = :id"
            ),
            {"id": public_id},
        )
    ).first()
    return row._mapping if row else None


async def describe_backlog(connection: AsyncConnection) -> Mapping[str, Any]:
    """Counts of open and dead runs, and how long the oldest due one has waited, in seconds."""
    row = (
        await connection.execute(
            text(
                "SELECT count(*) FILTER (WHERE state IN ('pending', 'failed')) AS waiting,"
                " count(*) FILTER (WHERE state = 'running') AS running,"
                " coalesce(extract(epoch FROM now() - min(due_at) FILTER"
                "   (WHERE state IN ('pending', 'failed') AND due_at <= now())), 0)::float8 AS oldest_due_seconds,"
                " (SELECT max(finished_at) FROM job_executions WHERE finished_at > now() - interval '1 day')"
                "   AS last_finished_at,"
                " (SELECT count(*) FROM job_executions WHERE state = 'dead') AS dead"
                f" FROM job_executions WHERE {_OPEN}"
            )
        )
    ).one()
    return row._mapping
