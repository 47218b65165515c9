"""The scheduler on real servers: each due row is sent once, and nothing that is lost stays lost."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from dramatiq.brokers.redis import RedisBroker
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from worker.conftest import Ledger
from wump_core import schedule
from wump_core.errors import LeaseLost, ServerUnavailable
from wump_core.settings import CoreSettings
from wump_core.store import runs
from wump_core.store.executions import QUEUES, DueExecution
from wump_worker import scheduler
from wump_worker.broker import FIRST, make_broker, send
from wump_worker.main import FETCH_PAUSE_MILLISECONDS
from wump_worker.scheduler import run_scheduler, tick
from wump_worker.watchdog import STALL_SECONDS

DOCS = Path(__file__).parents[2] / "docs/jobs.md"


@pytest.fixture
def broker(settings: CoreSettings) -> Iterator[RedisBroker]:
    assert settings.valkey_url is not None
    broker = make_broker(settings.valkey_url)
    yield broker
    broker.close()
    broker.client.close()


def messages(broker: RedisBroker) -> Counter[int]:
    """How often each execution lies in Valkey."""
    found: Counter[int] = Counter()
    for queue in (*QUEUES, FIRST):
        found.update(json.loads(body)["args"][0] for body in broker.client.hvals(f"wump:{queue}.msgs"))
    return found


async def plan_many(ledger: Ledger, count: int) -> None:
    await ledger.run(
        "INSERT INTO job_executions (job, subject, queue) SELECT 'refresh_package', 'pkg:npm/p' || n,"
        " (ARRAY['low', 'normal', 'high'])[1 + n % 3] FROM generate_series(1, :count) n",
        count=count,
    )


async def test_several_schedulers_send_each_row_once_and_no_more_than_workers_take(
    engine: AsyncEngine, broker: RedisBroker, ledger: Ledger
) -> None:
    await plan_many(ledger, 3 * schedule.MAX_UNSTARTED)
    stopping = asyncio.Event()
    running = [asyncio.create_task(run_scheduler(engine, broker, stopping)) for _ in range(3)]
    await asyncio.sleep(2)
    stopping.set()
    await asyncio.wait_for(asyncio.gather(*running), 5)
    sent = messages(broker)
    assert set(sent.values()) == {1}
    assert len(sent) == schedule.MAX_UNSTARTED
    rows = await ledger.rows("SELECT queue, count(*) FROM job_executions WHERE sent_at IS NOT NULL GROUP BY 1")
    assert [tuple(row.values()) for row in rows] == [("high", schedule.MAX_UNSTARTED)], "the urgent ones first"
    alive = broker.client.ttl(schedule.ALIVE_KEY.format(service="scheduler"))
    assert 0 < alive <= schedule.ALIVE_SECONDS


async def test_two_claims_at_once_stay_within_the_bound(engine: AsyncEngine, ledger: Ledger) -> None:
    await plan_many(ledger, 3 * schedule.MAX_UNSTARTED)

    async def claim() -> int:
        async with engine.begin() as connection:
            return len(await schedule.claim_due(connection))

    for _ in range(5):
        await asyncio.gather(*(claim() for _ in range(6)))
    assert await ledger.value("SELECT count(*) FROM job_executions WHERE sent_at IS NOT NULL") == schedule.MAX_UNSTARTED


async def test_what_a_flushed_valkey_lost_is_sent_again(
    engine: AsyncEngine, broker: RedisBroker, ledger: Ledger
) -> None:
    assert schedule.RESEND_AFTER_SECONDS <= 10
    await plan_many(ledger, 5)
    assert await tick(engine, broker) == 5
    broker.client.flushall()
    assert await tick(engine, broker) == 0, "it may still be on its way"
    await ledger.run("UPDATE job_executions SET sent_at = sent_at - make_interval(secs => 10)")
    assert await tick(engine, broker) == 5
    assert set(messages(broker).values()) == {1}


async def test_with_no_worker_the_queue_does_not_fill_valkey(
    engine: AsyncEngine, broker: RedisBroker, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "MAX_MESSAGES", 100)
    await plan_many(ledger, 60)
    for _ in range(10):
        await tick(engine, broker)
        await ledger.run("UPDATE job_executions SET sent_at = sent_at - make_interval(secs => 10)")
    assert sum(messages(broker).values()) == 120


async def test_the_run_of_a_dead_worker_is_sent_before_all_that_waits(
    engine: AsyncEngine, broker: RedisBroker, ledger: Ledger
) -> None:
    key = await ledger.plan("npm:a")
    async with engine.begin() as connection:
        assert await schedule.start(connection, key) is not None
    await plan_many(ledger, schedule.MAX_UNSTARTED + 1)
    assert await tick(engine, broker) == schedule.MAX_UNSTARTED
    await ledger.run("UPDATE job_executions SET lease_until = now() WHERE state = 'running'")
    assert await tick(engine, broker) == 1, "although no more may wait"
    (message,) = broker.client.hvals(f"wump:{FIRST}.msgs")
    assert json.loads(message)["args"] == [key]
    # Whoever took the message may have died with it.
    await ledger.run(
        "UPDATE job_executions SET sent_at = sent_at - make_interval(secs => :seconds) WHERE id = :key",
        seconds=schedule.RESEND_LOST_AFTER_SECONDS,
        key=key,
    )
    assert await tick(engine, broker) == 1
    assert broker.client.hlen(f"wump:{FIRST}.msgs") == 2


def test_the_settings_bring_the_work_of_a_dead_worker_back_in_time() -> None:
    """As docs/jobs.md has it; what is left of the 15 seconds is for processes that have little time."""
    missed = schedule.RENEW_LEASE_EVERY_SECONDS + schedule.LATE_RENEWAL_SECONDS
    on_the_way = scheduler.TICK_SECONDS + FETCH_PAUSE_MILLISECONDS / 1000
    sums = [seen + on_the_way for seen in (missed, schedule.LEASE_SECONDS)]
    assert f"| **sum** | **{sums[0]:g} s** | **{sums[1]:g} s** |" in DOCS.read_text()
    assert max(sums) <= 13
    again = missed + schedule.RESEND_LOST_AFTER_SECONDS + on_the_way
    assert again <= 13, "the worker that took the message died as well, before it began"
    # A worker that is alive keeps its runs: while a plugin blocks it, and after a renewal that failed.
    assert schedule.LEASE_SECONDS > schedule.RENEW_LEASE_EVERY_SECONDS + STALL_SECONDS
    assert schedule.LEASE_SECONDS > 3 * schedule.RENEW_LEASE_EVERY_SECONDS


async def test_a_worker_without_a_session_is_dead_once_it_misses_a_renewal(engine: AsyncEngine, ledger: Ledger) -> None:
    """One with a session may be late until its lease ends, and one that renews in time needs none."""
    sessions = {"alive": 1, "dead": 2, "renewed": 2, "older": None}
    keys = {name: await ledger.plan(f"npm:{name}") for name in sessions}
    missed = schedule.RENEW_LEASE_EVERY_SECONDS + schedule.LATE_RENEWAL_SECONDS
    async with engine.connect() as held:
        await runs.hold_session(held, 1)
        async with engine.begin() as connection:
            for name, key in keys.items():
                assert await schedule.start(connection, key, session=sessions[name]) is not None
        await ledger.run(
            "UPDATE job_executions SET lease_until = lease_until - make_interval(secs => :missed) WHERE id <> :renewed",
            missed=missed,
            renewed=keys["renewed"],
        )
        async with engine.begin() as connection:
            assert [(due.id, due.first) for due in await schedule.claim_due(connection)] == [(keys["dead"], True)]
        await held.execute(text("SELECT pg_advisory_unlock_all()"))
        async with engine.begin() as connection:
            assert [due.id for due in await schedule.claim_due(connection)] == [keys["alive"]]


async def test_the_run_of_a_dead_worker_is_due_again_and_no_longer_its_own(
    engine: AsyncEngine, broker: RedisBroker, ledger: Ledger
) -> None:
    key = await ledger.plan("npm:a")
    async with engine.begin() as connection:
        execution = await schedule.start(connection, key)
    assert execution is not None
    assert await tick(engine, broker) == 0, "its lease still holds"
    await ledger.run("UPDATE job_executions SET lease_until = now() - interval '1 second'")
    assert await tick(engine, broker) == 1
    row = await ledger.get(key)
    assert (row["state"], row["lost_leases"], row["attempts"]) == ("pending", 1, 0)
    async with engine.begin() as connection:
        assert not await schedule.renew(connection, execution)
        with pytest.raises(LeaseLost):
            await schedule.finish(connection, execution, records_processed=1, outcome={})
        with pytest.raises(LeaseLost):
            await schedule.fail(connection, execution, ValueError("late"))
    assert (await ledger.get(key))["state"] == "pending"


async def test_a_run_that_loses_worker_after_worker_waits_longer_and_is_never_given_up(
    engine: AsyncEngine, broker: RedisBroker, ledger: Ledger
) -> None:
    key = await ledger.plan("npm:poison")
    waits = []
    for lost in range(1, 24):
        await ledger.make_due()
        async with engine.begin() as connection:
            execution = await schedule.start(connection, key)
        assert execution is not None
        assert (execution.lost_leases, execution.attempts) == (lost - 1, 0)
        await ledger.run("UPDATE job_executions SET lease_until = now() - interval '1 second'")
        await tick(engine, broker)
        row = await ledger.get(key)
        assert (row["lost_leases"], row["state"], row["outcome"]["code"]) == (lost, "pending", "lease_lost")
        waits.append(max(0, round(row["due_in"])))
    assert waits[: schedule.AT_ONCE_LOST_LEASES] == [0] * schedule.AT_ONCE_LOST_LEASES
    assert waits[schedule.AT_ONCE_LOST_LEASES :][:4] == [5, 10, 20, 40]
    assert waits[-1] == schedule.MAX_LOST_LEASE_DELAY_SECONDS


async def test_outages_of_either_server_are_waited_out(
    engine: AsyncEngine, ledger: Ledger, broker: RedisBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "OUTAGE_PAUSE_SECONDS", 0.2)
    away = make_broker(SecretStr("valkey://127.0.0.1:1/0"))
    await plan_many(ledger, 3)
    with pytest.raises(ServerUnavailable, match="see WUMP_VALKEY_URL"):
        await tick(engine, away)
    with pytest.raises(ServerUnavailable, match="see WUMP_VALKEY_URL"):
        await asyncio.to_thread(send, away, [DueExecution(1, "low")])
    stopping = asyncio.Event()
    running = asyncio.create_task(run_scheduler(engine, broker, stopping))
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    # Not one of the engine's connections, which are cut.
    connection = await asyncpg.connect(engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
    for _ in range(5):
        await asyncio.sleep(0.3)
        await connection.execute(cut + " AND datname = current_database()")
    await connection.close()
    await asyncio.sleep(1)
    assert not running.done()
    stopping.set()
    await asyncio.wait_for(running, 30)
    assert set(messages(broker).values()) == {1}
