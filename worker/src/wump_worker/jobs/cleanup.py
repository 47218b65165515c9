"""Making room: what is of the past is marked so, and what is past its time goes."""

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection
from wump_core import schedule
from wump_core.store.executions import Execution
from wump_core.store.renames import forget_files
from wump_core.store.retention import archive_executions, list_vanished_repositories, remove_old_statements

from wump_worker.resources import Resources

CLEAN_UP = "clean_up"
STEP = 1_000
"""Rows in one transaction."""


async def clean_up(resources: Resources, execution: Execution) -> None:
    """Let what the files of vanished repositories say be of the past, remove old statements, archive old runs."""
    settings = resources.settings

    async def forget(connection: AsyncConnection) -> int:
        found = await list_vanished_repositories(connection, days=settings.vanished_days, limit=1)
        for repository_id in found:
            await forget_files(connection, repository_id)
        return len(found)

    async def remove(connection: AsyncConnection) -> int:
        return await remove_old_statements(connection, days=settings.keep_removed_days, limit=STEP)

    async def archive(connection: AsyncConnection) -> int:
        return await archive_executions(connection, days=settings.keep_executions_days, limit=STEP)

    vanished = await _repeat(resources, execution, forget, most=1)
    removed = await _repeat(resources, execution, remove, most=STEP)
    archived = await _repeat(resources, execution, archive, most=STEP)
    async with resources.engine.begin() as connection:
        counts = {"vanished": vanished, "removed": removed, "archived": archived}
        total = sum(counts.values())
        await schedule.finish(connection, execution, records_processed=total, outcome={"code": "saved"} | counts)


async def _repeat(
    resources: Resources, execution: Execution, step: Callable[[AsyncConnection], Awaitable[int]], *, most: int
) -> int:
    """Until a step does less than the most it can, each in a short transaction of its own; returns how many in all."""
    total = 0
    while True:
        async with resources.engine.begin() as connection:
            count = await step(connection)
            await schedule.hold(connection, execution)
        total += count
        if count < most:
            return total
