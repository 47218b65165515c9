"""Schedules on a real database: each moment gets one run, whoever asks and however often."""

import asyncio
import contextlib
import types
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine
from worker.conftest import Ledger
from wump_core import cron, schedule
from wump_core.errors import ConfigurationError
from wump_core.store import schedules
from wump_worker import scheduler
from wump_worker.jobs import Job
from wump_worker.scheduler import save_schedules


async def do_nothing(*_: object) -> None:
    """A job."""


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Job]:
    """The jobs that the scheduler knows: two with a time of their own, one of which can't be read."""
    jobs = {
        "hourly": Job(do_nothing, "Do nothing.", cron="0 * * * *", queue="normal"),
        "odd": Job(do_nothing, "Do nothing.", cron="0 25 * * *"),
        "planned": Job(do_nothing, "Do nothing."),
    }
    monkeypatch.setattr(scheduler, "JOBS", types.MappingProxyType(jobs))
    return jobs


async def fire(engine: AsyncEngine) -> list[str]:
    async with engine.begin() as connection:
        return await schedule.fire_schedules(connection)


async def see(ledger: Ledger, name: str = "hourly") -> dict[str, Any]:
    (row,) = await ledger.rows("SELECT *, now() AS now FROM schedules WHERE name = :name", name=name)
    return row


async def list_runs(ledger: Ledger) -> list[dict[str, Any]]:
    return await ledger.rows("SELECT * FROM job_executions ORDER BY id")


async def test_a_moment_gets_one_run_and_downtime_is_caught_up_with_once(
    engine: AsyncEngine, ledger: Ledger, jobs: dict[str, Job]
) -> None:
    await save_schedules(engine)
    assert await fire(engine) == [], "it has only been made"
    row = await see(ledger)
    assert row["next_at"] == row["now"].replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    # Down for three hours: of the moments that passed, the last counts.
    await ledger.run("UPDATE schedules SET next_at = next_at - interval '3 hours' WHERE name = 'hourly'")
    assert await fire(engine) == ["hourly"]
    (run,) = await list_runs(ledger)
    assert (run["job"], run["subject"], run["queue"], run["state"]) == ("hourly", "all", "normal", "pending")
    assert run["fire_at"] == row["next_at"] - timedelta(hours=1)
    assert run["metadata"] == {"skipped": 2}
    after = await see(ledger)
    assert (after["next_at"], after["skipped"], after["last_fire_at"]) == (row["next_at"], 2, run["fire_at"])
    assert await fire(engine) == []
    # Whatever sets it back, a moment that had its run gets no other.
    await ledger.run("UPDATE job_executions SET state = 'completed', finished_at = now()")
    await ledger.run("UPDATE schedules SET next_at = last_fire_at WHERE name = 'hourly'")
    assert await fire(engine) == []
    assert len(await list_runs(ledger)) == 1


async def test_a_run_that_is_still_open_is_joined(engine: AsyncEngine, ledger: Ledger, jobs: dict[str, Job]) -> None:
    await save_schedules(engine)
    await fire(engine)
    await ledger.run("UPDATE schedules SET next_at = now() - interval '1 hour' WHERE name = 'hourly'")
    await fire(engine)
    await ledger.run("UPDATE job_executions SET state = 'running', fire_at = fire_at - interval '1 hour'")
    await ledger.run("UPDATE schedules SET next_at = now() - interval '1 minute' WHERE name = 'hourly'")
    await fire(engine)
    (run,) = await list_runs(ledger)
    assert run["rerun_requested"]


async def test_a_bad_expression_is_said_on_its_row_and_the_others_go_on(
    engine: AsyncEngine, ledger: Ledger, jobs: dict[str, Job]
) -> None:
    await save_schedules(engine)
    await fire(engine)
    row = await see(ledger, "odd")
    assert row["next_at"] is None
    assert "'0 25 * * *' can't be read: Bad hour" in row["error"]
    await ledger.run("UPDATE schedules SET next_at = now() - interval '1 minute'")
    assert await fire(engine) == ["hourly"]
    # Set right by an operator, it is due again, and stays as set when a scheduler starts with other ideas.
    async with engine.begin() as connection:
        assert await schedules.set_schedule_cron(connection, "odd", "30 1 * * *")
    await fire(engine)
    await save_schedules(engine)
    row = await see(ledger, "odd")
    assert (row["error"], row["cron"], row["next_at"].strftime("%H:%M")) == (None, "30 1 * * *", "01:30")
    jobs["hourly"] = jobs["odd"] = Job(do_nothing, "Do nothing.", cron="15 * * * *")
    await save_schedules(engine)
    row = await see(ledger)
    assert (row["cron"], row["next_at"]) == ("15 * * * *", None)
    row = await see(ledger, "odd")
    assert (row["cron"], row["own_cron"], row["next_at"].strftime("%H:%M")) == ("30 1 * * *", "15 * * * *", "01:30")


async def test_what_passes_while_it_is_paused_is_not_made_up_for(
    engine: AsyncEngine, ledger: Ledger, jobs: dict[str, Job]
) -> None:
    await save_schedules(engine)
    await fire(engine)
    await ledger.run("UPDATE schedules SET next_at = now() - interval '5 hours'")

    async def pause(paused: bool) -> None:
        async with engine.begin() as connection:
            assert await schedules.set_schedule_paused(connection, "hourly", paused)

    await pause(True)
    assert await fire(engine) == []
    await pause(False)
    assert await fire(engine) == []
    row = await see(ledger)
    assert row["next_at"] > row["now"]
    assert await list_runs(ledger) == []


async def test_many_schedulers_fire_once(engine: AsyncEngine, ledger: Ledger, jobs: dict[str, Job]) -> None:
    jobs["odd"] = Job(do_nothing, "Do nothing.", cron="* * * * *")
    await asyncio.gather(*(save_schedules(engine) for _ in range(4)))
    await fire(engine)
    for hours in range(1, 6):
        back = f"next_at - interval '{hours} hours'"
        await ledger.run(f"UPDATE job_executions SET state = 'completed', fire_at = fire_at - {hours} * interval '9 h'")
        await ledger.run(f"UPDATE schedules SET next_at = {back}")
        await asyncio.gather(*(fire(engine) for _ in range(6)))
    assert await ledger.value("SELECT count(*) FROM job_executions") == 2 * 5


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))
EXPRESSIONS = st.sampled_from(["0 2 * * *", "*/7 * * * *", "0 3 1 * *", "0 4 * * 0", "59 23 31 12 *", "0 0 29 2 *"])


@given(EXPRESSIONS, MOMENTS)
def test_the_last_moment_and_the_next_enclose_any(expression: str, moment: datetime) -> None:
    last, following = cron.last_fire(expression, moment), cron.next_fire(expression, moment)
    assert last <= moment < following
    assert cron.next_fire(expression, last) == following
    assert cron.last_fire(expression, following) == following
    assert cron.count_fires(expression, last, following) == 1


@given(st.one_of(st.text(max_size=120), st.lists(st.text("0123456789*/,-L#SUN", min_size=1), max_size=7).map(" ".join)))
def test_an_expression_can_be_read_or_is_refused(expression: str) -> None:
    with contextlib.suppress(ConfigurationError):
        cron.check_cron(expression)
