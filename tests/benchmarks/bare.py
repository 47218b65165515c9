"""The baseline of serving: an ASGI app that runs the API's two statements and encodes their rows, and nothing else.

It checks nothing, knows one package, and shows rows as the database has them. Run with the port, the URL of the
database, and a JSON list: the package's statement and purl, the page's statement and the package's key.
"""

import asyncio
import json
import sys
from typing import Any

import asyncpg
import msgspec
import uvicorn

POOL_SIZE = 10
PAGE_ROWS = 51


class BareApp:
    """One page of one package."""

    def __init__(self, database_url: str, statements: list[Any]) -> None:
        self._url = database_url
        self._package, self._purl, self._page, self._key = statements

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            # Without the statement by which the pool resets connections: nothing here changes them.
            self._pool = await asyncpg.create_pool(self._url, min_size=POOL_SIZE, max_size=POOL_SIZE, reset=_leave)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await self._pool.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        async with self._pool.acquire() as connection:
            package = await connection.fetchrow(self._package, self._purl)
            rows = await connection.fetch(self._page, self._key, PAGE_ROWS)
        data = [dict(row, evidence=msgspec.Raw(row["evidence"].encode())) for row in rows[:50]]
        body = msgspec.json.encode({"data": data, "meta": dict(package)})
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _leave(_connection: asyncpg.Connection) -> None:
    await asyncio.sleep(0)


def main() -> None:
    """Serve as `wump api` does."""
    port, database_url, statements = sys.argv[1:]
    app = BareApp(database_url, json.loads(statements))
    uvicorn.run(app, port=int(port), log_config=None, access_log=False, server_header=False, proxy_headers=False)


if __name__ == "__main__":
    main()
