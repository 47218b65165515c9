"""What becomes of a run: tried again, given back, given up, paused, or run alone; each on the real tables."""

import asyncio
import os
import types
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from local_registry import LocalRegistry
from sqlalchemy.ext.asyncio import AsyncEngine
from worker.conftest import Ledger, SlowAnswers
from wump_core import schedule
from wump_core.errors import CredentialsRejected, RateLimited, ServerUnavailable, Unavailable
from wump_core.settings import CoreSettings
from wump_core.store import executions, operations, pauses
from wump_core.store.executions import Execution
from wump_worker import actors
from wump_worker.actors import run_execution
from wump_worker.alone import run_alone
from wump_worker.jobs import Arguments, Job
from wump_worker.resources import Resources, open_resources
from wump_worker.settings import WorkerSettings


class Depth(Arguments):
    depth: int = 3


@pytest.fixture
async def resources(settings: CoreSettings, registry: LocalRegistry) -> AsyncIterator[Resources]:
    """What jobs are given, with one provider: that loads faster than all."""
    async with open_resources(settings.model_copy(update={"providers": "npm"}), WorkerSettings()) as opened:
        yield opened


Run = Callable[[Resources, Execution], Awaitable[None]]


async def finish(resources: Resources, execution: Execution) -> None:
    async with resources.engine.begin() as connection:
        outcome = {"code": "saved", "arguments": dict(execution.arguments)}
        await schedule.finish(connection, execution, records_processed=1, outcome=outcome)


@pytest.fixture
def run_job(
    resources: Resources, engine: AsyncEngine, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Awaitable[dict[str, Any]]]:
    """Run a job of a function of one's own once; returns its row."""

    async def run_job(
        run: Run, *, key: int | None = None, version: int = 1, deadline_seconds: float | None = None, **arguments: Any
    ) -> dict[str, Any]:
        jobs = {"own": Job(run, "Do something.", arguments=Depth, version=2, deadline_seconds=deadline_seconds)}
        monkeypatch.setattr(actors, "JOBS", types.MappingProxyType(jobs))
        if key is None:
            async with engine.begin() as connection:
                public_id = await executions.add_execution(
                    connection, "own", "x", queue="low", arguments=arguments, version=version
                )
            key = await ledger.value("SELECT id FROM job_executions WHERE public_id = :id", id=public_id)
        await ledger.make_due()
        await run_execution(resources, key)
        return await ledger.get(key)

    return run_job


def failing(error: Exception) -> Run:
    async def fail(*_: object) -> None:
        raise error

    return fail


async def test_arguments_are_checked_and_filled_in(run_job: Any) -> None:
    row = await run_job(finish, version=2)
    assert (row["state"], row["outcome"]["arguments"]) == ("completed", {"depth": 3})
    assert row["metadata"]["worker"].endswith(f":{os.getpid()}")


UNUSABLE = [
    (1, {}, "dead", "the arguments are of version 1, and own takes 2 by now: discard this run and plan it again"),
    (3, {}, "failed", "the arguments are of version 3, and this worker knows 2 of own: update it"),
    (2, {"deep": 1}, "dead", "own can't take its arguments: deep: Extra inputs"),
    (2, {"depth": "x"}, "dead", "own can't take its arguments: depth: Input should be a valid integer"),
]


async def test_a_row_that_no_job_can_take_says_so(run_job: Any) -> None:
    for version, arguments, state, message in UNUSABLE:
        row = await run_job(finish, version=version, **arguments)
        assert row["state"] == state
        assert message in row["outcome"]["message"]


