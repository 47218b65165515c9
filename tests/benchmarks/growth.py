"""Whether a page stays what it was as everything grows, and what partitions by package change."""

import shutil
import statistics
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import asyncpg
from pydantic import SecretStr
from wump_core.errors import ConfigurationError
from wump_core.store import make_engine
from wump_migrations import partitions, runner

from benchmarks.bench import Bench
from benchmarks.graph import HOTTEST, SIZES, fill_database
from benchmarks.loading import DAY_MS, derive
from benchmarks.measure import Measurement, alternate, ratios
from benchmarks.reading import measure_filters, measure_popularity, page_ms

SMALLER_DATABASE = "wump_smaller"
PARTITIONS = 16


async def measure_growth(bench: Bench) -> Measurement:
    """The page of the hottest package, against the same page of a smaller graph in the same cluster."""
    name = bench.size.smaller
    found = Measurement("growth", f"The page of the hottest package, size {bench.size.name} against {name}")
    if name is None:
        found.notes.append(f"not run: size {bench.size.name} is compared with none")
        return found
    async with _smaller_bench(bench, name) as smaller:
        here, there = await _alternate_pages(bench, smaller)
        found.add_figure(f"{bench.size.name}, {await _count_listed(bench):,} organizations", "ms", here)
        found.add_figure(f"{name}, {await _count_listed(smaller):,} organizations", "ms", there)
    found.add_bar(f"time, {bench.size.name} / {name}", ratios(here, there), at_most=1.3)
    return found


async def measure_partitions(bench: Bench) -> Measurement:
    """Plain tables, then the same in partitions: what turning over takes, pages, and filters."""
    found = Measurement("partitions", f"Plain big tables against {PARTITIONS} hash partitions of each")
    layouts = await partitions.list_layouts(bench.engine)
    for layout in layouts:
        found.add_figure(f"{layout.table}, with its indexes", "GB", [layout.bytes / partitions.GB])
    folder = await bench.connection.fetchval("SHOW data_directory")
    try:
        partitions.require_space(layouts, PARTITIONS, free_bytes=shutil.disk_usage(folder).free)
    except ConfigurationError as error:
        found.notes.append(f"Not turned over: {error}")
        return found
    plain, plain_tail = await _page_and_filters(bench)
    started = time.perf_counter()
    await partitions.partition_tables(bench.engine, PARTITIONS, notify=lambda _: None)
    found.add_figure("turning the three tables over", "s", [time.perf_counter() - started])
    parted, parted_tail = await _page_and_filters(bench)
    found.add_figure("page of the hottest package, plain", "ms", plain)
    found.add_figure("page of the hottest package, partitioned", "ms", parted)
    found.add_figure("page, partitioned / plain", "times", ratios(parted, plain))
    found.add_figure("slowest filter's 99th percentile, plain", "ms", [plain_tail])
    found.add_figure("slowest filter's 99th percentile, partitioned", "ms", [parted_tail])
    found.notes.append("One after the other, as both at once don't fit the disk")
    return found


async def measure_partitioned_load(bench: Bench) -> Measurement:
    """Deriving everything into empty partitions, as `first_load` does into plain tables, and pages of the outcome."""
    found = Measurement("partitioned_load", f"Deriving all, with {PARTITIONS} hash partitions of each big table")
    await bench.connection.execute("TRUNCATE dependencies, package_organizations, package_totals, package_deltas")
    await partitions.partition_tables(bench.engine, PARTITIONS, notify=lambda _: None)
    found.add_figure("deriving all", "s", [await derive(bench)])
    for layout in await partitions.list_layouts(bench.engine):
        found.add_figure(f"{layout.table}, with its indexes", "GB", [layout.bytes / partitions.GB])
    pages, tail = await _page_and_filters(bench)
    found.add_figure("page of the hottest package", "ms", pages)
    found.add_figure("slowest filter's 99th percentile", "ms", [tail])
    popularity = await measure_popularity(bench)
    found.figures += [figure for figure in popularity.figures if figure.unit == "buffers"]
    return found


@asynccontextmanager
async def _smaller_bench(bench: Bench, size: str) -> AsyncGenerator[Bench]:
    """The other graph, derived, in a database beside."""
    if not await bench.connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", SMALLER_DATABASE):
        await bench.connection.execute(f"CREATE DATABASE {SMALLER_DATABASE}")
    url = bench.database_url.rpartition("/")[0] + f"/{SMALLER_DATABASE}"
    engine = make_engine(SecretStr(url), application_name="benchmark", pool_size=2, statement_timeout_ms=DAY_MS)
    await runner.upgrade(engine)
    await fill_database(url, SIZES[size], bench.seed)
    connection = await asyncpg.connect(url)
    smaller = replace(bench, size=SIZES[size], database_url=url, engine=engine, connection=connection)
    try:
        await derive(smaller)
        yield smaller
    finally:
        await connection.close()
        await engine.dispose()


async def _alternate_pages(*benches: Bench) -> list[list[float]]:
    """Milliseconds of the hottest package's page in each database: a median for each round."""
    keys = [await bench.hottest() for bench in benches]
    size = benches[0].size
    medians: list[list[float]] = [[] for _ in benches]
    for _ in range(size.rounds):
        runs = [partial(page_ms, bench.connection, HOTTEST, key) for bench, key in zip(benches, keys, strict=True)]
        calls = await alternate(size.calls, *runs)
        for values, of_all in zip(calls, medians, strict=True):
            of_all.append(statistics.median(values))
    return medians


async def _page_and_filters(bench: Bench) -> tuple[list[float], float]:
    """The page's milliseconds, a median for each round, and the slowest filter's 99th percentile."""
    filters = await measure_filters(bench)
    [pages] = await _alternate_pages(bench)
    return pages, filters.bars[0].value


async def _count_listed(bench: Bench) -> int:
    statement = "SELECT organizations FROM package_totals WHERE package_id = $1"
    listed: int = await bench.connection.fetchval(statement, await bench.hottest())
    return listed
