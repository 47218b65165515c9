"""Streams: all rows of the answer, from one snapshot, in bounded memory, and never a part taken for the whole."""

import asyncio
import csv
import http.client
import io
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import psutil
import pytest
from pydantic import SecretStr
from starlette.types import Message
from wump_api.documents import DEPENDENT_COLUMNS
from wump_api.models import DependentOrganization, Evidence
from wump_api.problems import StreamCut
from wump_api.routes import streams
from wump_api.routes.streams import RowStream, Streams
from wump_core.embedded import Servers
from wump_core.records import Scope
from wump_core.settings import CoreSettings

CORE = "/api/v1/packages/npm/core/dependents"
HOT = "/api/v1/packages/npm/hot/dependents"
ROWS = 50_000
SORTS = ("repositories", "stars", "last_activity")
FILTERS: list[dict[str, Any]] = [{}, {"scope": "development"}, {"min_repositories": 2}, {"scope": "optional"}]
WUMP = str(Path(sys.executable).with_name("wump"))
_HOT = f"""
    WITH p AS (INSERT INTO packages (purl, ecosystem, name) VALUES ('pkg:npm/hot', 'npm', 'hot') RETURNING id),
    o AS (INSERT INTO organizations (host, login) SELECT 'github.com', 'org' || n FROM generate_series(1, {ROWS}) n
          RETURNING id, public_id, host, login, kind)
    INSERT INTO package_organizations (package_id, organization_id, organization_public_id, host, login, kind,
      repositories, runtime_repositories, stars, last_activity_at, first_seen_at, providers, evidence)
    SELECT p.id, o.id, o.public_id, o.host, o.login, o.kind, 1 + o.id % 97, 1, o.id % 5000, now(), now(), '{{npm}}',
      json_build_object('repository', 'https://github.com/' || o.login || '/repository', 'claimed', true,
        'source', 'registry_version', 'provider', 'npm', 'package', 'pkg:npm/' || o.login, 'version', '1.0.0',
        'field', 'dependencies', 'scope', 'runtime', 'requirement', '^1.0.0', 'line', NULL)::text FROM p, o"""


_CUT = (
    "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'wump-api-export'"
)


def execute(url: SecretStr | None, *statements: str) -> Any:
    """Run statements, each in a transaction of its own; the last one's value."""
    assert url

    async def run() -> Any:
        connection = await asyncpg.connect(url.get_secret_value())
        try:
            return [await connection.fetchval(statement) for statement in statements][-1]
        finally:
            await connection.close()

    return asyncio.run(run())


@contextmanager
def running_server(settings: CoreSettings, **options: str) -> Generator[tuple[int, psutil.Process]]:
    """Port and process of a real server."""
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
    } | options
    process = subprocess.Popen([WUMP, "api"], env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: process.poll() is None and answers(port), 30)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def answers(port: int) -> bool:
    """Whether a server is there."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=1).is_success
    except httpx.TransportError:
        return False


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def hot(servers: Servers, migrated_template: str) -> Iterator[CoreSettings]:
    """Settings of a database with a popular package."""
    root = SecretStr(servers.database_url)
    execute(root, f"CREATE DATABASE test_streams_hot TEMPLATE {migrated_template}")
    url = SecretStr(servers.database_url.rpartition("/")[0] + "/test_streams_hot")
    execute(url, _HOT, "ANALYZE")
    yield CoreSettings(database_url=url, valkey_url=SecretStr(servers.valkey_url))
    execute(root, "DROP DATABASE test_streams_hot WITH (FORCE)")


@pytest.fixture(scope="module")
def hot_server(hot: CoreSettings) -> Iterator[tuple[int, psutil.Process]]:
    """A real server of it, with room for one export."""
    with running_server(hot, WUMP_API_STREAMS="1") as running:
        yield running


def open_stream(port: int, path: str = f"{HOT}?format=ndjson") -> tuple[http.client.HTTPConnection, Any]:
    """A stream that is read as slowly as the test likes: the socket takes little by itself."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.sock = socket.socket()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sock.connect(("127.0.0.1", port))
    connection.request("GET", path)
    response = connection.getresponse()
    assert response.status == 200
    return connection, response


def count_exports(settings: CoreSettings) -> int:
    """Transactions of exports that are open in the database."""
    found: int = execute(
        settings.database_url,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'wump-api-export' AND xact_start IS NOT NULL",
    )
    return found


