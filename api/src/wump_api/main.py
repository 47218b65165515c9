"""The API process: builds the app from settings and serves it."""

import errno
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
from starlette.types import ASGIApp, Lifespan, Message, Receive, Scope, Send
from valkey.asyncio import Valkey
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.settings import CoreSettings
from wump_core.store import make_engine

from wump_api.paths import PackagePaths
from wump_api.problems import document_problems, install_problem_handlers
from wump_api.routes import dependents, executions, health, packages, providers
from wump_api.routes.streams import FETCH_TIMEOUT_MS, WITHOUT_BODY, Streams
from wump_api.settings import ApiSettings
from wump_api.web import install_pages

MAX_BODY_BYTES = 2 * 1024 * 1024
_DESCRIPTION = """
Which organizations depend on a package, with the evidence for each, from what registries say.

Lists are pages: ask again with `next_cursor` until it is null. Errors are problem details (RFC 9457); each kind
has a page that says what to do. Text that comes from registries is data, never markup; links are http or https.
"""
_TAGS = [
    {"name": "packages", "description": "What a package is, what it needs, and tracking it."},
    {"name": "dependents", "description": "Who uses a package, with the evidence."},
    {"name": "executions", "description": "How the work that a request started goes."},
    {"name": "providers", "description": "Who tells wump its facts."},
    {"name": "health", "description": "Whether the API and what it needs works."},
]


class HttpManners:
    """ASGI wrapper: browsers must take an answer for what it says it is, and HEAD is GET without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        without_body = scope["method"] == "HEAD"
        if without_body:
            scope = dict(scope, method="GET") | {WITHOUT_BODY: True}

        async def send_mannerly(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-content-type-options", b"nosniff")]
            elif without_body and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        await self._app(scope, receive, send_mannerly)


def make_app(core: CoreSettings, settings: ApiSettings) -> FastAPI:
    """The app; its servers are reached when it starts to serve.

    Raises:
        ConfigurationError: A server's URL is missing or can't be read.
    """
    if core.database_url is None or core.valkey_url is None:
        raise ConfigurationError("WUMP_DATABASE_URL and WUMP_VALKEY_URL must both be set")
    app = FastAPI(
        title="wump",
        summary="Who is using my package?",
        description=_DESCRIPTION,
        version=version("wump-api"),
        max_body_size=MAX_BODY_BYTES,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(core.database_url, core.read_database_url, core.valkey_url, settings),
        # A redirect would be built from the Host header, which anybody may choose.
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        openapi_tags=_TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        # What isn't sent anywhere costs each request too.
        telemetry={"tracing": core.telemetry != "off", "metrics": False, "logs": False},
    )
    app.state.follow_depth = core.follow_depth
    app.state.database_urls = {"the database": core.database_url}
    if core.read_database_url is not None:
        app.state.database_urls["the database for reading"] = core.read_database_url
    install_problem_handlers(app)
    # In front, and not included as the others are: FastAPI looks for an included route twice.
    app.router.routes[:0] = [*dependents.router.routes, *packages.one.routes]
    for router in (packages.router, executions.router, providers.router):
        app.include_router(router, prefix="/api/v1")
    app.include_router(health.router)
    install_pages(app)
    document_problems(app)
    app.add_middleware(PackagePaths)
    app.add_middleware(HttpManners)
    return app


def _lifespan(
    database_url: SecretStr, read_database_url: SecretStr | None, valkey_url: SecretStr, settings: ApiSettings
) -> Lifespan[FastAPI]:
    """What is open for as long as the app serves."""
    timeout_ms = settings.statement_timeout_ms
    read_url = read_database_url or database_url

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
                _open_pool(read_url, "wump-api", settings.pool_size, timeout_ms)
            )
            # Exports have connections of their own, so that they can take none from the pages.
            exporting = await opened.enter_async_context(
                _open_pool(read_url, "wump-api-export", settings.streams, FETCH_TIMEOUT_MS)
            )
            app.state.streams = Streams(exporting, at_once=settings.streams, seconds=settings.stream_seconds)
            app.state.valkey = Valkey.from_url(
                valkey_url.get_secret_value(), socket_timeout=1, socket_connect_timeout=1
            )
            opened.push_async_callback(app.state.valkey.aclose)
            yield

    return lifespan


@asynccontextmanager
async def _open_pool(url: SecretStr, name: str, size: int, statement_timeout_ms: int) -> AsyncGenerator[asyncpg.Pool]:
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


def serve(core: CoreSettings, settings: ApiSettings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        ServerUnavailable: The address can't be listened on.
    """
    options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False}
    config = uvicorn.Config(make_app(core, settings), timeout_graceful_shutdown=15, proxy_headers=False, **options)
    # uvicorn hands a signal on once it has stopped, and takes none before it runs. Being asked to stop is no failure,
    # and what the caller has opened must be closed.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
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
