"""The job that refreshes a package, on real servers and a registry that misbehaves."""

import asyncio
import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from local_registry import LocalRegistry
from sqlalchemy.ext.asyncio import AsyncEngine
from worker.conftest import Ledger, SlowAnswers
from wump_core import schedule
from wump_core.settings import CoreSettings
from wump_core.store.audit import list_faults
from wump_worker.actors import run_execution
from wump_worker.resources import Resources, open_resources
from wump_worker.settings import WorkerSettings

JSON = {"Content-Type": "application/json"}


async def refresh(resources: Resources, ledger: Ledger, package: str, depth: int = 0) -> dict[str, Any]:
    """Track and run at once; returns the execution."""
    key = await ledger.plan(package, depth)
    await run_execution(resources, key)
    return await ledger.get(key)


STATEMENTS = (
    "SELECT x.purl, p.purl AS needs, s.scope, s.requirement, s.field, s.optional, s.alias, s.marker, so.provider,"
    " so.revision FROM statements s JOIN packages p ON p.id = s.package_id JOIN sources so ON so.id = s.source_id"
    " JOIN packages x ON x.id = so.package_id WHERE s.removed_at IS NULL ORDER BY 1, 2, 3"
)


async def test_what_an_npm_package_says_is_saved(
    resources: Resources, registry: LocalRegistry, ledger: Ledger, engine: AsyncEngine
) -> None:
    registry.add_npm(
        "@scope/tool",
        "2.0.0",
        description="A tool",
        license="MIT",
        homepage="https://tool.example/",
        repository={"type": "git", "url": "git+https://github.com/Acme/Tool.git", "directory": "packages/tool"},
        funding="https://fund.example/tool",
        dependencies={"debug": "^4.0.0", "alias": "npm:real@^1"},
        devDependencies={"jest": "*"},
        peerDependencies={"react": ">=18"},
    )
    execution = await refresh(resources, ledger, "npm:@scope/tool")
    assert (execution["state"], execution["attempts"], execution["records_processed"]) == ("completed", 0, 4)
    assert execution["outcome"] == {"code": "saved", "provider": "npm", "version": "2.0.0"}
    assert (execution["token"], execution["lease_until"]) == (None, None)
    assert registry.requests == ["/npm/@scope%2Ftool"] or registry.requests == ["/npm/@scope/tool"]

    (package,) = await ledger.rows(
        "SELECT p.*, r.host, r.path, a.login, o.login AS organization FROM packages p"
        " JOIN repositories r ON r.id = p.repository_id JOIN accounts a ON a.id = r.account_id"
        " JOIN organizations o ON o.id = p.organization_id WHERE p.purl = 'pkg:npm/%40scope/tool'"
    )
    shown = ("latest_version", "description", "homepage", "licences", "tracked", "provider", "missing")
    assert [package[key] for key in shown] == ["2.0.0", "A tool", "https://tool.example/", ["MIT"], True, "npm", None]
    assert (package["host"], package["path"], package["login"]) == ("github.com", "acme/tool", "acme")
    assert (package["organization"], package["repository_directory"]) == ("acme", "packages/tool")
    assert not package["repository_verified"]
    assert package["funding"] == [{"url": "https://fund.example/tool", "type": None}]

    rows = await ledger.rows(STATEMENTS)
    assert {(row["needs"], row["scope"], row["requirement"], row["field"], row["alias"]) for row in rows} == {
        ("pkg:npm/debug", 1, "^4.0.0", "dependencies", None),
        ("pkg:npm/real", 1, "^1", "dependencies", "alias"),
        ("pkg:npm/jest", 2, "*", "devDependencies", None),
        ("pkg:npm/react", 16, ">=18", "peerDependencies", None),
    }
    answer = await ledger.rows(
        "SELECT p.name, a.login, a.repositories, a.evidence::json->>'field' AS field,"
        " a.evidence::json->>'version' AS version"
        " FROM package_organizations a JOIN packages p ON p.id = a.package_id ORDER BY 1"
    )
    assert [tuple(row.values()) for row in answer] == [
        ("debug", "acme", 1, "dependencies", "2.0.0"),
        ("jest", "acme", 1, "devDependencies", "2.0.0"),
        ("react", "acme", 1, "peerDependencies", "2.0.0"),
        ("real", "acme", 1, "dependencies", "2.0.0"),
    ]
    (asked,) = await ledger.rows("SELECT * FROM provider_subjects")
    assert (asked["provider"], asked["capability"], asked["subject"]) == (
        "npm",
        "fetch_package",
        "pkg:npm/%40scope/tool",
    )
    assert asked["error"] is None
    assert asked["last_ok_at"] == asked["last_attempt_at"]
    async with engine.connect() as connection:
        assert await list_faults(connection) == []


