"""The database and Valkey that a command uses: the configured ones, or the embedded ones."""

import asyncio
import importlib.metadata
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import Any

from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from wump_core.embedded import embedded_servers
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.settings import CoreSettings
from wump_core.store import make_engine

MIGRATIONS_GROUP = "wump.migrations"


@contextmanager
def open_servers(
    settings: CoreSettings, *, migrate: bool = True, notify: Callable[[str], None] = lambda _: None
) -> Generator[CoreSettings]:
    """Settings whose servers are there: those that are set, else the embedded ones for as long as this is open.

    Embedded databases are migrated; a configured one must be migrated already, by `wump db upgrade`.

    Args:
        migrate: False leaves the schema alone and unchecked.
        notify: Is told what the user should know about how the embedded servers run.

    Raises:
        ConfigurationError: Only one of the URLs is set, or the database is not migrated.
        ServerUnavailable: A server can't be reached or started.
    """
    if (settings.database_url is None) != (settings.valkey_url is None):
        unset = "WUMP_DATABASE_URL" if settings.database_url is None else "WUMP_VALKEY_URL"
        raise ConfigurationError(f"{unset} is not set: set both URLs, or neither to use the embedded servers")
    if settings.database_url is not None:
        if migrate:
            asyncio.run(_require_current_schema(settings))
        yield settings
        return
    with embedded_servers(settings.data_dir) as servers:
        for notice in servers.notices:
            notify(notice)
        ready = settings.model_copy(
            update={"database_url": SecretStr(servers.database_url), "valkey_url": SecretStr(servers.valkey_url)}
        )
        if migrate:
            asyncio.run(_with_engine(ready, _upgrade))
        yield ready


async def _with_engine(settings: CoreSettings, use: Callable[[AsyncEngine], Coroutine[Any, Any, object]]) -> None:
    if settings.database_url is None:
        raise ConfigurationError("WUMP_DATABASE_URL is not set")
    engine = make_engine(settings.database_url, application_name="wump", pool_size=1)
    try:
        await use(engine)
    except (OSError, TimeoutError, DBAPIError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ServerUnavailable(f"the database can't be reached ({reason}): see WUMP_DATABASE_URL") from None
    finally:
        await engine.dispose()


async def _upgrade(engine: AsyncEngine) -> None:
    # Looked up first: what upgrades takes longer to import than most commands take for all they do.
    if await _migration("current_revision")(engine) != _migration("head_revision")():
        await _migration("upgrade")(engine)


async def read_schema_state(settings: CoreSettings) -> tuple[str | None, str]:
    """The database's revision (null: never migrated), and the one that this wump needs.

    Raises:
        ServerUnavailable: The database can't be reached.
    """
    found: list[str | None] = []

    async def read(engine: AsyncEngine) -> None:
        found.append(await _migration("current_revision")(engine))

    await _with_engine(settings, read)
    return found[0], _migration("head_revision")()


async def _require_current_schema(settings: CoreSettings) -> None:
    """A newer schema is one that this wump works on too: it is expanded first, and contracted a version later.

    So that a process of the version before can start again while an upgrade is under way. Revisions are numbers of
    four digits.
    """
    current, head = await read_schema_state(settings)
    if current is None or current < head:
        raise ConfigurationError(
            f"the database is at revision {current or 'none'} and this wump needs {head}: run `wump db upgrade`"
        )


def _migration(name: str) -> Callable[..., Any]:
    """A function of the migrations, which core knows only by entry point."""
    for entry in importlib.metadata.entry_points(group=MIGRATIONS_GROUP, name=name):
        function: Callable[..., Any] = entry.load()
        return function
    raise ConfigurationError("wump-migrations is not installed: pip install wump-migrations")
