"""What the tests of the worker share: a registry, the worker's resources, and a look at the tables."""

import functools
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest
import stamina
from local_registry import LocalRegistry, serve_registry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core import loading
from wump_core.probe import probe_imports
from wump_core.purl import parse_purl
from wump_core.schedule import plan_tracked_package
from wump_core.settings import CoreSettings
from wump_worker.resources import Resources, open_resources
from wump_worker.settings import WorkerSettings


@pytest.fixture(autouse=True)
def without_waits() -> Iterator[None]:
    """Requests are tried three times as always, without the waits between."""
    stamina.set_testing(True, attempts=3, cap=True)
    yield
    stamina.set_testing(False)


SHIPPED = tuple("cratesio depsdev ecosystems github gitlab librariesio maven npm pypi sbom".split())
"""The providers of this repository; `sbom` is a part of the core."""


@functools.cache
def _probe_once(names: tuple[str, ...]) -> dict[str, str]:
    return probe_imports(names)


@pytest.fixture(autouse=True)
def probed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """That our own plugins can be imported is found out in a child process once, and not for each test."""

    def probe(names: Sequence[str]) -> dict[str, str]:
        return dict(_probe_once(tuple(names))) if set(names) <= set(SHIPPED) else probe_imports(names)

    monkeypatch.setattr(loading, "probe_imports", probe)


@pytest.fixture(scope="session")
def running_registry() -> Iterator[LocalRegistry]:
    """One server for all tests."""
    with serve_registry() as running:
        yield running


@pytest.fixture
def registry(running_registry: LocalRegistry, monkeypatch: pytest.MonkeyPatch) -> LocalRegistry:
    """An empty registry that the providers ask."""
    running_registry.answers = {}
    running_registry.requests = []
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name, value in running_registry.environment.items():
        monkeypatch.setenv(name, value)
    return running_registry


@pytest.fixture
async def resources(settings: CoreSettings, registry: LocalRegistry) -> AsyncIterator[Resources]:
    """What jobs are given: those providers only that the registry plays."""
    wanted = settings.model_copy(update={"providers": "npm,pypi"})
    async with open_resources(wanted, WorkerSettings(max_body_bytes=200_000)) as opened:
        yield opened


class SlowAnswers(dict[str, Any]):
    """Answers that take their time, as registries do."""

    def __init__(self, answers: dict[str, Any], seconds: float) -> None:
        super().__init__(answers)
        self.seconds = seconds

    def get(self, key: str, default: Any = None, /) -> Any:  # ty: ignore[incompatible-method-override]
        time.sleep(self.seconds)
        return super().get(key, default)


class Ledger:
    """The executions of a test's database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def plan(self, package: str, depth: int = 0) -> int:
        """Track a package; returns the key of its execution."""
        async with self._engine.begin() as connection:
            public_id = await plan_tracked_package(connection, parse_purl(package), depth=depth)
            return await self._value(connection, "SELECT id FROM job_executions WHERE public_id = :id", id=public_id)

    async def get(self, key: int) -> dict[str, Any]:
        """One execution, with `due_in` in seconds."""
        rows = await self.rows(
            "SELECT *, extract(epoch FROM due_at - now())::float8 AS due_in FROM job_executions WHERE id = :key",
            key=key,
        )
        return rows[0]

    async def make_due(self) -> None:
        """Let time pass for whatever waits for a retry."""
        await self.run("UPDATE job_executions SET due_at = now() WHERE state IN ('pending', 'failed')")

    async def run(self, statement: str, **values: Any) -> None:
        """Execute a statement."""
        async with self._engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def rows(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Rows as dictionaries."""
        async with self._engine.connect() as connection:
            return [dict(row._mapping) for row in await connection.execute(text(statement), values)]

    async def value(self, statement: str, **values: Any) -> Any:
        """The only value."""
        async with self._engine.connect() as connection:
            return await self._value(connection, statement, **values)

    async def _value(self, connection: Any, statement: str, **values: Any) -> Any:
        return (await connection.execute(text(statement), values)).scalar_one()

    async def contents(self) -> str:
        """All rows of all tables but the ledger's own and what was asked: what must not be half-written."""
        names = await self.rows(
            "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_name"
            " NOT IN ('job_executions', 'provider_subjects', 'alembic_version') ORDER BY 1"
        )
        parts = {
            row["name"]: [str(item) for item in await self.rows(f"SELECT * FROM {row['name']} t ORDER BY t::text")]
            for row in names
        }
        assert len(parts) > 8
        return json.dumps(parts, indent=1)


@pytest.fixture
def ledger(engine: AsyncEngine) -> Ledger:
    """The executions of the test's database."""
    return Ledger(engine)
