"""One fault after the other, in the midst of work, with real servers and processes: nothing is lost or doubled.

The processes wait less than they would for messages and leases that are lost, see `stage.SHORT_TIMES`; with their own
times they are in `test_kill_workers`.
"""

import asyncio
import random
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from e2e.processes import Process, environment_of, running, wait_until
from faults.conftest import MakeDatabase
from faults.stage import CLOCK_MOVED, SHORT_TIMES, DroppingProxy, Onlooker, OwnServers, dropping_proxy
from local_registry import LocalRegistry, serve_registry
from pydantic import SecretStr
from worker.conftest import SlowAnswers
from worker.test_providers_loading import GOOD, install
from wump_core.purl import parse_purl
from wump_core.schedule import plan_tracked_package
from wump_core.store import make_engine
from wump_core.store.audit import list_faults

BATCH = 20
DONE_SECONDS = 120
STOP_SECONDS = 25


class Stage:
    """Schedulers and workers on one database, and the work that they are given."""

    def __init__(self, own: OwnServers, database_url: str, folder: Path, **variables: str) -> None:
        self.own = own
        self.settings = own.settings(database_url)
        self.database_url = database_url
        self.folder = folder
        self.site = ""
        times = {"WUMP_WORKER_THREADS": "4", "dramatiq_restart_delay": "500"}
        self.environment = environment_of(self.settings, **times, **variables)
        self.processes: dict[str, Process] = {}
        self._stack = ExitStack()
        self._loop = asyncio.new_event_loop()
        self._onlooker = Onlooker(database_url)

    def start(self, name: str, *, customize: str = SHORT_TIMES, **variables: str) -> Process:
        """Start `scheduler…` or `worker…`; the rest of its name is yours."""
        folder = self.folder / f"site-{name}"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(customize)
        paths = ":".join(filter(None, (str(folder), self.site, self.environment.get("PYTHONPATH"))))
        environment = self.environment | {"PYTHONPATH": paths} | variables
        command = name.rstrip("0123456789-")
        process = self._stack.enter_context(running(command, environment=environment, log=self.folder / name))
        self.processes[name] = process
        return process

    def close(self) -> None:
        """End them all."""
        self._stack.close()
        self._loop.run_until_complete(self._onlooker.close())
        self._loop.close()

    def publish(self, registry: LocalRegistry, prefix: str) -> dict[str, set[tuple[str, str]]]:
        """Make a batch of packages; returns what they state."""
        rng = random.Random(prefix)
        stated = {}
        for number in range(BATCH):
            name = f"{prefix}-{number}"
            needs = {f"{prefix}-need{rng.randrange(8)}": f"^{number}" for _ in range(5)}
            repository = f"{prefix}/repo{number % 5}"
            registry.add_npm(name, f"1.0.{number}", dependencies=needs, repository=repository)
            stated[f"pkg:npm/{name}"] = {(f"pkg:npm/{need}", wanted) for need, wanted in needs.items()}
        return stated

    def track(self, purls: Iterable[str]) -> None:
        """Make packages due."""

        async def plan() -> None:
            engine = make_engine(SecretStr(self.database_url), application_name="tests", pool_size=1)
            async with engine.begin() as connection:
                for purl in purls:
                    await plan_tracked_package(connection, parse_purl(purl), depth=0)
            await engine.dispose()

        asyncio.run(plan())

    def ask(self, query: str) -> list[Any]:
        """Rows of a query."""
        return self._loop.run_until_complete(self._onlooker.fetch(query))

    def count(self, prefix: str) -> dict[str, int]:
        """Executions by state."""
        rows = self.ask(
            f"SELECT state, count(*) FROM job_executions WHERE subject LIKE 'pkg:npm/{prefix}-%' GROUP BY state"
        )
        return {row["state"]: row["count"] for row in rows}

    def wait_for_work(self, prefix: str) -> None:
        """Wait until the batch is in the midst of being done."""
        wait_until(lambda: (now := self.count(prefix)).get("running") and now.get("completed"), 40, pause=0.01)

    def wait_until_done(self, prefix: str) -> None:
        """Wait until all of the batch is completed."""
        deadline = time.monotonic() + DONE_SECONDS
        while (now := self.count(prefix)).get("completed", 0) < BATCH:
            assert time.monotonic() < deadline, (now, {name: p.output[-2_000:] for name, p in self.processes.items()})
            time.sleep(0.1)

    def check(self, prefix: str, stated: dict[str, set[tuple[str, str]]]) -> None:
        """Each run is completed, once, and the facts are those of an undisturbed run."""
        runs = self.ask(
            "SELECT subject, state, attempts, outcome->>'code' AS code FROM job_executions"
            f" WHERE subject LIKE 'pkg:npm/{prefix}-%' ORDER BY id"
        )
        assert sorted(run["subject"] for run in runs) == sorted(stated)
        assert {(run["state"], run["attempts"], run["code"]) for run in runs} == {("completed", 0, "saved")}
        rows = self.ask(
            "SELECT x.purl, p.purl AS need, s.requirement FROM statements s JOIN sources so ON so.id = s.source_id"
            " JOIN packages x ON x.id = so.package_id JOIN packages p ON p.id = s.package_id"
            f" WHERE x.purl LIKE 'pkg:npm/{prefix}-%' AND s.removed_at IS NULL"
        )
        found = sorted((row["purl"], row["need"], row["requirement"]) for row in rows)
        assert found == sorted((purl, *pair) for purl, pairs in stated.items() for pair in pairs)

        async def audit() -> list[Any]:
            engine = make_engine(SecretStr(self.database_url), application_name="tests", pool_size=1)
            async with engine.connect() as connection:
                faults = await list_faults(connection)
            await engine.dispose()
            return faults

        assert asyncio.run(audit()) == []


