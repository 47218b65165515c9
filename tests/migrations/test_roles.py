"""Roles of the database: each may do its part, and no more."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner
from wump_api.gate import IN_PROCESS
from wump_api.main import make_app
from wump_api.settings import ApiSettings
from wump_core.cli import make_app as make_cli
from wump_core.errors import ConfigurationError
from wump_core.schedule import claim_due
from wump_core.settings import CoreSettings
from wump_core.store import make_engine, metadata
from wump_migrations import runner
from wump_migrations.roles import API_WRITES, ROLES, make_roles


@pytest.fixture
def urls(settings: CoreSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The addresses that `wump db roles` prints. The roles are the whole server's, so they are removed again."""
    assert settings.database_url
    assert settings.valkey_url
    monkeypatch.setenv("WUMP_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("WUMP_VALKEY_URL", settings.valkey_url.get_secret_value())
    result = CliRunner().invoke(make_cli("db"), ["db", "roles"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    yield dict(zip(ROLES, result.stdout.split(), strict=True))
    asyncio.run(_remove_roles(settings.database_url.get_secret_value()))


async def _remove_roles(url: str) -> None:
    connection = await asyncpg.connect(url)
    for role in ROLES:
        await connection.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}")
    await connection.close()


class InProcess(httpx.AsyncBaseTransport):
    """What wump's own commands are to the API."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self._app(scope | {IN_PROCESS: True}, receive, send)

        return await httpx.ASGITransport(app).handle_async_request(request)


async def test_the_api_works_with_its_role_and_can_do_no_more(
    urls: dict[str, str], settings: CoreSettings, engine: AsyncEngine
) -> None:
    core = settings.model_copy(update={"database_url": SecretStr(urls["wump_api"])})
    app = make_app(core, ApiSettings())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=InProcess(app), base_url="http://localhost") as api,
    ):
        tracked = await api.post("/api/v1/packages", json={"purl": "npm:a"}, headers={"Idempotency-Key": "once"})
        assert tracked.status_code == 202, tracked.text
        assert (await api.post("/api/v1/packages", json={"purl": "npm:a"})).status_code == 202
        made = (await api.post("/api/v1/keys", json={"name": "x"})).json()
        assert (await api.post(f"{made['url']}/rotate")).status_code == 201
        assert (await api.delete(made["url"])).status_code == 200
        for path in ("providers", "packages/npm/a", "packages/npm/a/dependents", "stats", "search?q=a", "jobs"):
            answer = await api.get(f"/api/v1/{path}")
            assert answer.status_code == 200, answer.text
        # There is none; without the right to change one, this were an error of the server.
        assert (await api.patch("/api/v1/schedules/x", json={"paused": True})).status_code == 404
        taken = await api.post("/api/v1/takedowns", json={"account": "github.com/acme"})
        assert taken.status_code == 202, taken.text
        assert (await api.delete(f"/api/v1/takedowns/{taken.json()['data'][0]['id']}")).status_code == 200
        assert (await api.get("/health/db")).status_code == 200
        assert (await api.get("/health/jobs")).json()["waiting"] > 0
    connection = await asyncpg.connect(urls["wump_api"])
    for table in metadata.tables:
        if "DELETE" not in API_WRITES.get(table, ""):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"DELETE FROM {table}")
    for statement in ("CREATE TABLE x (y int)", "DROP TABLE api_keys", "SELECT * FROM responses", "CREATE ROLE more"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    await connection.close()


async def test_the_writer_writes_rows_and_the_migrator_tables(urls: dict[str, str]) -> None:
    writer = make_engine(SecretStr(urls["wump_writer"]), application_name="tests")
    async with writer.begin() as connection:
        assert await claim_due(connection) == []
    await writer.dispose()
    connection = await asyncpg.connect(urls["wump_writer"])
    for statement in ("CREATE TABLE x (y int)", "DROP TABLE packages", "ALTER TABLE packages ADD x int"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    migrator = make_engine(SecretStr(urls["wump_migrator"]), application_name="tests")
    await runner.downgrade(migrator, "0016")
    await runner.upgrade(migrator)
    await migrator.dispose()
    assert await connection.fetchval("SELECT count(*) FROM imports") == 0, "a new table has its rights by default"
    await connection.close()


async def test_again_is_harmless_and_a_plain_role_may_not(
    urls: dict[str, str], engine: AsyncEngine, settings: CoreSettings
) -> None:
    assert await make_roles(engine, renew=False) == dict.fromkeys(ROLES)
    await (await asyncpg.connect(urls["wump_api"])).close()
    renewed = await make_roles(engine, renew=True)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(urls["wump_api"])
    url = make_url(urls["wump_api"]).set(password=renewed["wump_api"]).render_as_string(hide_password=False)
    await (await asyncpg.connect(url)).close()
    plain = make_engine(SecretStr(url), application_name="tests")
    with pytest.raises(ConfigurationError, match="WUMP_DATABASE_URL"):
        await make_roles(plain, renew=True)
    await plain.dispose()
