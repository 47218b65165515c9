"""A process of its own that asks an API many times at once. Run with a key, how many, and the seconds its clock is off.

It prints how many requests were answered with each status, as JSON. A line on standard input starts it, so that
several begin together.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import Any

from wump_api.main import make_app
from wump_api.settings import ApiSettings
from wump_core.settings import load_settings


async def ask(app: Any, key: str) -> int:
    """The status of one answer. There is nothing at this path, which the limit doesn't know."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/v1/none",
        "raw_path": b"/api/v1/none",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"wump.example"), (b"x-api-key", key.encode())],
        "client": ("203.0.113.9", 1),
        "server": ("wump.example", 80),
    }
    statuses: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


async def main(key: str, number: int) -> Counter[int]:
    """Ask so many times at once."""
    app = make_app(load_settings(), ApiSettings())
    async with app.router.lifespan_context(app):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        return Counter(await asyncio.gather(*(ask(app, key) for _ in range(number))))


if __name__ == "__main__":
    now, skew = time.time, float(sys.argv[3])
    time.time = lambda: now() + skew  # ty: ignore[invalid-assignment]
    print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2])))))
