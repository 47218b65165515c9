"""What operators do over REST: look at runs, take accounts down, forget what is cached."""

from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from api.conftest import record, save
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_api.models import Page
from wump_api.routes.jobs import Run
from wump_api.routes.pauses import Alert, Pause
from wump_api.routes.schedules import Schedule
from wump_api.routes.takedowns import Takedown, Takedowns
from wump_core import schedule
from wump_core.store.audit import list_faults
from wump_core.store.dependents import fold_deltas
from wump_worker.jobs.takedowns import apply_takedown

V1 = "/api/v1"
SECRET = "shy"


@pytest.fixture
async def operator(empty_api: Any, adding: Any) -> Any:
    """A client with an operator's key."""
    empty_api.headers["x-api-key"] = await adding(empty_api.app.state.engine, "operator")
    return empty_api


async def run_planned(engine: AsyncEngine) -> int:
    """Do what is due."""
    async with engine.connect() as connection:
        keys = list((await connection.execute(text("SELECT id FROM job_executions WHERE state = 'pending'"))).scalars())
    for key in keys:
        async with engine.begin() as connection:
            execution = await schedule.start(connection, key)
        assert execution
        await apply_takedown(cast(Any, SimpleNamespace(engine=engine)), execution)
    return len(keys)


async def save_facts(engine: AsyncEngine) -> None:
    """A package that the shy one and another use, and one that the shy one makes."""
    await save(engine, record("pkg:npm/own", f"{SECRET}/own", ("lib", "runtime"), description="a package"))
    await save(engine, record("pkg:npm/other", "other/other", ("lib", "runtime"), ("own", "runtime")))
    await save(engine, record("pkg:npm/second", f"{SECRET}/second", ("lib", "test")))


async def everything(api: Any) -> str:
    """All that readers can ask about, but for names of repositories that packages publish themselves."""
    texts = []
    for path in (
        *("/organizations", f"/search?q={SECRET}", "/packages/npm/own", "/packages/npm/lib/dependents"),
        *("/packages/npm/lib/dependents?format=csv", "/packages/npm/lib/dependents?format=ndjson&state=past"),
        *("/packages/npm/lib/dependents?state=past", f"/packages/npm/lib/dependents?state=past&q={SECRET}"),
        *("/packages/npm/lib/dependents/repositories", "/packages/npm/lib/dependents/packages"),
        "/packages/npm/lib/dependents/repositories?include=fork",
        *("/packages/npm/lib/badge.json", "/packages/npm/own/dependents", "/organizations/other/packages"),
    ):
        response = await api.get(V1 + path)
        assert response.status_code == 200, response.text
        texts.append(response.text.replace(f"q={SECRET}", "").replace(f"'{SECRET}'", ""))
    return "\n".join(texts)


async def test_a_takedown_shows_nowhere_and_nothing_brings_it_back(operator: Any, problem: Any) -> None:
    engine: AsyncEngine = operator.app.state.engine
    await save_facts(engine)
    assert SECRET in await everything(operator)
    known = (await operator.page(f"/organizations/{SECRET}"))["id"]

    response = await operator.post(
        f"{V1}/takedowns", json={"account": f"GitHub.com/{SECRET.upper()}", "reason": "asked"}
    )
    assert response.status_code == 202, response.text
    made = Takedowns.model_validate(response.json())
    assert [(item.host, item.login, item.reason) for item in made.data] == [("github.com", SECRET, "asked")]
    for name in (SECRET, known, f"github.com%2F{SECRET}"):
        problem(await operator.get(f"{V1}/organizations/{name.partition('%')[0]}"), 404, "unknown-organization")
    path = f"{V1}/packages/npm/lib/dependents/evidence?organization="
    problem(await operator.get(path + SECRET), 404, "unknown-organization")
    assert await run_planned(engine) == 1
    assert SECRET not in await everything(operator)
    excluded = (await operator.page("/packages/npm/lib/dependents"))["meta"]["excluded"]
    assert excluded["suppressed"] == 2
    assert (await operator.page("/packages/npm/lib/badge.json"))["message"] == "1 organization"

    await save(engine, record("pkg:npm/third", f"{SECRET}/third", ("lib", "runtime")))
    await save_facts(engine)
    assert SECRET not in await everything(operator)
    async with engine.begin() as connection:
        await fold_deltas(connection)
    async with engine.connect() as connection:
        assert await list_faults(connection) == []

    listed = Page[Takedown].model_validate(await operator.page("/takedowns", limit=1)).data
    assert listed == made.data
    assert (await operator.get(listed[0].url)).json()["id"] == str(listed[0].id)
    assert (await operator.delete(listed[0].url)).status_code == 200
    problem(await operator.get(listed[0].url), 404, "unknown-takedown")
    problem(await operator.delete(f"{V1}/takedowns/{listed[0].id}"), 404, "unknown-takedown")
    assert await run_planned(engine) == 1
    assert SECRET in (await operator.get(f"{V1}/packages/npm/lib/dependents")).text
    async with engine.connect() as connection:
        assert await list_faults(connection) == []


