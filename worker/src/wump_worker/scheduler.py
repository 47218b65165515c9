"""The scheduler: claims what is due and sends it; folds totals. Any number may run at once."""

import asyncio

import structlog
from dramatiq.brokers.redis import RedisBroker
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core import schedule
from wump_core.store.dependents import fold_deltas

from wump_worker.broker import count_messages, note_alive, send

TICK_SECONDS = 0.4
OUTAGE_PAUSE_SECONDS = 2.0
MAX_MESSAGES = 2_000
"""With more than this in Valkey nobody takes them, and sending again would only fill its memory."""
log = structlog.get_logger("wump.scheduler")


async def run_scheduler(engine: AsyncEngine, broker: RedisBroker, stopping: asyncio.Event) -> None:
    """Tick until told to stop. An outage of a server is logged and waited out."""
    while not stopping.is_set():
        pause = TICK_SECONDS
        try:
            await tick(engine, broker)
        except Exception as error:
            log.warning("scheduler.outage", error=f"{type(error).__name__}: {error}"[:300])
            pause = OUTAGE_PAUSE_SECONDS
        try:
            await asyncio.wait_for(stopping.wait(), pause)
        except TimeoutError:
            continue


async def tick(engine: AsyncEngine, broker: RedisBroker) -> int:
    """One round; returns how many executions were sent.

    Messages leave after the commit: one that is lost in between is sent again a little later.
    """
    async with engine.begin() as connection:
        await fold_deltas(connection)
    await asyncio.to_thread(note_alive, broker, "scheduler")
    if await asyncio.to_thread(count_messages, broker) > MAX_MESSAGES:
        return 0
    async with engine.begin() as connection:
        due = await schedule.claim_due(connection)
    await asyncio.to_thread(send, broker, due)
    return len(due)
