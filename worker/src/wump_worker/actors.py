"""The actor: what a message wakes. It starts the run, holds its lease, and notes what became of it."""

import asyncio
import contextlib

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError
from wump_core import schedule
from wump_core.errors import LeaseLost, WumpError
from wump_core.store.executions import Execution

from wump_worker.jobs import JOBS
from wump_worker.resources import Resources

log = structlog.get_logger("wump.jobs")


async def run_execution(resources: Resources, execution_id: int) -> None:
    """Run one execution if it is due. Errors end on its row, never in the broker."""
    async with resources.engine.begin() as connection:
        execution = await schedule.start(connection, execution_id)
    if execution is None:
        return
    bound = log.bind(job=execution.job, subject=execution.subject, execution=execution.id)
    try:
        await _run_holding_lease(resources, execution)
        bound.info("job.completed")
    except LeaseLost:
        bound.warning("job.lease_lost")
    except Exception as error:
        # A database that is away is an outage, not the job's fault.
        cause = ConnectionError("the database is away") if isinstance(error, InterfaceError) else error
        if isinstance(error, DBAPIError) and error.connection_invalidated:
            cause = ConnectionError("the database is away")
        async with resources.engine.begin() as connection:
            state = await schedule.fail(connection, execution, cause)
        bound.warning("job.failed", state=state, error=str(error), exc_info=not isinstance(error, WumpError))


async def _run_holding_lease(resources: Resources, execution: Execution) -> None:
    job = JOBS.get(execution.job)
    if job is None:
        raise WumpError(f"this worker knows no job {execution.job!r}; it knows {', '.join(sorted(JOBS))}")
    keeper = asyncio.create_task(_keep_lease(resources, execution))
    try:
        async with asyncio.timeout(resources.job_deadline_seconds):
            await job(resources, execution)
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
