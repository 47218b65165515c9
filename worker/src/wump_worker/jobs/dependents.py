"""Who depends on a tracked package, as those say who know more than its registry: aggregators and code searches."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from wump_core import schedule
from wump_core.errors import (
    ConfigurationError,
    InvalidResponse,
    ProviderError,
    RateLimited,
    Unavailable,
)
from wump_core.providers import Provider
from wump_core.purl import Purl, parse_purl
from wump_core.records import DependentRecord, PackageRecord, Page
from wump_core.schedule import READ_REPOSITORY
from wump_core.store.aggregated import save_dependents
from wump_core.store.cadence import add_missing_executions, list_unread_repositories
from wump_core.store.executions import Execution
from wump_core.store.facts import add_names, save_claims
from wump_core.store.packages import add_packages
from wump_core.store.providers import begin_anew, get_walk, save_attempt, save_page

from wump_worker.jobs.packages import FETCH_DEPENDENTS
from wump_worker.resources import Resources

WALKED_WITHIN = timedelta(days=6)
"""Who was walked to the end so lately is not asked again."""
READ_WITHIN_DAYS = 30.0
"""A repository that was read so lately is not read again for being found."""


async def discover_dependents(resources: Resources, execution: Execution) -> None:
    """Ask each provider that knows dependents of a package, page by page.

    What names a package for certain becomes a statement of the aggregator; repositories are made due to be read, and
    count when their own files were. One provider that is out of reach holds up no other: the run is tried again for
    it at the end, and goes on where each list was left.
    """
    purl = parse_purl(execution.subject)
    able = resources.providers.choose(FETCH_DEPENDENTS, purl.ecosystem)
    if not able:
        raise ConfigurationError(f"no provider can {FETCH_DEPENDENTS} for {purl.ecosystem}")
    found, errors = 0, list[ProviderError]()
    for provider in able:
        try:
            found += await _walk(resources, execution, provider, purl)
        except ProviderError as error:
            await _note(resources, provider, purl, error)
            errors.append(error)
    waiting = [error for error in errors if isinstance(error, RateLimited | Unavailable)]
    if waiting:
        raise waiting[0]
    async with resources.engine.begin() as connection:
        outcome = {"code": "saved", "found": found, "asked": [item.name for item in able]}
        if errors:
            outcome["message"] = str(errors[0])
        await schedule.finish(connection, execution, records_processed=found, outcome=outcome)


async def _note(resources: Resources, provider: Provider, purl: Purl, error: ProviderError) -> None:
    async with resources.engine.begin() as connection:
        await save_attempt(connection, provider.name, FETCH_DEPENDENTS, str(purl), error=str(error))
        if isinstance(error, InvalidResponse):
            await begin_anew(connection, provider.name, FETCH_DEPENDENTS, str(purl))


async def _walk(resources: Resources, execution: Execution, provider: Provider, purl: Purl) -> int:
    """Walk on in one provider's list, within the bound of pages; returns how many dependents it told."""
    async with resources.engine.begin() as connection:
        walk = await get_walk(connection, provider.name, FETCH_DEPENDENTS, str(purl))
    if walk.cursor is None and walk.walked_at and walk.walked_at > datetime.now(UTC) - WALKED_WITHIN:
        return 0
    cursor, found = walk.cursor, 0
    for _ in range(resources.settings.dependents_pages):
        context = resources.context(provider, on_demand=execution.queue == "high")
        page = await provider.fetch_dependents(context, purl, cursor)
        found += len(page.items)
        await _save(resources, execution, provider.name, purl, page)
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


async def _save(
    resources: Resources, execution: Execution, provider: str, purl: Purl, page: Page[DependentRecord]
) -> None:
    certain = [item for item in page.items if item.purl is not None and item.certain]
    claims = [record for item in certain if (record := _make_claim(item))]
    async with resources.engine.begin() as connection:
        ids = await add_packages(connection, {str(purl), *(item.purl for item in certain if item.purl)})
        names = await add_names(connection, claims, known=ids)
    async with resources.engine.begin() as connection:
        await save_claims(connection, provider, claims, names)
    async with resources.engine.begin() as connection:
        await save_dependents(connection, provider, str(purl), certain, ids)
        for host, paths in _list_repositories(resources, page.items).items():
            unread = await list_unread_repositories(connection, host, paths, days=READ_WITHIN_DAYS)
            urls = [f"https://{host}/{path}" for path in unread]
            await add_missing_executions(connection, READ_REPOSITORY, urls, queue="low")
        await save_page(
            connection,
            provider,
            FETCH_DEPENDENTS,
            str(purl),
            cursor=page.next_cursor,
            at_end=page.next_cursor is None,
            complete=page.complete,
            upstream_count=page.total,
        )
        await schedule.hold(connection, execution)


def _make_claim(item: DependentRecord) -> PackageRecord | None:
    """What a dependent says of the package that depends: where its repository is."""
    if item.purl is None or item.repository is None:
        return None
    return PackageRecord(
        purl=item.purl,
        latest_version=item.revision,
        repository=item.repository,
        dependencies_unknown="its registry was not asked; an aggregator says what it depends on",
    )


def _list_repositories(resources: Resources, items: Iterable[DependentRecord]) -> Mapping[str, set[str]]:
    """The repositories that can be read, by host."""
    hosts = resources.hosts_with_token("fetch_tree")
    found: dict[str, set[str]] = {}
    for item in items:
        if item.repository is not None and item.repository.host in hosts:
            found.setdefault(item.repository.host, set()).add(item.repository.path)
    return found
