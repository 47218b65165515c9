"""What jobs are given: the database, the providers, and a way to each one's upstream."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.hookspecs import Context
from wump_core.loading import load_providers
from wump_core.providers import Provider, Providers
from wump_core.settings import CoreSettings
from wump_core.store import make_engine
from wump_core.store.providers import list_blocking_providers, save_providers

from wump_worker.http.client import Upstream
from wump_worker.http.shared import SharedState
from wump_worker.parsing.pool import ParserPool
from wump_worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Resources:
    """Made once per process, on the loop that runs the jobs."""

    engine: AsyncEngine
    providers: Providers
    upstreams: Mapping[str, Upstream]
    parsers: ParserPool
    job_deadline_seconds: float

    def context(self, provider: Provider, *, on_demand: bool = False) -> Context:
        """What one call of a hook of this provider gets.

        Args:
            provider: Whose hook it is.
            on_demand: Somebody waits for it, so that it may use the tenth of a budget that is kept for that.
        """
        return Context(
            http=self.upstreams[provider.name].make_client(on_demand=on_demand),
            settings=provider.settings,
            log=structlog.get_logger(f"wump.provider.{provider.name}").bind(provider=provider.name),
        )


@asynccontextmanager
async def open_resources(core: CoreSettings, worker: WorkerSettings) -> AsyncGenerator[Resources]:
    """Load the providers, tell the database which, and close everything at the end.

    Raises:
        ConfigurationError: There is no database URL, or a setting is wrong.
        ServerUnavailable: The database can't be reached.
    """
    if core.database_url is None:
        raise ConfigurationError("WUMP_DATABASE_URL is not set")
    engine = make_engine(core.database_url, application_name="wump-worker", pool_size=worker.threads + 2)
    try:
        providers = await _load_providers(engine, core.provider_names)
    except BaseException:
        await engine.dispose()
        raise
    shared = SharedState(core.valkey_url)
    upstreams = {
        provider.name: Upstream(
            provider.name,
            provider.settings,
            worker,
            contact=core.contact,
            info=provider.info,
            base_url_origin=provider.base_url_origin,
            shared=shared,
            engine=engine,
        )
        for provider in providers.active
    }
    try:
        with ParserPool(worker.threads) as parsers:
            yield Resources(engine, providers, upstreams, parsers, worker.job_deadline_seconds)
    finally:
        for upstream in upstreams.values():
            await upstream.aclose()
        await shared.aclose()
        await engine.dispose()


async def _load_providers(engine: AsyncEngine, names: Sequence[str]) -> Providers:
    """Load them but for those that lately blocked a worker, and tell the database which."""
    providers = load_providers(names, probed=True)
    versions = {provider.name: provider.version for provider in providers.active}
    try:
        async with engine.begin() as connection:
            blocking = await list_blocking_providers(connection)
            reasons = {name: reason for name, version, reason in blocking if versions.get(name) == version}
            providers = providers.without(reasons)
            await save_providers(connection, providers.describe())
    except (OSError, TimeoutError, SQLAlchemyError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ServerUnavailable(f"the database can't be reached ({reason}): see WUMP_DATABASE_URL") from None
    return providers
