"""Limits of an upstream, kept by workers that know nothing of each other but Valkey; counted where they arrive."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
from hostile_upstream import HostileUpstream, send
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from valkey import Valkey
from worker.http.conftest import Ways
from wump_core.errors import RateLimited
from wump_core.limits import Limit, RateLimits
from wump_worker.http.calls import Call
from wump_worker.http.limiter import Limiter, Ticket, Wait
from wump_worker.http.reported import parse_report
from wump_worker.http.shared import SharedState

WORKERS = 4


def limits(requests: int, seconds: float, concurrency: int = 8) -> RateLimits:
    return RateLimits(resources={"core": (Limit(requests=requests, seconds=seconds),)}, concurrency=concurrency)


async def in_workers(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Do it in four threads, each with an event loop of its own; the sum of what they say."""

    def run() -> int:
        return asyncio.run(work())

    return sum(await asyncio.gather(*(asyncio.to_thread(run) for _ in range(WORKERS))))


async def ask_often(client: httpx.AsyncClient, url: str, times: int) -> int:
    """How many of so many requests at once were not held back or refused."""
    results = await asyncio.gather(*(client.get(url) for _ in range(times)), return_exceptions=True)
    unexpected = [item for item in results if not isinstance(item, httpx.Response | RateLimited)]
    assert not unexpected
    return sum(isinstance(item, httpx.Response) for item in results)


def seconds_until(error: RateLimited) -> float:
    assert error.retry_at is not None
    return (error.retry_at - datetime.now(UTC)).total_seconds()


async def refusal(client: httpx.AsyncClient, url: str) -> float:
    """The seconds after which the error says that there is room."""
    with pytest.raises(RateLimited) as caught:
        await client.get(url)
    return seconds_until(caught.value)


async def test_four_workers_share_one_budget(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"{}", seconds=0.02)

    async def work() -> int:
        async with open_way(limits=limits(20, 60), patience_seconds=30) as way, way.make_client() as client:
            return await ask_often(client, url, 15)

    assert await in_workers(work) == 18, "a tenth is kept"
    assert len(upstream.arrivals) == 18


async def test_no_stretch_holds_more_than_the_limit_however_long_answers_take(
    open_way: Ways, upstream: HostileUpstream
) -> None:
    url = upstream.answer("/", b"{}", seconds=0.1)

    async def work() -> int:
        async with open_way(limits=limits(5, 1), patience_seconds=30) as way, way.make_client() as client:
            return await ask_often(client, url, 4)

    assert await in_workers(work) == 16, "whoever is patient gets through"
    assert upstream.count_most_within(1) <= 5


async def test_a_pause_between_requests_is_a_limit_of_one(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"{}")

    async def work() -> int:
        async with open_way(limits=limits(1, 0.25), patience_seconds=30) as way, way.make_client() as client:
            return await ask_often(client, url, 3)

    assert await in_workers(work) == 12
    assert upstream.count_most_within(0.25) == 1


async def test_no_more_at_once_than_allowed(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"{}", seconds=0.1)

    async def work() -> int:
        way = open_way(limits=RateLimits(concurrency=2), patience_seconds=30)
        async with way as opened, opened.make_client() as client:
            return await ask_often(client, url, 4)

    assert await in_workers(work) == 16
    assert upstream.most_at_once == 2


async def test_a_tenth_is_kept_for_what_somebody_waits_for(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"{}")
    async with open_way(limits=limits(10, 60), patience_seconds=30) as way:
        background, urgent = way.make_client(), way.make_client(on_demand=True)
        assert await ask_often(background, url, 12) == 9
        assert (await urgent.get(url)).status_code == 200
        assert 30 < await refusal(urgent, url) < 70
        assert 30 < await refusal(background, url) < 70
    assert len(upstream.arrivals) == 10


async def test_each_resource_has_a_budget_of_its_own(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"{}")
    stated = RateLimits(
        resources={"core": (Limit(requests=2, seconds=60),), "search": (Limit(requests=1, seconds=60),)}
    )
    async with open_way(limits=stated) as way, way.make_client() as client:
        for resource, count in (("search", 1), ("core", 2)):
            for _ in range(count):
                await client.get(url, extensions={"wump_resource": resource})
            with pytest.raises(RateLimited, match=f"no more {resource} requests"):
                await client.get(url, extensions={"wump_resource": resource})
    assert len(upstream.arrivals) == 3


def _epoch(seconds: int) -> str:
    return str(int(time.time()) + seconds)


