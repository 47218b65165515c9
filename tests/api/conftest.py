"""A database with saved facts, and clients of the API on it."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_api.auth import make_key
from wump_api.main import make_app
from wump_api.settings import ApiSettings
from wump_core.embedded import Servers
from wump_core.purl import parse_purl
from wump_core.records import DependencyRecord, FundingLink, PackageRecord, RepositoryClaim, Scope
from wump_core.settings import CoreSettings
from wump_core.store import keys, make_engine
from wump_core.store.audit import rebuild
from wump_core.store.facts import add_names, save_packages
from wump_core.store.keys import NewKey
from wump_core.store.packages import add_packages
from wump_core.store.providers import save_attempt, save_providers

V1 = "/api/v1"
CORE: list[tuple[str, Scope]] = [("core", "runtime")]


def record(
    purl: str, repository: str | None = None, *edges: tuple[str, Scope], host: str = "github.com", **facts: Any
) -> PackageRecord:
    """A record of a package that needs others of its ecosystem; `repository` is owner/name, `!path` has no owner."""
    claim = None
    if repository:
        owner = None if repository.startswith("!") else repository.rpartition("/")[0]
        claim = RepositoryClaim(host=host, path=repository.lstrip("!"), owner=owner)
    ecosystem = purl.removeprefix("pkg:").partition("/")[0]
    needs = tuple(
        DependencyRecord(
            purl=str(parse_purl(f"{ecosystem}:{name}")),
            name=name,
            scope=scope,
            requirement="^1.0.0",
            field="devDependencies" if scope == "development" else "dependencies",
        )
        for name, scope in edges
    )
    values: dict[str, Any] = {"latest_version": "1.0.0", "repository": claim, "dependencies": needs} | facts
    return PackageRecord(purl=purl, **values)


async def save(engine: AsyncEngine, item: PackageRecord, provider: str = "npm") -> None:
    """What the job does with a record."""
    async with engine.begin() as connection:
        names = await add_names(connection, [item])
    async with engine.begin() as connection:
        await save_packages(connection, provider, [item], names)
        await save_attempt(connection, provider, "fetch_package", item.purl, error=None)


def _records() -> Iterator[PackageRecord]:
    yield record(
        "pkg:npm/core",
        "own/core",
        ("stub", "runtime"),
        description="<script>alert(1)</script> \u202e[bold]x[/bold]",
        homepage="https://core.example/",
        licences=("MIT",),
        funding=(FundingLink(url="https://fund.example/core", type="other"),),
        deprecated=False,
    )
    yield record("pkg:npm/inner", "own/inner", *CORE)
    yield record("pkg:npm/homeless", None, *CORE)
    yield record("pkg:npm/ownerless", "!pub/thing", *CORE, host="git.example")
    yield record("pkg:npm/nested", "my.group/sub/nested", *CORE, host="gitlab.example")
    yield record("pkg:npm/%40scope/tool", "tools/tool", *CORE, ("core", "development"))
    yield record("pkg:npm/uses-tool", "acme/uses-tool", ("@scope/tool", "runtime"), ("dependents", "peer"))
    yield record("pkg:npm/formula", "acme/formula", ("core", "peer"), latest_version="=HYPERLINK(1)")
    for number in range(24):
        scope: Scope = "development" if number % 3 else "runtime"
        yield record(f"pkg:npm/d{number}", f"org{number:02}/repo", ("core", scope))
        if number % 4 == 0:
            yield record(f"pkg:npm/e{number}", f"org{number:02}/second", ("core", "development"))
    yield record("pkg:npm/same", "acme/same")
    yield record("pkg:npm/twin-host", "acme/twin", ("core", "runtime"), host="gitlab.example")
    yield record("pkg:npm/unclear", "acme/unclear", dependencies=None, dependencies_unknown="no metadata")


async def _seed(database_url: str) -> None:
    engine = make_engine(SecretStr(database_url), application_name="tests", pool_size=4)
    common = {"distribution": "x", "version": "1", "rate_limit": None, "attribution": "thanks", "terms": None}
    async with engine.begin() as connection:
        await save_providers(
            connection,
            [
                common
                | {"name": name, "state": "active", "reason": None, "title": title, "provider_type": "registry"}
                | {"ecosystems": [name], "capabilities": ["fetch_package"], "licence": "CC0-1.0"}
                for name, title in (("npm", "npm"), ("pypi", "PyPI"))
            ]
            + [
                dict.fromkeys((*common, "title", "provider_type", "licence"))
                | {"name": "odd", "state": "broken", "reason": "ImportError: no", "ecosystems": [], "capabilities": []}
            ],
        )
    for item in _records():
        await save(engine, item)
    await save(engine, record("pkg:pypi/same", "acme/same-py"), "pypi")
    async with engine.begin() as connection:
        await save_attempt(connection, "npm", "fetch_package", "pkg:npm/ghost", error="upstream answered 500")
        await add_packages(connection, ["pkg:npm/ghost"])
        await connection.execute(
            text(
                "UPDATE repositories SET stars = CASE WHEN id % 3 > 0 THEN id % 5 END,"
                " pushed_at = CASE WHEN id % 4 > 0 THEN timestamptz '2026-01-01 00:00:00.123456+02' + id % 6 * '1 day'"
                "::interval END"
            )
        )
    await rebuild(engine)
    # Saved after the rebuild, so that a part of the totals is not folded yet.
    await save(engine, record("pkg:npm/late", "late/late", *CORE))
    await engine.dispose()


@pytest.fixture(scope="session")
def facts(servers: Servers, migrated_template: str) -> Iterator[CoreSettings]:
    """Settings of a database with saved facts. Tests that use it only read."""
    name = "test_api_facts"

    async def execute(statement: str) -> None:
        connection = await asyncpg.connect(servers.database_url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(execute(f"CREATE DATABASE {name} TEMPLATE {migrated_template}"))
    database_url = servers.database_url.rpartition("/")[0] + f"/{name}"
    asyncio.run(_seed(database_url))
    # A Valkey of its own, so that what is cached of other databases isn't taken for what this one says.
    valkey_url = servers.valkey_url.rpartition("/")[0] + "/1"
    yield CoreSettings(database_url=SecretStr(database_url), valkey_url=SecretStr(valkey_url))
    asyncio.run(execute(f"DROP DATABASE {name} WITH (FORCE)"))


class Api(httpx.AsyncClient):
    """A client of an app in this process, which it knows too."""

    app: FastAPI

    async def page(self, path: str, **parameters: Any) -> Any:
        """A document that must be there."""
        response = await self.get(V1 + path, params={k: v for k, v in parameters.items() if v is not None} or None)
        assert response.status_code == 200, response.text
        return response.json()


Serving = Callable[..., AbstractAsyncContextManager[Api]]


@asynccontextmanager
async def _serving(
    settings: CoreSettings, client: tuple[str, int] = ("127.0.0.1", 1), **options: Any
) -> AsyncGenerator[Api]:
    # What a test changes must show at once; tests of the cache say so.
    options.setdefault("cache", False)
    app = make_app(settings, ApiSettings(**options))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=client)
    async with (
        app.router.lifespan_context(app),
        Api(transport=transport, base_url="http://127.0.0.1", timeout=30) as api,
    ):
        api.app = app
        yield api


@pytest.fixture
def serving() -> Serving:
    """Opens a client of an app on some settings."""
    return _serving


@pytest.fixture
async def api(facts: CoreSettings) -> AsyncGenerator[Api]:
    """A client of an app that knows the saved facts."""
    async with _serving(facts) as client:
        yield client


@pytest.fixture
async def empty_api(settings: CoreSettings) -> AsyncGenerator[Api]:
    """A client of an app on an empty database of the test's own."""
    async with _serving(settings) as client:
        yield client