POISON = GOOD.replace('ecosystems=("npm",)', 'ecosystems=("pypi",)').replace(
    "    return PackageRecord",
    "    import os\n    if 'poison' in str(purl): os.kill(os.getpid(), 9)\n    return PackageRecord",
)
"""A plugin for another ecosystem than the rest of the work is in: one of its packages ends the process."""


class HeldAnswers(SlowAnswers):
    """Answers of a registry; some of them wait until they are released."""

    def __init__(self, seconds: float) -> None:
        super().__init__({}, seconds)
        self.held = ""
        self.release = threading.Event()

    def get(self, key: str, default: Any = None, /) -> Any:
        if key == self.held:
            self.release.wait(30)
        return super().get(key, default)


@pytest.fixture(scope="module")
def registry() -> Iterator[LocalRegistry]:
    with serve_registry() as registry:
        registry.answers = HeldAnswers(0.15)
        yield registry


@pytest.fixture(scope="module")
def proxy(own_servers: OwnServers) -> Iterator[tuple[DroppingProxy, str]]:
    """A proxy to Valkey that loses every fiftieth reply, and its URL."""
    with dropping_proxy(own_servers.servers.valkey_url, every=50) as opened:
        yield opened


@pytest.fixture(scope="module")
def stage(
    own_servers: OwnServers,
    make_database: MakeDatabase,
    registry: LocalRegistry,
    proxy: tuple[DroppingProxy, str],
    tmp_path_factory: Any,
) -> Iterator[Stage]:
    """Two schedulers and two workers; each test finds them alive and leaves them so.

    The second of each are in trouble all the time: replies of Valkey's get lost, and their clocks are an hour ahead.
    """
    folder = tmp_path_factory.mktemp("stage")
    providers = {"WUMP_PROVIDERS": "npm,rude", "WUMP_PROVIDER_RUDE_BASE_URL": "https://rude.example"}
    stage = Stage(own_servers, make_database(), folder, **providers, **registry.environment)
    stage.site = str(folder)
    install(folder, "rude", POISON)
    for name in ("scheduler1", "worker1"):
        stage.start(name)
    for name in ("scheduler2", "worker2"):
        stage.start(name, customize=SHORT_TIMES + CLOCK_MOVED, WUMP_VALKEY_URL=proxy[1])
    yield stage
    stage.close()


def flush_valkey(stage: Stage) -> None:
    stage.own.flush_valkey()


def freeze_valkey(stage: Stage) -> None:
    with stage.own.frozen_valkey():
        time.sleep(4)


def restart_valkey_empty(stage: Stage) -> None:
    with stage.own.without_valkey():
        time.sleep(1)


def restart_postgres(stage: Stage) -> None:
    with stage.own.without_postgres():
        time.sleep(0.5)


def kill_both_schedulers(stage: Stage) -> None:
    for name in ("scheduler1", "scheduler2"):
        stage.processes[name].kill()
    stage.processes["scheduler1"].start()
    stage.processes["scheduler2"].start()


FAULTS = {
    function.__name__: function
    for function in (flush_valkey, freeze_valkey, restart_valkey_empty, restart_postgres, kill_both_schedulers)
}


