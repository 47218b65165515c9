"""What telemetry costs that is switched off: `uv run python tests/benchmarks/telemetry.py`, a good minute when idle.

The API is loaded twice into one process: as it is, with telemetry off, and without a trace of it: every call of it is
taken out of the API's source, and FastAPI's own look at its setting is left out. Both answer the same page from the
same database in turn, and what is compared is the processor time of each. Which of two equal copies is faster depends
on where a process happened to put them, by a percent or two; so there are many processes, each copy is loaded first in
half of them, and the median counts. `--control` compares two copies of the API as it is: what it says is noise.
"""

import argparse
import ast
import asyncio
import gc
import importlib
import importlib.abc
import importlib.machinery
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

if __name__ == "__main__":
    # The modules are imported as the tests import them, wherever this is started.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import asyncpg
from pydantic import SecretStr
from starlette.applications import Starlette
from wump_core.embedded import embedded_servers
from wump_core.settings import CoreSettings, load_settings
from wump_core.store import audit, make_engine
from wump_core.telemetry import configure_logging
from wump_migrations import runner

from benchmarks.graph import SIZES, make_graph

PATH = "/api/v1/packages/npm/p-1/dependents"
QUERY = b"limit=20"
REQUESTS = 5
"""Of one half of a pair: some milliseconds, so that both halves meet the same machine."""
LIMIT = 1.02
App = Callable[[MutableMapping[str, Any], Any, Any], Any]


class _WithoutCalls(ast.NodeTransformer):
    """Takes out statements that only call something of `wump_core.telemetry`."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.taken = 0

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module == "wump_core.telemetry":
            self.names |= {item.asname or item.name for item in node.names}
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in self.names:
            self.taken += 1
            return ast.copy_location(ast.Pass(), node)
        return node


def remove_calls(source: str) -> tuple[ast.Module, int]:
    """A module without its calls of telemetry, and how many there were."""
    transformer = _WithoutCalls()
    tree = transformer.visit(ast.parse(source))
    return ast.fix_missing_locations(tree), transformer.taken


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads modules without their calls of telemetry."""

    taken = 0

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        tree, taken = remove_calls(Path(path).read_text("utf-8"))
        _Loader.taken += taken
        return compile(tree, path, "exec", dont_inherit=True)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds modules of the API for that loader."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target) if _is_api(fullname) else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin)
        return spec


def _is_api(module: str) -> bool:
    return module.partition(".")[0] == "wump_api"


def make_api(core: CoreSettings, *, without: bool) -> App:
    """The API from a copy of its modules: with telemetry off, or without any."""
    for name in [name for name in sys.modules if _is_api(name)]:
        del sys.modules[name]
    finder = _Finder()
    if without:
        sys.meta_path.insert(0, finder)
    try:
        main, settings = (importlib.import_module(f"wump_api.{name}") for name in ("main", "settings"))
    finally:
        if without:
            sys.meta_path.remove(finder)
    if without:
        main.WumpApp.__call__ = Starlette.__call__
        if not _Loader.taken:
            raise RuntimeError("no call of telemetry was found in the API: both copies are the same")
    return cast(App, main.make_app(core, settings.ApiSettings(cache=False)))


async def ask(app: App, times: int) -> float:
    """Ask for the page so many times; returns the processor time of one answer, in seconds."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": QUERY,
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    started = time.process_time()
    for _ in range(times):
        await app({**scope, "state": {}}, receive, send)
    used = time.process_time() - started
    if statuses != [200] * times:
        raise RuntimeError(f"the API answered with {sorted(set(statuses))}")
    return used / times


async def compare(core: CoreSettings, pairs: int, *, without_first: bool, control: bool = False) -> float:
    """What an answer costs with telemetry off, over what it costs without any: the median of so many pairs."""
    copies = [make_api(core, without=first and not control) for first in (without_first, not without_first)]
    without, off = copies if without_first else copies[::-1]
    found = []
    async with AsyncExitStack() as opened:
        for app in copies:
            await opened.enter_async_context(cast(Any, app).router.lifespan_context(app))
            await ask(app, 50 * REQUESTS)
        gc.freeze()
        for number in range(pairs):
            # Whoever is first in one pair is second in the next.
            order = copies if number % 2 else copies[::-1]
            used = {id(app): await ask(app, REQUESTS) for app in order}
            found.append(used[id(off)] / used[id(without)])
    return statistics.median(found)


async def prepare(database_url: str) -> None:
    """A small graph in an empty database, and what follows from it."""
    engine = make_engine(SecretStr(database_url), application_name="benchmark", statement_timeout_ms=600_000)
    await runner.upgrade(engine)
    connection = await asyncpg.connect(database_url)
    await make_graph(connection, SIZES["tiny"], 1)
    await connection.close()
    await audit.rebuild(engine)
    await engine.dispose()


def measure(processes: int, pairs: int, *, control: bool) -> list[float]:
    """A ratio for each of so many processes, on servers of their own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WUMP_", "OTEL_"))}
    found = []
    with tempfile.TemporaryDirectory(prefix="wump-benchmark-") as folder:
        Path(folder).chmod(0o755)  # started by root, Postgres runs as a system user, who must get in
        with embedded_servers(Path(folder) / "data", durable=False) as servers:
            asyncio.run(prepare(servers.database_url))
            urls = {"WUMP_DATABASE_URL": servers.database_url, "WUMP_VALKEY_URL": servers.valkey_url}
            for number in range(processes):
                command = [sys.executable, __file__, "--pairs", str(pairs), "--process", str(number)]
                command += ["--control"] if control else []
                output = subprocess.run(command, env=kept | urls, stdout=subprocess.PIPE, check=True).stdout
                found.append(float(output))
                print(f"{number + 1}: {found[-1]:.4f}", flush=True)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; 1 if the median is above the limit."""
    parser = argparse.ArgumentParser(prog="tests/benchmarks/telemetry.py", description="Telemetry off against none.")
    parser.add_argument("--processes", type=int, default=12, help="so many of them measure, one after the other")
    parser.add_argument("--pairs", type=int, default=250, help="so often both copies answer in turn in each of them")
    parser.add_argument("--control", action="store_true", help="compare two copies of the same")
    parser.add_argument("--process", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.process is not None:
        configure_logging("warning", "json")
        first = options.process % 2 == 0
        print(asyncio.run(compare(load_settings(), options.pairs, without_first=first, control=options.control)))
        return 0
    found = measure(options.processes, options.pairs, control=options.control)
    median = statistics.median(found)
    print(f"processor time of an answer, telemetry off / none: {median:.4f}, from {min(found):.4f} to {max(found):.4f}")
    return int(median > LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
