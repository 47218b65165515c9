"""The ledger: every run of a job is a row here. Postgres is the truth; a message only rings the bell.

A row goes pending → running → completed, or → failed (a retry is due) → … → dead (kept for the operator).
Each start hands out a fencing token; only its holder may finish the row. What operators do is in `operations`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, CheckConstraint, Column, Index, Integer, SmallInteger, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import key_column, metadata, public_id_column, time_column
from wump_core.telemetry import get_trace_context

STATES = ("pending", "running", "completed", "failed", "dead")
QUEUES = ("high", "normal", "low")
OPEN = "state IN ('pending', 'running', 'failed')"
_NOT_PAUSED = "job NOT IN (SELECT name FROM pauses WHERE kind = 'job')"
_CLAIM_LOCK = 0x77756D70_03
# An open run is joined: it will see what is asked for now.
_JOIN = (
    "rerun_requested = e.rerun_requested OR e.state = 'running',"
    " arguments = excluded.arguments, arguments_version = excluded.arguments_version,"
    " queue = CASE WHEN excluded.queue = 'high' THEN 'high' ELSE e.queue END,"
    " due_at = CASE WHEN e.state = 'running' THEN e.due_at ELSE least(e.due_at, now()) END"
)

job_executions = Table(
    "job_executions",
    metadata,
    key_column(),
    public_id_column(),
    Column("job", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="What it is about, such as a purl."),
    Column("arguments", JSONB, nullable=False, server_default=text("'{}'")),
    Column("arguments_version", SmallInteger, nullable=False, server_default=text("1")),
    Column("queue", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    time_column("due_at", nullable=False, default_now=True),
    time_column("sent_at"),
    time_column("lease_until"),
    Column("token", Uuid),
    Column("attempts", SmallInteger, nullable=False, server_default=text("0"), comment="Job faults so far."),
    Column("lost_leases", SmallInteger, nullable=False, server_default=text("0"), comment="Workers that died of it."),
    Column("rerun_requested", Boolean, nullable=False, server_default=text("false")),
    Column("records_processed", Integer),
    Column("outcome", JSONB, comment="What it came to, or the last error: {code, message}."),
    time_column("created_at", nullable=False, default_now=True),
    time_column("started_at"),
    time_column("finished_at"),
    time_column("outage_since", comment="Since when something else than the job keeps it from being done."),
    Column("schedule", Text, comment="The schedule that it was due by; null: somebody or something planned it."),
    time_column("fire_at", comment="Which moment of its schedule it stands for."),
    Column("metadata", JSONB, nullable=False, server_default=text("'{}'"), comment="Such as {worker, skipped}."),
    Column("trace_context", JSONB, comment="W3C traceparent, tracestate and baggage of what planned it."),
    CheckConstraint(f"state IN {STATES}", name="state"),
    CheckConstraint(f"queue IN {QUEUES}", name="queue"),
    Index("uq_job_executions_open", "job", "subject", unique=True, postgresql_where=text(OPEN)),
    Index("ix_job_executions_due_at", "due_at", postgresql_where=text(OPEN)),
    Index("ix_job_executions_subject", "subject", "job"),
    Index("ix_job_executions_finished_at", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    Index("ix_job_executions_dead", "job", postgresql_where=text("state = 'dead'")),
    Index(
        "uq_job_executions_schedule_fire_at",
        "schedule",
        "fire_at",
        unique=True,
        postgresql_where=text("schedule IS NOT NULL"),
    ),
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
    lost_leases: int = 0
    arguments_version: int = 1
    outage_seconds: float | None = None
    """How long something else than the job has kept it from being done; null: nothing does."""
    paused_providers: frozenset[str] = frozenset()
    trace_context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DueExecution:
    """What is to be sent: the row's key, its queue, and the trace that it goes on with."""

    id: int
    queue: str
    trace_context: Mapping[str, str] | None = None


async def add_execution(
    connection: AsyncConnection,
    job: str,
    subject: str,
    *,
    queue: str,
    arguments: Mapping[str, Any] | None = None,
    version: int = 1,
) -> UUID:
    """Add a due run, or join the open one of the same job and subject; returns its public id.

    An open run that is already under way is asked to run once more, with these arguments, since it may have
    read before this request was made; one that waits for a retry becomes due at once.

    Args:
        version: Of the arguments, as the job's entry in the worker's registry counts them.
    """
    return (
        await connection.execute(
            text(
                "INSERT INTO job_executions AS e (job, subject, queue, arguments, arguments_version, trace_context)"
                " VALUES (:job, :subject, :queue, CAST(:arguments AS jsonb), :version, CAST(:trace AS jsonb))"
                f" ON CONFLICT (job, subject) WHERE {OPEN} DO UPDATE SET {_JOIN} RETURNING public_id"
            ),
            {
                "job": job,
                "subject": subject,
                "queue": queue,
                "arguments": json.dumps(dict(arguments or {})),
                "version": version,
                "trace": make_trace_context(),
            },
        )
    ).scalar_one()


