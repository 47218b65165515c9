"""Saving packages as the worker does, against COPY BINARY of as many statements."""

import asyncio
import io
import math
import random
import time
from collections.abc import Iterable, Iterator, Sequence

import asyncpg
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.garbage import collect_seldom
from wump_core.records import DependencyRecord, PackageRecord, RepositoryClaim, Scope
from wump_core.store import make_engine
from wump_core.store.dependents import fold_deltas
from wump_core.store.facts import add_names, save_packages, save_unchanged_packages

from benchmarks.bench import Bench
from benchmarks.graph import HOTTEST, Size
from benchmarks.loading import COPY_TABLE, fill_copy_table
from benchmarks.measure import Measurement, ratios
from benchmarks.profiling import profile_statements

WRITERS = 4
MANY_WRITERS = 8
BATCH = 100
LARGE_BATCH = 500
"""Nearer to what an import brings at once (1,000), and as many as keep a round short."""
DEPENDENCIES = 10
_SCOPES: tuple[Scope, ...] = ("runtime", "development", "peer", "optional")
_FIELDS: dict[Scope, str] = dict(
    zip(_SCOPES, ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies"), strict=True)
)


async def measure_writing(bench: Bench) -> Measurement:
    """New packages, then the same again, each against COPY of what was added."""
    found = Measurement("writing", f"Saving packages, {WRITERS} at once, against COPY BINARY of as many statements")
    await fill_copy_table(bench)
    collect_seldom()  # as a worker does when it starts
    rounds, engine = min(bench.size.rounds, 5), _engine(bench, WRITERS)
    rates: dict[str, list[float]] = {"new": [], "unchanged": [], "copy": []}
    for number in range(rounds + 1):
        count = min(WRITERS * LARGE_BATCH, 5 * bench.size.saved_packages)
        records = list(make_records(bench.size, f"w{number}", bench.seed * 1_000 + number, count))
        last = await bench.connection.fetchval("SELECT max(id) FROM statements")
        new = await save_all(engine, records, WRITERS, LARGE_BATCH)
        copied = await copy_statements(bench, last, number)
        unchanged = await save_all(engine, records, WRITERS, LARGE_BATCH)
        await _fold(engine)
        if number:  # the first round makes temporary tables and prepares statements
            for name, rate in (("new", new), ("unchanged", unchanged), ("copy", copied)):
                rates[name].append(rate)
    for name, label in (("new", "new packages"), ("unchanged", "unchanged packages"), ("copy", "COPY BINARY")):
        found.add_figure(label, "statements/s", rates[name])
    found.add_bar("new / COPY", ratios(rates["new"], rates["copy"]), at_least=0.1)
    found.add_bar("unchanged / COPY", ratios(rates["unchanged"], rates["copy"]), at_least=0.6)
    found.notes.append(
        f"{rounds} rounds of {WRITERS * LARGE_BATCH:,} packages with {DEPENDENCIES} dependencies each on average, in"
        f" batches of {LARGE_BATCH}, half of an import's: a transaction looks for what is unchanged, two more save the"
        " rest, and Postgres waits for the disk at each commit"
    )
    await _add_profiles(bench, found)
    await engine.dispose()
    return found


async def measure_contention(bench: Bench) -> Measurement:
    """Many writers whose packages all need the hottest one, against writers that have nothing in common."""
    found = Measurement("contention", f"{MANY_WRITERS} writers: one hot dependency in common against none")
    rounds, engine = min(bench.size.rounds, 5), _engine(bench, MANY_WRITERS)
    before = await _count_deadlocks(bench)
    rates: dict[bool, list[float]] = {True: [], False: []}
    for number in range(rounds + 1):
        for shared in (True, False):
            records = list(_disjoint_records(bench.size, f"c{number}{shared:d}", shared=shared))
            rate = await save_all(engine, records, MANY_WRITERS, BATCH)
            await _fold(engine)
            if number:
                rates[shared].append(rate)
    await engine.dispose()
    found.add_figure("one in common", "statements/s", rates[True])
    found.add_figure("none in common", "statements/s", rates[False])
    found.add_bar("shared / disjoint", ratios(rates[True], rates[False]), at_least=0.7)
    found.add_bar("deadlocks", [await _count_deadlocks(bench) - before], at_most=0)
    return found


async def save_all(engine: AsyncEngine, records: Sequence[PackageRecord], writers: int, batch: int) -> float:
    """Save them in batches, several at once; returns statements per second."""
    waiting = iter([records[start : start + batch] for start in range(0, len(records), batch)])

    async def write() -> None:
        for some in waiting:
            await save(engine, some)

    started = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(writers)))
    return sum(len(record.dependencies or ()) for record in records) / (time.perf_counter() - started)


