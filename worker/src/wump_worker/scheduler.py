"""The scheduler: claims what is due and sends it; fires schedules; folds totals. Any number may run at once."""

import asyncio

import structlog
from dramatiq.brokers.redis import RedisBroker
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from wump_core import cron, schedule
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.store import schedules
from wump_core.store.dependents import fold_deltas
from wump_core.telemetry import count_server_failure

from wump_worker.broker import count_messages, note_alive, send
from wump_worker.jobs import EVERYTHING, JOBS

TICK_SECONDS = 0.4
OUTAGE_PAUSE_SECONDS = 2.0
MAX_MESSAGES = 2_000
"""With more than this in Valkey nobody takes them, and sending again would only fill its memory."""
log = structlog.get_logger("wump.scheduler")


async def run_scheduler(engine: AsyncEngine, broker: RedisBroker, stopping: asyncio.Event) -> None:
    """Tick until told to stop. An outage of a server is logged and waited out."""
    prepared = False
    while not stopping.is_set():
        pause = TICK_SECONDS
        try:
            if not prepared:
                await save_schedules(engine)
                prepared = True
            await tick(engine, broker)
        except Exception as error:
            log.warning("scheduler.outage", error=f"{type(error).__name__}: {error}"[:300])
            count_server_failure("valkey" if isinstance(error, ServerUnavailable) else "database")
            pause = OUTAGE_PAUSE_SECONDS
        try:
            await asyncio.wait_for(stopping.wait(), pause)
        except TimeoutError:
            continue


async def save_schedules(engine: AsyncEngine) -> None:
    """Make a schedule of each job that has a time of its own; one that is of no use is said to be."""
    async with engine.begin() as connection:
        await add_schedules(connection)
        rows = await schedules.list_schedules(connection)
    for row in rows:
        if row["error"]:
            log.error("schedule.unusable", schedule=row["name"], error=row["error"])
        elif row["job"] not in JOBS:
            log.warning("schedule.unknown_job", schedule=row["name"], job=row["job"])


async def add_schedules(connection: AsyncConnection) -> None:
    """Add what isn't there yet, and bring the rest up to date but for what an operator has set."""
    for name, job in sorted(JOBS.items()):
        if job.cron is None:
            continue
        await schedules.save_schedule(
            connection, name, job=name, subject=EVERYTHING, cron=job.cron, queue=job.queue, version=job.version
        )
        try:
            cron.check_cron(job.cron)
        except ConfigurationError as error:
            await schedules.save_schedule_error(connection, name, str(error), cron=job.cron)


async def tick(engine: AsyncEngine, broker: RedisBroker) -> int:
    """One round; returns how many executions were sent.

    Messages leave after the commit: one that is lost in between is sent again a little later.
    """
    async with engine.begin() as connection:
        await fold_deltas(connection)
    async with engine.begin() as connection:
        fired = await schedule.fire_schedules(connection)
    if fired:
        log.info("schedule.fired", schedules=fired)
    await asyncio.to_thread(note_alive, broker, "scheduler")
    if await asyncio.to_thread(count_messages, broker) > MAX_MESSAGES:
        return 0
    async with engine.begin() as connection:
        due = await schedule.claim_due(connection)
    await asyncio.to_thread(send, broker, due)
    return len(due)