async def test_what_a_python_package_says_is_saved(
    resources: Resources, registry: LocalRegistry, ledger: Ledger
) -> None:
    registry.add_pypi(
        "My_Tool",
        requires_dist=["Click>=8", "pytest; extra == 'test'", "tomli>=2; python_version < '3.11'"],
        project_urls={"Source": "https://gitlab.com/group/sub/tool"},
    )
    registry.answers["/pypi/pypi/my-tool/json"] = registry.answers.pop("/pypi/pypi/My_Tool/json")
    execution = await refresh(resources, ledger, "pypi:my.tool")
    assert execution["outcome"]["code"] == "saved", execution
    rows = {row["needs"]: row for row in await ledger.rows(STATEMENTS)}
    assert set(rows) == {"pkg:pypi/click", "pkg:pypi/pytest", "pkg:pypi/tomli"}
    assert {row["field"] for row in rows.values()} == {"requires_dist"}
    assert rows["pkg:pypi/click"]["requirement"] == ">=8"
    assert "python_version" in rows["pkg:pypi/tomli"]["marker"]
    assert await ledger.value("SELECT login FROM organizations") == "group/sub"


async def test_what_a_registry_does_not_have_is_missing(
    resources: Resources, registry: LocalRegistry, ledger: Ledger
) -> None:
    registry.add_npm("there", dependencies={"debug": "1"})
    await refresh(resources, ledger, "npm:there")
    del registry.answers["/npm/there"]
    execution = await refresh(resources, ledger, "npm:there")
    assert (execution["state"], execution["outcome"]["code"], execution["attempts"]) == ("completed", "not_found", 0)
    package = (await ledger.rows("SELECT * FROM packages WHERE name = 'there'"))[0]
    assert (package["missing"], package["latest_version"]) == (execution["outcome"]["message"], "1.0.0")
    assert "HTTP 404" in package["missing"]
    assert len(await ledger.rows(STATEMENTS)) == 1, "what was known stays"
    registry.add_npm("there", "1.0.1")
    await refresh(resources, ledger, "npm:there")
    assert await ledger.value("SELECT missing FROM packages WHERE name = 'there'") is None


