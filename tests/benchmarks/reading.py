"""Pages of the answer: what they cost, and whether popularity, depth or a filter changes that."""

import statistics
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import product
from time import monotonic
from typing import Any

import asyncpg
from wump_core.store import lookups
from wump_core.store.answers import FILTERS, HELD, SORTS, Wanted, page_statement
from wump_core.store.dependents import SCOPE_COLUMNS

from benchmarks.bench import PAGE_ROWS, Bench, count_buffers, fetch_ms
from benchmarks.measure import Measurement, alternate, percentile, ratios

DEEP_PAGE = 1_000
PAGE = page_statement("repositories", ascending=False, after=False)
NEXT_PAGE = page_statement("repositories", ascending=False, after=True)
LONGEST_SECONDS = 2.0
"""A filter that is slow is called less often, so that the run has an end."""
# The same page without the stored answer. It finds no evidence, which makes it cheaper than the real thing.
GROUPED = """
SELECT d.organization_id, o.public_id, o.host, o.login, o.kind, count(*) AS repositories, sum(r.stars) AS stars,
       max(r.pushed_at) AS last_activity_at, min(d.first_seen_at) AS first_seen_at
  FROM dependencies d JOIN repositories r ON r.id = d.repository_id JOIN organizations o ON o.id = d.organization_id
 WHERE d.package_id = $1 AND d.exclusion IS NULL AND d.scopes <> 0
 GROUP BY d.organization_id, o.id
 ORDER BY repositories DESC, d.organization_id DESC LIMIT $2"""


async def measure_popularity(bench: Bench) -> Measurement:
    """The page and its package, of the hottest package and of one with hardly more than a page."""
    found = Measurement("popularity", "A page of 50, hottest package against one with 51 to 60 organizations")
    connection, package = bench.connection, lookups.PACKAGE_STATEMENT
    chosen = await connection.fetch(
        "(SELECT p.id, p.purl, t.organizations FROM packages p JOIN package_totals t ON t.package_id = p.id"
        "  WHERE p.id = $1) UNION ALL"
        " (SELECT p.id, p.purl, t.organizations FROM packages p JOIN package_totals t ON t.package_id = p.id"
        "  WHERE t.organizations BETWEEN 51 AND 60 ORDER BY p.id LIMIT 1)",
        await bench.hottest(),
    )
    times: list[list[float]] = [[] for _ in chosen]
    for _ in range(bench.size.rounds):
        calls: list[list[float]] = [[] for _ in chosen]
        for _ in range(bench.size.calls):
            for row, values in zip(chosen, calls, strict=True):
                values.append(await page_ms(connection, row["purl"], row["id"]))
        for values, of_all in zip(calls, times, strict=True):
            of_all.append(statistics.median(values))
    buffers = [
        await count_buffers(connection, package, row["purl"])
        + await count_buffers(connection, PAGE, row["id"], PAGE_ROWS)
        for row in chosen
    ]
    for row, values, touched in zip(chosen, times, buffers, strict=True):
        found.add_figure(f"{row['organizations']:,} organizations", "ms", values)
        found.add_figure(f"{row['organizations']:,} organizations", "buffers", [touched])
    found.add_bar("time, hottest / other", ratios(times[0], times[1]), at_most=1.5)
    found.add_bar("buffers, hottest", [buffers[0]], at_most=1.2 * buffers[1] + 8)
    found.notes.append(f"{bench.size.rounds} rounds of {bench.size.calls} alternating calls; medians of rounds")
    return found


async def page_ms(connection: asyncpg.Connection, purl: str, package_id: int) -> float:
    """Milliseconds of what the API asks for one page: the package, then its page."""
    looked_up = await fetch_ms(connection, lookups.PACKAGE_STATEMENT, purl)
    return looked_up + await fetch_ms(connection, PAGE, package_id, PAGE_ROWS)