async def add_key(engine: AsyncEngine, tier: str = "standard", **limits: Any) -> str:
    """A new key of the API."""
    key, kept = make_key()
    async with engine.begin() as connection:
        await keys.add_key(connection, NewKey(name=f"a {tier} key", tier=tier, **limits), kept, created_by="tests")
    return key


@pytest.fixture
def adding() -> Callable[..., Awaitable[str]]:
    """Adds a key to a database: `await adding(engine, tier, **limits)`."""
    return add_key


@asynccontextmanager
async def _counting(api: Api) -> AsyncGenerator[list[str]]:
    """Collects the statements that reach the database: SQLAlchemy's, and those on the reader's connection.

    Requests that follow one another take the same connection of the pool.
    """
    statements: list[str] = []
    engine = api.app.state.engine.sync_engine

    def on_read(query: Any) -> None:
        statements.append(query.query)

    def on_execute(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", on_execute)
    async with api.app.state.reading.acquire() as connection:
        connection.add_query_logger(on_read)
    try:
        yield statements
    finally:
        async with api.app.state.reading.acquire() as connection:
            connection.remove_query_logger(on_read)
        event.remove(engine, "before_cursor_execute", on_execute)


@pytest.fixture
def counting() -> Callable[[Api], AbstractAsyncContextManager[list[str]]]:
    """Counts the statements of requests."""
    return _counting


@contextmanager
def _running(settings: CoreSettings) -> Generator[tuple[str, int]]:
    """Address of a real server process on these settings."""
    assert settings.database_url
    assert settings.valkey_url
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "WUMP_DATABASE_URL": settings.database_url.get_secret_value(),
        "WUMP_VALKEY_URL": settings.valkey_url.get_secret_value(),
        "WUMP_API_PORT": str(port),
    }
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("wump")), "api"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        deadline = time.monotonic() + 90
        while True:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            assert time.monotonic() < deadline
            try:
                httpx.get(f"http://127.0.0.1:{port}/health", timeout=1)
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="session")
def server(facts: CoreSettings) -> Iterator[tuple[str, int]]:
    """Address of a real server process that knows the saved facts."""
    with _running(facts) as address:
        yield address


@pytest.fixture
def running_api() -> Callable[[CoreSettings], AbstractContextManager[tuple[str, int]]]:
    """Starts a real server process on some settings."""
    return _running


@pytest.fixture
def problem() -> Callable[..., Any]:
    """Checks that a response is a problem document of a kind, and returns the document."""

    def check(response: httpx.Response, status: int, kind: str) -> Any:
        assert response.status_code == status, response.text[:500]
        assert response.headers["content-type"] == "application/problem+json"
        document = json.loads(response.text)
        assert document["type"] == f"/problems/{kind}"
        assert document["status"] == status
        assert document["title"]
        assert document["detail"]
        assert document["fix"]
        return document

    return check
