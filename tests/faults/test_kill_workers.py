"""Workers killed at random moments, and a Valkey that forgets: the rows are those of an undisturbed run.

The gate runs a short version. The whole of it, about a minute of kills:

    WUMP_TEST_KILL_PACKAGES=1000 uv run pytest tests/faults/test_kill_workers.py -s -o timeout=900

The seed is printed; WUMP_TEST_KILL_SEED repeats a run's packages and kills, though not its timing.
"""

import asyncio
import os
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from e2e.processes import Process, environment_of, run_wump, running
from local_registry import LocalRegistry, serve_registry
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from valkey import Valkey
from worker.conftest import SlowAnswers
from wump_core.embedded import Servers
from wump_core.purl import parse_purl
from wump_core.schedule import LEASE_SECONDS, plan_tracked_package
from wump_core.settings import CoreSettings
from wump_core.store import make_engine
from wump_core.store.audit import list_faults
from wump_core.store.dependents import fold_deltas
from wump_worker.actors import run_execution
from wump_worker.resources import open_resources
from wump_worker.settings import WorkerSettings

PACKAGES = int(os.environ.get("WUMP_TEST_KILL_PACKAGES", "120"))
SEED = int(os.environ.get("WUMP_TEST_KILL_SEED", "0")) or secrets.randbelow(10**6) + 1
WORKERS = 3
THREADS = 4
KILLS = max(5, PACKAGES // 50)
ANSWER_SECONDS = 0.02 if PACKAGES > 500 else 0.06

# Everything that is a fact or follows from facts, by natural keys: keys and times depend on the order of jobs.
FACTS = {
    "packages": "SELECT p.purl, p.tracked, p.provider, p.latest_version, p.description, p.licences, p.missing,"
    " p.dependencies_unknown, p.repository_directory, r.host, r.path, o.login FROM packages p"
    " LEFT JOIN repositories r ON r.id = p.repository_id LEFT JOIN organizations o ON o.id = p.organization_id",
    "repositories": "SELECT r.host, r.path, a.login FROM repositories r LEFT JOIN accounts a ON a.id = r.account_id",
    "accounts": "SELECT a.host, a.login, o.login FROM accounts a JOIN organizations o ON o.id = a.organization_id",
    "statements": "SELECT x.purl, p.purl, s.scope, s.optional, s.direct, s.requirement, s.alias, s.groups, s.marker,"
    " s.field, s.line, s.fingerprint, s.removed_at, so.provider, so.revision, so.diagnostics FROM statements s"
    " JOIN sources so ON so.id = s.source_id JOIN packages x ON x.id = so.package_id"
    " JOIN packages p ON p.id = s.package_id",
    "dependencies": "SELECT p.purl, r.host, r.path, o.login, d.scopes, d.direct, d.claimed, d.exclusion, d.providers,"
    " s.fingerprint, x.purl FROM dependencies d JOIN packages p ON p.id = d.package_id"
    " JOIN repositories r ON r.id = d.repository_id LEFT JOIN organizations o ON o.id = d.organization_id"
    " LEFT JOIN (statements s JOIN sources so ON so.id = s.source_id JOIN packages x ON x.id = so.package_id)"
    " ON s.id = d.statement_id",
    "package_organizations": "SELECT p.purl, (to_jsonb(a) - '{package_id,organization_id,organization_public_id,"
    "first_seen_at}'::text[])::text FROM package_organizations a JOIN packages p ON p.id = a.package_id",
    "package_totals": "SELECT p.purl, t.organizations, t.repositories, t.own_organization, t.no_owner"
    " FROM package_totals t JOIN packages p ON p.id = t.package_id",
    "provider_subjects": "SELECT provider, capability, subject, error FROM provider_subjects",
}


def fill(registry: LocalRegistry, rng: random.Random) -> list[str]:
    """Packages that share dependencies, owners and repositories; some without one, some unknown to the registry."""
    registry.answers = SlowAnswers({}, ANSWER_SECONDS)
    names = [f"p{number}" for number in range(PACKAGES)]
    for number, name in enumerate(names):
        # Half of all dependencies are on a few popular packages, where all workers meet.
        pool = [*names[:5]] * 20 + names + [f"stub{n}" for n in range(20)]
        needs = sorted({rng.choice(pool) for _ in range(rng.randint(0, 10))} - {name})
        fields = [rng.choice(["dependencies", "devDependencies", "peerDependencies"]) for _ in needs]
        manifest: dict[str, Any] = {
            field: {need: f"^{len(need)}" for need, chosen in zip(needs, fields, strict=True) if chosen == field}
            for field in set(fields)
        }
        if rng.random() < 0.85:
            manifest["repository"] = f"owner{rng.randrange(PACKAGES // 6)}/repo{rng.randrange(3)}"
        if rng.random() < 0.97:
            registry.add_npm(name, f"1.0.{number}", description=f"This is {name}", license="MIT", **manifest)
    return names


@pytest.fixture
def second_database_url(servers: Servers, migrated_template: str) -> Iterator[str]:
    """Another migrated, empty database."""
    name = f"test_{secrets.token_hex(6)}"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(servers.database_url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}"))
    yield servers.database_url.rpartition("/")[0] + f"/{name}"
    asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


async def plan(engine: AsyncEngine, names: list[str]) -> None:
    async with engine.begin() as connection:
        for name in names:
            await plan_tracked_package(connection, parse_purl(f"npm:{name}"), depth=0)


async def read_facts(engine: AsyncEngine) -> dict[str, list[str]]:
    """All facts, sorted; deltas are folded first."""
    async with engine.begin() as connection:
        await fold_deltas(connection)
        assert await list_faults_of(engine) == []
        facts = {}
        for table, statement in FACTS.items():
            facts[table] = sorted(str(tuple(row)) for row in await connection.execute(text(statement)))
        return facts


async def list_faults_of(engine: AsyncEngine) -> list[Any]:
    async with engine.connect() as connection:
        return await list_faults(connection)


async def run_undisturbed(settings: CoreSettings, names: list[str]) -> dict[str, list[str]]:
    """One after the other, in this process."""
    async with open_resources(settings, WorkerSettings()) as resources:
        await plan(resources.engine, names)
        async with resources.engine.connect() as connection:
            keys = (await connection.execute(text("SELECT id FROM job_executions ORDER BY id"))).scalars().all()
        for key in keys:
            await run_execution(resources, key)
        return await read_facts(resources.engine)


async def count(engine: AsyncEngine) -> dict[str, int]:
    """Executions by state, and how many lost a worker."""
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT state, count(*) AS number FROM job_executions GROUP BY state"))
        counts = {row.state: row.number for row in rows}
        lost = await connection.execute(text("SELECT count(*) FROM job_executions WHERE lost_leases > 0"))
        return counts | {"lost": lost.scalar_one()}


async def kill_until_done(
    engine: AsyncEngine, workers: list[Process], others: Process, valkey_url: str, rng: random.Random
) -> dict[str, Any]:
    """Kill a random worker whenever enough of them are at work, and start it again; forget Valkey half-way."""
    kills = 0
    kill_at = [PACKAGES * (n + 0.3) / (KILLS + 1) for n in range(KILLS)]
    deadline = time.monotonic() + 60 + PACKAGES / 4
    while (counts := await count(engine)).get("completed", 0) < PACKAGES:
        assert time.monotonic() < deadline, (counts, workers[0].output[-3_000:])
        # By progress, not by the clock, so that a slow machine is hit as often; by chance, who and when exactly.
        if kills < KILLS and counts.get("completed", 0) >= kill_at[kills] and counts.get("running", 0) >= THREADS:
            await asyncio.sleep(rng.uniform(0, 0.15))
            victim = rng.choice(workers)
            victim.kill()
            victim.start()
            kills += 1
            if kills == KILLS // 2:
                with Valkey.from_url(valkey_url) as client:
                    client.flushall()
                others.kill()
                others.start()
        await asyncio.sleep(0.03)
    return counts | {"kills": kills}


def test_killed_workers_leave_the_rows_of_an_undisturbed_run(
    settings: CoreSettings, second_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"\nWUMP_TEST_KILL_SEED={SEED}")
    assert settings.database_url is not None
    assert settings.valkey_url is not None
    rng = random.Random(SEED)
    started = time.monotonic()
    with serve_registry() as registry, ExitStack() as stack:
        names = fill(registry, rng)
        for name, value in registry.environment.items() | {("NO_PROXY", "127.0.0.1")}:
            monkeypatch.setenv(name, value)
        environment = environment_of(settings, WUMP_WORKER_THREADS=str(THREADS))
        commands = ["scheduler", *["worker"] * WORKERS]
        scheduler, *workers = (
            stack.enter_context(running(command, environment=environment, log=tmp_path / f"{command}{number}"))
            for number, command in enumerate(commands)
        )
        for worker in workers:
            worker.wait_for("worker.started")

        async def disturb(url: SecretStr, valkey_url: str) -> tuple[dict[str, Any], dict[str, list[str]]]:
            engine = make_engine(url, application_name="tests")
            await plan(engine, rng.sample(names, len(names)))
            counts = await kill_until_done(engine, workers, scheduler, valkey_url, rng)
            facts = await read_facts(engine)
            await engine.dispose()
            return counts, facts

        counts, facts = asyncio.run(disturb(settings.database_url, settings.valkey_url.get_secret_value()))
        disturbed = time.monotonic() - started
        verified = run_wump("db", "verify", environment=environment)
        other = settings.model_copy(update={"database_url": SecretStr(second_database_url)})
        registry.answers = dict(registry.answers)  # as fast as it can
        expected = asyncio.run(run_undisturbed(other, names))
    print(f"{PACKAGES} packages in {disturbed:.1f} s, {len(registry.requests)} requests, {counts}")
    print({table: len(rows) for table, rows in facts.items()})
    assert counts["kills"] == KILLS
    assert counts["lost"] >= KILLS // 2, f"the kills hit nothing: leases of {LEASE_SECONDS} s were not lost"
    assert verified.returncode == 0, verified.stdout
    assert "0 fault(s) found" in verified.stderr
    for table, rows in expected.items():
        assert facts[table] == rows, table