@pytest.mark.parametrize(
    "account", ["", "github.com", "github.com/", "/a", "github.com/a b", "github.com/\0", "a" * 501]
)
async def test_what_names_no_account_is_refused(operator: Any, problem: Any, account: str) -> None:
    problem(await operator.post(f"{V1}/takedowns", json={"account": account}), 422, "invalid-request")


async def test_runs_can_be_looked_at_run_again_and_discarded(operator: Any, problem: Any) -> None:
    engine: AsyncEngine = operator.app.state.engine
    for number in range(5):
        await operator.post(f"{V1}/packages", json={"purl": f"npm:p{number}"})
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE job_executions SET state = 'dead' WHERE subject = 'pkg:npm/p1'"))
        await connection.execute(text("UPDATE job_executions SET state = 'running' WHERE subject = 'pkg:npm/p2'"))
    rows: list[Run] = []
    cursor = None
    for _ in range(3):
        page = Page[Run].model_validate(await operator.page("/jobs", limit=2, cursor=cursor))
        rows += page.data
        cursor = page.next_cursor
    assert cursor is None
    assert [row.subject for row in rows] == [f"pkg:npm/p{number}" for number in (4, 3, 2, 1, 0)]
    [dead] = (await operator.page("/jobs", state="dead"))["data"]
    assert (await operator.get(dead["url"])).json() == dead
    again = await operator.post(f"{dead['url']}/retry")
    assert Run.model_validate(again.json()).state == "pending"
    assert problem(await operator.post(f"{dead['url']}/retry"), 409, "wrong-state")["state"] == "pending"
    assert (await operator.delete(dead["url"])).status_code == 200
    problem(await operator.get(dead["url"]), 404, "unknown-execution")
    [running] = (await operator.page("/jobs", state="running", queue="high", job="refresh_package"))["data"]
    problem(await operator.delete(running["url"]), 409, "wrong-state")
    assert (await operator.page("/jobs", subject="pkg:npm/p0"))["data"][0]["subject"] == "pkg:npm/p0"
    for path in (f"/jobs/{uuid4()}", f"/jobs/{uuid4()}/retry"):
        method = operator.post if path.endswith("retry") else operator.get
        problem(await method(V1 + path), 404, "unknown-execution")
    for wrong in ({"state": "odd"}, {"job": "'"}, {"subject": "a\0"}, {"queue": "x"}):
        problem(await operator.get(f"{V1}/jobs", params=wrong), 422, "invalid-request")


async def test_only_operators_may(empty_api: Any, problem: Any, adding: Any) -> None:
    key = await adding(empty_api.app.state.engine, "premium")
    for method, path in (
        *(
            ("GET", "/jobs"),
            ("PATCH", "/schedules/clean_up"),
            ("GET", "/takedowns"),
            ("POST", "/takedowns"),
            ("DELETE", "/cache"),
        ),
        *(("POST", f"/jobs/{uuid4()}/retry"), ("DELETE", f"/jobs/{uuid4()}"), ("DELETE", f"/takedowns/{uuid4()}")),
    ):
        problem(await empty_api.request(method, V1 + path), 401, "key-required")
        problem(await empty_api.request(method, V1 + path, headers={"x-api-key": key}), 403, "tier-not-allowed")