@pytest.mark.parametrize("as_date", [False, True])
async def test_a_rate_limit_is_waited_out(
    resources: Resources, registry: LocalRegistry, ledger: Ledger, as_date: bool
) -> None:
    moment = (datetime.now(UTC) + timedelta(seconds=700)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    registry.answers["/npm/busy"] = (429, {"Retry-After": moment if as_date else "700"}, b"")
    registry.add_npm("other")
    execution = await refresh(resources, ledger, "npm:busy")
    assert (execution["state"], execution["attempts"]) == ("failed", 0)
    assert execution["outcome"]["code"] == "rate_limited"
    assert execution["due_in"] == pytest.approx(700, abs=10)
    await run_execution(resources, execution["id"])
    execution = await refresh(resources, ledger, "npm:other")
    assert execution["due_in"] == pytest.approx(700, abs=30), "the upstream is left alone for all packages"
    assert len(registry.requests) == 1


@pytest.mark.parametrize("answer", [500, 503, "refused", "hang up"])
async def test_an_outage_uses_no_attempt(
    resources: Resources, registry: LocalRegistry, ledger: Ledger, answer: object, settings: CoreSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if isinstance(answer, int):
        registry.answers["/npm/away"] = (answer, {}, b"<html>")
    elif answer == "refused":
        monkeypatch.setenv("WUMP_PROVIDER_NPM_BASE_URL", f"http://127.0.0.1:{closed_port()}")
    else:
        registry.answers["/npm/away"] = (200, {"Transfer-Encoding": "nonsense"}, b"x")
    before = None
    wanted = settings.model_copy(update={"providers": "npm,pypi"})
    async with open_resources(wanted, WorkerSettings()) as fresh:
        for _ in range(5):
            execution = await refresh(fresh, ledger, "npm:away")
            assert (execution["state"], execution["attempts"]) == ("failed", 0), execution["outcome"]
            assert execution["outcome"]["code"] == "unavailable"
            assert 2 < execution["due_in"] < 10
            before = before or await ledger.contents()
            await ledger.make_due()
            await ledger.run("UPDATE job_executions SET outage_since = now()")  # the wait grows with it
        assert await ledger.contents() == before
        await ledger.run("UPDATE job_executions SET outage_since = now() - interval '25 hours'")
        await run_execution(fresh, execution["id"])
        assert (await ledger.get(execution["id"]))["state"] == "dead", "given up after a day"
    (asked,) = await ledger.rows("SELECT * FROM provider_subjects")
    assert asked["last_ok_at"] is None
    assert asked["error"] == execution["outcome"]["message"]


NESTED = b'{"name":"junk","versions":' + b'{"a":' * 90_000 + b"1" + b"}" * 10_000
WRONG = {
    "no JSON": b"<html>hello</html>",
    "cut": b'{"name": "junk", "versions": {"1.0.0": {"name": "ju',
    "nested": NESTED,
    "oversized": b'{"name": "junk", "readme": "' + b"x" * 300_000 + b'"}',
    "a list": b"[]",
    "nothing": b"",
    "another package": b'{"name": "else\\u0000", "versions": {"1.0.0": {}}}',
    "no versions": b'{"name": "junk", "versions": {}}',
    "not UTF-8": b'{"name": "junk\xff"}',
}


@pytest.mark.parametrize("body", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("ecosystem", ["npm", "pypi"])
async def test_nonsense_is_tried_three_times_and_leaves_the_old_facts(
    resources: Resources, registry: LocalRegistry, ledger: Ledger, ecosystem: str, body: bytes
) -> None:
    registry.add_npm("junk", repository="acme/junk", dependencies={"debug": "1"})
    registry.add_pypi("junk", requires_dist=["click"])
    await refresh(resources, ledger, f"{ecosystem}:junk")
    before = await ledger.contents()
    path = "/npm/junk" if ecosystem == "npm" else "/pypi/pypi/junk/json"
    registry.answers[path] = (200, JSON, body)
    key = await ledger.plan(f"{ecosystem}:junk")
    for attempt, state in ((1, "failed"), (2, "failed"), (3, "dead")):
        await ledger.make_due()
        await run_execution(resources, key)
        execution = await ledger.get(key)
        assert (execution["state"], execution["attempts"]) == (state, attempt), execution["outcome"]
        assert execution["outcome"]["code"] == "invalid_response"
        assert len(execution["outcome"]["message"]) > 20
    assert await ledger.contents() == before
    (asked,) = await ledger.rows("SELECT * FROM provider_subjects")
    assert (asked["error"], asked["last_ok_at"] < asked["last_attempt_at"]) == (execution["outcome"]["message"], True)


async def test_one_bad_value_costs_itself_and_is_named(
    resources: Resources, registry: LocalRegistry, ledger: Ledger
) -> None:
    manifest: dict[str, Any] = {
        "description": "NUL \x00 here",
        "homepage": "half \ud800 a pair",
        "repository": {"url": ["https://github.com/acme/x"]},
        "dependencies": {"debug": "^4", "object": {"version": "1"}, "number": 5, "nul\x00": "1", "range": "1\x00"},
        "devDependencies": ["not", "a", "map"],
        "peerDependencies": {"react": "\ud800"},
    }
    registry.add_npm("odd", **manifest)
    execution = await refresh(resources, ledger, "npm:odd")
    assert execution["state"] == "completed", execution["outcome"]
    assert {row["needs"]: row["requirement"] for row in await ledger.rows(STATEMENTS)} == {
        "pkg:npm/debug": "^4",
        "pkg:npm/range": None,
        "pkg:npm/react": None,
    }
    package = (await ledger.rows("SELECT * FROM packages WHERE name = 'odd'"))[0]
    assert (package["description"], package["homepage"], package["repository_id"]) == (None, None, None)
    diagnosed = json.dumps(await ledger.value("SELECT diagnostics FROM sources"))
    for part in ("description", "homepage", "dependencies.object", "dependencies.number", "devDependencies", "react"):
        assert part in diagnosed


async def test_dependencies_are_followed_as_deep_as_was_asked(
    resources: Resources, registry: LocalRegistry, ledger: Ledger
) -> None:
    for name, needs in (("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")):
        registry.add_npm(name, dependencies={needs: "1"})
    for depth, expected in ((0, {"a"}), (1, {"a", "b"}), (2, {"a", "b", "c"})):
        await ledger.run("DELETE FROM job_executions")
        await ledger.plan("npm:a", depth)
        while keys := await ledger.rows("SELECT id FROM job_executions WHERE state = 'pending' ORDER BY id"):
            for row in keys:
                await run_execution(resources, row["id"])
        rows = await ledger.rows("SELECT subject, queue, arguments FROM job_executions")
        assert {row["subject"].removeprefix("pkg:npm/") for row in rows} == expected
        assert {row["queue"] for row in rows} == ({"high"} if depth == 0 else {"high", "low"})
    tracked = await ledger.rows("SELECT name FROM packages WHERE tracked")
    assert [row["name"] for row in tracked] == ["a"], "what is followed is not tracked"


async def test_a_request_during_a_run_runs_once_more_as_deep_as_it_asked(
    resources: Resources, registry: LocalRegistry, ledger: Ledger, engine: AsyncEngine
) -> None:
    registry.add_npm("a", dependencies={"b": "1"})
    key = await ledger.plan("npm:a")
    async with engine.begin() as connection:
        execution = await schedule.start(connection, key)
    assert execution is not None
    assert await ledger.plan("npm:a", depth=3) == key
    async with engine.begin() as connection:
        await schedule.finish(connection, execution, records_processed=0, outcome={})
    (again,) = await ledger.rows("SELECT * FROM job_executions WHERE state = 'pending'")
    assert (again["subject"], again["arguments"], again["queue"]) == ("pkg:npm/a", {"depth": 3}, "high")
    await run_execution(resources, again["id"])
    states = await ledger.rows("SELECT subject, state, arguments FROM job_executions ORDER BY id")
    assert [row["state"] for row in states] == ["completed", "completed", "pending"]
    assert (states[2]["subject"], states[2]["arguments"]) == ("pkg:npm/b", {"depth": 2})


async def test_a_request_before_a_retry_is_answered_by_that_retry(
    resources: Resources, registry: LocalRegistry, ledger: Ledger, engine: AsyncEngine
) -> None:
    key = await ledger.plan("npm:a")
    async with engine.begin() as connection:
        execution = await schedule.start(connection, key)
    assert execution is not None
    await ledger.plan("npm:a")
    assert (await ledger.get(key))["rerun_requested"]
    async with engine.begin() as connection:
        await schedule.fail(connection, execution, OSError())
    registry.add_npm("a")
    await ledger.make_due()
    await run_execution(resources, key)
    assert (await ledger.get(key))["state"] == "completed"
    assert await ledger.value("SELECT count(*) FROM job_executions WHERE subject = 'pkg:npm/a'") == 1


async def test_whoever_lost_the_run_writes_nothing(
    resources: Resources, registry: LocalRegistry, ledger: Ledger, engine: AsyncEngine
) -> None:
    registry.add_npm("a", "1.0.0", repository="acme/a", dependencies={"b": "1"})
    await refresh(resources, ledger, "npm:a")
    key = await ledger.plan("npm:a")
    before = await ledger.contents()
    registry.add_npm("a", "2.0.0", repository="acme/a")
    registry.answers = SlowAnswers(registry.answers, 1.0)
    running = asyncio.create_task(run_execution(resources, key))
    await asyncio.sleep(0.4)
    await ledger.run("UPDATE job_executions SET token = gen_random_uuid() WHERE id = :key", key=key)
    await running
    assert (await ledger.get(key))["state"] == "running", "it is still the other's"
    assert await ledger.contents() == before


async def test_one_execution_started_by_many_at_once_runs_once(
    resources: Resources, registry: LocalRegistry, ledger: Ledger
) -> None:
    registry.add_npm("a", dependencies={"b": "1"})
    key = await ledger.plan("npm:a")
    await asyncio.gather(*(run_execution(resources, key) for _ in range(8)))
    assert registry.requests == ["/npm/a"]
    assert (await ledger.get(key))["state"] == "completed"
    await run_execution(resources, key)
    assert registry.requests == ["/npm/a"]


async def test_a_database_that_is_cut_off_in_a_run_is_an_outage(
    resources: Resources, registry: LocalRegistry, ledger: Ledger
) -> None:
    registry.add_npm("a", dependencies={"b": "1"})
    registry.answers = SlowAnswers(registry.answers, 0.8)
    key = await ledger.plan("npm:a")
    running = asyncio.create_task(run_execution(resources, key))
    await asyncio.sleep(0.4)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'wump-worker'"
    await ledger.run(cut + " AND datname = current_database()")
    await running
    execution = await ledger.get(key)
    assert (execution["state"], execution["attempts"]) in {("failed", 0), ("running", 0), ("completed", 0)}
    if execution["state"] == "failed":
        assert execution["outcome"]["message"].startswith("the database was away")


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
