"""A disk that is full: what was committed stays true, what was not is done later, and everybody says what is wrong.

The disk is the kernel's own full device in the place of a table's file: it answers Postgres with ENOSPC, as a full
disk does, and harms nobody else. The table must be empty, since the device holds nothing.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from local_registry import LocalRegistry, serve_registry
from sqlalchemy.ext.asyncio import AsyncEngine
from worker.conftest import Ledger
from wump_api.main import make_app
from wump_api.settings import ApiSettings
from wump_core.settings import CoreSettings
from wump_core.store.audit import list_faults
from wump_worker.actors import run_execution
from wump_worker.resources import Resources, open_resources
from wump_worker.settings import WorkerSettings

needs_full_device = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")


@asynccontextmanager
async def full_disk(engine: AsyncEngine, table: str) -> AsyncGenerator[None]:
    """Meanwhile the disk that this empty table is on has no room. The engine's connections must be idle."""
    url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(url)
    folder = Path(await connection.fetchval("SHOW data_directory"))
    path = folder / await connection.fetchval("SELECT pg_relation_filepath($1::text::regclass)", table)
    await connection.close()
    assert path.stat().st_size == 0
    kept = path.with_name(f"{path.name}.kept")
    # Connections keep files open: new ones find what is there by then.
    await engine.dispose()
    path.rename(kept)
    path.symlink_to("/dev/full")
    try:
        yield
    finally:
        await engine.dispose()
        path.unlink()
        kept.rename(path)


@asynccontextmanager
async def open_worker(
    settings: CoreSettings, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[tuple[Resources, LocalRegistry, Ledger]]:
    """What jobs are given, an empty registry that their providers ask, and the executions."""
    with serve_registry() as registry:
        for name, value in registry.environment.items() | {("NO_PROXY", "127.0.0.1")}:
            monkeypatch.setenv(name, value)
        async with open_resources(settings, WorkerSettings()) as resources:
            yield resources, registry, Ledger(resources.engine)


@asynccontextmanager
async def open_api(settings: CoreSettings, **values: Any) -> AsyncGenerator[tuple[httpx.AsyncClient, AsyncEngine]]:
    """A client of an app in this process, and the app's engine."""
    app = make_app(settings, ApiSettings(**values))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("127.0.0.1", 1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=30) as client,
    ):
        yield client, app.state.engine


async def list_faults_of(engine: AsyncEngine) -> list[Any]:
    """What `wump db verify` finds."""
    async with engine.connect() as connection:
        return await list_faults(connection)


def assert_unavailable(response: httpx.Response) -> None:
    """A problem that says to try again."""
    assert response.status_code == 503, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "/problems/unavailable"
    assert response.headers["retry-after"]


@needs_full_device
async def test_a_job_on_a_full_disk_changes_nothing_and_is_done_when_there_is_room(
    settings: CoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_worker(settings, monkeypatch) as (resources, registry, ledger):
        registry.add_npm("homeless", dependencies={"base": "^1"})
        registry.add_npm("tool", repository="acme/tool", dependencies={"base": "^1", "new": "^1"})
        await run_execution(resources, await ledger.plan("npm:homeless"))
        key = await ledger.plan("npm:tool")
        async with full_disk(resources.engine, "dependencies"):
            await run_execution(resources, key)
            execution = await ledger.get(key)
            assert (execution["state"], execution["attempts"]) == ("failed", 0)
            assert execution["outcome"]["code"] == "unavailable"
            assert "the database's disk is full" in execution["outcome"]["message"]
            # Half of it was done when the disk was found to be full; none of that half is there.
            assert await ledger.value("SELECT count(*) FROM statements") == 1
            assert await ledger.value("SELECT latest_version FROM packages WHERE name = 'tool'") is None
            assert await list_faults_of(resources.engine) == []
        await ledger.make_due()
        await run_execution(resources, key)
        assert (await ledger.get(key))["state"] == "completed"
        assert await ledger.value("SELECT count(*) FROM package_organizations WHERE repositories = 1") == 2
        assert await list_faults_of(resources.engine) == []


@needs_full_device
async def test_the_api_on_a_full_disk_reads_on_and_says_that_it_cannot_write(settings: CoreSettings) -> None:
    async with open_api(settings) as (client, engine):
        async with full_disk(engine, "job_executions"):
            assert_unavailable(await client.post("/api/v1/packages", json={"purl": "npm:tool"}))
            # Nothing of the refused request stayed behind, and reading needs no room.
            unknown = await client.get("/api/v1/packages/npm/tool")
            assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/unknown-package")
        assert (await client.post("/api/v1/packages", json={"purl": "npm:tool"})).status_code == 202
        assert (await client.get("/api/v1/packages/npm/tool")).status_code == 200
