"""Health, with everything there, and with each server away or frozen: said soon, and the rest works."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from valkey import Valkey
from wump_api.models import Health, JobsHealth
from wump_core.schedule import ALIVE_KEY
from wump_core.settings import CoreSettings

SOON = 3.0


@contextmanager
def silent_server() -> Generator[int]:
    """A port that takes connections and never answers, as a frozen server does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def ask(api: Any, path: str) -> tuple[int, Any]:
    """Status and document, which must come soon."""
    before = time.monotonic()
    response = await api.get(path)
    assert time.monotonic() - before < SOON, path
    return response.status_code, response.json()


async def test_all_is_well(empty_api: Any, settings: CoreSettings, counting: Any) -> None:
    async with counting(empty_api) as statements:
        for path in ("/health", "/health/db", "/health/valkey", "/health/redis"):
            assert await ask(empty_api, path) == (200, {"status": "ok", "detail": None})
    assert statements == []
    status, document = await ask(empty_api, "/health/jobs")
    jobs = JobsHealth.model_validate(document)
    assert (status, jobs.status, jobs.waiting, jobs.worker_alive) == (200, "ok", 0, False)


async def test_work_that_nobody_does_is_unhealthy(empty_api: Any, settings: CoreSettings) -> None:
    assert settings.valkey_url
    await empty_api.post("/api/v1/packages", json={"purl": "npm:a"})
    status, document = await ask(empty_api, "/health/jobs")
    assert (status, JobsHealth.model_validate(document).waiting) == (503, 1)
    assert "no scheduler is running" in document["detail"]
    with Valkey.from_url(settings.valkey_url.get_secret_value()) as valkey:
        valkey.set(ALIVE_KEY.format(service="scheduler"), 1, ex=60)
        assert "no worker is running" in (await ask(empty_api, "/health/jobs"))[1]["detail"]
        valkey.set(ALIVE_KEY.format(service="worker"), 1, ex=60)
    status, document = await ask(empty_api, "/health/jobs")
    assert (status, document["scheduler_alive"], document["worker_alive"]) == (200, True, True)

    async def see(*statements: str) -> tuple[int, Any]:
        async with empty_api.app.state.engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        return await ask(empty_api, "/health/jobs")

    status, document = await see("UPDATE job_executions SET due_at = now() - interval '3 minutes'")
    assert (status, document["progressing"]) == (503, False)
    assert document["detail"] == "work has been due for 180 s, and no run has started or ended for a day"
    # A queue that is long but moves is no fault, and neither is what an operator keeps back.
    add = "INSERT INTO job_executions (job, subject, queue, state, finished_at, started_at)"
    status, document = await see(f"{add} VALUES ('x', 'done', 'low', 'completed', now() - interval '1 minute', now())")
    assert (status, document["progressing"], document["due"]) == (200, True, 1)
    assert document["oldest_due_seconds"] > 120
    ages_ago = "UPDATE job_executions SET finished_at = now() - interval '9 minutes' WHERE state = 'completed'"
    assert "no run has started or ended for 540 s" in (await see(ages_ago))[1]["detail"]
    status, document = await see("INSERT INTO pauses (kind, name) SELECT 'job', job FROM job_executions LIMIT 1")
    assert (status, document["due"], document["progressing"], document["waiting"]) == (200, 0, None, 1)
    late = "INSERT INTO schedules (name, job, subject, cron, next_at)"
    status, document = await see(f"{late} VALUES ('s', 'x', 'all', '* * * * *', now() - interval '5 minutes')")
    assert (status, document["detail"][:24]) == (503, "a schedule is 300 s late")


@pytest.mark.parametrize("frozen", [False, True])
async def test_without_valkey_only_its_health_suffers(settings: CoreSettings, serving: Any, frozen: bool) -> None:
    with silent_server() as port:
        url = SecretStr(f"valkey://127.0.0.1:{port if frozen else closed_port()}/0")
        async with serving(settings.model_copy(update={"valkey_url": url})) as api:
            status, document = await ask(api, "/health/valkey")
            assert (status, Health.model_validate(document).status) == (503, "unavailable")
            status, document = await ask(api, "/health/jobs")
            assert (status, document["worker_alive"], document["scheduler_alive"]) == (200, None, None)
            assert (await api.post("/api/v1/packages", json={"purl": "npm:a"})).status_code == 202
            for path in ("/health", "/health/db", "/api/v1/packages/npm/a", "/api/v1/packages/a/dependents"):
                assert (await ask(api, path))[0] == 200


@pytest.mark.parametrize("scheme", ["valkey", "redis"])
async def test_the_name_of_valkeys_host_is_taken_as_it_is(settings: CoreSettings, serving: Any, scheme: str) -> None:
    url = SecretStr(f"{scheme}://redis.example:7000/2")
    async with serving(settings.model_copy(update={"valkey_url": url})) as api:
        options = api.app.state.valkey.connection_pool.connection_kwargs
        assert (options["host"], options["port"], options["db"]) == ("redis.example", 7000, 2)


