"""The API process: builds the app from settings and serves it."""

import errno
import gc
import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version
from typing import Any

import asyncpg
import uvicorn
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from starlette.types import ASGIApp, Lifespan, Scope
from valkey.asyncio import Valkey
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.settings import CoreSettings
from wump_core.store import make_engine
from wump_core.telemetry import OFF, Telemetry
from wump_core.telemetry.database import observe_connection, observe_engine, observe_pool

from wump_api.cache import Cache
from wump_api.connections import BoundedProtocol
from wump_api.gate import install_gate, open_gate
from wump_api.manners import add_manners
from wump_api.openapi import complete_description
from wump_api.paths import PackagePaths
from wump_api.problems import install_problem_handlers
from wump_api.routes import (
    badges,
    caches,
    dependents,
    executions,
    health,
    jobs,
    keys,
    organizations,
    packages,
    pauses,
    providers,
    schedules,
    search,
    stats,
    takedowns,
)
from wump_api.routes.metrics import PATH as METRICS
from wump_api.routes.metrics import install_metrics
from wump_api.routes.streams import FETCH_TIMEOUT_MS, Streams
from wump_api.settings import ApiSettings
from wump_api.sharing import Shared
from wump_api.warming import warming
from wump_api.web import install_pages

_SHARED = "public, max-age=60, stale-while-revalidate=300, stale-if-error=86400"
_PRIVATE = "private, max-age=60"
_DESCRIPTION = """
Which organizations depend on a package, with the evidence for each, from what registries say.

Lists are pages: ask again with `next_cursor` until it is null. Errors are problem details (RFC 9457); each kind
has a page that says what to do. Text that comes from registries is data, never markup; links are http or https.
"""
_TAGS = [
    {"name": "packages", "description": "What a package is, what it needs, and tracking it."},
    {"name": "dependents", "description": "Who uses a package, with the evidence."},
    {"name": "organizations", "description": "Who they are, what they use, and what of it asks for money."},
    {"name": "search", "description": "Packages and organizations by name."},
    {"name": "stats", "description": "How much wump knows."},
    {"name": "badges", "description": "How many use a package, as a picture or for services that draw one."},
    {"name": "jobs", "description": "For operators: the runs of the ledger, and when they are due."},
    {"name": "takedowns", "description": "For operators: accounts that are named nowhere."},
    {"name": "cache", "description": "For operators: forget what is kept."},
    {"name": "executions", "description": "How the work that a request started goes."},
    {"name": "providers", "description": "Who tells wump its facts."},
    {"name": "keys", "description": "Who may call, and how often. For operators."},
    {"name": "health", "description": "Whether the API and what it needs works."},
]


class WumpApp(FastAPI):
    """FastAPI with wump's manners around all of it, its own error pages too."""

    def __init__(self, settings: ApiSettings, **options: Any) -> None:
        super().__init__(**options)
        self._settings = settings

    def build_middleware_stack(self) -> ASGIApp:
        """The app's layers; FastAPI calls this once."""
        return add_manners(super().build_middleware_stack(), self._settings)


def make_app(core: CoreSettings, settings: ApiSettings, telemetry: Telemetry = OFF) -> FastAPI:
    """The app; its servers are reached when it starts to serve.

    Args:
        telemetry: What this process has set up; by default none.

    Raises:
        ConfigurationError: A server's URL is missing or can't be read.
    """
    if core.database_url is None or core.valkey_url is None:
        raise ConfigurationError("WUMP_DATABASE_URL and WUMP_VALKEY_URL must both be set")
    app = WumpApp(
        settings,
        title="wump",
        summary="Who is using my package?",
        description=_DESCRIPTION,
        version=version("wump-api"),
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(core, core.database_url, core.valkey_url, settings, telemetry.on),
        # A redirect would be built from the Host header, which anybody may choose.
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        openapi_tags=_TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        # What isn't sent anywhere costs each request too.
        telemetry={
            "tracing": telemetry.on,
            "metrics": telemetry.on,
            # They would hold what a client sent.
            "logs": False,
            "operation_spans": False,
            "exclude": _is_asked_all_day,
        },
    )
    app.state.follow_depth = core.follow_depth
    app.state.database_urls = {"the database": core.database_url}
    if core.read_database_url is not None:
        app.state.database_urls["the database for reading"] = core.read_database_url
    # Only what everybody may read may be kept on the way to who asked.
    app.state.cache_control = _SHARED if settings.anonymous == "everyone" else _PRIVATE
    install_problem_handlers(app)
    # In front, and not included as the others are: FastAPI looks for an included route twice.
    app.router.routes[:0] = [
        *dependents.router.routes,
        *packages.one.routes,
        *badges.router.routes,
        *organizations.one.routes,
        *(route for noun in (packages, organizations, search, stats) for route in noun.lists.routes),
    ]
    for router in (
        packages.router,
        executions.router,
        providers.router,
        stats.router,
        keys.router,
        jobs.router,
        pauses.router,
        schedules.router,
        takedowns.router,
        caches.router,
    ):
        app.include_router(router, prefix="/api/v1")
    app.include_router(health.router)
    if telemetry.registry is not None:
        install_metrics(app, telemetry)
    install_pages(app)
    complete_description(app)
    app.add_middleware(PackagePaths)
    install_gate(app, settings)
    return app


