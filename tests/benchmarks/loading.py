"""The first load: all statements, then everything derived from them set-wise, against COPY of the statements."""

import tempfile
import time
from pathlib import Path

from pydantic import SecretStr
from wump_core.store import audit, make_engine

from benchmarks.bench import Bench
from benchmarks.measure import Measurement

COPY_TABLE = "benchmark_statements"
_DAY_MS = 86_400_000


async def derive(bench: Bench) -> float:
    """Derive all there is, as `wump db rebuild` does; returns seconds."""
    engine = make_engine(
        SecretStr(bench.database_url), application_name="benchmark", pool_size=1, statement_timeout_ms=_DAY_MS
    )
    started = time.perf_counter()
    await audit.rebuild(engine)
    seconds = time.perf_counter() - started
    await engine.dispose()
    return seconds


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


async def measure_first_load(bench: Bench) -> Measurement:
    """COPY BINARY of the statements into a table like theirs, and what deriving adds to it."""
    found = Measurement("first_load", "First load: statements by COPY BINARY, then all that is derived")
    connection, copies = bench.connection, []
    with tempfile.TemporaryDirectory(prefix="wump-benchmark-") as folder:
        file = Path(folder) / "statements.bin"
        await connection.copy_from_query("SELECT * FROM statements ORDER BY id", output=file, format="binary")
        for number in range(2 * bench.size.copies):
            if number == bench.size.copies:
                derived = await derive(bench)
            await make_copy_table(bench)
            started = time.perf_counter()
            await connection.copy_to_table(COPY_TABLE, source=file, format="binary")
            copies.append(time.perf_counter() - started)
    await connection.execute(f"VACUUM (ANALYZE) {COPY_TABLE}")
    rows = await connection.fetchval(f"SELECT count(*) FROM {COPY_TABLE}")
    answers = await connection.fetchval("SELECT count(*) FROM package_organizations")
    found.add_figure("COPY BINARY of the statements", "s", copies)
    found.add_figure("deriving all", "s", [derived])
    found.add_figure("COPY BINARY", "statements/s", [rows / seconds for seconds in copies])
    found.add_figure("COPY and deriving", "statements/s", [rows / (seconds + derived) for seconds in copies])
    found.add_figure("of the rate of COPY alone", "times", [seconds / (seconds + derived) for seconds in copies])
    found.add_figure("rows of the answer", "rows", [answers])
    found.notes.append("Deriving is run once; it waits for everything it writes to be vacuumed")
    return found
