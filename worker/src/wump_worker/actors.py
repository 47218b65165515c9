"""The actor: what a message wakes. It starts the run, holds its lease, and notes what became of it."""

import asyncio
import contextlib

import structlog
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from wump_core import schedule
from wump_core.errors import LeaseLost, ServerUnavailable, Unavailable, WumpError
from wump_core.store.executions import Execution

from wump_worker.jobs import JOBS
from wump_worker.resources import Resources

log = structlog.get_logger("wump.jobs")

# Classes of SQLSTATE where what was sent is at fault: data, constraints, the statement itself.
_FAULTS_OF_A_JOB = ("22", "23", "42")
_OUTAGES = {
    "53100": "the database's disk is full: make room, and this is tried again",
    "57014": "a statement took too long: the database is overloaded, or somebody holds a lock",
}
"""SQLSTATEs that the operator can do something about."""


async def run_execution(resources: Resources, execution_id: int) -> None:
    """Run one execution if it is due. Errors end on its row or in the log, never in the broker."""
    try:
        async with resources.engine.begin() as connection:
            execution = await schedule.start(connection, execution_id)
        if execution is not None:
            await _run(resources, execution)
    except (OSError, TimeoutError, SQLAlchemyError) as error:
        # Nothing could be noted: the row is sent again later, or its lease ends.
        log.warning("job.outage", execution=execution_id, error=f"{type(error).__name__}: {error}"[:300])


async def _run(resources: Resources, execution: Execution) -> None:
    bound = log.bind(job=execution.job, subject=execution.subject, execution=execution.id)
    try:
        try:
            await _run_holding_lease(resources, execution)
            bound.info("job.completed")
        except LeaseLost:
            raise
        except Exception as error:
            cause = _find_cause(error)
            async with resources.engine.begin() as connection:
                state = await schedule.fail(connection, execution, cause)
            bound.warning("job.failed", state=state, error=str(cause), exc_info=not isinstance(cause, WumpError))
    except LeaseLost:
        bound.warning("job.lease_lost")


def _find_cause(error: Exception) -> Exception:
    """The error itself; where the database was away or overloaded, an outage, which is not the job's fault."""
    state = str(getattr(error.orig, "sqlstate", None) or "") if isinstance(error, DBAPIError) else ""
    if isinstance(error, DBAPIError | PoolTimeout) and not state.startswith(_FAULTS_OF_A_JOB):
        reason = _OUTAGES.get(state, "the database was away or overloaded")
        return ServerUnavailable(f"{reason} ({state or type(error).__name__})")
    return error


async def _run_holding_lease(resources: Resources, execution: Execution) -> None:
    job = JOBS.get(execution.job)
    if job is None:
        raise WumpError(f"this worker knows no job {execution.job!r}; it knows {', '.join(sorted(JOBS))}")
    keeper = asyncio.create_task(_keep_lease(resources, execution))
    try:
        async with asyncio.timeout(resources.job_deadline_seconds) as deadline:
            await job(resources, execution)
    except TimeoutError:
        if not deadline.expired():
            raise
        raise Unavailable(
            f"the job did not end within {resources.job_deadline_seconds:g} s, see WUMP_WORKER_JOB_DEADLINE_SECONDS"
        ) from None
    finally:
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper


async def _keep_lease(resources: Resources, execution: Execution) -> None:
    """Renew until cancelled. A failed renewal is tried again; the token decides in the end who may write."""
    while True:
        await asyncio.sleep(schedule.RENEW_LEASE_EVERY_SECONDS)
        try:
            async with resources.engine.begin() as connection:
                if not await schedule.renew(connection, execution):
                    return
        except Exception as error:
            log.warning("lease.renewal_failed", execution=execution.id, error=str(error))
