"""What jobs are given: the database, the providers, and a way to each one's upstream."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.errors import ConfigurationError, ProviderPaused, ServerUnavailable
from wump_core.hookspecs import Context
from wump_core.loading import load_providers
from wump_core.providers import Provider, Providers
from wump_core.settings import CoreSettings, TokenSettings, service_environment
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
    settings: WorkerSettings
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For a child process that shall open the same."""
    room_alone: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    """So many jobs run in child processes at once."""
    session: int | None = None
    """What shows that this worker is alive, see `session`."""
    paused: frozenset[str] = frozenset()
    """Providers that an operator has paused, as the execution knows them that these are given to."""

    def context(self, provider: Provider, *, on_demand: bool = False) -> Context:
        """What one call of a hook of this provider gets.

        Args:
            provider: Whose hook it is.
            on_demand: Somebody waits for it, so that it may use the tenth of a budget that is kept for that.

        Raises:
            ProviderPaused: An operator wants it left alone.
        """
        if provider.name in self.paused:
            raise ProviderPaused(provider.name)
        return Context(
            http=self.upstreams[provider.name].make_client(on_demand=on_demand),
            settings=provider.settings,
            log=structlog.get_logger(f"wump.provider.{provider.name}").bind(provider=provider.name),
        )

    def hosts_with_token(self, capability: str) -> frozenset[str]:
        """Code hosts that are asked unasked: without a token, a host answers too seldom for that."""
        return frozenset(
            provider.settings.code_host
            for provider in self.providers.active
            if capability in provider.capabilities
            and provider.settings.code_host
            and isinstance(provider.settings, TokenSettings)
            and provider.settings.token
        )

    def find_provider(self, name: str, capability: str) -> Provider:
        """The provider of this name.

        Raises:
            ConfigurationError: There is none that can do this; the text names those that can.
        """
        able = {item.name: item for item in self.providers.active if capability in item.capabilities}
        if name not in able:
            raise ConfigurationError(f"no provider {name!r} can {capability}: {', '.join(sorted(able)) or 'none'} can")
        return able[name]


@asynccontextmanager
async def open_resources(core: CoreSettings, worker: WorkerSettings) -> AsyncGenerator[Resources]:
    """Load the providers, tell the database which, and close everything at the end.

    Raises:
        ConfigurationError: There is no database URL, or a setting is wrong.
        ServerUnavailable: The database can't be reached.
    """
    if core.database_url is None:
        raise ConfigurationError("WUMP_DATABASE_URL is not set")
    engine = make_engine(core.database_url, application_name="wump-worker", pool_size=worker.threads + 3)
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
            yield Resources(
                engine, providers, upstreams, parsers, worker.job_deadline_seconds, worker, service_environment(core)
            )
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
