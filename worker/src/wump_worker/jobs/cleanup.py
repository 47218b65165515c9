"""Making room: what is of the past is marked so, and what is past its time goes."""

from collections.abc import Awaitable, Callable

from sqlalchemy.ext.asyncio import AsyncConnection
from wump_core import schedule
from wump_core.store.executions import Execution
from wump_core.store.renames import forget_files
from wump_core.store.retention import Step, archive_executions, list_vanished_repositories, remove_old_statements

from wump_worker.resources import Resources

CLEAN_UP = "clean_up"
STEP = 1_000
"""Rows that one transaction looks at."""


async def clean_up(resources: Resources, execution: Execution) -> None:
    """Let what the files of vanished repositories say be of the past, remove old statements, archive old runs."""
    settings = resources.settings

    async def forget(connection: AsyncConnection, after: int) -> Step:
        found = await list_vanished_repositories(connection, days=settings.vanished_days, limit=1)
        for repository_id in found:
            await forget_files(connection, repository_id)
        return Step(len(found), after if found else None)

    async def remove(connection: AsyncConnection, after: int) -> Step:
        return await remove_old_statements(connection, days=settings.keep_removed_days, limit=STEP, after=after)

    async def archive(connection: AsyncConnection, after: int) -> Step:
        return await archive_executions(connection, days=settings.keep_executions_days, limit=STEP, after=after)

    steps = {"vanished": forget, "removed": remove, "archived": archive}
    counts = {name: await _walk(resources, execution, step) for name, step in steps.items()}
    async with resources.engine.begin() as connection:
        total = sum(counts.values())
        await schedule.finish(connection, execution, records_processed=total, outcome={"code": "saved"} | counts)


async def _walk(
    resources: Resources, execution: Execution, take: Callable[[AsyncConnection, int], Awaitable[Step]]
) -> int:
    """To the end, each step in a short transaction of its own; returns how many rows were taken away."""
    total, after = 0, 0
    while True:
        async with resources.engine.begin() as connection:
            step = await take(connection, after)
            await schedule.hold(connection, execution)
        total += step.count
        if step.after is None:
            return total
        after = step.after
