"""When work is due, and what becomes of a run. No loop and no broker: those are the worker's.

A fault of the job uses one of three attempts; an outage of something else (upstream, database, network) does
not, but is given up after a day. A worker that dies uses none either: what lost two of them runs alone in a process
of its own. Times are the database's own.
"""

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core import cron
from wump_core.errors import (
    ConfigurationError,
    CredentialsRejected,
    JobKilled,
    JobUnusable,
    LeaseLost,
    ProviderPaused,
    RateLimited,
    ServerUnavailable,
    Unavailable,
    WumpError,
)
from wump_core.purl import Purl
from wump_core.store import executions, packages, runs, schedules
from wump_core.store.executions import DueExecution, Execution

REFRESH_PACKAGE = "refresh_package"
READ_REPOSITORY = "read_repository"
DISCOVER_DEPENDENTS = "discover_dependents"
APPLY_TAKEDOWN = "apply_takedown"
"""Of one account, `host/login`: it was taken down, or may be named again."""

LEASE_SECONDS = 12
RENEW_LEASE_EVERY_SECONDS = 3
LATE_RENEWAL_SECONDS = 1.5
"""So much later than it should be, a renewal is missed: one who has no session either is dead."""
MAX_UNSTARTED = 200
RESEND_AFTER_SECONDS = 10
RESEND_LOST_AFTER_SECONDS = 5
"""For what lost its worker: the next one may have died, too, with the message in its hands."""
MAX_ATTEMPTS = 3
ALONE_AFTER_LOST_LEASES = 2
"""What lost as many workers runs alone, in a child process of a worker: whether it is at fault shows there."""
AT_ONCE_LOST_LEASES = 5
"""So often a run that lost its worker is due again at once; after that it waits, since it may be what ends them."""
MAX_LOST_LEASE_DELAY_SECONDS = 3600
MAX_OUTAGE_SECONDS = 24 * 3600
MAX_PATIENCE_SECONDS = 7 * 24 * 3600
"""So long an upstream may ask for patience: a backlog waits for its limits for days, and nothing is wrong with it."""
PAUSED_SECONDS = 600
ALIVE_KEY = "wump:alive:{service}"
"""The key in Valkey under which a running `worker` or `scheduler` says so."""
ALIVE_SECONDS = 15
_MAX_DELAY_SECONDS = 300.0


async def plan_tracked_package(connection: AsyncConnection, purl: Purl, *, depth: int) -> UUID:
    """Track a package: mark it, and make its refresh due now. Returns the execution's public id.

    Args:
        depth: How many levels of its dependencies are fetched after it.
    """
    await packages.track_package(connection, purl)
    return await executions.add_execution(
        connection, REFRESH_PACKAGE, str(purl), queue="high", arguments={"depth": depth}
    )


async def plan_refresh(connection: AsyncConnection, purl: str) -> UUID:
    """Make the refresh of a known package due now, tracked or not. Returns the execution's public id."""
    return await executions.add_execution(connection, REFRESH_PACKAGE, purl, queue="high")


async def plan_takedown(connection: AsyncConnection, host: str, login: str) -> UUID:
    """Make it due now that an account's repositories are derived anew. Returns the execution's public id."""
    return await executions.add_execution(connection, APPLY_TAKEDOWN, f"{host}/{login}", queue="high")


async def plan_followed_packages(connection: AsyncConnection, purls: Iterable[str], *, depth: int) -> None:
    """Make the refresh of what a package depends on due, in the low queue."""
    await executions.add_followed_executions(connection, REFRESH_PACKAGE, sorted(set(purls)), depth)


async def plan_repository(connection: AsyncConnection, url: str, *, queue: str = "low") -> UUID:
    """Make reading a repository's files due, named by `https://host/path`. Returns the execution's public id."""
    return await executions.add_execution(connection, READ_REPOSITORY, url, queue=queue)


async def plan_repository_of_tracked(connection: AsyncConnection, purl: str, url: str) -> None:
    """Make reading a package's repository due, in the low queue, if the package is tracked."""
    if await packages.is_tracked(connection, purl):
        await plan_repository(connection, url)


async def plan_dependents_of_tracked(connection: AsyncConnection, purl: str) -> UUID | None:
    """Make asking who depends on a package due, if it is tracked. Returns the execution's public id."""
    if not await packages.is_tracked(connection, purl):
        return None
    return await executions.add_execution(connection, DISCOVER_DEPENDENTS, purl, queue="normal")


async def claim_due(connection: AsyncConnection) -> list[DueExecution]:
    """Runs to send now; first those whose worker died, however many wait."""
    lost = await runs.release_lost_leases(
        connection,
        lease_seconds=LEASE_SECONDS,
        unrenewed_seconds=RENEW_LEASE_EVERY_SECONDS + LATE_RENEWAL_SECONDS,
        at_once=AT_ONCE_LOST_LEASES,
        max_delay_seconds=MAX_LOST_LEASE_DELAY_SECONDS,
        grace_seconds=RENEW_LEASE_EVERY_SECONDS + 3,
    )
    due = await executions.claim_due_executions(
        connection,
        limit=MAX_UNSTARTED,
        resend_after_seconds=RESEND_AFTER_SECONDS,
        resend_lost_after_seconds=RESEND_LOST_AFTER_SECONDS,
    )
    return [*lost, *due]


