"""The first load: all statements, then everything derived from them set-wise, against COPY of the statements."""

import tempfile
import time
from pathlib import Path

from sqlalchemy import text
from wump_core.store import audit, sources
from wump_core.store.base import raw_connection

from benchmarks.bench import Bench
from benchmarks.measure import Measurement

COPY_TABLE = "benchmark_statements"
DAY_MS = 86_400_000


async def derive(bench: Bench) -> float:
    """Derive all there is, as `wump db rebuild` does; returns seconds."""
    started = time.perf_counter()
    await audit.rebuild(bench.engine)
    return time.perf_counter() - started


async def make_copy_table(bench: Bench) -> None:
    """An empty table with the columns, indexes, checks and foreign keys of statements."""
    await bench.connection.execute(f"DROP TABLE IF EXISTS {COPY_TABLE}")
    await bench.connection.execute(f"CREATE TABLE {COPY_TABLE} (LIKE statements INCLUDING ALL)")
    for column, target in (("package_id", "packages"), ("source_id", "sources")):
        await bench.connection.execute(f"ALTER TABLE {COPY_TABLE} ADD FOREIGN KEY ({column}) REFERENCES {target} (id)")


async def fill_copy_table(bench: Bench) -> None:
    """Make sure that it holds as much as statements does, so that COPY meets indexes of the same size."""
    if not await bench.connection.fetchval(f"SELECT to_regclass('{COPY_TABLE}') IS NOT NULL"):
        await make_copy_table(bench)
        await bench.connection.execute(
            f"INSERT INTO {COPY_TABLE} OVERRIDING SYSTEM VALUE SELECT * FROM statements", timeout=None
        )


async def load(bench: Bench, file: Path) -> float:
    """Load all statements into an empty database, from a file of COPY BINARY; returns seconds."""
    await bench.connection.execute(
        "TRUNCATE statements, dependencies, package_organizations, package_totals, package_deltas"
    )
    started = time.perf_counter()
    async with bench.engine.begin() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
        async with audit.built_behind(connection, sources.statements):
            raw = await raw_connection(connection)
            await raw.copy_to_table("statements", source=file, format="binary", timeout=DAY_MS / 1000)
    await bench.connection.execute("VACUUM (ANALYZE) statements")
    return time.perf_counter() - started


async def measure_first_load(bench: Bench) -> Measurement:
    """Statements into an empty database and all that is derived, against COPY BINARY into a table like theirs."""
    found = Measurement("first_load", "First load: statements, then all that is derived, against COPY BINARY")
    connection, copies = bench.connection, []
    with tempfile.TemporaryDirectory(prefix="wump-benchmark-") as folder:
        file = Path(folder) / "statements.bin"
        await connection.copy_from_query("SELECT * FROM statements ORDER BY id", output=file, format="binary")
        for number in range(bench.size.copies):
            if number == 1:
                loaded, derived = await load(bench, file), await derive(bench)
            await make_copy_table(bench)
            started = time.perf_counter()
            await connection.copy_to_table(COPY_TABLE, source=file, format="binary")
            copies.append(time.perf_counter() - started)
        if bench.size.copies == 1:
            if not bench.size.keep_copy:
                await connection.execute(f"DROP TABLE {COPY_TABLE}")
            loaded, derived = await load(bench, file), await derive(bench)
    rows = await connection.fetchval("SELECT count(*) FROM statements")
    answers = await connection.fetchval("SELECT count(*) FROM package_organizations")
    found.add_figure("COPY BINARY into the indexed table", "s", copies)
    found.add_figure("first load: statements, keys behind them", "s", [loaded])
    found.add_figure("first load: deriving all", "s", [derived])
    found.add_figure("COPY BINARY into the indexed table", "statements/s", [rows / seconds for seconds in copies])
    found.add_figure("first load", "statements/s", [rows / (loaded + derived)])
    found.add_figure("rows of the answer", "rows", [answers])
    found.add_bar("first load / COPY", [seconds / (loaded + derived) for seconds in copies], at_least=0.3)
    if bench.size.verify:
        started = time.perf_counter()
        async with bench.engine.connect() as checked:
            faults = await audit.list_faults(checked)
        found.add_figure("`wump db verify`", "s", [time.perf_counter() - started])
        found.add_bar("faults that `wump db verify` finds", [len(faults)], at_most=0)
    found.notes.append("The first load is run once; it waits for everything it writes to be vacuumed")
    return found
