"""Takedowns: an account's repositories are derived anew, so that it is listed nowhere, or listed again."""

from wump_core import schedule
from wump_core.errors import LeaseLost
from wump_core.schedule import APPLY_TAKEDOWN
from wump_core.store import takedowns
from wump_core.store.derived import lock_repositories, refresh_derived
from wump_core.store.executions import Execution

from wump_worker.resources import Resources

REPOSITORIES_AT_ONCE = 20

__all__ = ["APPLY_TAKEDOWN", "apply_takedown"]


async def apply_takedown(resources: Resources, execution: Execution) -> None:
    """Derive all pairs of an account's repositories anew, some repositories at a time."""
    host, _, login = execution.subject.partition("/")
    after: int | None = 0
    count = 0
    while after is not None:
        async with resources.engine.begin() as connection:
            pairs, after = await takedowns.list_pairs_of_account(
                connection, host, login, after=after, limit=REPOSITORIES_AT_ONCE
            )
            if pairs:
                await lock_repositories(connection, {repository for _, repository in pairs})
                await refresh_derived(connection, pairs)
                count += len(pairs)
            if not await schedule.renew(connection, execution):
                raise LeaseLost(f"execution {execution.id} of {execution.subject} was taken over")
    async with resources.engine.begin() as connection:
        await schedule.finish(connection, execution, records_processed=count, outcome={"code": "applied"})
