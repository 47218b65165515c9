"""Many clients at once, half of them over their limit: what is answered, and whether memory grows.

    uv run python tests/benchmarks/crowd.py [--clients 200] [--seconds 60]

Each client has a key of its own and asks as fast as it is answered, for first pages and next pages, for packages and
for searches. Nothing may fail, a limited key must get its limit and no more, and the API's memory must stand still.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    # The modules are imported as the tests import them, wherever this is started.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import asyncpg
from pydantic import SecretStr
from wump_api.auth import make_key
from wump_core.embedded import Servers, embedded_servers
from wump_core.store import make_engine
from wump_core.store.keys import NewKey, add_key
from wump_migrations import runner

from benchmarks.bench import Bench
from benchmarks.graph import SIZES, fill_database
from benchmarks.load import read_body
from benchmarks.loading import derive
from benchmarks.serving import run_api

LIMIT = 100
"""Requests that a limited key may make; it tries for more within half a minute."""
SETTLED_SECONDS = 20
"""After so long, caches and pools are as large as they get."""
GROWTH = 1.05


async def ask(port: int, key: str, end: float, seed: int) -> Counter[int]:
    """Ask on one connection until the end; returns how many answers of each status."""
    drawn, statuses = random.Random(seed), Counter[int]()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < end:
        path = f"/api/v1/packages/npm/p-{drawn.randint(1, 200)}"
        path += drawn.choice(
            ("", "/dependents", f"/dependents?limit={drawn.randint(1, 100)}", "/dependents?sort=stars")
        )
        writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-api-key: {key}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        await read_body(reader, head.lower())
        status = int(head[9:12])
        statuses[status] += 1
        if status == 429:
            # Else those that are refused, which costs little, would be nearly all that is measured.
            await asyncio.sleep(0.05)
    writer.close()
    return statuses


async def make_keys(bench: Bench, count: int) -> list[str]:
    """Keys, every second of which is limited."""
    keys = []
    for number in range(count):
        most = LIMIT if number % 2 else 1_000_000_000
        key, secret = await asyncio.to_thread(make_key)
        new = NewKey(name=f"client {number}", tier="operator", requests_per_hour=most, requests_per_burst=most)
        async with bench.engine.begin() as connection:
            await add_key(connection, new, secret, created_by="benchmark")
        keys.append(key)
    return keys


async def measure(servers: Servers, clients: int, seconds: int) -> dict[str, object]:
    """Fill a database, start an API on it, and send the crowd."""
    engine = make_engine(SecretStr(servers.database_url), application_name="benchmark", pool_size=2)
    await runner.upgrade(engine)
    connection = await asyncpg.connect(servers.database_url)
    bench = Bench(SIZES["tiny"], 1, servers.database_url, servers.valkey_url, engine, connection)
    await fill_database(bench.database_url, bench.size, bench.seed)
    await derive(bench)
    keys = await make_keys(bench, clients)
    await connection.close()
    await engine.dispose()
    memory: dict[int, int] = {}
    async with run_api(bench, cached=True) as (port, pid):
        started = time.monotonic()
        crowd = [asyncio.create_task(ask(port, key, started + seconds, n)) for n, key in enumerate(keys)]
        for moment in (SETTLED_SECONDS, seconds - 1):
            await asyncio.sleep(max(0, started + moment - time.monotonic()))
            memory[moment] = resident_kib(pid)
        answered = await asyncio.gather(*crowd)
    limited = [counts[200] for counts in answered[1::2]]
    found = {
        "clients": clients,
        "seconds": seconds,
        "answers": dict(sum(answered, Counter[int]())),
        "answers of limited keys, least and most": [min(limited), max(limited)],
        "limit": LIMIT,
        "resident KiB by second": memory,
    }
    first, last = memory.values()
    found["met"] = {
        "nothing but 200 and 429": set().union(*answered) <= {200, 429},
        "no key without a limit was refused": not any(counts[429] for counts in answered[::2]),
        "limits exact to one": all(abs(count - LIMIT) <= 1 for count in limited),
        "memory within 5 %": last <= first * GROWTH,
    }
    return found


def resident_kib(pid: int) -> int:
    """Resident memory of a process; Linux only."""
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("the API has ended")


def main() -> int:
    """Measure, print what was found as JSON; 1: something is not as it must be."""
    parser = argparse.ArgumentParser(description="Many clients at once, half of them over their limit.")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wump-crowd-") as folder:
        Path(folder).chmod(0o755)
        with embedded_servers(Path(folder) / "data") as servers:
            found = asyncio.run(measure(servers, options.clients, options.seconds))
    print(json.dumps(found, indent=1))
    met = found["met"]
    return 0 if isinstance(met, dict) and all(met.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
