"""A page through the whole API, against a bare ASGI app that runs the same statements, and against Datasette."""

import asyncio
import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx
from wump_core.store import lookups

from benchmarks.bench import Bench
from benchmarks.datasette_app import ROWS, page_path, save_rows
from benchmarks.graph import HOTTEST
from benchmarks.measure import Measurement, ratios
from benchmarks.reading import PAGE

CONNECTIONS = 8
PATH = "/api/v1/packages/npm/p-1/dependents"
START_SECONDS = 60.0
_TESTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Target:
    """A server and what it is asked for; without a key, the limits of this machine hold: none."""

    title: str
    port: int
    path: str
    key: str = ""


async def measure_serving(bench: Bench) -> Measurement:
    """Requests per second of one process each, alternating."""
    found = Measurement("serving", f"The hottest page over HTTP, {CONNECTIONS} connections: API against bare ASGI")
    bare_port, bare_command = await _bare_command(bench)
    async with run_api(bench, cached=False) as (api_port, _), _server(bare_command, {}, bare_port):
        quotients = await _alternate(
            bench, found, Target("wump api", api_port, PATH), Target("bare ASGI", bare_port, PATH)
        )
    found.add_bar("requests/s, API / bare", quotients, at_least=0.75)
    found.notes.append(_describe_rounds(bench))
    return found


async def measure_keys(bench: Bench) -> Measurement:
    """The same with a key whose limits are counted, and with answers that are cached."""
    found = Measurement("keys", "The hottest page over HTTP with a key and its limits, and cached")
    bare_port, bare_command = await _bare_command(bench)
    key = await _make_key(bench)
    async with run_api(bench, cached=False) as (api_port, _), _server(bare_command, {}, bare_port):
        with_key = Target("wump api, with key and limit", api_port, PATH, key)
        quotients = await _alternate(bench, found, with_key, Target("bare ASGI, beside it", bare_port, PATH))
    found.add_bar("requests/s, API with key and limit / bare", quotients, at_least=0.6)
    async with run_api(bench, cached=True) as (api_port, _), _server(bare_command, {}, bare_port):
        cached = Target("wump api, cached, with key and limit", api_port, PATH, key)
        quotients = await _alternate(bench, found, cached, Target("bare ASGI, again", bare_port, PATH))
        plain = Target("wump api, cached, without", api_port, PATH)
        cost = await _alternate(bench, found, plain, cached)
    found.add_bar("requests/s, cached with key and limit / bare without a cache", quotients, at_least=2)
    found.add_bar("requests/s of cached answers, without / with key and limit", cost, at_most=1.35)
    found.notes.append(_describe_rounds(bench))
    return found


async def measure_datasette(bench: Bench) -> Measurement:
    """The same rows through Datasette, if somebody has installed it."""
    found = Measurement("datasette", f"The same rows through Datasette, {CONNECTIONS} connections")
    if importlib.util.find_spec("datasette") is None:
        found.notes.append("not run: datasette is not installed; `uv run --group benchmarks` installs it")
        return found
    with tempfile.TemporaryDirectory(prefix="wump-benchmark-") as folder:
        file, hottest = Path(folder) / "rows.db", await bench.hottest()
        async with bench.connection.transaction():
            copied = await save_rows(file, bench.connection.cursor(ROWS, hottest))
        port = _free_port()
        command = ["-m", "benchmarks.datasette_app", str(port), str(file)]
        async with run_api(bench, cached=False) as (api_port, _), _server(command, {}, port):
            peer = Target("Datasette", port, page_path(file, hottest))
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=START_SECONDS) as client:
                rows = (await client.get(peer.path)).json()
            found.add_figure("Datasette, its page", "rows", [len(rows)])
            quotients = await _alternate(bench, found, Target("wump api", api_port, PATH), peer)
    found.add_bar("requests/s, API / Datasette", quotients, at_least=3)
    found.notes.append(
        f"Datasette {version('datasette')} on uvicorn as the API, over {copied:,} rows with the same columns in an"
        " immutable SQLite file, with an index that holds the page; facets, counts and access log off"
    )
    return found