async def test_a_job_that_nobody_knows_says_so_and_is_given_up_after_three_tries(run_job: Any, ledger: Ledger) -> None:
    row = await run_job(finish, version=2)
    await ledger.run("INSERT INTO job_executions (job, subject, queue) VALUES ('fly', 'x', 'low')")
    key = await ledger.value("SELECT id FROM job_executions WHERE job = 'fly'")
    for attempts, state in ((1, "failed"), (2, "failed"), (3, "dead")):
        row = await run_job(finish, key=key)
        assert (row["attempts"], row["state"], row["outcome"]["code"]) == (attempts, state, "unknown_job")
        assert "knows no job 'fly'; it knows own" in row["outcome"]["message"]


async def test_a_run_that_takes_too_long_uses_an_attempt(run_job: Any) -> None:
    async def hang(*_: object) -> None:
        await asyncio.sleep(60)

    for attempts, state in ((1, "failed"), (2, "failed"), (3, "dead")):
        row = await run_job(hang, version=2, deadline_seconds=0.05)
        assert (row["attempts"], row["state"], row["outcome"]["code"]) == (attempts, state, "too_long")
    assert row["outcome"]["message"] == "the job did not end within 0.05 s"


async def test_a_fault_of_the_job_is_tried_three_times_with_longer_waits(run_job: Any) -> None:
    row = await run_job(failing(ValueError("geheim")), version=2)
    assert (row["state"], row["attempts"]) == ("failed", 1)
    assert 14 < row["due_in"] < 20
    row = await run_job(failing(ValueError("geheim")), key=row["id"])
    assert 29 < row["due_in"] < 40
    row = await run_job(failing(ValueError("geheim")), key=row["id"])
    assert (row["state"], row["attempts"], row["finished_at"] is None) == ("dead", 3, False)
    assert row["outcome"] == {"code": "job_failed", "message": "ValueError: see the worker's log"}


OUTAGES = [OSError(), TimeoutError(), Unavailable("x"), CredentialsRejected("x"), RateLimited("x")]


async def test_an_outage_uses_no_attempt_until_it_has_lasted_for_too_long(run_job: Any, ledger: Ledger) -> None:
    for error in OUTAGES:
        row = await run_job(failing(error), version=2)
        assert (row["state"], row["attempts"], row["outage_since"] is None) == ("failed", 0, False)
        # What is old has not been away for long.
        await ledger.run("UPDATE job_executions SET created_at = now() - interval '30 days'")
        assert (await run_job(failing(error), key=row["id"]))["state"] == "failed"
        limit = f"interval '{7 if isinstance(error, RateLimited) else 1} days'"
        await ledger.run(f"UPDATE job_executions SET outage_since = now() - {limit} + interval '1 minute'")
        assert (await run_job(failing(error), key=row["id"]))["state"] == "failed"
        await ledger.run("UPDATE job_executions SET outage_since = outage_since - interval '2 minutes'")
        row = await run_job(failing(error), key=row["id"])
        assert (row["state"], row["attempts"]) == ("dead", 0), error


async def test_it_is_due_when_the_upstream_says(run_job: Any) -> None:
    retry_at = datetime.now(UTC) + timedelta(hours=2)
    row = await run_job(failing(RateLimited("x", retry_at)), version=2)
    assert abs(row["due_in"] - 7200) < 5


async def test_a_dead_run_is_requeued_as_the_same_row_or_discarded(
    run_job: Any, engine: AsyncEngine, ledger: Ledger
) -> None:
    row = await run_job(finish, version=1)
    assert row["state"] == "dead"
    async with engine.begin() as connection:
        ids = await operations.list_dead_ids(connection)
        assert ids == [row["public_id"]]
        assert await operations.retry_executions(connection, ids) == ids
        assert await operations.retry_executions(connection, ids) == [], "it is pending by now"
    after = await ledger.get(row["id"])
    assert (after["state"], after["attempts"], after["finished_at"], after["due_in"] <= 0) == ("pending", 0, None, True)
    row = await run_job(finish, key=row["id"])
    # A newer run of the same is open: that one does the work, and the dead one stays dead.
    async with engine.begin() as connection:
        newer = await executions.add_execution(connection, "own", "x", queue="low", version=2)
        assert await operations.retry_executions(connection, ids) == []
        found = await operations.list_executions(connection, states=["dead", "pending"], job="own", limit=9)
        assert [item["id"] for item in found] == [newer, *ids]
        assert [item["id"] for item in await operations.list_executions(connection, before=newer)] == ids
        assert await operations.discard_executions(connection, ids) == [{"id": ids[0], "job": "own", "subject": "x"}]
        assert await operations.get_execution_details(connection, ids[0]) is None


