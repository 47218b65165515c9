"""The API process: builds the app from settings and serves it."""

import errno
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from valkey.asyncio import Valkey
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.settings import CoreSettings
from wump_core.store import make_engine

from wump_api.paths import PackagePaths
from wump_api.problems import install_problem_handlers
from wump_api.routes import dependents, executions, health, packages, providers
from wump_api.settings import ApiSettings
from wump_api.web import install_pages

_DESCRIPTION = """
Which organizations depend on a package, with the evidence for each, from what registries say.

Lists are pages: ask again with `next_cursor` until it is null. Errors are problem details (RFC 9457); each kind
has a page that says what to do. Text that comes from registries is data, never markup; links are http or https.
"""


class ContentTypeGuard:
    """ASGI wrapper: browsers must take an answer for what it says it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-content-type-options", b"nosniff")]
            await send(message)

        await self._app(scope, receive, guarded if scope["type"] == "http" else send)


def make_app(core: CoreSettings, settings: ApiSettings) -> FastAPI:
    """The app; its servers are reached when it starts to serve.

    Raises:
        ConfigurationError: A server's URL is missing or can't be read.
    """
    if core.database_url is None or core.valkey_url is None:
        raise ConfigurationError("WUMP_DATABASE_URL and WUMP_VALKEY_URL must both be set")
    database_url, valkey_url = core.database_url, core.valkey_url

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        app.state.engine = make_engine(
            database_url,
            application_name="wump-api",
            pool_size=settings.pool_size,
            statement_timeout_ms=settings.statement_timeout_ms,
        )
        url = valkey_url.get_secret_value().replace("redis", "valkey", 1)
        app.state.valkey = Valkey.from_url(url, socket_timeout=1, socket_connect_timeout=1)
        yield
        await app.state.valkey.aclose()
        await app.state.engine.dispose()

    app = FastAPI(
        title="wump",
        summary="Who is using my package?",
        description=_DESCRIPTION,
        version=version("wump-api"),
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.follow_depth = core.follow_depth
    app.state.database_url = database_url
    install_problem_handlers(app)
    for router in (packages.router, dependents.router, executions.router, providers.router):
        app.include_router(router, prefix="/api/v1")
    app.include_router(health.router)
    install_pages(app)
    app.add_middleware(ContentTypeGuard)
    app.add_middleware(PackagePaths)
    return app


def serve(core: CoreSettings, settings: ApiSettings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        ServerUnavailable: The address can't be listened on.
    """
    options: dict[str, Any] = {"log_config": None, "access_log": False, "server_header": False}
    config = uvicorn.Config(make_app(core, settings), timeout_graceful_shutdown=15, proxy_headers=False, **options)
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