async def fire_schedules(connection: AsyncConnection) -> list[str]:
    """Make the runs due whose moment has come; returns the names of the schedules.

    Of several moments that passed, as during a downtime, the last gets a run and the others are counted. A schedule
    whose expression can't be read gets that as its error, and the others go on.
    """
    fired = []
    for row in await schedules.claim_due_schedules(connection):
        now, since = row["now"], row["next_at"]
        try:
            next_at = cron.next_fire(row["cron"], now)
            fire_at = None if since is None else max(since, cron.last_fire(row["cron"], now))
        except ConfigurationError as error:
            await schedules.save_schedule_error(connection, row["name"], str(error), cron=row["cron"])
            continue
        skipped = cron.count_fires(row["cron"], since, fire_at) if fire_at else 0
        if fire_at and await executions.add_scheduled_execution(connection, row, fire_at, skipped=skipped):
            fired.append(row["name"])
        await schedules.save_fire(connection, row["name"], next_at=next_at, fire_at=fire_at, skipped=skipped)
    return fired


async def start(
    connection: AsyncConnection, execution_id: int, *, worker: str = "", session: int | None = None
) -> Execution | None:
    """Begin a run; null if it is not due, as when its message came twice.

    Args:
        worker: Who runs it, for operators.
        session: What its worker holds, so that its death is seen before the lease ends.
    """
    return await runs.start_execution(
        connection, execution_id, lease_seconds=LEASE_SECONDS, worker=worker, session=session
    )


async def renew(connection: AsyncConnection, execution: Execution) -> bool:
    """Hold on to a run; false if it is somebody else's by now."""
    return await runs.renew_lease(connection, execution, lease_seconds=LEASE_SECONDS)


async def hold(connection: AsyncConnection, execution: Execution) -> None:
    """Hold on to a run; must be the last statement of a transaction with a part of its effects.

    Raises:
        LeaseLost: The run is somebody else's by now, so this transaction must not be committed.
    """
    if not await renew(connection, execution):
        raise LeaseLost(f"execution {execution.id} of {execution.subject} was taken over")


async def finish(
    connection: AsyncConnection, execution: Execution, *, records_processed: int, outcome: Mapping[str, Any]
) -> None:
    """Complete a run; must be the last statement of the transaction that holds its effects.

    Raises:
        LeaseLost: The run is somebody else's by now, so this transaction must not be committed.
    """
    if not await runs.finish_execution(connection, execution, records_processed=records_processed, outcome=outcome):
        raise LeaseLost(f"execution {execution.id} of {execution.subject} was taken over")


async def fail(connection: AsyncConnection, execution: Execution, error: Exception) -> str:
    """Note why a run came to nothing, and when it is due again. Returns the new state.

    Raises:
        LeaseLost: The run is somebody else's by now, and nothing was noted.
    """
    wait = _wait_for_others(execution, error)
    if wait is not None:
        state, attempts, delay = "pending" if isinstance(error, ProviderPaused) else "failed", execution.attempts, wait
    else:
        is_outage = isinstance(error, _NOT_THE_JOBS_FAULT)
        attempts = execution.attempts + (not is_outage)
        is_last = attempts >= MAX_ATTEMPTS or is_outage or isinstance(error, JobUnusable | JobKilled)
        state, delay = "dead" if is_last else "failed", _with_jitter(15.0 * 2 ** (attempts - 1))
    if not await runs.fail_execution(
        connection,
        execution,
        state=state,
        delay_seconds=delay,
        attempts=attempts,
        is_outage=wait is not None and not isinstance(error, ProviderPaused),
        outcome=_describe(error),
    ):
        raise LeaseLost(f"execution {execution.id} of {execution.subject} was taken over")
    return state


async def hand_back(connection: AsyncConnection, execution: Execution) -> bool:
    """Make a run due again that its worker has no time to end; false if it is somebody else's by now."""
    return await runs.hand_back_execution(connection, execution)


_NOT_THE_JOBS_FAULT = (RateLimited, CredentialsRejected, Unavailable, ServerUnavailable, OSError, TimeoutError)


def _wait_for_others(execution: Execution, error: Exception) -> float | None:
    """Seconds to wait where something else than the job is at fault; null where it is the job, or for too long."""
    if isinstance(error, ProviderPaused):
        return _with_jitter(PAUSED_SECONDS)
    if not isinstance(error, _NOT_THE_JOBS_FAULT):
        return None
    seconds = execution.outage_seconds or 0.0
    if seconds > (MAX_PATIENCE_SECONDS if isinstance(error, RateLimited) else MAX_OUTAGE_SECONDS):
        return None
    if isinstance(error, RateLimited) and error.retry_at is not None:
        wait = (error.retry_at - datetime.now(UTC)).total_seconds()
        return min(max(wait, 1.0), 24 * 3600.0)
    if isinstance(error, RateLimited | CredentialsRejected):
        return _with_jitter(60.0)
    # Waiting half of how long it has lasted again and again is exponential backoff that needs no counter.
    return _with_jitter(min(max(3.0, seconds / 2), _MAX_DELAY_SECONDS))


def _describe(error: Exception) -> dict[str, Any]:
    """What the row says of an error; what nobody wrote for a reader stays in the log."""
    known = isinstance(error, WumpError)
    fallback = Unavailable.code if isinstance(error, _NOT_THE_JOBS_FAULT) else "job_failed"
    code = getattr(error, "code", fallback) if known else fallback
    message = str(error) if known else f"{type(error).__name__}: see the worker's log"
    provider = {"provider": error.provider} if isinstance(error, ProviderPaused) else {}
    return {"code": code, "message": message[:2_000], **provider}


def _with_jitter(seconds: float) -> float:
    return seconds * random.uniform(1.0, 1.3)  # noqa: S311 - spreads load, guards nothing
