"""Workers killed at random moments, a Valkey that forgets and a Postgres that stops: the rows are those of an
undisturbed run, and nobody was asked more than they allow.

The processes have the product's own times. The gate runs a short version. The whole of it, 2,000 packages and 500
repositories, takes a quarter of an hour:

    WUMP_TEST_KILL_PACKAGES=2000 uv run pytest tests/faults/test_kill_workers.py -s -o timeout=3600

The seed is printed; WUMP_TEST_KILL_SEED repeats a run's packages and kills, though not its timing.
"""

import asyncio
import os
import random
import secrets
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median

import asyncpg
import pytest
from e2e.processes import Process, environment_of, run_wump, running
from faults.conftest import MakeDatabase
from faults.stage import Onlooker, OwnServers
from faults.upstream import FailingAnswers, fill, limit_settings
from local_registry import LocalRegistry, serve_registry
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.purl import parse_purl
from wump_core.schedule import AT_ONCE_LOST_LEASES, plan_repository, plan_tracked_package
from wump_core.settings import CoreSettings
from wump_core.store import make_engine
from wump_core.store.audit import list_faults
from wump_core.store.dependents import fold_deltas
from wump_core.store.executions import OPEN
from wump_core.telemetry import configure_logging
from wump_worker.actors import run_execution
from wump_worker.resources import open_resources
from wump_worker.settings import WorkerSettings

