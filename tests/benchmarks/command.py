"""What `run.py` does: servers of its own, a graph, the measurements, and the reports."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr
from wump_core.embedded import Servers, embedded_servers
from wump_core.store import make_engine
from wump_migrations import partitions, runner

from benchmarks.bench import Bench
from benchmarks.graph import SIZES, Size, describe_graph, fill_database
from benchmarks.growth import measure_growth, measure_partitioned_load, measure_partitions
from benchmarks.loading import DAY_MS, derive, measure_first_load
from benchmarks.machine import describe_machine
from benchmarks.measure import Measurement
from benchmarks.reading import measure_depth, measure_filters, measure_grouping, measure_popularity
from benchmarks.report import make_page, print_measurement
from benchmarks.searching import measure_search
from benchmarks.serving import measure_datasette, measure_keys, measure_serving
from benchmarks.writing import measure_contention, measure_writing

DOCS = Path(__file__).resolve().parents[2] / "docs"
MEASUREMENTS: dict[str, Callable[[Bench], Awaitable[Measurement]]] = {
    "first_load": measure_first_load,
    "popularity": measure_popularity,
    "depth": measure_depth,
    "filters": measure_filters,
    "grouping": measure_grouping,
    "search": measure_search,
    "serving": measure_serving,
    "keys": measure_keys,
    "writing": measure_writing,
    "contention": measure_contention,
    "datasette": measure_datasette,
    "growth": measure_growth,
    "partitions": measure_partitions,
    "partitioned_load": measure_partitioned_load,
}
CORE = tuple("first_load popularity depth filters grouping serving writing contention datasette".split())
"""What design and speed stand or fall with: with `--core`, in less than five minutes on two cores."""
LARGE_ONLY = ("growth", "partitions", "partitioned_load")
"""Measurements that are left out of smaller runs unless they are asked for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, or make the page of the docs from what was measured."""
    options = _parse(arguments)
    if options.docs:
        (DOCS / "performance.md").write_text(make_page(*read_documents()), "utf-8")
        return 0
    size = SIZES[options.size].shortened() if options.core else SIZES[options.size]
    usual = [name for name in MEASUREMENTS if options.size == "large" or name not in LARGE_ONLY]
    names = options.only or (CORE if options.core else usual)
    with _folder(options.keep) as folder, embedded_servers(folder / "data") as servers:
        asyncio.run(measure_all(servers, size, options.seed, names, options.json))
    return 0


@contextmanager
def _folder(kept: Path | None) -> Generator[Path]:
    """Where the servers keep their data."""
    with tempfile.TemporaryDirectory(prefix="wump-benchmark-") as temporary:
        folder = kept.absolute() if kept else Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        # Started by root, Postgres runs as a system user, who must get in.
        folder.chmod(0o755)
        yield folder


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests/benchmarks/run.py",
        description="Measure wump against baselines in the same run, on servers of its own, removed afterwards.",
    )
    parser.add_argument("--size", choices=SIZES, default="small", help="tiny: seconds; small: minutes; large: hours")
    parser.add_argument("--core", action="store_true", help="fewer measurements and rounds: under five minutes")
    parser.add_argument("--seed", type=int, default=1, help="another seed makes another graph")
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, metavar="NAME")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the graph there, and use the one that is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured to this file")
    parser.add_argument("--docs", action="store_true", help="write docs/performance.md from the JSON files beside it")
    return parser.parse_args(arguments)


def read_documents() -> list[dict[str, Any]]:
    """What the runs behind the page of the docs found: the small one, and the large one if there was one."""
    files = [DOCS / name for name in ("performance.json", "performance-large.json")]
    return [json.loads(file.read_text("utf-8")) for file in files if file.exists()]


async def measure_all(servers: Servers, size: Size, seed: int, only: Sequence[str], file: Path | None) -> None:
    """Make the graph, run the measurements on it; what is found is written to the file after each of them."""
    engine = make_engine(
        SecretStr(servers.database_url), application_name="benchmark", pool_size=2, statement_timeout_ms=DAY_MS
    )
    connection = await asyncpg.connect(servers.database_url, server_settings={"application_name": "benchmark"})
    try:
        await runner.upgrade(engine)
        bench = Bench(size, seed, servers.database_url, servers.valkey_url, engine, connection)
        await _measure(bench, only, file)
    finally:
        await connection.close()
        await engine.dispose()


async def _measure(bench: Bench, only: Sequence[str], file: Path | None) -> None:
    document: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "size": bench.size.name,
        "seed": bench.seed,
        "machine": await describe_machine(bench.connection),
        "seconds": {},
        "measurements": {},
    }
    started = time.perf_counter()
    # What an earlier run left partitioned is measured as plain tables first.
    await partitions.partition_tables(bench.engine, 0, notify=lambda _: None)
    await fill_database(bench.database_url, bench.size, bench.seed)
    document["graph"] = await describe_graph(bench.connection)
    document["seconds"]["graph"] = round(time.perf_counter() - started, 1)
    _say(f"graph: {document['graph']['statements']['rows']:,} statements, {document['seconds']['graph']} s")
    if "first_load" not in only and list(only) != ["partitioned_load"]:  # these two derive by themselves
        document["seconds"]["deriving"] = round(await derive(bench), 1)
    for name, measure in MEASUREMENTS.items():
        if name in only:
            started = time.perf_counter()
            found = await measure(bench)
            document["seconds"][name] = round(time.perf_counter() - started, 1)
            document["measurements"][name] = found.document()
            document["machine"]["load_at_end"] = round(os.getloadavg()[0], 1)
            print_measurement(found.document(), document["seconds"][name])
            _save(document, file)


def _save(document: dict[str, Any], file: Path | None) -> None:
    if file:
        file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
