"""What a worker does with a run of the ledger: it starts, holds, finishes it, or gives it back.

Each start hands out a fencing token; only its holder may change the row, until its lease is lost.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.executions import NOT_PAUSED, DueExecution, Execution, add_execution

_SESSION_LOCKS = 0x77756D70
# As an array, the locks are read once, and only when a renewal was missed.
_HAS_NO_SESSION = (
    "metadata->>'session' IS NOT NULL AND (metadata->>'session')::oid <> ALL (ARRAY("
    f"SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND classid = {_SESSION_LOCKS} AND objsubid = 2"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())))"
)


async def hold_session(connection: AsyncConnection, session: int) -> None:
    """Show that a worker is there, for as long as this connection is open: a system ends those of a dead process."""
    await connection.execute(
        text("SELECT pg_advisory_lock_shared(CAST(:locks AS int), CAST(:session AS int))"),
        {"locks": _SESSION_LOCKS, "session": session},
    )


async def start_execution(
    connection: AsyncConnection, execution_id: int, *, lease_seconds: int, worker: str = "", session: int | None = None
) -> Execution | None:
    """Begin a due run under a new token; null if it isn't due (any more): a message rang twice, or its job is paused.

    Args:
        worker: Who runs it, for operators.
        session: What its worker holds, see `hold_session`; null: only the lease tells of its death.
    """
    row = (
        await connection.execute(
            text(
                "UPDATE job_executions SET state = 'running', token = gen_random_uuid(), started_at = now(),"
                " rerun_requested = false, metadata = metadata"
                "   || jsonb_build_object('worker', CAST(:worker AS text), 'session', CAST(:session AS int)),"
                " lease_until = now() + make_interval(secs => :lease)"
                f" WHERE id = :id AND state IN ('pending', 'failed') AND due_at <= now() AND {NOT_PAUSED}"
                " RETURNING id, job, subject, arguments, arguments_version, queue, token, attempts, lost_leases,"
                " extract(epoch FROM now() - outage_since)::float8 AS outage, trace_context,"
                " ARRAY(SELECT name FROM pauses WHERE kind = 'provider') AS paused"
            ),
            {"id": execution_id, "lease": lease_seconds, "worker": worker, "session": session},
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
    connection: AsyncConnection,
    *,
    lease_seconds: int,
    unrenewed_seconds: float,
    at_once: int,
    max_delay_seconds: int,
    grace_seconds: int,
) -> list[DueExecution]:
    """Make runs due again whose worker is gone; those that are due at once are returned, to be sent first.

    A worker is gone when its lease ended; and before that, when it neither renewed the lease nor has a session.

    Args:
        lease_seconds: How long a lease is that was renewed just now.
        unrenewed_seconds: After so long a renewal is missed.
        at_once: So many times a run is due again at once; then it waits longer and longer, lest it end every worker.
        max_delay_seconds: The longest wait.
        grace_seconds: After a start of the database, for runs from before it, as workers could not renew meanwhile.
    """
    rows = await connection.execute(
        text(
            "UPDATE job_executions e SET lost_leases = least(e.lost_leases + 1, 32000), token = NULL,"
            " lease_until = NULL, state = 'pending', sent_at = CASE WHEN e.lost_leases < :at_once THEN now() END,"
            " due_at = now() + CASE WHEN e.lost_leases < :at_once THEN interval '0' ELSE"
            "   make_interval(secs => least(5.0 * 2 ^ least(e.lost_leases - :at_once, 20), :longest)) END,"
            " outcome = jsonb_build_object('code', 'lease_lost', 'message',"
            "   format('its worker was gone, %s time(s) so far', e.lost_leases + 1))"
            " FROM (SELECT id FROM job_executions WHERE state = 'running' AND (lease_until < now()"
            f"     OR lease_until < now() + make_interval(secs => :left) AND {_HAS_NO_SESSION})"
            "   AND (started_at > pg_postmaster_start_time()"
            "     OR now() > pg_postmaster_start_time() + make_interval(secs => :grace))"
            "   ORDER BY id FOR UPDATE SKIP LOCKED) lost WHERE e.id = lost.id"
            " RETURNING e.id, e.queue, e.trace_context, e.sent_at IS NOT NULL AS at_once"
        ),
        {
            "left": lease_seconds - unrenewed_seconds,
            "at_once": at_once,
            "longest": max_delay_seconds,
            "grace": grace_seconds,
        },
    )
    return [DueExecution(row.id, row.queue, row.trace_context, first=True) for row in rows if row.at_once]


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
