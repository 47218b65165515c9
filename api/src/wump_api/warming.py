"""Warming: the first pages of the most used packages are in the cache before somebody asks for them.

One process at a time does it, each minute; what is cached already costs a look into Valkey.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote

import asyncpg
import structlog
from fastapi import FastAPI
from starlette.types import Message, Scope
from valkey.asyncio import Valkey
from wump_core.caching import PREFIX
from wump_core.store import catalogue

from wump_api.gate import IN_PROCESS
from wump_api.sharing import Away

EVERY_SECONDS = 60.0
PACKAGES = 50
_LOCK = f"{PREFIX}warming"
log = structlog.get_logger("wump.api")


@asynccontextmanager
async def warming(app: FastAPI) -> AsyncGenerator[None]:
    """Warm each minute until the end of the block."""
    task = asyncio.create_task(_warm_forever(app))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _warm_forever(app: FastAPI) -> None:
    """Without Valkey or the database nothing is warmed."""
    while True:
        with suppress(Away, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            if await app.state.shared.ask(_take_turn):
                await warm(app)
        await asyncio.sleep(EVERY_SECONDS)


async def _take_turn(valkey: Valkey) -> bool:
    """Whether it is this process's turn."""
    return bool(await valkey.set(_LOCK, b"1", nx=True, ex=int(EVERY_SECONDS) - 5))


async def warm(app: FastAPI) -> int:
    """Ask for the first page of each of the most used packages, one after the other; returns how many."""
    async with app.state.reading.acquire() as connection:
        most_used = await catalogue.list_most_used(connection, limit=PACKAGES)
    for ecosystem, name in most_used:
        await _ask(app, f"/api/v1/packages/{ecosystem}/{quote(name, safe='')}/dependents")
    return len(most_used)


async def _ask(app: FastAPI, path: str) -> None:
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 0),
        IN_PROCESS: True,
    }

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            log.info("cache.not_warmed", path=path, status=message["status"])

    await app(scope, receive, send)
