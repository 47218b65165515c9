"""`wump import` of a made-up dump of crates.io, against COPY of the tables that it reads into tables without indexes.

    uv run python tests/benchmarks/importing.py [--crates 11500] [--rounds 3]

The import is the command itself, into an empty database each time, with everything that is derived. COPY goes before
and behind each import, since machines are never quiet.
"""

import argparse
import asyncio
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

if __name__ == "__main__":
    # The modules are imported as the tests import them, wherever this is started.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import asyncpg
from pydantic import SecretStr
from wump_core.embedded import Servers, embedded_servers
from wump_core.store import make_engine
from wump_migrations import runner

from benchmarks.crates_dump import REAL_CRATES, pack, write_folder

TABLES = ("crates", "default_versions", "versions", "dependencies")


async def copy(servers: Servers, folder: Path) -> float:
    """COPY the tables that an import reads; returns seconds."""
    connection = await asyncpg.connect(servers.database_url)
    seconds = 0.0
    for name in TABLES:
        path = folder / "data" / f"{name}.csv"
        with path.open() as file:
            columns = file.readline().strip().split(",")
        await connection.execute(f"CREATE TABLE copied ({', '.join(f'{column} text' for column in columns)})")
        started = time.perf_counter()
        await connection.copy_to_table("copied", source=path, format="csv", header=True)
        seconds += time.perf_counter() - started
        await connection.execute("DROP TABLE copied")
    await connection.close()
    return seconds


async def make_database(servers: Servers) -> str:
    """An empty, migrated database; returns its address."""
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("DROP DATABASE IF EXISTS imported WITH (FORCE)")
    await connection.execute("CREATE DATABASE imported")
    await connection.close()
    url = servers.database_url.rpartition("/")[0] + "/imported"
    engine = make_engine(SecretStr(url), application_name="benchmarks")
    await runner.upgrade(engine)
    await engine.dispose()
    return url


def run_import(servers: Servers, dump: Path) -> tuple[float, int]:
    """Import a dump with the command; returns seconds, and the most mebibytes that it had in memory."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WUMP_")}
    environment |= {"WUMP_DATABASE_URL": asyncio.run(make_database(servers)), "WUMP_VALKEY_URL": servers.valkey_url}
    started = time.perf_counter()
    command = [sys.executable, "-m", "wump_core", "import", "cratesio", str(dump)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        peaks = [0]
        watching = threading.Thread(target=_watch_memory, args=(process, peaks))
        watching.start()
        code = process.wait()
        seconds = time.perf_counter() - started
        watching.join()
    if code:
        raise RuntimeError(f"the import ended with {code}")
    return seconds, max(peaks)


def _watch_memory(process: subprocess.Popen[bytes], peaks: list[int]) -> None:
    """Note the process's peak until it ends. What the system tells at its end counts what started it, too."""
    while process.returncode is None:
        with suppress(OSError, IndexError):  # it has just ended
            status = Path(f"/proc/{process.pid}/status").read_text()
            peaks.append(int(status.partition("VmHWM:")[2].split()[0]) // 1024)
        time.sleep(0.1)


def main() -> None:
    """Measure, and print what was found as JSON."""
    parser = argparse.ArgumentParser(description="Measure `wump import`.")
    parser.add_argument("--crates", type=int, default=REAL_CRATES // 20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wump-import-") as place:
        Path(place).chmod(0o755)
        folder = write_folder(Path(place) / "dump", options.crates)
        dump = pack(folder, Path(place) / "db-dump.tar.gz")
        with embedded_servers(Path(place) / "data", durable=False) as servers:
            copies, imports = [asyncio.run(copy(servers, folder))], []
            for _ in range(options.rounds):
                imports.append(run_import(servers, dump))
                copies.append(asyncio.run(copy(servers, folder)))
    around = [(before + behind) / 2 for before, behind in itertools.pairwise(copies)]
    ratios = sorted(seconds / beside for (seconds, _), beside in zip(imports, around, strict=True))
    found = {
        "crates": options.crates,
        "copy_seconds": copies,
        "import_seconds": [seconds for seconds, _ in imports],
        "import_to_copy": ratios[len(ratios) // 2],
        "import_mebibytes": max(mebibytes for _, mebibytes in imports),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