@pytest.mark.parametrize("damage", ["closed", "silent", "database", "user"])
async def test_without_the_database_every_answer_says_so(
    settings: CoreSettings, serving: Any, problem: Any, damage: str
) -> None:
    assert settings.database_url
    url = settings.database_url.get_secret_value()
    with silent_server() as port:
        url = {
            "closed": f"postgresql://wump@127.0.0.1:{closed_port()}/wump",
            "silent": f"postgresql://wump@127.0.0.1:{port}/wump",
            "database": url.rpartition("/")[0] + "/nothing",
            "user": f"postgresql://nobody:wrong@{url.rpartition('@')[2]}" if "@" in url else url + "x",
        }[damage]
        async with serving(settings.model_copy(update={"database_url": SecretStr(url)})) as api:
            assert await ask(api, "/health") == (200, {"status": "ok", "detail": None})
            assert (await ask(api, "/health/valkey"))[0] == 200
            for path in ("/health/db", "/health/jobs"):
                status, document = await ask(api, path)
                assert (status, Health.model_validate(document).status) == (503, "unavailable")
            if damage == "silent":
                problem((await api.get("/api/v1/packages/a/dependents")), 503, "unavailable")
                return  # Opening the connection for writing is waited for by the driver's own limit, 5 s.
            for path in ("packages/npm/a", "packages/a/dependents", "providers", f"executions/{'0' * 32}"):
                response = await api.get(f"/api/v1/{path}")
                assert "database" in problem(response, 503, "unavailable")["detail"]
                assert response.headers["retry-after"] == "5"
            problem(await api.post("/api/v1/packages", json={"purl": "npm:a"}), 503, "unavailable")
            assert (await api.get("/openapi.json")).status_code == 200


def _ignore_cut_attempts() -> None:
    """asyncpg complains to the loop of a connection that is cut while it is being made; its caller was told already."""
    loop = asyncio.get_running_loop()
    handle = loop.get_exception_handler()

    def handle_others(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "unexpected connection_lost" not in str(context.get("exception")):
            (handle or asyncio.AbstractEventLoop.default_exception_handler)(loop, context)

    loop.set_exception_handler(handle_others)


@asynccontextmanager
async def freezing_proxy(url: str) -> AsyncGenerator[tuple[str, asyncio.Event]]:
    """The URL of a database by way of a proxy, which passes nothing on while the event is unset."""
    flowing, parts, tasks = asyncio.Event(), urlsplit(url), set()
    flowing.set()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await flowing.wait()
            writer.write(data)
        writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(parts.hostname, parts.port)
        tasks.update(asyncio.create_task(pass_on(*ends)) for ends in ((reader, back), (there, writer)))

    _ignore_cut_attempts()
    server = await asyncio.start_server(connect, "127.0.0.1")
    try:
        port = server.sockets[0].getsockname()[1]
        yield url.replace(f":{parts.port}/", f":{port}/"), flowing
    finally:
        server.close()
        for task in tasks:
            task.cancel()


async def test_a_database_that_freezes_is_waited_for_so_long(
    facts: CoreSettings, serving: Any, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a statement under way; requests after it don't get so far as to wait for the driver's own limit."""
    assert facts.database_url
    path = "/api/v1/packages/npm/core/dependents"
    monkeypatch.setenv("WUMP_API_STATEMENT_TIMEOUT_MS", "50")
    async with (
        freezing_proxy(facts.database_url.get_secret_value()) as (url, flowing),
        serving(facts.model_copy(update={"read_database_url": SecretStr(url)})) as api,
    ):
        assert (await api.get(path)).status_code == 200
        flowing.clear()
        problem(await api.get(path), 503, "unavailable")
        for response in await asyncio.gather(*(api.get(path) for _ in range(12))):
            problem(response, 503, "unavailable")
        flowing.set()
        assert (await api.get(path)).status_code == 200


async def test_it_recovers_when_the_database_comes_back(empty_api: Any, settings: CoreSettings, problem: Any) -> None:
    """The connections that the pool keeps are cut, as by a restart."""
    assert settings.database_url
    assert (await empty_api.get("/api/v1/providers")).status_code == 200
    assert (await empty_api.post("/api/v1/packages", json={"purl": "npm:a"})).status_code == 202
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    cut = await connection.fetch(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'wump-api'"
    )
    assert cut
    await connection.close()
    # Readers open another connection once they have seen that theirs is gone; the one for writing is tried first.
    await asyncio.sleep(0.1)
    assert (await empty_api.get("/api/v1/providers")).status_code == 200
    responses = [await empty_api.post("/api/v1/packages", json={"purl": "npm:a"}) for _ in range(2)]
    problem(responses[0], 503, "unavailable")
    assert responses[1].status_code == 202
