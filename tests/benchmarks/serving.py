"""A page through the whole API, against a bare ASGI app that runs the same statements."""

import asyncio
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from wump_core.store import answers

from benchmarks.bench import Bench
from benchmarks.graph import HOTTEST
from benchmarks.measure import Measurement, ratios
from benchmarks.reading import PAGE

CONNECTIONS = 8
PATH = "/api/v1/packages/npm/p-1/dependents"
START_SECONDS = 60.0
_TESTS = Path(__file__).resolve().parents[1]


async def measure_serving(bench: Bench) -> Measurement:
    """Requests per second of one process each, alternating."""
    found = Measurement("serving", f"The hottest page over HTTP, {CONNECTIONS} connections: API against bare ASGI")
    rounds = 2 if bench.size.name == "tiny" else 4
    statements = json.dumps([answers.PACKAGE_STATEMENT, HOTTEST, PAGE, await bench.hottest()])
    api_port, bare_port = _free_port(), _free_port()
    settings = {
        "WUMP_DATABASE_URL": bench.database_url,
        "WUMP_VALKEY_URL": bench.valkey_url,
        "WUMP_API_PORT": str(api_port),
        "WUMP_LOG_LEVEL": "warning",
    }
    api_command = ["-m", "wump_core", "api"]
    bare_command = ["-m", "benchmarks.bare", str(bare_port), bench.database_url, statements]
    loads: dict[str, list[dict[str, float]]] = {"api": [], "bare": []}
    async with _server(api_command, settings, api_port), _server(bare_command, {}, bare_port):
        for port in (api_port, bare_port):
            await _load(port, bench.size.serve_seconds / 2)
        for _ in range(rounds):
            loads["api"].append(await _load(api_port, bench.size.serve_seconds))
            loads["bare"].append(await _load(bare_port, bench.size.serve_seconds))
    for name, title in (("api", "wump api"), ("bare", "bare ASGI")):
        found.add_figure(title, "requests/s", [item["rate"] for item in loads[name]])
        found.add_figure(f"{title}, median answer", "ms", [item["p50_ms"] for item in loads[name]])
        found.add_figure(f"{title}, 99th percentile", "ms", [item["p99_ms"] for item in loads[name]])
        found.add_figure(f"{title}, body", "bytes", [item["bytes"] for item in loads[name]])
        found.add_figure(f"{title}, cores the client used", "cores", [item["client_cores"] for item in loads[name]])
    quotients = ratios([item["rate"] for item in loads["api"]], [item["rate"] for item in loads["bare"]])
    found.add_bar("requests/s, API / bare", quotients, at_least=0.75)
    found.notes.append(
        f"uvicorn with httptools and uvloop, {rounds} rounds of {bench.size.serve_seconds:g} s. The client is a small"
        " one of our own in its own process; client, server and Postgres share the cores, so rates are lower than those"
        " of a server alone, and the ratio is nearer to 1"
    )
    return found


async def measure_datasette(_bench: Bench) -> Measurement:
    """The same rows through Datasette, if somebody has installed it."""
    found = Measurement("datasette", "The same rows through Datasette")
    installed = importlib.util.find_spec("datasette") is not None
    reason = "this benchmark doesn't drive it yet" if installed else "datasette is not installed"
    found.notes.append(f"not run: {reason}")
    return found


async def _load(port: int, seconds: float) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.load", str(port), PATH, str(CONNECTIONS), str(seconds)),
        env=_environment({}),
        stdout=subprocess.PIPE,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the load generator ended with {process.returncode}")
    found: dict[str, float] = json.loads(output)
    return found


@asynccontextmanager
async def _server(command: Sequence[str], settings: dict[str, str], port: int) -> AsyncGenerator[None]:
    """A server in a process of its own, from when it answers until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, env=_environment(settings), stdin=subprocess.DEVNULL
    )
    try:
        await _wait_for(process, port)
        yield
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
    return inherited | {"PYTHONPATH": str(_TESTS)} | settings


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
