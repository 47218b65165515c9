"""`wump jobs` and `wump schedule`, as an operator types them."""

import asyncio
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import click
import pytest
import respx
import uvicorn
from typer.testing import CliRunner
from wump_api.auth import make_key
from wump_api.main import make_app as make_api
from wump_api.settings import ApiSettings
from wump_core.cli import make_app
from wump_core.errors import ConfigurationError, InvalidPurl, ServerUnavailable
from wump_core.settings import CoreSettings
from wump_core.store import keys, make_engine
from wump_core.store.keys import NewKey
from wump_core.telemetry import configure_logging
from wump_worker import ledger, scheduler
from wump_worker.jobs import JOBS

Wump = Callable[..., tuple[int, str, str]]


@pytest.fixture
def wump(settings: CoreSettings, monkeypatch: pytest.MonkeyPatch) -> Wump:
    """Run a command; returns exit code, standard output and standard error."""
    assert settings.database_url
    assert settings.valkey_url
    monkeypatch.setenv("WUMP_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("WUMP_VALKEY_URL", settings.valkey_url.get_secret_value())
    apps = {name: make_app(name) for name in ("jobs", "schedule")}

    def wump(*arguments: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(apps[arguments[0]], arguments)
        if result.exception and not isinstance(result.exception, SystemExit | click.ClickException):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return wump


@pytest.fixture(params=["here", "elsewhere"])
def anywhere(
    request: pytest.FixtureRequest, wump: Wump, settings: CoreSettings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Wump]:
    """The same commands on the ledger itself, and through an API with an operator's key."""
    if request.param == "here":
        yield wump
        return
    configure_logging("error", "console")
    server = uvicorn.Server(uvicorn.Config(make_api(settings, ApiSettings()), port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    monkeypatch.setenv("WUMP_URL", f"http://127.0.0.1:{port}/")
    monkeypatch.setenv("WUMP_KEY", asyncio.run(_add_operator(settings)))
    yield wump
    server.should_exit = True
    thread.join(20)


async def _add_operator(settings: CoreSettings) -> str:
    assert settings.database_url
    engine = make_engine(settings.database_url, application_name="tests", pool_size=1)
    key, kept = make_key()
    async with engine.begin() as connection:
        await keys.add_key(connection, NewKey(name="operator", tier="operator"), kept, created_by="tests")
    await engine.dispose()
    return key


@pytest.fixture
def execute(settings: CoreSettings) -> Callable[[str], Any]:
    """Execute a statement; returns its rows."""

    async def run(statement: str) -> Any:
        assert settings.database_url
        connection = await asyncpg.connect(settings.database_url.get_secret_value())
        try:
            return [dict(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    return lambda statement: asyncio.run(run(statement))


def test_a_run_from_its_order_to_its_end(anywhere: Wump, execute: Any) -> None:
    wump = anywhere
    code, output, _ = wump("jobs", "run", "refresh_package", "npm:debug", "--arguments", '{"depth": 2}')
    assert code == 0
    first = output.strip()
    second = wump("jobs", "run", "read_repository", "https://github.com/Acme/tool/")[1].strip()
    code, output, _ = wump("jobs", "list", "--format", "json", "--state", "pending")
    assert [row["id"] for row in json.loads(output)] == [second, first]
    assert json.loads(output)[1]["arguments"] == {"depth": 2}
    execute("UPDATE job_executions SET state = 'dead', outcome = '{\"message\": \"it is [odd]\"}', finished_at = now()")
    code, output, _ = wump("jobs", "list", "--job", "refresh_package")
    assert code == 0
    assert "pkg:npm/debug" in output
    assert "it is [odd]" in output
    assert second not in output
    code, output, _ = wump("jobs", "show", first)
    assert code == 0
    assert "'depth': 2" in output
    # The one is requeued, the other discarded.
    assert wump("jobs", "retry", first)[2] == "wump: 1 run(s) requeued\n"
    code, _, errors = wump("jobs", "retry", first)
    assert (code, f"{first} is neither dead nor failed" in errors) == (1, True)
    code, output, errors = wump("jobs", "discard", "--dead", "--yes")
    assert (code, errors) == (0, "wump: 1 run(s) discarded\n")
    assert output.startswith(f"{second} read_repository https://github.com/")
    assert wump("jobs", "show", second)[0] == 1
    execute("UPDATE job_executions SET state = 'running'")
    assert wump("jobs", "discard", first, "--yes")[0] == 1
    assert len(execute("SELECT FROM job_executions")) == 1


def test_pausing(anywhere: Wump, execute: Any) -> None:
    wump = anywhere
    assert wump("jobs", "pause", "refresh_package", "--reason", "too much")[0] == 0
    assert "already" in wump("jobs", "pause", "refresh_package")[2]
    assert wump("jobs", "pause", "--provider", "npm")[0] == 0, "no worker has said yet which there are"
    _, _, errors = wump("jobs", "list")
    assert "the job refresh_package is paused: too much" in errors
    assert "the provider npm is paused" in errors
    assert wump("jobs", "resume", "refresh_package")[0] == 0
    assert wump("jobs", "resume", "refresh_package")[0] == 1
    execute("INSERT INTO providers (name, state, ecosystems, capabilities) VALUES ('npm', 'active', '{}', '{}')")
    with pytest.raises(ConfigurationError, match="no provider 'pnm': expected one of npm"):
        wump("jobs", "pause", "--provider", "pnm")


def test_elsewhere_is_told_apart_from_nowhere(wump: Wump) -> None:
    with pytest.raises(ConfigurationError, match="--url: must start with http"):
        wump("jobs", "list", "--url", "wump.example")
    with pytest.raises(ServerUnavailable, match="does not answer"):
        wump("jobs", "list", "--url", "http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (("jobs", "list"), {}),
        (("jobs", "list"), {"data": 1}),
        (("jobs", "list"), {"data": [None]}),
        (("jobs", "alerts"), {"data": [{"name": "x"}]}),
        (("jobs", "run", "refresh_package", "npm:react"), {"id": 1}),
        (("jobs", "show", "019ac3b0-0000-7000-8000-000000000000"), {"id": "x"}),
        (("schedule",), {"data": [{}]}),
    ],
)
def test_an_answer_of_another_shape_is_no_wump(wump: Wump, arguments: tuple[str, ...], answer: Any) -> None:
    with respx.mock(base_url="http://other.example/api/v1") as other:
        other.route().respond(json=answer)
        with pytest.raises(ServerUnavailable, match="is no wump API, or not of this version"):
            wump(*arguments, "--url", "http://other.example")


def test_alerts_anywhere(anywhere: Wump, execute: Any) -> None:
    assert anywhere("jobs", "alerts")[0] == 0
    execute("INSERT INTO alerts (name, severity, message) VALUES ('dead_jobs:x', 'P2', 'one is dead')")
    code, output, _ = anywhere("jobs", "alerts")
    assert (code, "one is dead" in output) == (1, True)


def test_schedules(anywhere: Wump, execute: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wump = anywhere
    name, job = "tidy", dataclasses.replace(JOBS["refresh_package"], cron="0 3 1 * *")
    for module in (ledger, scheduler):
        monkeypatch.setattr(module, "JOBS", {name: job, "refresh_package": JOBS["refresh_package"]})
    # Without an address it makes those that are missing, as a scheduler does.
    assert [row["name"] for row in json.loads(wump("schedule", "--format", "json", "--url", "")[1])] == [name]
    assert wump("schedule", "set", name, "5 4 * * *")[0] == 0
    assert "5 4 * * * (set)" in wump("schedule")[1]
    assert wump("schedule", "pause", name)[0] == 0
    assert "paused" in wump("schedule")[1]
    assert wump("schedule", "resume", name)[0] == 0
    assert wump("schedule", "set", name)[2] == f"wump: {name} is due at '{job.cron}'\n"
    assert wump("schedule", "set", name, "--arguments", '{"depth": 1}')[0] == 0
    (row,) = json.loads(wump("schedule", "--format", "json")[1])
    assert (row["cron"], row["custom"], row["paused_at"]) == (job.cron, False, None)
    assert row["arguments"] == {"depth": 1}
    execute("UPDATE schedules SET next_at = '2026-11-28 03:00+00', paused_at = now()")
    assert wump("schedule", "--format", "json") == wump("schedule", "--format", "json", "--url", "")
    with pytest.raises(ConfigurationError, match="there is no schedule 'fly': there is tidy"):
        wump("schedule", "pause", "fly")
    with pytest.raises(ConfigurationError, match="--url: write it after `pause`"):
        wump("schedule", "--url", "http://127.0.0.1:1", "pause", name)
    execute("UPDATE schedules SET error = 'it is never due', paused_at = NULL")
    code, output, _ = wump("schedule")
    assert (code, "it is never due" in output) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("jobs run fly", "there is no job 'fly': expected one of"),
        ("jobs run refresh_package npm", "npm"),
        ("jobs run read_repository x", "names no repository: expected https://host/owner/name"),
        ("jobs run refresh_package npm:a --arguments {", "--arguments is no JSON"),
        ("jobs run refresh_package npm:a --arguments []", "must be a JSON object"),
        ('jobs run refresh_package npm:a --arguments {"deep":1}', "deep: Extra inputs.*the job takes depth"),
        ("jobs list --state lost", "--state lost: expected one of pending"),
        ("jobs retry", "give the ids of runs, or --dead"),
        ("jobs pause", "give a job, or --provider"),
        ("jobs pause fly", "there is no job 'fly'"),
        ("schedule set refresh_package", "there is no schedule 'refresh_package': there is clean_up"),
        ("schedule set refresh_package x", "must have five parts"),
        ("schedule pause fly", "there is no schedule 'fly'"),
    ],
)
def test_a_mistake_is_named(wump: Wump, arguments: str, message: str) -> None:
    with pytest.raises((ConfigurationError, InvalidPurl), match=message):
        wump(*arguments.split(" "))
