"""Workers killed at random moments, a Valkey that forgets and a Postgres that stops: the rows are those of an
undisturbed run, and nobody was asked more than they allow.

The gate runs a short version. The whole of it, 2,000 packages and 500 repositories, takes a quarter of an hour:

    WUMP_TEST_KILL_PACKAGES=2000 uv run pytest tests/faults/test_kill_workers.py -s -o timeout=3600

The seed is printed; WUMP_TEST_KILL_SEED repeats a run's packages and kills, though not its timing.
"""

import asyncio
import os
import random
import secrets
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from e2e.processes import Process, environment_of, run_wump, running
from faults.conftest import MakeDatabase
from faults.stage import Onlooker, OwnServers
from faults.upstream import FailingAnswers, fill, limit_settings
from local_registry import serve_registry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.purl import parse_purl
from wump_core.schedule import LEASE_SECONDS, plan_repository, plan_tracked_package
from wump_core.settings import CoreSettings
from wump_core.store import make_engine
from wump_core.store.audit import list_faults
from wump_core.store.dependents import fold_deltas
from wump_core.store.executions import OPEN
from wump_worker.actors import run_execution
from wump_worker.resources import open_resources
from wump_worker.scheduler import TICK_SECONDS
from wump_worker.settings import WorkerSettings

PACKAGES = int(os.environ.get("WUMP_TEST_KILL_PACKAGES", "60"))
SEED = int(os.environ.get("WUMP_TEST_KILL_SEED", "0")) or secrets.randbelow(10**6) + 1
REPOSITORIES = PACKAGES // 4
RUNS = PACKAGES + REPOSITORIES
WORKERS = 3
THREADS = 4
KILLS = max(3, PACKAGES // 50)
FLUSHES = 2 if PACKAGES > 500 else 1
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


async def read_facts(engine: AsyncEngine) -> dict[str, list[str]]:
    """All facts, sorted; deltas are folded first."""
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
            facts[table] = sorted(str(tuple(row)) for row in await connection.execute(text(statement)))
        return facts


async def run_undisturbed(settings: CoreSettings, names: list[str], urls: list[str]) -> dict[str, list[str]]:
    """One after the other, in this process."""
    async with open_resources(settings, WorkerSettings()) as resources:
        await plan(resources.engine, names, urls, random.Random(1))
        while True:
            async with resources.engine.connect() as connection:
                keys = (await connection.execute(text(f"SELECT id FROM job_executions WHERE {OPEN}"))).scalars().all()
            if not keys:
                return await read_facts(resources.engine)
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


async def pause_schedules(database_url: str) -> None:
    """Nothing is due by itself: the other run has no scheduler."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("UPDATE schedules SET paused_at = now()")
    await connection.close()


async def disturb_until_done(
    onlooker: Onlooker, workers: list[Process], scheduler: Process, own: OwnServers, rng: random.Random
) -> dict[str, Any]:
    """Kill a random worker whenever enough of them are at work, and start it again; harm the servers in between."""
    kills = 0
    kill_at = [(n + 0.3) / (KILLS + 1) for n in range(KILLS)]
    flush_at = {KILLS * (n + 1) // (FLUSHES + 1) for n in range(FLUSHES)}
    deadline = time.monotonic() + 60 + 2 * RUNS
    while {"pending", "running", "failed"} & set(counts := await count(onlooker)):
        assert time.monotonic() < deadline, (counts, workers[0].output[-3_000:])
        progress = counts.get("completed", 0) / (sum(counts.values()) - counts["lost"])
        # By progress, not by the clock, so that a slow machine is hit as often; by chance, who and when exactly.
        if kills < KILLS and progress >= kill_at[kills] and counts.get("running", 0) >= THREADS:
            await asyncio.sleep(rng.uniform(0, 0.15))
            victim = rng.choice(workers)
            victim.kill()
            victim.start()
            kills += 1
            if kills in flush_at:
                own.flush_valkey()
                scheduler.kill()
                scheduler.start()
            if kills == KILLS - 1:
                with own.without_postgres():
                    await asyncio.sleep(0.5)
        await asyncio.sleep(0.03)
    return counts | {"kills": kills}


def test_a_killed_worker_is_made_up_for_within_fifteen_seconds() -> None:
    """The lease ends, the scheduler sees it and sends, a worker takes it."""
    assert LEASE_SECONDS + 2 * TICK_SECONDS + 1 < 15


@pytest.mark.timeout(PACKAGES * 2)
def test_killed_workers_leave_the_rows_of_an_undisturbed_run(
    own_servers: OwnServers, make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"\nWUMP_TEST_KILL_SEED={SEED}")
    rng = random.Random(SEED)
    started = time.monotonic()
    own_servers.flush_valkey()
    url, other_url = make_database(), make_database()
    settings = own_servers.settings(url)
    with serve_registry() as registry, ExitStack() as stack:
        names, urls = fill(registry, rng, PACKAGES, REPOSITORIES)
        answers = registry.answers = FailingAnswers(registry.answers, ANSWER_SECONDS)
        variables = registry.environment | limit_settings() | {"NO_PROXY": "127.0.0.1", "WUMP_PROVIDERS": "npm,github"}
        for name, value in variables.items() | {("WUMP_PROVIDER_GITHUB_BASE_URL", f"{registry.address}/gh")}:
            monkeypatch.setenv(name, value)
        environment = environment_of(settings, WUMP_WORKER_THREADS=str(THREADS), WUMP_PROVIDERS="npm,github")
        commands = ["scheduler", *["worker"] * WORKERS]
        scheduler, *workers = (
            stack.enter_context(running(command, environment=environment, log=tmp_path / f"{command}{number}"))
            for number, command in enumerate(commands)
        )
        for worker in workers:
            worker.wait_for("worker.started", 120)
        asyncio.run(pause_schedules(url))

        async def disturb() -> tuple[dict[str, Any], dict[str, list[str]]]:
            assert settings.database_url
            engine = make_engine(settings.database_url, application_name="tests")
            await plan(engine, names, urls, rng)
            await engine.dispose()
            onlooker = Onlooker(url)
            counts = await disturb_until_done(onlooker, workers, scheduler, own_servers, rng)
            await onlooker.close()
            facts = await read_facts(engine)
            await engine.dispose()
            return counts, facts

        counts, facts = asyncio.run(disturb())
        disturbed = time.monotonic() - started
        verified = run_wump("db", "verify", environment=environment)
        asked, failed = len(registry.requests), answers.failed
        excesses = answers.list_excesses()
        registry.answers = dict(answers)  # as fast as it can, and without failures
        for name in limit_settings():
            monkeypatch.delenv(name)
        monkeypatch.setenv("WUMP_PROVIDER_GITHUB_LIMITS", "{}")
        expected = asyncio.run(run_undisturbed(own_servers.settings(other_url), names, urls))
    print(f"{PACKAGES} packages, {REPOSITORIES} repositories in {disturbed:.1f} s, {asked} requests, {failed} failed")
    print(counts)
    print({table: len(rows) for table, rows in facts.items()})
    assert counts["kills"] == KILLS
    assert counts["lost"] >= KILLS // 2, f"the kills hit nothing: leases of {LEASE_SECONDS} s were not lost"
    assert counts["completed"] >= RUNS
    assert set(counts) == {"completed", "lost", "kills"}, "every execution is completed"
    assert verified.returncode == 0, verified.stdout
    assert "0 fault(s) found" in verified.stderr
    assert failed >= asked // 11
    assert excesses == []
    for table, rows in expected.items():
        assert facts[table] == rows, table
