"""Looking again: makes due what was not looked at for as long as it deserves."""

from wump_core import schedule
from wump_core.schedule import DISCOVER_DEPENDENTS, READ_REPOSITORY, REFRESH_PACKAGE
from wump_core.store.cadence import (
    Bounds,
    add_missing_executions,
    list_due_packages,
    list_due_repositories,
    list_due_walks,
    list_marked_organizations,
)
from wump_core.store.executions import Execution

from wump_worker.jobs.owners import RESTAMP_ORGANIZATION
from wump_worker.jobs.packages import FETCH_DEPENDENTS
from wump_worker.resources import Resources

PLAN_REFRESHES = "plan_refreshes"
MAX_PLANNED = 500
"""Of each kind in a run, so that a long downtime is not made up for at once."""


async def plan_refreshes(resources: Resources, execution: Execution) -> None:
    """Make due the tracked packages, read repositories and lists of dependents that should be looked at again."""
    settings = resources.settings
    bounds = Bounds(settings.refresh_min_hours, settings.refresh_max_days, MAX_PLANNED)
    hosts = resources.hosts_with_token("fetch_tree")
    ecosystems = {
        ecosystem
        for provider in resources.providers.active
        if FETCH_DEPENDENTS in provider.capabilities
        for ecosystem in provider.info.ecosystems
    }
    async with resources.engine.begin() as connection:
        due = {
            REFRESH_PACKAGE: await list_due_packages(connection, REFRESH_PACKAGE, bounds),
            READ_REPOSITORY: await list_due_repositories(connection, READ_REPOSITORY, hosts, bounds),
            DISCOVER_DEPENDENTS: await list_due_walks(
                connection, DISCOVER_DEPENDENTS, FETCH_DEPENDENTS, ecosystems, limit=MAX_PLANNED
            ),
            RESTAMP_ORGANIZATION: await list_marked_organizations(connection),
        }
        planned = {job: await add_missing_executions(connection, job, due[job], queue="low") for job in due}
        outcome = {"code": "saved", "planned": planned}
        await schedule.finish(connection, execution, records_processed=sum(planned.values()), outcome=outcome)
