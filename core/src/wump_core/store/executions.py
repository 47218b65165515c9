"""The ledger: every run of a job is a row here. Postgres is the truth; a message only rings the bell.

A row goes pending → running → completed, or → failed (a retry is due) → … → dead (kept for the operator). Here are
the table, and how rows become due and are sent; what a worker does with its own is in `runs`, what operators do in
`operations`.
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
NOT_PAUSED = "job NOT IN (SELECT name FROM pauses WHERE kind = 'job')"
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
    Index("ix_job_executions_held", "id", postgresql_where=text("state = 'running' OR lost_leases > 0")),
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
    first: bool = False
    """It had begun when its worker died, and goes before all that waits."""


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
    connection: AsyncConnection, *, limit: int, resend_after_seconds: int, resend_lost_after_seconds: int
) -> list[DueExecution]:
    """Take what is due for sending: new, due again, or sent a while ago and not started. Paused jobs wait.

    What lost its worker goes before the rest, however many wait, as it had begun before that.
    Of the rest, at most `limit` rows are sent and unstarted within the time after which they are sent again, so that a
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
            " began AS (SELECT id FROM job_executions WHERE state = 'pending' AND lost_leases > 0 AND due_at <= now()"
            "   AND (sent_at IS NULL OR sent_at <= now() - make_interval(secs => :resend_lost))"
            f"   AND {NOT_PAUSED} ORDER BY due_at, id LIMIT :limit FOR UPDATE SKIP LOCKED),"
            " due AS (SELECT id FROM job_executions WHERE state IN ('pending', 'failed') AND due_at <= now()"
            "   AND (state = 'failed' OR lost_leases = 0)"
            "   AND (sent_at IS NULL OR sent_at <= now() - make_interval(secs => :resend))"
            f"   AND {NOT_PAUSED}"
            "   ORDER BY array_position(ARRAY['high', 'normal', 'low'], queue), due_at, id"
            "   LIMIT (SELECT greatest(:limit - n, 0) FROM waiting) FOR UPDATE SKIP LOCKED)"
            " UPDATE job_executions e SET sent_at = now()"
            " FROM (SELECT id, true AS first FROM began UNION ALL SELECT id, false FROM due) claimed"
            " WHERE e.id = claimed.id RETURNING e.id, e.queue, e.trace_context, claimed.first"
        ),
        {"limit": limit, "resend": resend_after_seconds, "resend_lost": resend_lost_after_seconds},
    )
    return [DueExecution(row.id, row.queue, row.trace_context, row.first) for row in rows]


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