async def save(engine: AsyncEngine, records: Sequence[PackageRecord]) -> None:
    """Save a batch as a job does: those that differ, what they name in one transaction, what they say in the next."""
    async with engine.begin() as connection:
        unchanged = await save_unchanged_packages(connection, "npm", records)
    changed = [record for record in records if record.purl not in unchanged]
    if changed:
        async with engine.begin() as connection:
            names = await add_names(connection, changed)
        async with engine.begin() as connection:
            await save_packages(connection, "npm", changed, names)


async def copy_statements(bench: Bench, after: int, number: int) -> float:
    """COPY the statements after that key into a table like theirs; returns statements per second."""
    names = [
        row["attname"]
        for row in await bench.connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'statements'::regclass AND attnum > 0"
            " AND NOT attisdropped ORDER BY attnum"
        )
    ]
    # Keys and fingerprints that the table has not seen yet.
    changed = {"id": f"id + {(number + 1) * 10**12}", "fingerprint": "gen_random_uuid()"}
    columns = ", ".join(changed.get(name, name) for name in names)
    rows = io.BytesIO()
    await bench.connection.copy_from_query(
        f"SELECT {columns} FROM statements WHERE id > $1", after, output=rows, format="binary"
    )
    rows.seek(0)
    started = time.perf_counter()
    outcome = await bench.connection.copy_to_table(COPY_TABLE, source=rows, format="binary")
    return int(outcome.split()[1]) / (time.perf_counter() - started)


def make_records(size: Size, prefix: str, seed: int, count: int) -> Iterator[PackageRecord]:
    """New packages whose dependencies are as popular as those of the graph; some owners are new too."""
    drawn = random.Random(seed)
    for number in range(count):
        owners = f"org-{drawn.randint(1, size.organizations)}", f"new-{prefix}-{number}"
        needed = {
            int(math.exp(drawn.random() * math.log(size.packages))) for _ in range(drawn.randint(1, 2 * DEPENDENCIES))
        }
        yield _record(f"{prefix}-{number}", drawn.choices(owners, (8, 2))[0], sorted(needed), drawn)


def _disjoint_records(size: Size, prefix: str, *, shared: bool) -> Iterator[PackageRecord]:
    """New packages that have no dependency in common but, if wanted, the hottest one."""
    drawn, count = random.Random(prefix), size.saved_packages
    # From the unpopular end, and each once as long as there are enough.
    free = [size.packages - offset % (size.packages // 2) for offset in range(count * DEPENDENCIES)]
    for number in range(count):
        needed = free[number * DEPENDENCIES : (number + 1) * DEPENDENCIES]
        if shared:
            needed[0] = int(HOTTEST.rpartition("-")[2])
        yield _record(f"{prefix}-{number}", f"new-{prefix}-{number}", sorted(set(needed)), drawn)


def _record(name: str, owner: str, needed: Iterable[int], drawn: random.Random) -> PackageRecord:
    dependencies = []
    for key in needed:
        scope: Scope = drawn.choices(_SCOPES, (70, 25, 4, 1))[0]
        dependencies.append(
            DependencyRecord(
                purl=f"pkg:npm/p-{key}",
                name=f"p-{key}",
                requirement=f"^{drawn.randint(0, 9)}.{drawn.randint(0, 20)}.0",
                scope=scope,
                optional=scope == "optional",
                field=_FIELDS[scope],
            )
        )
    return PackageRecord(
        purl=f"pkg:npm/{name}",
        latest_version="1.0.0",
        description=f"Package {name}",
        licences=("MIT",),
        repository=RepositoryClaim(host="github.com", path=f"{owner}/{name}", owner=owner),
        dependencies=tuple(dependencies),
    )


async def _add_profiles(bench: Bench, found: Measurement) -> None:
    """Where the time of one writer goes, statement by statement, as the writer waits for it."""
    engine = _engine(bench, 1)
    records = list(make_records(bench.size, "profiled", bench.seed + 1, max(20, bench.size.saved_packages // 2)))
    batches = [records[start : start + BATCH] for start in range(0, len(records), BATCH)]
    for label in ("new", "unchanged"):
        for name, milliseconds, calls in await profile_statements(engine, batches, save):
            counted = f" ({calls:.1f} calls)" if calls else ""
            found.add_figure(f"one writer, {label}: {name}{counted}", f"ms/{BATCH} packages", [milliseconds])
    await engine.dispose()


async def _fold(engine: AsyncEngine) -> None:
    """Fold the totals, as the worker's leased folder does between the rounds."""
    while True:
        async with engine.begin() as connection:
            if not await fold_deltas(connection):
                return


async def _count_deadlocks(bench: Bench) -> int:
    connection = await asyncpg.connect(bench.database_url)
    try:
        count: int = await connection.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
    finally:
        await connection.close()
    return count


def _engine(bench: Bench, writers: int) -> AsyncEngine:
    return make_engine(SecretStr(bench.database_url), application_name="benchmark", pool_size=writers)