PACKAGES = int(os.environ.get("WUMP_TEST_KILL_PACKAGES", "48"))
SEED = int(os.environ.get("WUMP_TEST_KILL_SEED", "0")) or secrets.randbelow(10**6) + 1
REPOSITORIES = PACKAGES // 4
RUNS = PACKAGES + REPOSITORIES
WORKERS = 3 if PACKAGES > 100 else 2
THREADS = 4
KILLS = max(3, PACKAGES // 20)
FLUSHES = 2 if PACKAGES > 100 else 1
KILLS_END = 0.9 if PACKAGES > 100 else 0.5
"""The share of the work after which nobody is killed any more: what the last one held takes a lease's time."""
BACK_SECONDS = 15
"""So soon after a kill all of the killed work is running again, while both servers answer."""
OUTAGE_SECONDS = 10
"""So long after a fault of a server, a kill counts as one that met it: the scheduler is started again, messages are
sent again."""
ANSWER_SECONDS = 0.02 if PACKAGES > 500 else 0.06

# Everything that is a fact or follows from facts, by natural keys: keys and times depend on the order of jobs.
FACTS = {
    "packages": "SELECT p.purl, p.tracked, p.provider, p.latest_version, p.description, p.licences, p.missing,"
    " p.dependencies_unknown, p.repository_directory, r.host, r.path, o.login FROM packages p"
    " LEFT JOIN repositories r ON r.id = p.repository_id LEFT JOIN organizations o ON o.id = p.organization_id",
    "repositories": "SELECT r.host, r.path, r.host_id, r.current_path, r.stars, r.fork, r.archived, r.template,"
    " r.revision, r.files_incomplete, r.missing, a.login FROM repositories r"
    " LEFT JOIN accounts a ON a.id = r.account_id",
    "accounts": "SELECT a.host, a.login, o.login FROM accounts a JOIN organizations o ON o.id = a.organization_id",
    "sources": "SELECT so.kind, so.provider, x.purl, r.host, r.path, so.path, so.revision, so.url, so.project, so.mark,"
    " so.content, so.refuted, so.error, so.diagnostics FROM sources so"
    " LEFT JOIN packages x ON x.id = so.package_id LEFT JOIN repositories r ON r.id = so.repository_id",
    "statements": "SELECT x.purl, r.path, p.purl, s.scope, s.optional, s.direct, s.requirement, s.alias, s.groups,"
    " s.marker, s.field, s.line, s.fingerprint, s.removed_at FROM statements s"
    " JOIN sources so ON so.id = s.source_id LEFT JOIN packages x ON x.id = so.package_id"
    " LEFT JOIN repositories r ON r.id = so.repository_id JOIN packages p ON p.id = s.package_id",
    "dependencies": "SELECT p.purl, r.host, r.path, o.login, d.scopes, d.direct, d.claimed, d.exclusion, d.providers,"
    " s.fingerprint, x.purl FROM dependencies d JOIN packages p ON p.id = d.package_id"
    " JOIN repositories r ON r.id = d.repository_id LEFT JOIN organizations o ON o.id = d.organization_id"
    " LEFT JOIN (statements s JOIN sources so ON so.id = s.source_id LEFT JOIN packages x ON x.id = so.package_id)"
    " ON s.id = d.statement_id",
    "package_organizations": "SELECT p.purl, (to_jsonb(a) - '{package_id,organization_id,organization_public_id,"
    "first_seen_at}'::text[])::text FROM package_organizations a JOIN packages p ON p.id = a.package_id",
    "package_totals": "SELECT p.purl, t.organizations, t.repositories, t.own_organization, t.no_owner"
    " FROM package_totals t JOIN packages p ON p.id = t.package_id",
    "provider_subjects": "SELECT provider, capability, subject, error FROM provider_subjects",
}


async def plan(engine: AsyncEngine, names: list[str], urls: list[str], rng: random.Random) -> None:
    """Make everything due, in any order."""
    async with engine.begin() as connection:
        for name in rng.sample([*names, *urls], RUNS):
            if name in set(urls):
                await plan_repository(connection, name, queue="high")
            else:
                await plan_tracked_package(connection, parse_purl(f"npm:{name}"), depth=0)


def point_at(registry: LocalRegistry) -> dict[str, str]:
    """Settings that let the providers ask this one."""
    github = {"WUMP_PROVIDERS": "npm,github", "WUMP_PROVIDER_GITHUB_BASE_URL": f"{registry.address}/gh"}
    return registry.environment | github


async def read_facts(engine: AsyncEngine, address: str) -> dict[str, list[str]]:
    """All facts, sorted, without the address of the upstream that they are from; deltas are folded first."""
    unfolded = text("SELECT count(*) FROM package_deltas")
    left = 1
    while left:
        async with engine.begin() as connection:
            await fold_deltas(connection)
            left = (await connection.execute(unfolded)).scalar_one()
    async with engine.connect() as connection:
        assert await list_faults(connection) == []
    async with engine.connect() as connection:
        facts = {}
        for table, statement in FACTS.items():
            facts[table] = sorted(
                str(tuple(row)).replace(address, "") for row in await connection.execute(text(statement))
            )
        return facts


async def run_undisturbed(
    settings: CoreSettings, names: list[str], urls: list[str], address: str
) -> dict[str, list[str]]:
    """One after the other, in this process."""
    async with asyncio.timeout(60 + 2 * RUNS), open_resources(settings, WorkerSettings()) as resources:
        await plan(resources.engine, names, urls, random.Random(1))
        while True:
            async with resources.engine.connect() as connection:
                keys = (await connection.execute(text(f"SELECT id FROM job_executions WHERE {OPEN}"))).scalars().all()
            if not keys:
                return await read_facts(resources.engine, address)
            for key in sorted(keys):
                await run_execution(resources, key)


COUNT = (
    "SELECT state, count(*) AS number, count(*) FILTER (WHERE lost_leases > 0) AS lost FROM job_executions"
    " WHERE schedule IS NULL GROUP BY state"
)


async def count(onlooker: Onlooker) -> dict[str, int]:
    """Executions by state, and how many lost a worker."""
    rows = await onlooker.fetch(COUNT)
    return {row["state"]: row["number"] for row in rows} | {"lost": sum(row["lost"] for row in rows)}


@dataclass
class Kill:
    """A worker killed, and the runs it was at that no worker is at again."""

    at: float
    waiting: dict[int, datetime]
    in_outage: bool
    """Valkey was emptied or Postgres stopped before they were back."""
    seconds: float | None = None
    """Until the last of them was running again; null: it was at nothing, or they are not back."""


@dataclass
class Kills:
    """What became of the work of killed workers."""

    all: list[Kill] = field(default_factory=list)
    outage_until: float = 0

    async def note(self, onlooker: Onlooker, pid: int) -> None:
        """Remember what this worker, that was killed just now, was at; what had lost too many is to wait."""
        now = time.monotonic()
        rows = await onlooker.fetch(
            "SELECT id, started_at FROM job_executions WHERE state = 'running'"
            f" AND metadata->>'worker' LIKE '%:{pid}' AND lost_leases < {AT_ONCE_LOST_LEASES}"
        )
        self.all.append(Kill(now, {row["id"]: row["started_at"] for row in rows}, now < self.outage_until))

    def note_outage(self) -> None:
        """A server was harmed just now, and the scheduler maybe: who waits, waits for those too."""
        self.outage_until = time.monotonic() + OUTAGE_SECONDS
        for kill in self.all:
            kill.in_outage |= bool(kill.waiting)

    async def look(self, onlooker: Onlooker) -> None:
        """Note which are at work again, or had ended before the kill."""
        keys = ", ".join(str(key) for kill in self.all for key in kill.waiting)
        if not keys:
            return
        now = time.monotonic()
        rows = await onlooker.fetch(f"SELECT id, state, started_at FROM job_executions WHERE id IN ({keys})")
        found = {row["id"]: (row["state"], row["started_at"]) for row in rows}
        for kill in self.all:
            for key, started_at in list(kill.waiting.items()):
                state, last = found.get(key, ("running", started_at))
                if last != started_at or state in ("completed", "failed", "dead"):
                    del kill.waiting[key]
                    if last != started_at:
                        kill.seconds = now - kill.at

    def list_seconds(self, *, in_outage: bool) -> list[float]:
        """How long after each kill all of its work was running again."""
        return sorted(kill.seconds for kill in self.all if kill.seconds is not None and kill.in_outage == in_outage)


def describe(seconds: list[float]) -> str:
    """The figures of a run."""
    if not seconds:
        return "none"
    listed = ", ".join(f"{each:.1f}" for each in seconds)
    return f"{len(seconds)} kills, median {median(seconds):.1f}, longest {seconds[-1]:.1f} ({listed})"


async def pause_schedules(database_url: str) -> None:
    """Nothing is due by itself: the other run has no scheduler."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE schedules SET paused_at = now()")
    await connection.close()


async def disturb_until_done(
    onlooker: Onlooker, workers: list[Process], scheduler: Process, own: OwnServers, rng: random.Random
) -> tuple[dict[str, int], Kills]:
    """Kill a random worker whenever enough of them are at work, and start it again; harm the servers in between."""
    kills = Kills()
    # By progress, not by the clock, so that a slow machine is hit as often; by chance, who and when exactly.
    kill_at = [KILLS_END * (n + 0.3) / KILLS for n in range(KILLS)]
    flush_at = {KILLS * (n + 1) // (FLUSHES + 1) for n in range(FLUSHES)}
    deadline = time.monotonic() + 60 + 2 * RUNS
    while {"pending", "running", "failed"} & set(counts := await count(onlooker)):
        assert time.monotonic() < deadline, (counts, workers[0].output[-3_000:])
        await kills.look(onlooker)
        progress = counts.get("completed", 0) / (sum(counts.values()) - counts["lost"])
        done = len(kills.all)
        if done < KILLS and progress >= kill_at[done] and counts.get("running", 0) >= THREADS:
            await asyncio.sleep(rng.uniform(0, 0.15))
            victim = rng.choice(workers)
            victim.kill()
            await kills.note(onlooker, victim.process.pid)
            if done + 1 in flush_at:
                kills.note_outage()
                own.flush_valkey()
                scheduler.kill()
            if done == KILLS // 2:
                kills.note_outage()
                with own.without_postgres():
                    await asyncio.sleep(0.5)
        start_again((scheduler, *workers))
        await asyncio.sleep(0.03)
    await kills.look(onlooker)
    return counts, kills


def start_again(processes: Iterable[Process]) -> None:
    """What a supervisor does: start those that were killed, or that came when there was no database."""
    for process in processes:
        if process.process.poll() is not None:
            process.start()


async def kill_one(
    onlooker: Onlooker, engine: AsyncEngine, workers: list[Process], registry: LocalRegistry, answers: FailingAnswers
) -> float:
    """Kill a worker in the midst of a run, with nothing else amiss; returns the seconds until it runs elsewhere."""
    registry.add_npm("single")
    answers.held = "/npm/single"
    async with engine.begin() as connection:
        await plan_tracked_package(connection, parse_purl("npm:single"), depth=0)
    start_again(workers)
    run = "SELECT metadata->>'worker' AS worker FROM job_executions WHERE subject = 'pkg:npm/single' AND state ="
    (row,) = await onlooker.wait_for(f"{run} 'running'")
    session = f"{run} 'running' AND EXISTS (SELECT FROM pg_locks WHERE objid = (metadata->>'session')::oid)"
    await onlooker.wait_for(session)
    pid, kills = int(row["worker"].rpartition(":")[2]), Kills()
    next(worker for worker in workers if worker.process.pid == pid).kill()
    await kills.note(onlooker, pid)
    start_again(workers)
    deadline = time.monotonic() + 60
    while kills.all[0].waiting:
        assert time.monotonic() < deadline, [worker.output[-3_000:] for worker in workers]
        await asyncio.sleep(0.05)
        await kills.look(onlooker)
    answers.held = ""
    await onlooker.wait_for(f"{run} 'completed'")
    (seconds,) = kills.list_seconds(in_outage=False)
    return seconds


@pytest.mark.timeout(max(240, PACKAGES * 2))
def test_killed_workers_leave_the_rows_of_an_undisturbed_run(
    own_servers: OwnServers,
    make_database: MakeDatabase,
    settings: CoreSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    print(f"\nWUMP_TEST_KILL_SEED={SEED}")
    rng = random.Random(SEED)
    started = time.monotonic()
    own_servers.flush_valkey()
    url = make_database()
    with serve_registry() as registry, serve_registry() as calm, ExitStack() as stack:
        names, urls = fill(registry, rng, PACKAGES, REPOSITORIES)
        calm.answers = registry.answers  # as fast as it can, and without failures
        answers = registry.answers = FailingAnswers(registry.answers, ANSWER_SECONDS)
        environment = environment_of(
            own_servers.settings(url), **point_at(registry), **limit_settings(), WUMP_WORKER_THREADS=str(THREADS)
        )
        for name, value in point_at(calm).items() | {("WUMP_PROVIDER_GITHUB_LIMITS", "{}"), ("NO_PROXY", "127.0.0.1")}:
            monkeypatch.setenv(name, value)
        calm_settings = settings.model_copy(update={"providers": "npm,github"})

        def stay_undisturbed() -> dict[str, list[str]]:
            configure_logging("error", "json")
            return asyncio.run(run_undisturbed(calm_settings, names, urls, calm.address))

        # Meanwhile, on other servers: a run of the same work that nobody disturbs.
        undisturbed = stack.enter_context(ThreadPoolExecutor(1)).submit(stay_undisturbed)
        commands = ["scheduler", *["worker"] * WORKERS]
        scheduler, *workers = (
            stack.enter_context(running(command, environment=environment, log=tmp_path / f"{command}{number}"))
            for number, command in enumerate(commands)
        )
        for worker in workers:
            worker.wait_for("worker.started", 120)
        asyncio.run(pause_schedules(url))

        async def disturb() -> tuple[dict[str, int], Kills, dict[str, list[str]], float]:
            engine = make_engine(SecretStr(url), application_name="tests")
            await plan(engine, names, urls, rng)
            await engine.dispose()
            onlooker = Onlooker(url)
            counts, kills = await disturb_until_done(onlooker, workers, scheduler, own_servers, rng)
            facts = await read_facts(engine, registry.address)
            single = await kill_one(onlooker, engine, workers, registry, answers)
            await onlooker.close()
            await engine.dispose()
            return counts, kills, facts, single

        counts, kills, facts, single = asyncio.run(disturb())
        disturbed = time.monotonic() - started
        verified = run_wump("db", "verify", environment=environment)
        expected = undisturbed.result()
    asked, back, late = len(registry.requests), kills.list_seconds(in_outage=False), kills.list_seconds(in_outage=True)
    print(
        f"{PACKAGES} packages, {REPOSITORIES} repositories in {disturbed:.1f} s, then {time.monotonic() - started:.1f}"
    )
    print(f"{asked} requests, {answers.failed} failed; limits exceeded: {answers.list_excesses() or 'never'}")
    print(f"{counts}; seconds from a kill to its work running again: {describe(back)}")
    print(f"after all was done, a single one: {single:.1f}")
    print(f"with Valkey emptied or Postgres stopped meanwhile: {describe(late)}")
    print({table: len(rows) for table, rows in facts.items()})
    assert len(kills.all) == KILLS
    assert counts["lost"] >= KILLS // 2, "the kills hit nothing: no leases were lost"
    assert counts["completed"] >= RUNS
    assert set(counts) == {"completed", "lost"}, "every execution is completed"
    assert not any(kill.waiting for kill in kills.all)
    assert max([single, *back]) <= BACK_SECONDS
    assert verified.returncode == 0, verified.stdout
    assert "0 fault(s) found" in verified.stderr
    assert answers.failed >= asked // 11
    assert answers.list_excesses() == []
    for table, rows in expected.items():
        assert facts[table] == rows, table