async def add_scheduled_execution(
    connection: AsyncConnection, schedule: Mapping[str, Any], fire_at: datetime, *, skipped: int
) -> UUID | None:
    """Add the run that a schedule makes due at a moment, or join the open one; null: that moment had its run.

    Args:
        schedule: Its row: name, job, subject, arguments, arguments_version, queue.
        fire_at: The moment it stands for.
        skipped: How many moments before it passed without a run, as during a downtime.
    """
    row = await connection.execute(
        text(
            "INSERT INTO job_executions AS e"
            " (job, subject, queue, arguments, arguments_version, schedule, fire_at, metadata)"
            " SELECT :job, :subject, :queue, CAST(:arguments AS jsonb), :version, :name, :fire_at,"
            "   jsonb_build_object('skipped', CAST(:skipped AS int))"
            " WHERE NOT EXISTS (SELECT FROM job_executions o WHERE o.schedule = :name AND o.fire_at = :fire_at)"
            f" ON CONFLICT (job, subject) WHERE {OPEN} DO UPDATE SET {_JOIN} RETURNING public_id"
        ),
        {
            "job": schedule["job"],
            "subject": schedule["subject"],
            "queue": schedule["queue"],
            "arguments": json.dumps(schedule["arguments"]),
            "version": schedule["arguments_version"],
            "name": schedule["name"],
            "fire_at": fire_at,
            "skipped": skipped,
        },
    )
    return row.scalar_one_or_none()


def make_trace_context() -> str | None:
    """The trace that this code runs in, as JSON for the ledger; null outside of any."""
    carried = get_trace_context()
    return json.dumps(carried) if carried else None


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
            f" ORDER BY subject ON CONFLICT (job, subject) WHERE {OPEN} DO NOTHING"
        ),
        {"job": job, "subjects": subjects, "depth": depth},
    )


