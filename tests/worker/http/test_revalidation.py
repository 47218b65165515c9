"""Answers are kept and revalidated as RFC 9111 asks of a private cache; counted at the server."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import httpx
import pytest
from hostile_upstream import HostileUpstream, send
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from worker.http.conftest import Ways
from wump_core.store import make_engine
from wump_core.store.responses import StoredResponse, remove_old_responses, save_response

DAY_AGO = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
IN_AN_HOUR = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


def serve_document(upstream: HostileUpstream, **headers: str) -> str:
    """A document that is the same until `version` in its headers changes: 304 to who knows it."""

    def behave(request: BaseHTTPRequestHandler) -> None:
        tag, date = headers.get("ETag"), headers.get("Last_Modified")
        known = (tag and request.headers.get("If-None-Match") == tag) or (
            date and request.headers.get("If-Modified-Since") == date
        )
        send(request, b"" if known else b'{"n": 1}', 304 if known else 200, **headers)

    upstream.behaviours["/"] = behave
    return upstream.address + "/"


@pytest.fixture
async def client(open_way: Ways, engine: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    async with open_way(engine=engine) as way, way.make_client() as client:
        yield client


async def get_twice(client: httpx.AsyncClient, url: str, **headers: str) -> httpx.Response:
    assert (await client.get(url, headers=headers)).json() == {"n": 1}
    response = await client.get(url, headers=headers)
    assert response.status_code == 200
    assert response.json() == {"n": 1}
    return response


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({"ETag": '"a"'}, "if-none-match"),
        ({"ETag": 'W/"a"', "Cache_Control": "no-cache, max-age=60"}, "if-none-match"),
        ({"ETag": '"a"', "Cache_Control": "private, max-age=0"}, "if-none-match"),
        ({"ETag": '"a"', "Cache_Control": "max-age=60", "Age": "60"}, "if-none-match"),
        ({"ETag": '"a"', "Expires": DAY_AGO, "Date": DAY_AGO}, "if-none-match"),
        ({"ETag": '"a"', "Expires": "0"}, "if-none-match"),
        ({"Last_Modified": DAY_AGO}, "if-modified-since"),
    ],
)
async def test_what_may_have_changed_is_revalidated(
    client: httpx.AsyncClient, upstream: HostileUpstream, headers: dict[str, str], condition: str
) -> None:
    await get_twice(client, serve_document(upstream, **headers))
    assert [condition in arrival.headers for arrival in upstream.arrivals] == [False, True]


@pytest.mark.parametrize(
    "headers",
    [
        {"Cache_Control": "max-age=60"},
        {"Cache_Control": 'private, max-age="60"'},
        {"Expires": IN_AN_HOUR},
    ],
)
async def test_what_is_fresh_is_not_asked_for(
    client: httpx.AsyncClient, upstream: HostileUpstream, headers: dict[str, str]
) -> None:
    await get_twice(client, serve_document(upstream, **headers))
    assert len(upstream.arrivals) == 1
    await client.get(upstream.address + "/", headers={"Cache-Control": "no-cache"})
    assert len(upstream.arrivals) == 2


async def test_a_plugin_may_take_what_is_stale_unless_the_upstream_forbids_it(
    client: httpx.AsyncClient, upstream: HostileUpstream
) -> None:
    await get_twice(client, serve_document(upstream, ETag='"a"'), **{"Cache-Control": "max-stale"})
    assert len(upstream.arrivals) == 1
    strict = serve_document(upstream, ETag='"a"', Cache_Control="max-age=0, must-revalidate") + "?strict"
    upstream.behaviours["/?strict"] = upstream.behaviours["/"]
    await get_twice(client, strict, **{"Cache-Control": "max-stale"})
    assert len(upstream.arrivals) == 3


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ETag": '"a"', "Cache_Control": "no-store"},
        {"Cache_Control": "max-age=60, no-store"},
        {"ETag": '"a"', "Vary": "*"},
    ],
)
async def test_what_must_not_be_kept_is_not(
    client: httpx.AsyncClient, upstream: HostileUpstream, engine: AsyncEngine, headers: dict[str, str]
) -> None:
    await get_twice(client, serve_document(upstream, **headers))
    assert len(upstream.arrivals) == 2
    assert "if-none-match" not in upstream.seen_headers
    assert await count(engine) == 0


async def test_what_varies_is_kept_for_that_alone(client: httpx.AsyncClient, upstream: HostileUpstream) -> None:
    url = serve_document(upstream, Cache_Control="max-age=60", Vary="Accept, X-Version")
    await get_twice(client, url, **{"X-Version": "1"})
    await get_twice(client, url, **{"X-Version": "2"})
    await get_twice(client, url, **{"X-Version": "2", "Accept": "text/plain"})
    assert len(upstream.arrivals) == 3


async def test_a_304_brings_new_headers_and_keeps_links(client: httpx.AsyncClient, upstream: HostileUpstream) -> None:
    link = f'<{upstream.address}/?page=2>; rel="next"'
    url = serve_document(upstream, ETag='"a"', Link=link)
    await client.get(url)
    serve_document(upstream, ETag='"a"', Cache_Control="max-age=60", X_RateLimit_Remaining="7")
    response = await client.get(url)
    assert response.links["next"]["url"].endswith("?page=2")
    assert response.headers["x-ratelimit-remaining"] == "7"
    assert "x-ratelimit-remaining" not in (await client.get(url)).headers
    assert len(upstream.arrivals) == 2


async def test_a_changed_document_takes_the_place_of_the_old(
    client: httpx.AsyncClient, upstream: HostileUpstream, engine: AsyncEngine
) -> None:
    url = upstream.answer("/", b"old", ETag='"1"')
    assert (await client.get(url)).text == "old"
    upstream.answer("/", b"new", ETag='"2"')
    assert (await client.get(url)).text == "new"
    assert await count(engine) == 1


async def test_a_plugins_own_conditions_are_left_to_it(client: httpx.AsyncClient, upstream: HostileUpstream) -> None:
    url = serve_document(upstream, ETag='"a"')
    await client.get(url)
    assert (await client.get(url, headers={"If-None-Match": '"a"'})).status_code == 304


async def test_no_credential_sees_what_another_one_got(
    open_way: Ways, upstream: HostileUpstream, engine: AsyncEngine
) -> None:
    url = upstream.answer("/", b"for one", Cache_Control="max-age=60", ETag='"1"')
    async with open_way("one", engine=engine) as way:
        await way.make_client().get(url)
    upstream.answer("/", b"for two", Cache_Control="max-age=60", ETag='"1"')
    async with open_way("two", engine=engine) as way:
        assert (await way.make_client().get(url)).text == "for two"
        assert "if-none-match" not in upstream.seen_headers
    async with open_way("one", engine=engine) as way:
        assert (await way.make_client().get(url)).text == "for one"
    assert len(upstream.arrivals) == 2


async def test_errors_and_posts_are_not_kept(
    client: httpx.AsyncClient, upstream: HostileUpstream, engine: AsyncEngine
) -> None:
    url = upstream.answer("/", b"{}", 404, Cache_Control="max-age=60")
    assert [(await client.get(url)).status_code for _ in range(2)] == [404, 404]
    upstream.answer("/", b"{}", Cache_Control="max-age=60")
    await client.post(url)
    assert await count(engine) == 0


async def test_an_answer_that_may_have_been_cut_is_not_kept(
    client: httpx.AsyncClient, upstream: HostileUpstream, engine: AsyncEngine
) -> None:
    url = upstream.stream("/", lambda: iter([b'{"n": ']), ETag='"a"', Cache_Control="max-age=60")
    assert (await client.get(url)).text == '{"n": '
    assert await count(engine) == 0


async def test_a_large_answer_is_given_and_not_kept(
    client: httpx.AsyncClient, upstream: HostileUpstream, engine: AsyncEngine
) -> None:
    url = upstream.answer("/", bytes(9_000_000), Cache_Control="max-age=60")
    assert len((await client.get(url)).content) == 9_000_000
    assert await count(engine) == 0


async def test_without_the_database_it_is_only_dearer(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"{}", Cache_Control="max-age=60")
    gone = make_engine(SecretStr("postgresql://nobody@127.0.0.1:1/none"), application_name="tests")
    async with open_way(engine=gone) as way, way.make_client() as client:
        assert [(await client.get(url)).status_code for _ in range(2)] == [200, 200]


async def test_old_answers_are_forgotten(engine: AsyncEngine) -> None:
    kept = StoredResponse({}, {}, b"x" * 1_000, 1_000, 0.0, is_fresh=False)
    async with engine.begin() as connection:
        for number in range(10):
            await save_response(connection, bytes([number]), "some", kept, fresh_seconds=0)
            await connection.execute(
                text("UPDATE responses SET used_at = now() - make_interval(days => :n) WHERE key = :key"),
                {"n": number, "key": bytes([number])},
            )
        assert await remove_old_responses(connection, max_bytes=100_000, max_age_days=8) == 1
        assert await remove_old_responses(connection, max_bytes=5_500, max_age_days=30) == 4
        left = (await connection.execute(text("SELECT key FROM responses ORDER BY key"))).scalars().all()
    assert left == [bytes([number]) for number in range(5)]


async def count(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(text("SELECT count(*) FROM responses"))).scalar_one()