def _date(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"X_RateLimit_Limit": "60", "X_RateLimit_Remaining": "0", "X_RateLimit_Reset": lambda: _epoch(500)},
        {"X_RateLimit_Limit": "60", "X_RateLimit_Remaining": "0", "X_RateLimit_Reset": lambda: _epoch(500) + "000"},
        {"X_RateLimit_Limit": "60", "X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "500"},
        {"RateLimit_Limit": "60", "RateLimit_Remaining": "0", "RateLimit_Reset": lambda: _epoch(500)},
        {"RateLimit_Limit": "60", "RateLimit_Remaining": "0", "RateLimit_ResetTime": lambda: _date(500)},
        {"RateLimit_Limit": "100, 100;w=60", "RateLimit_Remaining": "0", "RateLimit_Reset": "500"},
        {"RateLimit": '"burst";r=9;t=1, "hour";r=0;t=500', "RateLimit_Policy": '"hour";q=60;w=3600'},
        {"RateLimit": "limit=60, remaining=0, reset=500"},
    ],
    ids=["epoch", "milliseconds", "seconds", "gitlab", "date", "old draft", "draft", "one field"],
)
async def test_what_the_upstream_says_is_left_is_believed(
    open_way: Ways, upstream: HostileUpstream, headers: dict[str, Any]
) -> None:
    # Moments are made now: when the tests were collected is long ago.
    url = upstream.answer(
        "/", b"{}", **{name: value() if callable(value) else value for name, value in headers.items()}
    )
    async with open_way() as way, way.make_client(on_demand=True) as client:
        assert (await client.get(url)).status_code == 200
        assert 440 < await refusal(client, url) < 510
    assert len(upstream.arrivals) == 1


@given(
    st.dictionaries(
        st.sampled_from(["RateLimit", "X-RateLimit-Reset", "Retry-After", "X-RateLimit-Remaining", "Date"]),
        st.text(max_size=30),
    )
)
def test_any_header_is_read_or_ignored(headers: dict[str, str]) -> None:
    report = parse_report(httpx.Headers({name: value.encode() for name, value in headers.items()}))  # ty: ignore[invalid-argument-type]
    assert all(value is None or 0 <= value <= 86_400 for value in (report.reset_in, report.retry_after))


async def test_nobody_is_refused_by_an_upstream_that_says_what_is_left(
    open_way: Ways, upstream: HostileUpstream
) -> None:
    """Nothing is stated: the headers alone tell, and requests that are under way count."""

    def behave(request: BaseHTTPRequestHandler) -> None:
        with upstream.lock:
            remaining = 40 - len(upstream.arrivals)
        time.sleep(0.05)
        send(
            request,
            status=200 if remaining >= 0 else 429,
            X_RateLimit_Limit="40",
            X_RateLimit_Remaining=str(max(remaining, 0)),
            X_RateLimit_Reset=_epoch(600),
        )

    upstream.behaviours["/"] = behave

    async def work() -> int:
        async with open_way(patience_seconds=30) as way, way.make_client() as client:
            return await ask_often(client, upstream.address + "/", 30)

    assert await in_workers(work) == 36, "a tenth is kept"
    assert len(upstream.arrivals) == 36


