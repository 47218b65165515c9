"""Statements that take longer than allowed: they end, nothing of theirs stays, and they are tried again later."""

import dataclasses
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from faults.test_disk import assert_unavailable, list_faults_of, open_api, open_worker
from wump_core.settings import CoreSettings
from wump_core.store import make_engine
from wump_worker.actors import run_execution


@asynccontextmanager
async def locked(settings: CoreSettings, table: str) -> AsyncGenerator[None]:
    """Meanwhile everybody who wants this table waits, as behind a long statement of somebody else."""
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        async with connection.transaction():
            await connection.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await connection.close()


async def test_a_statement_of_a_job_that_takes_too_long_leaves_nothing_and_the_job_is_done_later(
    settings: CoreSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings.database_url is not None
    async with open_worker(settings, monkeypatch) as (resources, registry, ledger):
        engine = make_engine(settings.database_url, application_name="tests", statement_timeout_ms=300)
        impatient = dataclasses.replace(resources, engine=engine)
        registry.add_npm("tool", repository="acme/tool", dependencies={"base": "^1"})
        key = await ledger.plan("npm:tool")
        async with locked(settings, "package_organizations"):
            await run_execution(impatient, key)
            execution = await ledger.get(key)
            assert (execution["state"], execution["attempts"]) == ("failed", 0)
            assert execution["outcome"]["code"] == "unavailable"
            assert "a statement took too long" in execution["outcome"]["message"]
            assert await ledger.value("SELECT count(*) FROM statements") == 0
            assert await ledger.value("SELECT count(*) FROM dependencies") == 0
        assert await list_faults_of(resources.engine) == []
        await ledger.make_due()
        await run_execution(impatient, key)
        await engine.dispose()
        assert (await ledger.get(key))["state"] == "completed"
        assert await ledger.value("SELECT count(*) FROM package_organizations WHERE repositories = 1") == 1
        assert await list_faults_of(resources.engine) == []


async def test_a_request_whose_statement_takes_too_long_is_answered_in_time(settings: CoreSettings) -> None:
    async with open_api(settings, statement_timeout_ms=200) as (client, _):
        assert (await client.post("/api/v1/packages", json={"purl": "npm:tool"})).status_code == 202
        path = "/api/v1/packages/npm/tool/dependents"
        before = await client.get(path)
        assert before.status_code == 200
        async with locked(settings, "package_organizations"):
            assert_unavailable(await client.get(path, params={"limit": 7}))  # one that no cache has
        async with locked(settings, "job_executions"):
            assert_unavailable(await client.post("/api/v1/packages", json={"purl": "npm:other"}))
        assert (await client.get(path)).json()["data"] == before.json()["data"]
        assert (await client.get("/api/v1/packages/npm/other")).status_code == 404