async def claim_due_executions(
    connection: AsyncConnection, *, limit: int, resend_after_seconds: int
) -> list[DueExecution]:
    """Take what is due for sending: new, due again, or sent a while ago and not started. Paused jobs wait.

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
            f"   AND {_NOT_PAUSED}"
            "   ORDER BY array_position(ARRAY['high', 'normal', 'low'], queue), due_at, id"
            "   LIMIT (SELECT greatest(:limit - n, 0) FROM waiting) FOR UPDATE SKIP LOCKED)"
            " UPDATE job_executions e SET sent_at = now() FROM due WHERE e.id = due.id"
            " RETURNING e.id, e.queue, e.trace_context"
        ),
        {"limit": limit, "resend": resend_after_seconds},
    )
    return [DueExecution(row.id, row.queue, row.trace_context) for row in rows]


async def start_execution(
    connection: AsyncConnection, execution_id: int, *, lease_seconds: int, worker: str = ""
) -> Execution | None:
    """Begin a due run under a new token; null if it isn't due (any more): a message rang twice, or its job is paused.

    Args:
        worker: Who runs it, for operators.
    """
    row = (
        await connection.execute(
            text(
                "UPDATE job_executions SET state = 'running', token = gen_random_uuid(), started_at = now(),"
                " rerun_requested = false, metadata = metadata || jsonb_build_object('worker', CAST(:worker AS text)),"
                " lease_until = now() + make_interval(secs => :lease)"
                f" WHERE id = :id AND state IN ('pending', 'failed') AND due_at <= now() AND {_NOT_PAUSED}"
                " RETURNING id, job, subject, arguments, arguments_version, queue, token, attempts, lost_leases,"
                " extract(epoch FROM now() - outage_since)::float8 AS outage, trace_context,"
                " ARRAY(SELECT name FROM pauses WHERE kind = 'provider') AS paused"
            ),
            {"id": execution_id, "lease": lease_seconds, "worker": worker},
        )
    ).first()
    if row is None:
        return None
    return Execution(
        id=row.id,
        job=row.job,
        subject=row.subject,
        arguments=row.arguments,
        queue=row.queue,
        token=row.token,
        attempts=row.attempts,
        lost_leases=row.lost_leases,
        arguments_version=row.arguments_version,
        outage_seconds=row.outage,
        paused_providers=frozenset(row.paused),
        trace_context=row.trace_context or {},
    )


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


async def release_lost_leases(
    connection: AsyncConnection, *, at_once: int, max_delay_seconds: int, grace_seconds: int
) -> int:
    """Make runs due again whose worker is gone. Returns how many.

    Args:
        grace_seconds: After a start of the database, for runs from before it, as workers could not renew meanwhile.
        at_once: So many times a run is due again at once; then it waits longer and longer, lest it end every worker.
        max_delay_seconds: The longest wait.
    """
    result = await connection.execute(
        text(
            "UPDATE job_executions e SET lost_leases = least(e.lost_leases + 1, 32000), token = NULL,"
            " lease_until = NULL, sent_at = NULL, state = 'pending',"
            " due_at = now() + CASE WHEN e.lost_leases < :at_once THEN interval '0' ELSE"
            "   make_interval(secs => least(5.0 * 2 ^ least(e.lost_leases - :at_once, 20), :longest)) END,"
            " outcome = jsonb_build_object('code', 'lease_lost', 'message',"
            "   format('its worker was gone, %s time(s) so far', e.lost_leases + 1))"
            " FROM (SELECT id FROM job_executions WHERE state = 'running' AND lease_until < now()"
            "   AND (started_at > pg_postmaster_start_time()"
            "     OR now() > pg_postmaster_start_time() + make_interval(secs => :grace))"
            "   ORDER BY id FOR UPDATE SKIP LOCKED) lost WHERE e.id = lost.id"
        ),
        {"at_once": at_once, "longest": max_delay_seconds, "grace": grace_seconds},
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
                " WHERE id = :id AND token = :token AND state = 'running'"
                " RETURNING rerun_requested, queue, arguments, arguments_version"
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
        await add_execution(
            connection,
            execution.job,
            execution.subject,
            queue=row.queue,
            arguments=row.arguments,
            version=row.arguments_version,
        )
    return True


async def fail_execution(
    connection: AsyncConnection,
    execution: Execution,
    *,
    state: str,
    delay_seconds: float,
    attempts: int,
    is_outage: bool,
    outcome: Mapping[str, Any],
) -> bool:
    """Give a run back unfinished; false if it belongs to somebody else by now.

    Args:
        state: `failed` and `pending` are due again after the delay, `dead` waits for the operator.
        delay_seconds: Until it is due again.
        attempts: Faults of the job so far.
        is_outage: Something else is at fault: the time that this goes on is counted.
        outcome: Why: {code, message}.
    """
    result = await connection.execute(
        text(
            "UPDATE job_executions SET state = :state, attempts = :attempts, token = NULL, lease_until = NULL,"
            " sent_at = NULL, due_at = now() + make_interval(secs => :delay),"
            " outage_since = CASE WHEN :is_outage THEN coalesce(outage_since, now()) END,"
            " finished_at = CASE WHEN :state = 'dead' THEN now() END, outcome = CAST(:outcome AS jsonb)"
            " WHERE id = :id AND token = :token AND state = 'running'"
        ),
        {
            "id": execution.id,
            "token": execution.token,
            "state": state,
            "delay": delay_seconds,
            "attempts": attempts,
            "is_outage": is_outage,
            "outcome": json.dumps(dict(outcome)),
        },
    )
    return result.rowcount == 1


async def hand_back_execution(connection: AsyncConnection, execution: Execution) -> bool:
    """Make a run due again that its worker has no time to end; false if it belongs to somebody else by now."""
    result = await connection.execute(
        text(
            "UPDATE job_executions SET state = 'pending', token = NULL, lease_until = NULL, sent_at = NULL,"
            " due_at = now() WHERE id = :id AND token = :token AND state = 'running'"
        ),
        {"id": execution.id, "token": execution.token},
    )
    return result.rowcount == 1


async def get_execution(connection: AsyncConnection, public_id: UUID) -> Mapping[str, Any] | None:
    """One run as the API shows it, archived or not."""
    row = (await connection.execute(_GET, {"id": public_id})).first()
    return row._mapping if row else None


_SHOWN = (
    "job, subject, queue, state, attempts, lost_leases, records_processed, outcome, created_at, due_at, started_at,"
    " finished_at"
)
_GET = text(
    f"SELECT public_id AS id, {_SHOWN} FROM job_executions WHERE public_id = :id UNION ALL"
    f" SELECT a.public_id, {', '.join('e.' + name.strip() for name in _SHOWN.split(','))} FROM archived_executions a,"
    " jsonb_populate_record(CAST(NULL AS job_executions), a.execution) e WHERE a.public_id = :id"
)
