"""What jobs are given: the database, the providers, and a client for each."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.hookspecs import Context
from wump_core.providers import Provider, Providers, load_providers
from wump_core.settings import CoreSettings
from wump_core.store import make_engine
from wump_core.store.providers import save_providers

from wump_worker.http.client import make_client
from wump_worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Resources:
    """Made once per process, on the loop that runs the jobs."""

    engine: AsyncEngine
    providers: Providers
    clients: Mapping[str, httpx.AsyncClient]
    job_deadline_seconds: float

    def context(self, provider: Provider) -> Context:
        """What a hook of this provider gets."""
        return Context(
            http=self.clients[provider.name],
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
    providers = load_providers(core.provider_names)
    clients = {
        provider.name: make_client(provider.name, provider.settings, worker, contact=core.contact)
        for provider in providers.active
    }
    try:
        try:
            async with engine.begin() as connection:
                await save_providers(connection, providers.describe())
        except (OSError, TimeoutError, SQLAlchemyError) as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            raise ServerUnavailable(f"the database can't be reached ({reason}): see WUMP_DATABASE_URL") from None
        yield Resources(engine, providers, clients, worker.job_deadline_seconds)
    finally:
        for client in clients.values():
            await client.aclose()
        await engine.dispose()