async def measure_depth(bench: Bench) -> Measurement:
    """The thousandth page by its cursor against the first."""
    hottest, connection = await bench.hottest(), bench.connection
    listed = await connection.fetchval("SELECT organizations FROM package_totals WHERE package_id = $1", hottest)
    number = min(DEEP_PAGE, listed // 50)
    cursor = await connection.fetchrow(
        "SELECT repositories::text AS rank, organization_id FROM package_organizations WHERE package_id = $1"
        " AND repositories > 0 ORDER BY repositories DESC, organization_id DESC OFFSET $2 LIMIT 1",
        hottest,
        (number - 1) * 50 - 1,
    )
    found = Measurement("depth", f"Page {number:,} of the hottest package by its cursor, against page 1")

    async def first() -> float:
        return await fetch_ms(connection, PAGE, hottest, PAGE_ROWS)

    async def deep() -> float:
        return await fetch_ms(connection, NEXT_PAGE, hottest, PAGE_ROWS, cursor["rank"], cursor["organization_id"])

    quotients, firsts, deeps = [], [], []
    for _ in range(bench.size.rounds):
        calls = [statistics.median(values) for values in await alternate(bench.size.calls, first, deep)]
        firsts.append(calls[0])
        deeps.append(calls[1])
        quotients.append(calls[1] / calls[0])
    found.add_figure("page 1", "ms", firsts)
    found.add_figure(f"page {number:,}", "ms", deeps)
    found.add_bar("time, deep / first", quotients, at_most=1.3)
    return found


async def measure_filters(bench: Bench) -> Measurement:
    """Every filter with every sort, with several values of each filter, on the hottest package."""
    found = Measurement("filters", "Each filter with each sort on the hottest package: 99th percentile and buffers")
    slowest, largest, cut = 0.0, 0, 0
    for wanted in _list_pages():
        values, buffers = await _call_filter(bench, wanted)
        given = ", ".join(f"{name} {value}" for name, value in wanted.filters.items())
        label = f"{wanted.sort}, {given or 'no filter'}"
        cut += len(values) < bench.size.calls_for_p99
        tail = percentile(values, 0.99)
        slowest, largest = max(slowest, tail), max(largest, buffers)
        found.add_figure(label, "ms", values)
        found.add_figure(f"{label}, 99th percentile", "ms", [tail])
        found.add_figure(label, "buffers", [buffers])
    found.add_bar("slowest 99th percentile, ms", [slowest], at_most=20)
    found.add_bar("most buffers", [largest], at_most=2_000)
    found.notes.append(
        f"{bench.size.calls_for_p99:,} calls each; {cut} were cut short after {LONGEST_SECONDS:.0f} s."
        " The spread of a figure in ms is that of its calls"
    )
    return found


VALUES: dict[str, tuple[Any, ...]] = {
    "scope": tuple(SCOPE_COLUMNS),
    "min_repositories": (10, 1_000),
    "kind": ("organization", "user"),
    "min_stars": (10, 10_000),
    "active_since": (datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    "state": ("past",),
    "first_seen_after": (datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)),
    "provider": ("npm", "nobody"),
    "q": ("a", "zzz"),
}


def _list_pages() -> Iterator[Wanted]:
    """Pages that an index holds, with several values of each filter, and walks that find little or what is unknown."""
    for sort in SORTS:
        for filters in sorted({(), *((name,) for name in FILTERS), HELD[sort]}):
            chosen = [VALUES[name] for name in filters]
            if not set(filters) <= set(HELD[sort]):
                chosen = [values[-1:] for values in chosen]
            for values in product(*chosen):
                first, *behind = Wanted(sort, dict(zip(filters, values, strict=True))).parts
                yield first
                yield from () if filters else behind


async def _call_filter(bench: Bench, wanted: Wanted) -> tuple[list[float], int]:
    """Milliseconds of many calls, and the buffers of one."""
    hottest, connection = await bench.hottest(), bench.connection
    statement = wanted.statement(after=False, walk=wanted.walks)
    buffers = await count_buffers(connection, statement, hottest, PAGE_ROWS, *wanted.values)
    values: list[float] = []
    end = monotonic() + LONGEST_SECONDS
    while len(values) < bench.size.calls_for_p99 and monotonic() < end:
        values.append(await fetch_ms(connection, statement, hottest, PAGE_ROWS, *wanted.values))
    return values, buffers


async def measure_grouping(bench: Bench) -> Measurement:
    """The same page put together when it is asked for. No bar: this is why the answer is stored."""
    found = Measurement("grouping", "The hottest page: grouped when asked for, against the stored answer")
    hottest, connection = await bench.hottest(), bench.connection
    rounds = min(5, bench.size.rounds)

    async def grouped() -> float:
        return await fetch_ms(connection, GROUPED, hottest, PAGE_ROWS)

    async def stored() -> float:
        return await fetch_ms(connection, PAGE, hottest, PAGE_ROWS)

    slow, fast = await alternate(rounds, grouped, stored)
    found.add_figure("grouped", "ms", slow)
    found.add_figure("stored", "ms", fast)
    found.add_figure("grouped / stored", "times", ratios(slow, fast))
    found.add_figure("grouped", "buffers", [await count_buffers(connection, GROUPED, hottest, PAGE_ROWS)])
    found.add_figure("stored", "buffers", [await count_buffers(connection, PAGE, hottest, PAGE_ROWS)])
    found.notes.append("The grouped page shows no evidence, so it is cheaper than what it stands for")
    return found
