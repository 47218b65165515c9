"""What measurements are given: the database, the size, and how to run statements with a clock."""

import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.graph import HOTTEST, Size

PAGE_ROWS = 51
"""As the API asks for a page of 50: one more tells whether there is a next page."""


_EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)"


@dataclass(frozen=True, slots=True)
class Bench:
    """A filled database and how hard to try."""

    size: Size
    seed: int
    database_url: str
    valkey_url: str
    engine: AsyncEngine
    connection: asyncpg.Connection

    async def hottest(self) -> int:
        """Key of the most popular package."""
        key: int = await self.connection.fetchval("SELECT id FROM packages WHERE purl = $1", HOTTEST)
        return key


async def fetch_ms(connection: asyncpg.Connection, statement: str, *arguments: object) -> float:
    """Milliseconds that one statement takes, as the caller waits for it."""
    return await timed_ms(lambda: connection.fetch(statement, *arguments))


async def timed_ms(call: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds that one call takes."""
    started = time.perf_counter()
    await call()
    return (time.perf_counter() - started) * 1000


async def count_buffers(connection: asyncpg.Connection, statement: str, *arguments: object) -> int:
    """Pages of the database that a statement touches, found in memory or not."""
    return _buffers(await connection.fetchval(f"{_EXPLAIN} {statement}", *arguments))


def _buffers(text: str) -> int:
    plan = json.loads(text)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
