"""What `run.py` does: servers of its own, a graph, the measurements, and the reports."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr
from wump_core.embedded import Servers, embedded_servers
from wump_core.store import make_engine
from wump_migrations import runner

from benchmarks.bench import Bench
from benchmarks.graph import SIZES, Size, describe_graph, make_graph
from benchmarks.loading import derive, measure_first_load
from benchmarks.machine import describe_machine
from benchmarks.measure import Measurement
from benchmarks.reading import measure_depth, measure_filters, measure_grouping, measure_popularity
from benchmarks.report import make_page, print_measurement
from benchmarks.serving import measure_datasette, measure_serving
from benchmarks.writing import measure_contention, measure_writing

DOCS = Path(__file__).resolve().parents[2] / "docs"
MEASUREMENTS: dict[str, Callable[[Bench], Awaitable[Measurement]]] = {
    "first_load": measure_first_load,
    "popularity": measure_popularity,
    "depth": measure_depth,
    "filters": measure_filters,
    "grouping": measure_grouping,
    "serving": measure_serving,
    "writing": measure_writing,
    "contention": measure_contention,
    "datasette": measure_datasette,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or make the page of the docs from what was measured."""
    options = _parse(arguments)
    if options.docs:
        document = json.loads((DOCS / "performance.json").read_text("utf-8"))
        (DOCS / "performance.md").write_text(make_page(document), "utf-8")
        return 0
    with tempfile.TemporaryDirectory(prefix="wump-benchmark-") as folder:
        # Started by root, Postgres runs as a system user, who must get in.
        Path(folder).chmod(0o755)
        with embedded_servers(Path(folder) / "data") as servers:
            document = asyncio.run(measure_all(servers, SIZES[options.size], options.seed, options.only))
    if options.json:
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests/benchmarks/run.py",
        description="Measure wump against baselines in the same run, on servers of its own, removed afterwards.",
    )
    parser.add_argument("--size", choices=SIZES, default="small", help="tiny: seconds; small: minutes; large: hours")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes another graph")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS), metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured to this file")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md from docs/performance.json")
    return parser.parse_args(arguments)


async def measure_all(servers: Servers, size: Size, seed: int, only: Sequence[str]) -> dict[str, Any]:
    """Make the graph, run the measurements on it; returns what is written to JSON."""
    engine = make_engine(SecretStr(servers.database_url), application_name="benchmark", pool_size=2)
    connection = await asyncpg.connect(servers.database_url, server_settings={"application_name": "benchmark"})
    try:
        await runner.upgrade(engine)
        bench = Bench(size, seed, servers.database_url, servers.valkey_url, engine, connection)
        return await _measure(bench, only)
    finally:
        await connection.close()
        await engine.dispose()


async def _measure(bench: Bench, only: Sequence[str]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "size": bench.size.name,
        "seed": bench.seed,
        "machine": await describe_machine(bench.connection),
        "seconds": {},
        "measurements": {},
    }
    started = time.perf_counter()
    await _fill(bench)
    document["graph"] = await describe_graph(bench.connection)
    document["seconds"]["graph"] = round(time.perf_counter() - started, 1)
    _say(f"graph: {document['graph']['statements']['rows']:,} statements, {document['seconds']['graph']} s")
    if "first_load" not in only:
        document["seconds"]["deriving"] = round(await derive(bench), 1)
    for name, measure in MEASUREMENTS.items():
        if name in only:
            started = time.perf_counter()
            found = await measure(bench)
            document["seconds"][name] = round(time.perf_counter() - started, 1)
            document["measurements"][name] = found.document()
            print_measurement(found.document(), document["seconds"][name])
    document["machine"]["load_at_end"] = round(os.getloadavg()[0], 1)
    return document


async def _fill(bench: Bench) -> None:
    """On a connection of its own, whose settings nobody else gets."""
    connection = await asyncpg.connect(bench.database_url)
    try:
        await make_graph(connection, bench.size, bench.seed)
    finally:
        await connection.close()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
