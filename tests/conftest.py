"""Real servers for all tests: one Postgres and one Valkey a run, a migrated template database, a clone a test."""

import asyncio
import os
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from valkey import Valkey
from wump_core.embedded import Servers, embedded_servers
from wump_core.settings import CoreSettings
from wump_core.store import make_engine
from wump_migrations import runner

TEMPLATE = "wump_template"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """All async tests run on asyncio, as wump does."""
    return "asyncio"


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the settings of the person who runs it, nor leaves data in their home."""
    for name in list(os.environ):
        if name.startswith("WUMP_") or name.lower().startswith(("npm_config_", "pip_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("WUMP_DATA_DIR", str(tmp_path / "wump"))


@pytest.fixture(autouse=True)
def own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test, or a command that it ran, has set up for logging ends with it; no module keeps its logger."""
    configure = structlog.configure

    def configure_unkept(**given: Any) -> None:
        given["cache_logger_on_first_use"] = False
        configure(**given)

    monkeypatch.setattr(structlog, "configure", configure_unkept)
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Real servers, without durability."""
    with tempfile.TemporaryDirectory(prefix="wump-tests-") as folder:
        Path(folder).chmod(0o755)
        with embedded_servers(Path(folder) / "data", durable=False) as running:
            yield running


@pytest.fixture(scope="session")
def migrated_template(servers: Servers) -> str:
    """Name of a migrated, empty database that others are cloned from."""

    async def prepare() -> None:
        await _execute(servers.database_url, f"CREATE DATABASE {TEMPLATE}")
        engine = make_engine(SecretStr(_in_database(servers, TEMPLATE)), application_name="tests", pool_size=1)
        await runner.upgrade(engine)
        await engine.dispose()

    asyncio.run(prepare())
    return TEMPLATE


@pytest.fixture
def database_url(servers: Servers, migrated_template: str) -> Iterator[str]:
    """A migrated, empty database of the test's own."""
    name = f"test_{secrets.token_hex(6)}"
    asyncio.run(_execute(servers.database_url, f"CREATE DATABASE {name} TEMPLATE {migrated_template}"))
    yield _in_database(servers, name)
    asyncio.run(_execute(servers.database_url, f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def settings(servers: Servers, database_url: str, tmp_path: Path) -> CoreSettings:
    """Settings that name the test's own database and an empty Valkey."""
    with Valkey.from_url(servers.valkey_url) as client:
        client.flushall()
    return CoreSettings(
        database_url=SecretStr(database_url), valkey_url=SecretStr(servers.valkey_url), data_dir=tmp_path / "wump"
    )


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on the test's own database."""
    engine = make_engine(SecretStr(database_url), application_name="tests", pool_size=10)
    yield engine
    await engine.dispose()


def _in_database(servers: Servers, name: str) -> str:
    return servers.database_url.rpartition("/")[0] + f"/{name}"


async def _execute(database_url: str, statement: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
