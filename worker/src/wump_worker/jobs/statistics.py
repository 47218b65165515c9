"""Statistics, and the names that searches find nearly so: counted behind the scenes, so that no request counts."""

from sqlalchemy import text
from wump_core import schedule
from wump_core.store.executions import Execution
from wump_core.store.search import replace_search_names
from wump_core.store.stats import replace_statistics

from wump_worker.resources import Resources

REFRESH_STATISTICS = "refresh_statistics"


async def refresh_statistics(resources: Resources, execution: Execution) -> None:
    """Count everything anew, and bring the names for searches up to date."""
    async with resources.engine.begin() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = '10min'"))
        await replace_statistics(connection)
    async with resources.engine.begin() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = '10min'"))
        await replace_search_names(connection)
        await schedule.finish(connection, execution, records_processed=0, outcome={"code": "counted"})