async def _bare_command(bench: Bench) -> tuple[int, list[str]]:
    """A port, and the command that serves the same page there with no more than a database driver and an encoder."""
    statements = json.dumps([lookups.PACKAGE_STATEMENT, HOTTEST, PAGE, await bench.hottest()])
    port = _free_port()
    return port, ["-m", "benchmarks.bare", str(port), bench.database_url, statements]


def _describe_rounds(bench: Bench) -> str:
    return (
        f"uvicorn with httptools and uvloop, rounds of {bench.size.serve_seconds:g} s. The client is a small"
        " one of our own in its own process; client, server and Postgres share the cores, so rates are lower than those"
        " of a server alone, and the ratio is nearer to 1"
    )


async def _alternate(bench: Bench, found: Measurement, measured: Target, baseline: Target) -> list[float]:
    """Load two servers in turn; returns the quotients of their rates."""
    loads: dict[str, list[dict[str, float]]] = {measured.title: [], baseline.title: []}
    for target in (measured, baseline):
        await _load(target, bench.size.serve_seconds / 2)
    # Short rounds and many: what goes on beside it on the machine changes from one second to the next.
    for _ in range(bench.size.serve_rounds):
        for target in (measured, baseline):
            loads[target.title].append(await _load(target, bench.size.serve_seconds))
    for title, items in loads.items():
        found.add_figure(title, "requests/s", [item["rate"] for item in items])
        found.add_figure(f"{title}, median answer", "ms", [item["p50_ms"] for item in items])
        found.add_figure(f"{title}, 99th percentile", "ms", [item["p99_ms"] for item in items])
        found.add_figure(f"{title}, body", "bytes", [item["bytes"] for item in items])
        found.add_figure(f"{title}, cores the client used", "cores", [item["client_cores"] for item in items])
    rates, base_rates = ([item["rate"] for item in items] for items in loads.values())
    return ratios(rates, base_rates)


async def _load(target: Target, seconds: float) -> dict[str, float]:
    address = (str(target.port), target.path, str(CONNECTIONS), str(seconds), *filter(None, [target.key]))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.load", *address), env=_environment({}), stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load generator ended with {process.returncode}")
    found: dict[str, float] = json.loads(output)
    return found


async def _make_key(bench: Bench) -> str:
    """A key whose limits are counted and never reached."""
    wide = ("--tier", "operator", "--per-hour", "100000000", "--per-burst", "100000000")
    settings = {"WUMP_DATABASE_URL": bench.database_url, "WUMP_VALKEY_URL": bench.valkey_url}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wump_core", "keys", "create", f"benchmark {time.time():.0f}", *wide),
        env=_environment(settings),
        stdout=subprocess.PIPE,
    )
    output, _ = await process.communicate()
    found = re.search(rb"wump_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}", output)
    if found is None:
        raise RuntimeError("no key could be made")
    return found[0].decode()


@asynccontextmanager
async def run_api(bench: Bench, *, cached: bool) -> AsyncGenerator[tuple[int, int]]:
    """`wump api` on the database of the measurements; gives its port and its process id."""
    port = _free_port()
    settings = {
        "WUMP_DATABASE_URL": bench.database_url,
        "WUMP_VALKEY_URL": bench.valkey_url,
        "WUMP_API_PORT": str(port),
        "WUMP_API_CACHE": str(cached).lower(),
        "WUMP_LOG_LEVEL": "warning",
    }
    async with _server(["-m", "wump_core", "api"], settings, port) as pid:
        yield port, pid


@asynccontextmanager
async def _server(command: Sequence[str], settings: dict[str, str], port: int) -> AsyncGenerator[int]:
    """A server in a process of its own, from when it answers until the end of the block; gives the process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, env=_environment(settings), stdin=subprocess.DEVNULL
    )
    try:
        await _wait_for(process, port)
        yield process.pid
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _wait_for(process: asyncio.subprocess.Process, port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.returncode is None:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return
    raise RuntimeError("a server that is to be measured doesn't start")


def _environment(settings: dict[str, str]) -> dict[str, str]:
    """Ours, without settings of wump: those of the person who runs this would be measured else."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WUMP_")}
    found = [str(_TESTS), *filter(None, [inherited.get("PYTHONPATH")])]
    return inherited | {"PYTHONPATH": os.pathsep.join(found)} | settings


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
