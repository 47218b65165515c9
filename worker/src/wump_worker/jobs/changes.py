"""Feeds of changes: what was published upstream makes the packages due that somebody wants to know about."""

from wump_core import schedule
from wump_core.errors import ProviderError
from wump_core.providers import Provider
from wump_core.records import Page
from wump_core.schedule import REFRESH_PACKAGE
from wump_core.store.cadence import add_missing_executions, list_fetched_packages
from wump_core.store.executions import Execution, add_execution
from wump_core.store.providers import get_walk, save_attempt, save_page

from wump_worker.resources import Resources

FOLLOW_CHANGES = "follow_changes"
FOLLOW_FEED = "follow_feed"
FETCH_CHANGES = "fetch_changes"
FEED = "feed"
"""The subject under which a provider's place in its feed is kept."""
MAX_PAGES = 50


async def follow_changes(resources: Resources, execution: Execution) -> None:
    """Make following each feed due, so that one that fails holds up no other."""
    names = [item.name for item in resources.providers.active if FETCH_CHANGES in item.capabilities]
    async with resources.engine.begin() as connection:
        await add_missing_executions(connection, FOLLOW_FEED, names, queue="low")
        outcome = {"code": "saved", "feeds": len(names)}
        await schedule.finish(connection, execution, records_processed=len(names), outcome=outcome)


async def follow_feed(resources: Resources, execution: Execution) -> None:
    """Walk on in one provider's feed, and make due what changed and is tracked or was fetched before.

    The place in the feed is saved with the runs that it led to: nothing is skipped, whatever happens.
    """
    provider = resources.find_provider(execution.subject, FETCH_CHANGES)
    async with resources.engine.begin() as connection:
        cursor = (await get_walk(connection, provider.name, FETCH_CHANGES, FEED)).cursor
    seen = due = 0
    for remaining in reversed(range(MAX_PAGES)):
        page = await _fetch_page(resources, provider, cursor)
        at_end = page.next_cursor == cursor or not page.items
        async with resources.engine.begin() as connection:
            wanted = await list_fetched_packages(connection, page.items)
            for purl, tracked in sorted(wanted.items()):
                # Joins a run that waits; one that is under way may have read before the change, and runs again.
                await add_execution(connection, REFRESH_PACKAGE, purl, queue="normal" if tracked else "low")
            seen, due, cursor = seen + len(page.items), due + len(wanted), page.next_cursor
            await save_page(
                connection,
                provider.name,
                FETCH_CHANGES,
                FEED,
                cursor=cursor,
                at_end=at_end,
                complete=page.complete,
                upstream_count=page.total,
            )
            if not at_end and remaining:
                await schedule.hold(connection, execution)
                continue
            outcome = {"code": "saved", "changed": seen, "due": due, "complete": at_end}
            await schedule.finish(connection, execution, records_processed=seen, outcome=outcome)
            return


async def _fetch_page(resources: Resources, provider: Provider, cursor: str | None) -> Page[str]:
    try:
        return await provider.fetch_changes(resources.context(provider), cursor)
    except ProviderError as error:
        async with resources.engine.begin() as connection:
            await save_attempt(connection, provider.name, FETCH_CHANGES, FEED, error=str(error))
        raise