async def test_a_paused_job_waits(run_job: Any, engine: AsyncEngine, ledger: Ledger, resources: Resources) -> None:
    async with engine.begin() as connection:
        assert await pauses.add_pause(connection, "job", "own", reason="wait")
        assert not await pauses.add_pause(connection, "job", "own")
        await executions.add_execution(connection, "own", "x", queue="low", version=2)
        assert await schedule.claim_due(connection) == []
    row = await run_job(finish, version=2)
    assert (row["state"], row["started_at"]) == ("pending", None), "a message that was under way finds it paused, too"
    async with engine.begin() as connection:
        assert await pauses.remove_pause(connection, "job", "own")
        assert not await pauses.remove_pause(connection, "job", "own")
        assert len(await schedule.claim_due(connection)) == 1


async def test_what_needs_a_paused_provider_waits_without_using_attempts(
    resources: Resources, engine: AsyncEngine, ledger: Ledger, registry: LocalRegistry
) -> None:
    registry.add_npm("debug")
    key = await ledger.plan("npm:debug")
    async with engine.begin() as connection:
        await pauses.add_pause(connection, "provider", "npm")
    await run_execution(resources, key)
    row = await ledger.get(key)
    assert (row["state"], row["attempts"], row["outage_since"]) == ("pending", 0, None)
    assert row["outcome"]["message"] == "npm is paused: `wump jobs resume --provider npm` goes on"
    assert row["due_in"] > 500
    assert registry.requests == []
    async with engine.begin() as connection:
        await pauses.remove_pause(connection, "provider", "npm")
    await run_execution(resources, key)
    assert (await ledger.get(key))["state"] == "completed"


# A job that lost its workers.


async def test_an_innocent_job_that_lost_workers_is_done_alone(
    resources: Resources, ledger: Ledger, registry: LocalRegistry
) -> None:
    registry.add_npm("debug")
    key = await ledger.plan("npm:debug")
    await ledger.run("UPDATE job_executions SET lost_leases = 2")
    own = len(registry.requests)
    await run_execution(resources, key)
    row = await ledger.get(key)
    assert (row["state"], row["attempts"], row["outcome"]["code"]) == ("completed", 0, "saved")
    assert "/npm/debug" in registry.requests[own:]


async def test_a_job_that_runs_alone_is_not_to_blame_for_a_database_that_is_away(
    resources: Resources, engine: AsyncEngine, ledger: Ledger
) -> None:
    key = await ledger.plan("npm:debug")
    async with engine.begin() as connection:
        execution = await schedule.start(connection, key)
    assert execution is not None
    away = {**resources.environment, "WUMP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"}
    with pytest.raises(ServerUnavailable):
        await run_alone(away, execution, deadline_seconds=20)


# A worker that must stop.


async def test_a_run_that_is_cancelled_is_given_back_at_once(
    resources: Resources, ledger: Ledger, registry: LocalRegistry
) -> None:
    registry.add_npm("slow")
    registry.answers = SlowAnswers(registry.answers, 0.5)
    key = await ledger.plan("npm:slow")
    task = asyncio.create_task(run_execution(resources, key))
    while not registry.requests:  # noqa: ASYNC110 - it is written by another thread
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    row = await ledger.get(key)
    assert (row["state"], row["lost_leases"], row["attempts"], row["token"]) == ("pending", 0, 0, None)
    assert row["due_in"] <= 0