@pytest.mark.parametrize("prefix", FAULTS)
def test_a_fault_loses_and_doubles_nothing(stage: Stage, registry: LocalRegistry, prefix: str) -> None:
    stated = stage.publish(registry, prefix)
    stage.track(stated)
    stage.wait_for_work(prefix)
    FAULTS[prefix](stage)
    stage.wait_until_done(prefix)
    stage.check(prefix, stated)
    for process in stage.processes.values():
        assert process.process.poll() is None, process.output[-3_000:]


def test_a_worker_that_is_stopped_finishes_what_it_can_and_hands_back_the_rest(
    stage: Stage, registry: LocalRegistry
) -> None:
    answers = registry.answers
    assert isinstance(answers, HeldAnswers)
    answers.held = "/npm/stopped-0"
    stated = stage.publish(registry, "stopped")
    stage.track(stated)
    held = "SELECT metadata->>'worker' AS worker FROM job_executions WHERE subject = 'pkg:npm/stopped-0'"
    wait_until(lambda: stage.ask(f"{held} AND state = 'running'"), 20, pause=0.05)
    pid = int(stage.ask(held)[0]["worker"].rpartition(":")[2])
    worker = next(process for process in stage.processes.values() if process.process.pid == pid)
    started = time.monotonic()
    assert worker.stop(signal.SIGTERM, STOP_SECONDS) == 0, worker.output
    assert time.monotonic() - started < STOP_SECONDS
    # The one whose answer is held; on a busy machine, others that did not get their last reply of Valkey's in time.
    assert worker.output.count("job.handed_back") >= 1
    answers.release.set()
    worker.start()
    stage.wait_until_done("stopped")
    stage.check("stopped", stated)
    assert stage.ask("SELECT FROM job_executions WHERE lost_leases > 0 AND subject LIKE '%/stopped-%'") == []


def test_replies_of_valkey_get_lost_and_a_workers_clock_is_an_hour_ahead(
    stage: Stage, registry: LocalRegistry, proxy: tuple[DroppingProxy, str]
) -> None:
    """The other worker is frozen, so that it is this one that does all of it."""
    frozen = stage.processes["worker1"].process
    frozen.send_signal(signal.SIGSTOP)
    try:
        stated = stage.publish(registry, "odd")
        # One answer asks for patience: it is due in a second, whatever the worker's clock says.
        first = registry.answers["/npm/odd-0"]
        registry.answers["/npm/odd-0"] = (429, {"Retry-After": "1"}, b"")
        stage.track(stated)
        wait_until(lambda: stage.count("odd").get("failed"), DONE_SECONDS, pause=0.05)
        (run,) = stage.ask(
            "SELECT max(due_at - now()) AS wait FROM job_executions WHERE state = 'failed' AND subject LIKE '%/odd-%'"
        )
        assert run["wait"].total_seconds() < 10
        registry.answers["/npm/odd-0"] = first
        stage.wait_until_done("odd")
        stage.check("odd", stated)
        lost = proxy[0].lost
        wait_until(lambda: proxy[0].lost > lost, DONE_SECONDS)
        (ahead,) = stage.ask("SELECT max(checked_at) > now() + interval '1 minute' AS it FROM sources")
        assert not ahead["it"], "the database's clock counts"
        assert stage.processes["worker2"].process.poll() is None
    finally:
        frozen.send_signal(signal.SIGCONT)


def test_a_poison_job_is_dead_once_its_child_died_and_no_innocent_one_is(stage: Stage) -> None:
    names = ["poison", *(f"innocent-{number}" for number in range(10))]
    stage.ask(
        "INSERT INTO job_executions (job, subject, queue) SELECT 'refresh_package', 'pkg:pypi/' || name, 'low'"
        f" FROM unnest(ARRAY{names}) name"
    )
    workers = [process for name, process in stage.processes.items() if name.startswith("worker")]
    deaths = 0
    deadline = time.monotonic() + DONE_SECONDS
    while not (dead := stage.ask("SELECT subject, lost_leases, outcome FROM job_executions WHERE state = 'dead'")):
        assert time.monotonic() < deadline, [worker.output[-3_000:] for worker in workers]
        for worker in workers:
            if worker.process.poll() is not None:
                deaths += 1
                worker.start()
        time.sleep(0.1)
    innocent = "SELECT FROM job_executions WHERE subject LIKE 'pkg:pypi/innocent-%' AND state = 'completed'"
    wait_until(lambda: len(stage.ask(innocent)) == 10, DONE_SECONDS)
    assert [(run["subject"], run["lost_leases"]) for run in dead] == [("pkg:pypi/poison", 2)]
    assert deaths == 2
    assert "SIGKILL, after it had lost 2 workers" in dead[0]["outcome"]
    assert all(worker.process.poll() is None for worker in workers), "the worker outlives the child"
