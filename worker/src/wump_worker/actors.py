"""The actor: what a message wakes. It starts the run, holds its lease, and notes what became of it."""

import asyncio
import contextlib
import dataclasses
import os
import socket
from collections.abc import AsyncGenerator

import structlog
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from wump_core import schedule
from wump_core.errors import JobTooLong, JobUnknown, JobUnusable, LeaseLost, ServerUnavailable, WumpError
from wump_core.store.executions import Execution
from wump_core.telemetry import count_server_failure, get_trace_context

from wump_worker.alone import run_alone
from wump_worker.jobs import JOBS, Job
from wump_worker.observing import note_outcome, observe_run
from wump_worker.resources import Resources

HAND_BACK_SECONDS = 3.0
OUTAGE_PAUSE_SECONDS = 1.0
log = structlog.get_logger("wump.jobs")

# Classes of SQLSTATE where what was sent is at fault: data, constraints, the statement itself.
_FAULTS_OF_A_JOB = ("22", "23", "42")
_OUTAGES = {
    "53100": "the database's disk is full: make room, and this is tried again",
    "57014": "a statement took too long: the database is overloaded, or somebody holds a lock",
}
"""SQLSTATEs that the operator can do something about."""


async def run_execution(resources: Resources, execution_id: int) -> None:
    """Run one execution if it is due. Errors end on its row or in the log, never in the broker.

    Cancelled, it gives the run back, which is due at once for another worker.
    """
    try:
        async with resources.engine.begin() as connection:
            worker = f"{socket.gethostname()}:{os.getpid()}"
            execution = await schedule.start(connection, execution_id, worker=worker, session=resources.session)
        if execution is not None:
            with observe_run(execution, known=execution.job in JOBS):
                await _run_holding_lease(resources, execution)
    except (OSError, TimeoutError, SQLAlchemyError) as error:
        # Nothing could be noted: the row is sent again later, or its lease ends.
        log.warning("job.outage", execution=execution_id, error=f"{type(error).__name__}: {error}"[:300])
        count_server_failure("database")
        # Else the next message came at once, and all would be used up for nothing before the database is back.
        await asyncio.sleep(OUTAGE_PAUSE_SECONDS)


async def _run_holding_lease(resources: Resources, execution: Execution) -> None:
    async with _holding_lease(resources, execution):
        if execution.lost_leases < schedule.ALONE_AFTER_LOST_LEASES:
            await run_job(resources, execution)
        else:
            await _run_in_child(resources, execution)


async def run_job(resources: Resources, execution: Execution) -> None:
    """Run a started execution in this process, and note on its row what became of it."""
    bound = log.bind(job=execution.job, subject=execution.subject, execution=execution.id)
    try:
        job, execution = _find_job(execution)
        resources = dataclasses.replace(resources, paused=execution.paused_providers)
        await _run_in_time(job, resources, execution)
        bound.info("job.completed")
        note_outcome("completed")
    except LeaseLost:
        bound.warning("job.lease_lost")
        note_outcome("lease_lost")
    except Exception as error:
        await _note_failure(resources, execution, _find_cause(error))


async def _run_in_child(resources: Resources, execution: Execution) -> None:
    bound = log.bind(job=execution.job, subject=execution.subject, execution=execution.id)
    bound.warning("job.alone", lost_leases=execution.lost_leases)
    seconds = _deadline_of(JOBS.get(execution.job), resources)
    try:
        execution = dataclasses.replace(execution, trace_context=get_trace_context() or {})
        async with resources.room_alone:
            await run_alone(resources.environment, execution, deadline_seconds=seconds)
        note_outcome("alone")
    except WumpError as error:
        await _note_failure(resources, execution, error)


async def _note_failure(resources: Resources, execution: Execution, cause: Exception) -> None:
    bound = log.bind(job=execution.job, subject=execution.subject, execution=execution.id)
    try:
        async with resources.engine.begin() as connection:
            state = await schedule.fail(connection, execution, cause)
    except LeaseLost:
        bound.warning("job.lease_lost", error=str(cause))
        note_outcome("lease_lost")
    else:
        note_outcome(state)
        bound.warning("job.failed", state=state, error=str(cause), exc_info=not isinstance(cause, WumpError) and cause)


def _find_job(execution: Execution) -> tuple[Job, Execution]:
    """The job of a row, and the row with its arguments checked.

    Raises:
        JobUnknown: A newer worker may know it.
        JobUnusable: Its arguments are of no use to anybody.
    """
    job = JOBS.get(execution.job)
    if job is None:
        raise JobUnknown(f"this worker knows no job {execution.job!r}; it knows {', '.join(sorted(JOBS))}")
    version = execution.arguments_version
    if version > job.version:
        raise JobUnknown(
            f"the arguments are of version {version}, and this worker knows {job.version} of {execution.job}: update it"
        )
    if version < job.version:
        raise JobUnusable(
            f"the arguments are of version {version}, and {execution.job} takes {job.version} by now:"
            " discard this run and plan it again"
        )
    try:
        arguments = job.arguments.model_validate(execution.arguments).model_dump()
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False)[:5]]
        raise JobUnusable(
            f"{execution.job} can't take its arguments: {'; '.join(faults)}; discard this run and plan it again"
        ) from None
    return job, dataclasses.replace(execution, arguments=arguments)


def _find_cause(error: Exception) -> Exception:
    """The error itself; where the database was away or overloaded, an outage, which is not the job's fault."""
    state = str(getattr(error.orig, "sqlstate", None) or "") if isinstance(error, DBAPIError) else ""
    if isinstance(error, DBAPIError | PoolTimeout) and not state.startswith(_FAULTS_OF_A_JOB):
        reason = _OUTAGES.get(state, "the database was away or overloaded")
        return ServerUnavailable(f"{reason} ({state or type(error).__name__})")
    return error


def _deadline_of(job: Job | None, resources: Resources) -> float:
    return (job.deadline_seconds if job else None) or resources.job_deadline_seconds


async def _run_in_time(job: Job, resources: Resources, execution: Execution) -> None:
    seconds = _deadline_of(job, resources)
    try:
        async with asyncio.timeout(seconds) as deadline:
            await job.run(resources, execution)
    except TimeoutError:
        if not deadline.expired():
            raise
        hint = "" if job.deadline_seconds else "; WUMP_WORKER_JOB_DEADLINE_SECONDS gives it longer"
        raise JobTooLong(f"the job did not end within {seconds:g} s{hint}") from None


@contextlib.asynccontextmanager
async def _holding_lease(resources: Resources, execution: Execution) -> AsyncGenerator[None]:
    """Hold the lease while open. Cancelled, give the run back."""
    keeper = asyncio.create_task(_keep_lease(resources, execution))
    try:
        yield
    except asyncio.CancelledError:
        with contextlib.suppress(OSError, TimeoutError, SQLAlchemyError):
            async with asyncio.timeout(HAND_BACK_SECONDS), resources.engine.begin() as connection:
                if await schedule.hand_back(connection, execution):
                    note_outcome("handed_back")
                    log.info("job.handed_back", job=execution.job, subject=execution.subject, execution=execution.id)
        raise
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