async def test_retry_after_is_obeyed_by_all_workers(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", status=429, Retry_After="120")
    async with open_way() as way, open_way() as other:
        assert 100 < await refusal(way.make_client(), url) < 125
        assert 100 < await refusal(other.make_client(on_demand=True), url) < 125
    assert len(upstream.arrivals) == 1


async def test_a_pause_for_maintenance_is_obeyed(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", status=503, Retry_After="120")
    async with open_way() as way, way.make_client() as client:
        assert (await client.get(url)).status_code == 503
        assert 100 < await refusal(client, url) < 125
    assert len(upstream.arrivals) == 1


SECONDARY = b'{"message":"You have exceeded a secondary rate limit. Please wait a few minutes."}'


async def test_a_refusal_without_any_header_is_waited_out_longer_each_time(
    open_way: Ways, upstream: HostileUpstream, valkey_url: str
) -> None:
    url = upstream.answer("/", SECONDARY, 403, X_RateLimit_Remaining="4000", X_RateLimit_Reset=_epoch(600))
    with Valkey.from_url(valkey_url) as valkey:
        async with open_way() as way, way.make_client() as client:
            for seconds in (60, 120, 240):
                assert seconds - 30 < await refusal(client, url) < seconds + 5
                valkey.hset("wump:http:{some}:hold:anonymous", "until", "1")  # as if that time had passed
            upstream.answer("/", b"{}")
            assert (await client.get(url)).status_code == 200
            upstream.answer("/", SECONDARY, 403)
            assert 30 < await refusal(client, url) < 65


async def test_a_refusal_with_a_reset_alone_is_waited_out(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", status=429, X_RateLimit_Reset=_epoch(500))
    async with open_way() as way, way.make_client() as client:
        assert 440 < await refusal(client, url) < 510
        assert 440 < await refusal(client, url) < 510
        upstream.answer("/", b"{}")
        response = await client.get(url, extensions={"wump_resource": "search"})
        assert response.status_code == 200, "another resource has room"
    assert len(upstream.arrivals) == 2


async def test_a_refusal_for_want_of_permission_is_no_limit(open_way: Ways, upstream: HostileUpstream) -> None:
    body = b'{"message":"Resource not accessible by personal access token"}'
    url = upstream.answer("/", body, 403, X_RateLimit_Remaining="4000", X_RateLimit_Reset=_epoch(600))
    async with open_way() as way, way.make_client() as client:
        assert [(await client.get(url)).status_code for _ in range(2)] == [403, 403]


@pytest.mark.parametrize(
    ("body", "is_limit"),
    [
        (b'{"errors": [{"type": "RATE_LIMITED", "message": "wait"}]}', True),
        (b'{"errors": [{"type": "RATE_LIMIT", "code": "graphql_rate_limit"}]}', True),
        (b'{"data": {"text": "\\"type\\": \\"RATE_LIMITED\\""}}', False),
        (b'{"errors": [{"type": "NOT_FOUND"}], "data": null}', False),
    ],
)
async def test_graphql_refuses_with_200(open_way: Ways, upstream: HostileUpstream, body: bytes, is_limit: bool) -> None:
    url = upstream.answer("/graphql", body)
    async with open_way() as way, way.make_client() as client:
        if is_limit:
            with pytest.raises(RateLimited):
                await client.post(url, json={"query": "{}"})
        else:
            assert (await client.post(url, json={"query": "{}"})).content == body


async def test_without_valkey_each_worker_keeps_to_a_tenth(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"{}")

    async def work() -> int:
        away = open_way(limits=limits(20, 60), valkey="valkey://127.0.0.1:1/0", patience_seconds=30)
        async with away as way, way.make_client() as client:
            return await ask_often(client, url, 5)

    assert await in_workers(work) == 2 * WORKERS


async def test_a_command_that_is_alone_has_the_whole_limit(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"{}", seconds=0.05)
    alone = open_way(limits=limits(20, 60, concurrency=3), valkey=None, patience_seconds=30)
    async with alone as way, way.make_client() as client:
        assert await ask_often(client, url, 25) == 20
    assert upstream.most_at_once == 3


async def test_valkey_may_be_emptied_at_any_moment(open_way: Ways, upstream: HostileUpstream, valkey_url: str) -> None:
    def behave(request: BaseHTTPRequestHandler) -> None:
        with Valkey.from_url(valkey_url) as valkey:
            valkey.flushall()
            valkey.script_flush()
        send(request, b"{}")

    upstream.behaviours["/"] = behave
    async with open_way(limits=limits(20, 0.2), patience_seconds=9) as way, way.make_client() as client:
        for _ in range(3):
            assert (await client.get(upstream.address + "/")).status_code == 200


async def test_what_was_never_sent_costs_nothing(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"{}")
    async with open_way(limits=limits(2, 60), address="http://127.0.0.1:1") as way, way.make_client() as client:
        for _ in range(3):
            with pytest.raises(httpx.ConnectError):
                await client.post("http://127.0.0.1:1/")
    async with open_way(limits=limits(2, 60)) as way, way.make_client() as client:
        assert await ask_often(client, url, 3) == 2


async def test_a_worker_that_dies_holds_up_the_others_no_longer_than_its_lease(valkey_url: str) -> None:
    call = Call(resource="core", deadline=0.0, on_demand=True, repeatable=True, wants_credential=False)
    shared = SharedState(SecretStr(valkey_url))
    limiter = Limiter("some", RateLimits(concurrency=1), shared, lease_seconds=0.5)
    assert isinstance(await limiter.take(call), Ticket)  # and never settled
    assert isinstance(await limiter.take(call), Wait)
    async with asyncio.timeout(30):
        wait = await limiter.take(call)
        while isinstance(wait, Wait):
            await asyncio.sleep(wait.seconds)
            wait = await limiter.take(call)
    await shared.aclose()


async def test_what_a_flushed_valkey_forgot_still_counts(
    open_way: Ways, upstream: HostileUpstream, valkey_url: str
) -> None:
    url = upstream.answer("/", b"{}")
    async with (
        open_way(limits=limits(6, 1.5)) as old,
        old.make_client(on_demand=True) as client,
        open_way(limits=limits(6, 1.5)) as fresh,
        fresh.make_client(on_demand=True) as newcomer,
    ):
        assert await ask_often(client, url, 8) == 6
        with Valkey.from_url(valkey_url) as valkey:
            valkey.flushall()
        assert 0 < await refusal(client, url) <= 1.5, "it remembers that there was something to remember"
        assert 0 < await refusal(newcomer, url) <= 1.5, "and tells those that came later"
        await asyncio.sleep(1.6)
        assert await ask_often(newcomer, url, 4) + await ask_often(client, url, 4) == 6