def _is_asked_all_day(scope: Scope) -> bool:
    """Whether a request is a probe's: thousands of quick ones would hide how those fare that people wait for."""
    return scope["path"] == METRICS or scope["path"].startswith("/health")


def _lifespan(
    core: CoreSettings,
    database_url: SecretStr,
    valkey_url: SecretStr,
    settings: ApiSettings,
    observed: bool,
) -> Lifespan[FastAPI]:
    """What is open for as long as the app serves."""
    timeout_ms = settings.statement_timeout_ms
    read_url = core.read_database_url or database_url

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with AsyncExitStack() as opened:
            app.state.engine = make_engine(
                database_url,
                application_name="wump-api",
                pool_size=settings.pool_size,
                statement_timeout_ms=timeout_ms,
            )
            opened.push_async_callback(app.state.engine.dispose)
            app.state.reading = await opened.enter_async_context(
                _open_pool(read_url, "wump-api", settings.pool_size, timeout_ms, observed)
            )
            # Exports have connections of their own, so that they can take none from the pages.
            exporting = await opened.enter_async_context(
                _open_pool(read_url, "wump-api-export", settings.streams, FETCH_TIMEOUT_MS, observed)
            )
            if observed:
                observe_engine("write", app.state.engine)
                observe_pool("read", app.state.reading)
                observe_pool("export", exporting)
            app.state.streams = Streams(exporting, at_once=settings.streams, seconds=settings.stream_seconds)
            app.state.valkey = app.state.answers = _open_valkey(opened, valkey_url)
            if core.cache_url is not None:
                app.state.answers = _open_valkey(opened, core.cache_url)
            await opened.enter_async_context(open_gate(app, settings))
            shared = app.state.shared if core.cache_url is None else Shared(app.state.answers)
            app.state.cache = Cache(shared) if settings.cache else None
            if app.state.cache is not None:
                opened.push_async_callback(app.state.cache.finish)
                await opened.enter_async_context(warming(app))
            yield

    return lifespan


def _open_valkey(opened: AsyncExitStack, url: SecretStr) -> Valkey:
    # Those who ask wait less, and count only the time in which this process wasn't busy itself.
    client = Valkey.from_url(url.get_secret_value(), socket_timeout=5, socket_connect_timeout=5)
    opened.push_async_callback(client.aclose)
    return client


@asynccontextmanager
async def _open_pool(
    url: SecretStr, name: str, size: int, statement_timeout_ms: int, observed: bool
) -> AsyncGenerator[asyncpg.Pool]:
    """Connections for reading, made when they are asked for; whoever waits on one waits for a bounded time.

    Raises:
        ConfigurationError: The URL can't be read.
    """
    try:
        make_url(url.get_secret_value())
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "WUMP_READ_DATABASE_URL is not a database URL: postgresql://user:password@host/name"
        ) from None
    pool = asyncpg.create_pool(
        url.get_secret_value(),
        min_size=0,
        max_size=size,
        timeout=5,
        command_timeout=statement_timeout_ms / 1000 + 5,
        server_settings={"application_name": name, "statement_timeout": str(statement_timeout_ms)},
        reset=_leave,
        init=observe_connection if observed else None,
    )
    async with pool:
        try:
            yield pool
        finally:
            # Nobody waits for an answer any more; a server that doesn't answer must not keep the process.
            pool.terminate()


async def _leave(_connection: asyncpg.Connection) -> None:
    """Readers change nothing of a session beyond their transaction, which asyncpg itself ends if it has to."""


def _operation_id(route: APIRoute) -> str:
    return route.name


def serve(core: CoreSettings, settings: ApiSettings, telemetry: Telemetry) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        ServerUnavailable: The address can't be listened on.
    """
    options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False, "ws": "none"}
    app = make_app(core, settings, telemetry)
    config = uvicorn.Config(app, http=BoundedProtocol, timeout_graceful_shutdown=15, proxy_headers=False, **options)
    # uvicorn hands a signal on once it has stopped, and takes none before it runs. Being asked to stop is no failure,
    # and what the caller has opened must be closed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    # Code and app stay for good. To look through them for garbage again and again takes a fifth of a busy process.
    gc.collect()
    gc.freeze()
    with _listen(settings.host, settings.port) as listener:
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise ServerUnavailable(f"port {port} is taken: set WUMP_API_PORT to a free one") from None
        raise ServerUnavailable(f"can't listen on {host}:{port} ({error.strerror}): see WUMP_API_HOST") from None
    return listener