async def walk(api: Any, **parameters: Any) -> list[Any]:
    """All rows of a sort, page by page."""
    rows: list[Any] = []
    cursor = None
    while cursor or not rows:
        page = await api.page(CORE.removeprefix("/api/v1"), limit=10, cursor=cursor, **parameters)
        rows += page["data"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    return rows


@pytest.mark.parametrize(("sort", "filters"), list(itertools.product(SORTS, FILTERS)), ids=str)
async def test_a_stream_is_all_pages(api: Any, sort: str, filters: dict[str, Any]) -> None:
    pages = [
        row
        for row in await walk(api, sort=sort)
        if row["repositories"] >= filters.get("min_repositories", 1)
        and ("scope" not in filters or filters["scope"] in row["usage"])
    ]
    response = await api.get(CORE, params={"format": "ndjson", "sort": sort, **filters})
    assert response.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in response.text.splitlines()] == pages
    assert response.text == "" or response.text.endswith("\n")
    response = await api.get(CORE, params={"format": "csv", "sort": sort, **filters})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    heading, *lines = csv.reader(io.StringIO(response.text))
    assert tuple(heading) == DEPENDENT_COLUMNS
    assert [dict(zip(heading, line, strict=True))["id"] for line in lines] == [row["id"] for row in pages]
    first = await api.get(CORE, params={"format": "ndjson", "sort": sort, **filters, "limit": 3})
    assert [json.loads(line) for line in first.text.splitlines()] == pages[:3]


def test_the_columns_are_the_fields_of_the_documents() -> None:
    expected: list[str] = []
    for name in DependentOrganization.model_fields:
        nested = {"usage": list(Scope.__args__), "evidence": list(Evidence.model_fields)}.get(name)
        expected += [f"{name}.{inner}" for inner in nested] if nested else [name]
    assert sorted(DEPENDENT_COLUMNS) == sorted(expected)


async def test_a_cell_says_what_the_document_says_and_runs_nothing(api: Any) -> None:
    rows = (await api.page(CORE.removeprefix("/api/v1"), limit=100))["data"]
    cells = list(csv.DictReader(io.StringIO((await api.get(CORE, params={"format": "csv"})).text)))
    for row, line in zip(rows, cells, strict=True):
        for name, value in line.items():
            outer, _, inner = name.partition(".")
            said = row[outer].get(inner) if inner else row[outer]
            plain = ";".join(said) if isinstance(said, list) else "" if said is None else str(said)
            plain = plain.lower() if isinstance(said, bool) else plain
            assert value.removeprefix("'") == plain
            assert not value.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert "'=HYPERLINK(1)" in {line["evidence.version"] for line in cells}


async def test_no_rows(api: Any) -> None:
    path = "/api/v1/packages/npm/ghost/dependents"
    assert (await api.get(path, params={"format": "csv"})).text == ",".join(DEPENDENT_COLUMNS) + "\n"
    assert (await api.get(path, params={"format": "ndjson"})).text == ""


async def test_a_stream_says_where_to_read_about_it(api: Any) -> None:
    name = "%40scope%2Ftool"
    response = await api.get(f"/api/v1/packages/npm/{name}/dependents", params={"format": "csv"})
    address = response.headers["link"].partition(">")[0].lstrip("<")
    assert (await api.get(address)).json()["meta"]["sources"][0]["licence"] == "CC0-1.0"
    head = await api.head(CORE, params={"format": "csv"})
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("format=xlsx", "query.format"),
        ("format=", "query.format"),
        ("format=csv&cursor=x", "query.cursor"),
        ("format=ndjson&cursor=", "query.cursor"),
        ("format=csv&limit=0", "query.limit"),
        ("format=csv&sort=login", "query.sort"),
        ("format=json&limit=101", "query.limit"),
    ],
)
async def test_what_can_not_be_asked(api: Any, problem: Any, query: str, field: str) -> None:
    document = problem(await api.get(f"{CORE}?{query}"), 422, "invalid-request")
    assert [item["field"] for item in document["errors"]] == [field]
    problem(await api.get("/api/v1/packages/npm/nothing/dependents?format=csv"), 404, "unknown-package")


async def test_without_the_database_a_stream_does_not_begin(api: Any, problem: Any, facts: CoreSettings) -> None:
    params = {"format": "ndjson"}
    assert (await api.get(CORE, params=params)).status_code == 200
    await asyncio.to_thread(execute, facts.database_url, _CUT)
    assert (await api.get(CORE, params=params)).status_code == 200
    async with asyncpg.create_pool("postgresql://wump@127.0.0.1:1/wump", min_size=0, max_size=1) as away:
        api.app.state.streams = Streams(away, at_once=1, seconds=5)
        problem(await api.get(CORE, params=params), 503, "unavailable")