async def test_pauses_runs_and_alerts(operator: Any, problem: Any) -> None:
    made = await operator.post(f"{V1}/jobs", json={"job": "refresh_package", "subject": "pkg:npm/x"})
    assert made.status_code == 202
    run = Run.model_validate(made.json())
    assert (run.state, run.arguments) == ("pending", {})
    assert (await operator.get(made.headers["location"])).json()["id"] == str(run.id)
    again = await operator.post(f"{V1}/jobs", json={"job": "refresh_package", "subject": "pkg:npm/x"})
    assert again.json()["id"] == str(run.id)
    assert len((await operator.page("/jobs?state=dead&state=pending"))["data"]) == 1
    assert (await operator.page("/jobs?state=dead&state=failed"))["data"] == []
    for body in ({}, {"job": "Fly"}, {"job": "x", "arguments": {"a": []}}, {"job": "x", "subject": ""}):
        problem(await operator.post(f"{V1}/jobs", json=body), 422, "invalid-request")

    asked = {"kind": "job", "name": "refresh_package", "reason": "too much"}
    made = await operator.post(f"{V1}/pauses", json=asked)
    assert made.status_code == 201
    assert Page[Pause].model_validate(await operator.page("/pauses")).data == [Pause.model_validate(made.json())]
    assert (await operator.get(made.json()["url"])).json() == made.json()
    assert (await operator.delete(made.json()["url"])).json() == made.json()
    problem(await operator.delete(made.json()["url"]), 404, "not-paused")
    problem(await operator.get(f"{V1}/pauses/fly/x"), 422, "invalid-request")
    async with operator.app.state.engine.begin() as connection:
        await connection.execute(text("INSERT INTO alerts (name, severity, message) VALUES ('low:x/y', 'P2', 'm')"))
        await connection.execute(
            text("INSERT INTO providers (name, state, ecosystems, capabilities) VALUES ('npm', 'active', '{}', '{}')")
        )
    unknown = await operator.post(f"{V1}/pauses", json={"kind": "provider", "name": "pnm"})
    problem(unknown, 404, "unknown-provider")
    listed = Page[Alert].model_validate(await operator.page("/alerts")).data
    assert [item.name for item in listed] == ["low:x/y"]
    problem(await operator.get(f"{V1}/alerts/nothing"), 404, "unknown-alert")
    assert (await operator.get(listed[0].url)).json()["id"] == "low:x/y"


async def test_schedules_can_be_looked_at_and_changed(operator: Any, problem: Any) -> None:
    assert "scheduler" in (await operator.page("/schedules"))["meta"]["hint"]
    async with operator.app.state.engine.begin() as connection:
        # As a scheduler of before the column left it, after an operator had set the one.
        await connection.execute(
            text(
                "INSERT INTO schedules (name, job, subject, cron, custom, next_at)"
                " VALUES ('a', 'a', 'all', '0 1 * * *', false, now()), ('b', 'b', 'all', '0 2 * * *', true, now())"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO job_executions (job, subject, queue, schedule, fire_at) VALUES"
                " ('a', 'all', 'low', 'a', now())"
            )
        )
    first, second = Page[Schedule].model_validate(await operator.page("/schedules")).data
    assert (await operator.get(f"{V1}/jobs/{first.last_execution}")).json()["schedule"] == "a"
    assert (first.last_state, first.own_cron, second.last_execution) == ("pending", None, None)

    async def change(changes: dict[str, Any], url: str = first.url) -> Any:
        return await operator.patch(url, json=changes)

    changed = await change({"cron": "5 1 * * 1-5", "arguments": {"depth": 1}})
    assert (await operator.get(first.url)).json() == changed.json()
    row = Schedule.model_validate(changed.json())
    assert (row.cron, row.custom, row.own_cron, row.next_at) == ("5 1 * * 1-5", True, "0 1 * * *", None)
    assert (await change({"paused": True})).json()["paused_at"]
    back = Schedule.model_validate((await change({"cron": None})).json())
    assert (back.cron, back.custom, back.arguments) == ("0 1 * * *", False, {"depth": 1})
    assert back.paused_at
    assert (await change({"paused": False})).json()["paused_at"] is None

    unknown = problem(await change({"cron": None, "paused": True}, second.url), 422, "invalid-request")
    assert "cron: the job's own expression is not known" in unknown["detail"]
    assert (await operator.get(second.url)).json()["paused_at"] is None, "all of it or nothing"
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"cron": "0 25 * * *"}, "body.cron: Value error, the cron expression '0 25 * * *' can't be read: Bad hour"),
        ({"cron": "daily"}, "must have five parts"),
        ({"cron": "0 0 * * \0"}, "body.cron: must be a text"),
        ({"paused": None}, "body.paused"),
        ({"paused": "yes"}, "body.paused"),
        ({"arguments": None}, "body.arguments"),
        ({"arguments": {"a": []}}, "body.arguments"),
        ({"job": "x"}, "body.job"),
        ({}, "at least one of cron, arguments and paused"),
    ]
    for changes, told in wrong:
        assert told in problem(await change(changes), 422, "invalid-request")["detail"]
    problem(await operator.get(f"{V1}/schedules/c"), 404, "unknown-schedule")
    problem(await change({"cron": None}, f"{V1}/schedules/c"), 404, "unknown-schedule")
    problem(await operator.get(f"{V1}/schedules/A%00"), 422, "invalid-request")
