"""Jobs about packages."""

from sqlalchemy.ext.asyncio import AsyncConnection
from wump_core import schedule
from wump_core.errors import NotFound, ProviderError
from wump_core.providers import Provider
from wump_core.purl import Purl, parse_purl
from wump_core.records import PackageRecord
from wump_core.store.executions import Execution
from wump_core.store.facts import add_names, save_packages, save_unchanged_packages
from wump_core.store.packages import add_packages, save_missing_package
from wump_core.store.providers import save_attempt

from wump_worker.resources import Resources

FETCH_PACKAGE = "fetch_package"
FETCH_DEPENDENTS = "fetch_dependents"


async def refresh_package(resources: Resources, execution: Execution) -> None:
    """Fetch a package from its registry and save what it says.

    Follows its dependencies as deep as the execution's argument `depth` says; 0 fetches that package alone.
    """
    purl = parse_purl(execution.subject)
    asked: list[Provider] = []

    async def ask(provider: Provider) -> PackageRecord:
        asked.append(provider)
        return await provider.fetch_package(resources.context(provider, on_demand=execution.queue == "high"), purl)

    try:
        provider, record = await resources.providers.fetch_with_fallback(FETCH_PACKAGE, purl.ecosystem, ask)
    except NotFound as error:
        await _save_missing(resources, execution, purl, asked[-1].name, str(error))
        return
    except ProviderError as error:
        async with resources.engine.begin() as connection:
            for provider in asked:
                await save_attempt(connection, provider.name, FETCH_PACKAGE, str(purl), error=str(error))
        raise
    async with resources.engine.begin() as connection:
        if await save_unchanged_packages(connection, provider.name, [record]):
            await _finish(resources, connection, execution, provider.name, record)
            return
    async with resources.engine.begin() as connection:
        names = await add_names(connection, [record])
    async with resources.engine.begin() as connection:
        await save_packages(connection, provider.name, [record], names)
        await _finish(resources, connection, execution, provider.name, record)


async def _finish(
    resources: Resources, connection: AsyncConnection, execution: Execution, provider: str, record: PackageRecord
) -> None:
    await save_attempt(connection, provider, FETCH_PACKAGE, record.purl, error=None)
    depth = int(execution.arguments.get("depth", 0))
    if depth > 0:
        purls = [item.purl for item in record.dependencies or () if item.purl]
        await schedule.plan_followed_packages(connection, purls, depth=depth - 1)
    claim = record.repository
    if claim and claim.host in resources.hosts_with_token("fetch_tree"):
        await schedule.plan_repository_of_tracked(connection, record.purl, f"https://{claim.host}/{claim.path}")
    outcome = {"code": "saved", "provider": provider, "version": record.latest_version}
    if execution.queue == "high" and resources.providers.choose(FETCH_DEPENDENTS, parse_purl(record.purl).ecosystem):
        # Somebody waits: who depends on it shall not wait for the next round of looking again.
        planned = await schedule.plan_dependents_of_tracked(connection, record.purl)
        outcome |= {"dependents": str(planned)} if planned else {}
    if record.dependencies_unknown:
        outcome["message"] = record.dependencies_unknown
    await schedule.finish(connection, execution, records_processed=len(record.dependencies or ()), outcome=outcome)


async def _save_missing(resources: Resources, execution: Execution, purl: Purl, provider: str, reason: str) -> None:
    async with resources.engine.begin() as connection:
        package_id = (await add_packages(connection, [str(purl)]))[str(purl)]
        await save_missing_package(connection, package_id, reason)
        await save_attempt(connection, provider, FETCH_PACKAGE, str(purl), error=reason)
        await schedule.finish(
            connection, execution, records_processed=0, outcome={"code": NotFound.code, "message": reason}
        )