def test_a_stream_shows_one_moment_and_keeps_little_in_memory(
    hot: CoreSettings, hot_server: tuple[int, psutil.Process]
) -> None:
    port, process = hot_server
    httpx.get(f"http://127.0.0.1:{port}{HOT}?format=ndjson&limit=2000", timeout=30).raise_for_status()
    before = process.memory_info().rss
    began = time.monotonic()
    connection, response = open_stream(port)
    first = json.loads(response.readline())
    until_first = time.monotonic() - began
    execute(
        hot.database_url,
        "UPDATE package_organizations SET repositories = 1000 - repositories",
        "DELETE FROM package_organizations WHERE organization_id % 2 = 0",
    )
    most, read = 0, b""
    count, previous = 1, first["repositories"]
    for line in iter(response.readline, b""):
        row = json.loads(line)
        assert row["repositories"] <= previous <= 97
        count, previous, read = count + 1, row["repositories"], line
        if count % 1_000 == 0:
            most = max(most, process.memory_info().rss - before)
    took = time.monotonic() - began
    connection.close()
    assert count == ROWS
    assert read.endswith(b"\n")
    assert until_first < took / 3
    assert most < 20_000_000, f"{most} bytes more for {count} rows"
    after = httpx.get(f"http://127.0.0.1:{port}{HOT}?format=ndjson", timeout=30).text.splitlines()
    assert len(after) == ROWS // 2
    assert json.loads(after[0])["repositories"] > 97


def test_so_many_at_once_and_a_reader_that_leaves_frees_all(
    hot: CoreSettings, hot_server: tuple[int, psutil.Process], problem: Any
) -> None:
    port, _ = hot_server
    address = f"http://127.0.0.1:{port}{HOT}"
    for _ in range(2):
        connection, response = open_stream(port)
        response.readline()
        assert count_exports(hot) == 1
        refused = httpx.get(address, params={"format": "csv"}, timeout=5)
        problem(refused, 503, "busy")
        assert refused.headers["retry-after"] == "5"
        assert httpx.get(address, timeout=5).status_code == 200
        response.close()
        connection.close()
        wait_for(lambda: count_exports(hot) == 0)
    assert len(httpx.get(address, params={"format": "csv"}, timeout=30).text.splitlines()) > 10_000


async def test_a_reader_that_leaves_ends_the_query(hot: CoreSettings, hot_server: tuple[int, psutil.Process]) -> None:
    """Also one that the database has not begun to answer."""
    assert hot.database_url
    blocker = await asyncpg.connect(hot.database_url.get_secret_value())
    async with blocker.transaction():
        await blocker.execute("LOCK TABLE package_organizations")
        _, writer = await asyncio.open_connection("127.0.0.1", hot_server[0])
        writer.write(f"GET {HOT}?format=csv HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await asyncio.to_thread(wait_for, lambda: count_exports(hot) == 1)
        writer.close()
        await asyncio.to_thread(wait_for, lambda: count_exports(hot) == 0)
    await blocker.close()


async def test_nothing_is_made_for_a_reader_that_left() -> None:
    closed = []

    async def endless() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async def leave() -> Message:
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    async def take(_: Message) -> None:
        await asyncio.sleep(0)

    async with asyncio.timeout(5):
        await RowStream(endless(), "text/plain", {})({"type": "http"}, leave, take)
    assert closed


async def test_a_reader_that_takes_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "READER_SECONDS", 0.05)

    async def one() -> AsyncGenerator[bytes]:
        yield b"x"

    async def stay() -> Message:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def take(message: Message) -> None:
        await asyncio.sleep(60 if message.get("body") else 0)

    with pytest.raises(StreamCut):
        await RowStream(one(), "text/plain", {})({"type": "http"}, stay, take)


def test_a_stream_that_breaks_off_has_no_end(hot: CoreSettings, hot_server: tuple[int, psutil.Process]) -> None:
    port, _ = hot_server
    connection, response = open_stream(port)
    response.readline()
    assert execute(hot.database_url, _CUT) == 1
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    connection.close()
    wait_for(lambda: httpx.get(f"http://127.0.0.1:{port}{HOT}?format=csv&limit=1", timeout=5).is_success)


def test_a_stream_that_takes_too_long_is_cut(hot: CoreSettings) -> None:
    with running_server(hot, WUMP_API_STREAM_SECONDS="1") as (port, _):
        # CSV takes the server longer than a second, however much the buffers on the way hold.
        command = [WUMP, "export", "npm:hot", "--format", "csv", "--url", f"http://127.0.0.1:{port}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        # Nobody reads, so it stops when the pipe is full.
        wait_for(lambda: count_exports(hot) == 1)
        wait_for(lambda: count_exports(hot) == 0)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 3
    assert b"broke off: what came is not all" in errors


@pytest.mark.parametrize("remote", [False, True])
def test_a_reader_that_has_seen_enough(hot: CoreSettings, hot_server: tuple[int, psutil.Process], remote: bool) -> None:
    assert hot.database_url
    assert hot.valkey_url
    environment = {
        "PATH": os.environ["PATH"],
        "WUMP_DATABASE_URL": hot.database_url.get_secret_value(),
        "WUMP_VALKEY_URL": hot.valkey_url.get_secret_value(),
    }
    command = [WUMP, "export", "npm:hot", *(["--url", f"http://127.0.0.1:{hot_server[0]}"] if remote else [])]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    assert json.loads(process.stdout.readline())
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == b""
    wait_for(lambda: count_exports(hot) == 0)
