"""Who owns repositories, as their hosts say beside them; and the answer's rows that show an older word."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection
from wump_core import schedule
from wump_core.errors import WumpError
from wump_core.records import RepositoryRecord
from wump_core.store.executions import Execution, add_execution
from wump_core.store.organizations import get_organization_id
from wump_core.store.profiles import list_changed_owners, list_owners, restamp_answers, save_owner

from wump_worker.resources import Resources

RESTAMP_ORGANIZATION = "restamp_organization"


async def save_owners(resources: Resources, records: Sequence[RepositoryRecord]) -> None:
    """Save the owners that these records name, where that is news: their kinds, ids and new names."""
    async with resources.engine.begin() as connection:
        changed = await list_changed_owners(connection, list_owners(records))
    for owner in changed:
        if await save_owner(resources.engine, owner):
            async with resources.engine.begin() as connection:
                await plan_restamping(connection, owner.host, owner.login)


async def plan_restamping(connection: AsyncConnection, host: str, login: str) -> None:
    """Make it due that the answer shows what an organization is now."""
    await add_execution(connection, RESTAMP_ORGANIZATION, f"{host}/{login.lower()}", queue="low")


async def restamp_organization(resources: Resources, execution: Execution) -> None:
    """Write the rows of the answer again that show an older kind of an organization, some at a time."""
    host, _, login = execution.subject.partition("/")
    written = 0
    while True:
        async with resources.engine.begin() as connection:
            organization_id = await get_organization_id(connection, host, login)
            if organization_id is None:
                raise WumpError(f"{execution.subject} names no account that is known: expected host/login")
            count = await restamp_answers(connection, organization_id)
            written += count
            if count == 0:
                outcome = {"code": "saved", "written": written}
                await schedule.finish(connection, execution, records_processed=written, outcome=outcome)
                return
            await schedule.hold(connection, execution)
