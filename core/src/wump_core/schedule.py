"""When work is due, and what becomes of a run. No loop and no broker: those are the worker's.

A fault of the job uses one of three attempts; an outage of something else (upstream, database, network) does
not, but is given up after a day. Times are the database's own.
"""

import random
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.errors import (
    CredentialsRejected,
    LeaseLost,
    ProviderError,
    RateLimited,
    ServerUnavailable,
    Unavailable,
    WumpError,
)
from wump_core.purl import Purl
from wump_core.store import executions, packages
from wump_core.store.executions import DueExecution, Execution

REFRESH_PACKAGE = "refresh_package"
READ_REPOSITORY = "read_repository"

LEASE_SECONDS = 12
RENEW_LEASE_EVERY_SECONDS = 4
MAX_UNSTARTED = 200
RESEND_AFTER_SECONDS = 10
MAX_ATTEMPTS = 3
MAX_LOST_LEASES = 10
MAX_AGE_SECONDS = 24 * 3600
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


async def claim_due(connection: AsyncConnection) -> list[DueExecution]:
    """Runs to send now; runs whose worker died are due again first."""
    await executions.release_lost_leases(connection, max_lost_leases=MAX_LOST_LEASES)
    return await executions.claim_due_executions(
        connection, limit=MAX_UNSTARTED, resend_after_seconds=RESEND_AFTER_SECONDS
    )


async def start(connection: AsyncConnection, execution_id: int) -> Execution | None:
    """Begin a run; null if it is not due, as when its message came twice."""
    return await executions.start_execution(connection, execution_id, lease_seconds=LEASE_SECONDS)


async def renew(connection: AsyncConnection, execution: Execution) -> bool:
    """Hold on to a run; false if it is somebody else's by now."""
    return await executions.renew_lease(connection, execution, lease_seconds=LEASE_SECONDS)


async def finish(
    connection: AsyncConnection, execution: Execution, *, records_processed: int, outcome: Mapping[str, Any]
) -> None:
    """Complete a run; must be the last statement of the transaction that holds its effects.

    Raises:
        LeaseLost: The run is somebody else's by now, so this transaction must not be committed.
    """
    if not await executions.finish_execution(
        connection, execution, records_processed=records_processed, outcome=outcome
    ):
        raise LeaseLost(f"execution {execution.id} of {execution.subject} was taken over")


async def fail(connection: AsyncConnection, execution: Execution, error: Exception) -> str:
    """Note why a run came to nothing, and when it is due again. Returns the new state.

    Raises:
        LeaseLost: The run is somebody else's by now, and nothing was noted.
    """
    outage = _outage_delay(execution, error)
    if outage is not None and execution.age_seconds < MAX_AGE_SECONDS:
        state, attempts, delay = "failed", execution.attempts, outage
    else:
        attempts = execution.attempts + 1
        state = "dead" if attempts >= MAX_ATTEMPTS or outage is not None else "failed"
        delay = _with_jitter(15.0 * 2 ** (attempts - 1))
    code = "job_failed" if outage is None else Unavailable.code
    if isinstance(error, ProviderError):
        code = error.code
    known = isinstance(error, WumpError)
    message = str(error) if known else f"{type(error).__name__}: see the worker's log"
    outcome = {"code": code, "message": message[:2_000]}
    if not await executions.fail_execution(
        connection, execution, state=state, delay_seconds=delay, attempts=attempts, outcome=outcome
    ):
        raise LeaseLost(f"execution {execution.id} of {execution.subject} was taken over")
    return state


def _outage_delay(execution: Execution, error: Exception) -> float | None:
    """Seconds to wait where something else than the job is at fault; null where it is the job."""
    if isinstance(error, RateLimited) and error.retry_at is not None:
        wait = (error.retry_at - datetime.now(UTC)).total_seconds()
        return min(max(wait, 1.0), 24 * 3600.0)
    if isinstance(error, RateLimited | CredentialsRejected):
        return _with_jitter(60.0)
    if isinstance(error, Unavailable | ServerUnavailable | OSError | TimeoutError):
        # Waiting half of one's age again and again is exponential backoff that needs no counter.
        return _with_jitter(min(max(3.0, execution.age_seconds / 2), _MAX_DELAY_SECONDS))
    return None


def _with_jitter(seconds: float) -> float:
    return seconds * random.uniform(1.0, 1.3)  # noqa: S311 - spreads load, guards nothing
