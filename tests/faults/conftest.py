"""Servers of their own for tests that freeze and kill them: nobody else's work is on them."""

import asyncio
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
from faults.stage import OwnServers
from pydantic import SecretStr
from worker.conftest import probed_once  # noqa: F401 - a fixture
from wump_core.embedded import embedded_servers
from wump_core.store import make_engine
from wump_migrations import runner

MakeDatabase = Callable[[], str]


@pytest.fixture(scope="session")
def own_servers() -> Iterator[OwnServers]:
    """A Postgres and a Valkey that may be harmed."""
    with tempfile.TemporaryDirectory(prefix="wump-faults-") as name:
        Path(name).chmod(0o755)
        folder = Path(name) / "data"
        with embedded_servers(folder, durable=False) as servers:
            yield OwnServers(folder, servers)


@pytest.fixture(scope="session")
def make_database(own_servers: OwnServers) -> MakeDatabase:
    """Make a migrated, empty database on them; returns its URL. They go with the servers."""
    url = own_servers.servers.database_url

    async def migrate() -> None:
        engine = make_engine(SecretStr(url), application_name="tests", pool_size=1)
        await runner.upgrade(engine)
        await engine.dispose()

    async def clone(name: str) -> None:
        connection = await asyncpg.connect(url.rpartition("/")[0] + "/postgres")
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE wump")
        await connection.close()

    asyncio.run(migrate())

    def make() -> str:
        name = f"test_{secrets.token_hex(6)}"
        asyncio.run(clone(name))
        return url.rpartition("/")[0] + f"/{name}"

    return make
