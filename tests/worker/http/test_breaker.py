"""An upstream that fails again and again is left alone by all workers, and tried by one."""

import asyncio
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler

import httpx
import pytest
from hostile_upstream import HostileUpstream, send
from valkey import Valkey
from worker.http.conftest import Ways
from wump_core.errors import RateLimited, Unavailable

KEY = "wump:http:{some}:breaker"


async def fail(client: httpx.AsyncClient, url: str, times: int) -> None:
    for _ in range(times):
        await client.post(url)  # not repeated, so that each is one request


async def is_open(client: httpx.AsyncClient, url: str) -> bool:
    try:
        await client.get(url)
    except Unavailable as error:
        return "some is left alone until" in str(error)
    return False


def let_time_pass(valkey_url: str) -> None:
    """As if the breaker had been open for long enough."""
    with Valkey.from_url(valkey_url) as valkey:
        valkey.hset(KEY, "open_until", "1")


async def test_it_opens_after_five_failures_for_all_workers_and_says_why(
    open_way: Ways, upstream: HostileUpstream
) -> None:
    url = upstream.answer("/", status=502)
    async with open_way() as way, open_way() as other:
        await fail(way.make_client(), url, 5)
        with pytest.raises(Unavailable, match="HTTP 502"):
            await other.make_client().get(url)
    assert len(upstream.arrivals) == 5


async def test_whoever_never_ends_an_answer_is_left_alone_too(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"{}", seconds=2)
    async with open_way(total_timeout_seconds=0.2) as way, way.make_client() as client:
        for _ in range(5):
            with pytest.raises(httpx.ReadTimeout):
                await client.post(url)
        with pytest.raises(Unavailable, match="no whole answer in time"):
            await client.post(url)


@pytest.mark.parametrize("status", [401, 403, 404, 422, 304])
async def test_a_refusal_is_no_failure(open_way: Ways, upstream: HostileUpstream, status: int) -> None:
    url = upstream.answer("/", status=status)
    async with open_way() as way, way.make_client() as client:
        await fail(client, url, 6)
        assert not await is_open(client, url)


async def test_limits_are_no_failures(open_way: Ways, upstream: HostileUpstream, valkey_url: str) -> None:
    url = upstream.answer("/", status=429, Retry_After="1")
    async with open_way() as way, way.make_client() as client:
        for _ in range(6):
            with pytest.raises(RateLimited):
                await client.get(url)
    with Valkey.from_url(valkey_url) as valkey:
        assert not valkey.hexists(KEY, "open_until")


async def test_whoever_fails_every_other_time_is_left_alone_too(open_way: Ways, upstream: HostileUpstream) -> None:
    def behave(request: BaseHTTPRequestHandler) -> None:
        send(request, status=503 if len(upstream.arrivals) % 2 else 200)

    upstream.behaviours["/"] = behave
    async with open_way() as way, way.make_client() as client:
        with pytest.raises(Unavailable):
            await fail(client, upstream.address + "/", 30)
    assert len(upstream.arrivals) == 19, "ten failures among twenty"


async def test_one_worker_tries_and_its_success_closes_it(
    open_way: Ways, upstream: HostileUpstream, valkey_url: str
) -> None:
    url = upstream.answer("/", status=500)
    async with open_way() as way, open_way() as other:
        await fail(way.make_client(), url, 5)
        let_time_pass(valkey_url)
        upstream.answer("/", b"{}", seconds=1.5)
        clients = [opened.make_client() for opened in (way, other) for _ in range(4)]
        opened = await asyncio.gather(*(is_open(client, url) for client in clients))
        assert opened.count(False) == 1, "the probe"
        assert len(upstream.arrivals) == 6
        assert not await is_open(clients[0], url)


async def test_a_failed_try_opens_it_for_longer(open_way: Ways, upstream: HostileUpstream, valkey_url: str) -> None:
    url = upstream.answer("/", status=500)
    waits = []
    async with open_way() as way, way.make_client() as client:
        await fail(client, url, 5)
        for _ in range(3):
            let_time_pass(valkey_url)
            await fail(client, url, 1)
            with pytest.raises(Unavailable) as caught:
                await client.get(url)
            moment = datetime.fromisoformat(str(caught.value).partition(" until ")[2].partition(" UTC")[0])
            waits.append((moment.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds())
    assert waits == pytest.approx([60, 120, 240], abs=15)
    assert len(upstream.arrivals) == 8


async def test_a_try_that_was_never_made_leaves_room_for_another(
    open_way: Ways, upstream: HostileUpstream, valkey_url: str
) -> None:
    url = upstream.answer("/", status=500)
    async with open_way() as way, way.make_client() as client:
        await fail(client, url, 5)
        let_time_pass(valkey_url)
        with Valkey.from_url(valkey_url) as valkey:
            valkey.hset("wump:http:{some}:hold:anonymous", "until", "9999999999")
            with pytest.raises(RateLimited):
                await client.get(url)
            valkey.delete("wump:http:{some}:hold:anonymous")
        upstream.answer("/", b"{}")
        assert not await is_open(client, url)


async def test_what_flaps_is_tried_again_where_that_is_safe(open_way: Ways, upstream: HostileUpstream) -> None:
    def behave(request: BaseHTTPRequestHandler) -> None:
        send(request, b"{}", 200 if len(upstream.arrivals) % 3 == 0 else 502)

    upstream.behaviours["/"] = behave
    url = upstream.address + "/"
    async with open_way() as way, way.make_client() as client:
        assert (await client.get(url)).status_code == 200
        assert len(upstream.arrivals) == 3
        marked = await client.post(url, content=b"{query}", extensions={"wump_idempotent": True})
        assert marked.status_code == 200
        assert [arrival.body for arrival in upstream.arrivals[3:]] == [b"{query}"] * 3
        assert (await client.post(url)).status_code == 502
        assert len(upstream.arrivals) == 7


async def test_without_valkey_there_is_no_breaker(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", status=500)
    async with open_way(valkey=None) as way, way.make_client() as client:
        await fail(client, url, 7)
    assert len(upstream.arrivals) == 7
