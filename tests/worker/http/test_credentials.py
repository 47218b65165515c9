"""Tokens: where they go, where they don't, which one is taken, and that nobody else ever sees one."""

import io
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler

import pytest
import structlog
from hostile_upstream import HostileUpstream, send, serve_hostile
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from valkey import Valkey
from worker.http.conftest import Ways
from wump_core.errors import CredentialsRejected, InvalidResponse, RateLimited
from wump_core.limits import Limit, RateLimits
from wump_core.settings import ProviderSettings, TokenSettings
from wump_core.telemetry import configure_logging
from wump_worker.http import measure
from wump_worker.http.credentials import list_tokens

CANARY = "canary-4f1d7c20e5"


def tokens_seen(upstream: HostileUpstream) -> list[str | None]:
    return [arrival.headers.get("authorization") for arrival in upstream.arrivals]


@pytest.mark.parametrize(
    ("credential", "header"), [("bearer", "authorization"), ("header:PRIVATE-TOKEN", "private-token")]
)
async def test_a_token_goes_where_the_provider_says(
    open_way: Ways, upstream: HostileUpstream, credential: str, header: str
) -> None:
    url = upstream.answer("/", b"{}")
    async with open_way(CANARY, credential=credential) as way, way.make_client() as client:
        await client.get(url)
        assert upstream.seen_headers[header].removeprefix("Bearer ") == CANARY
        await client.get(url, extensions={"wump_credential": False})
        assert header not in upstream.seen_headers


async def test_a_key_in_the_query_comes_back_in_no_link(open_way: Ways, upstream: HostileUpstream) -> None:
    key = f"api_key={CANARY}"
    link = f'<{upstream.address}/list?page=2&{key}>; rel="next", <{upstream.address}/list?{key}&page=9>; rel="last"'
    url = upstream.answer("/list", f'{{"url":"?{key}"}}'.encode(), Link=link)
    async with open_way(CANARY, credential="query:api_key") as way, way.make_client() as client:
        response = await client.get(url, params={"page": 1})
        assert upstream.asked == [f"/list?page=1&{key}"]
        assert CANARY not in str(response.headers) + response.text + str(response.url) + repr(response.request.headers)
        await client.get(response.links["next"]["url"])
    assert upstream.asked[1].count(CANARY) == 1


async def test_a_redirect_to_another_host_carries_no_token(
    open_way: Ways, upstream: HostileUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_hostile() as other:
        other.answer("/", b"{}")
        way = open_way(CANARY, credential="header:PRIVATE-TOKEN", hosts=(other.address,))
        async with way as opened, opened.make_client() as client:
            await client.get(upstream.answer("/moved", status=302, Location=f"{other.address}/"))
        assert "private-token" in upstream.seen_headers
        assert CANARY not in str(other.arrivals)


async def test_a_rejected_token_is_set_aside_by_all_workers(open_way: Ways, upstream: HostileUpstream) -> None:
    def behave(request: BaseHTTPRequestHandler) -> None:
        send(request, b"{}", 401 if "bad" in request.headers["Authorization"] else 200)

    upstream.behaviours["/"] = behave
    async with open_way("bad", "good") as way, open_way("bad", "good") as other:
        for number in range(10):
            for opened in (way, other):
                assert (await opened.make_client().get(f"{upstream.address}/?{number}")).status_code == 200
    assert tokens_seen(upstream).count("Bearer bad") == 1


async def test_only_when_all_are_rejected_it_is_an_error(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", status=401)
    async with open_way("one", "two") as way, way.make_client() as client:
        for _ in range(2):
            with pytest.raises(CredentialsRejected, match=r"WUMP_PROVIDER_SOME_TOKEN \(2\)"):
                await client.get(url)
    assert sorted(map(str, tokens_seen(upstream))) == ["Bearer one", "Bearer two"]


async def test_tokens_are_used_up_one_beside_the_other(open_way: Ways, upstream: HostileUpstream) -> None:
    upstream.answer("/", b"{}")
    limits = RateLimits(resources={"core": (Limit(requests=5, seconds=60),)})
    async with open_way("one", "two", "three", limits=limits) as way, way.make_client() as client:
        for number in range(15):
            await client.get(f"{upstream.address}/?{number}")
        with pytest.raises(RateLimited) as caught:
            await client.get(f"{upstream.address}/")
    seen = tokens_seen(upstream)
    assert {token: seen.count(token) for token in seen} == {"Bearer one": 5, "Bearer two": 5, "Bearer three": 5}
    assert caught.value.retry_at is not None
    assert caught.value.retry_at > datetime.now(UTC)


async def test_an_exhausted_token_is_set_aside(open_way: Ways, upstream: HostileUpstream) -> None:
    def behave(request: BaseHTTPRequestHandler) -> None:
        spent = request.headers["Authorization"] == "Bearer spent"
        send(
            request,
            b"{}",
            403 if spent else 200,
            X_RateLimit_Remaining="0" if spent else "900",
            X_RateLimit_Reset="600",
        )

    upstream.behaviours["/"] = behave
    async with open_way("spent", "full") as way, way.make_client() as client:
        for number in range(10):
            assert (await client.get(f"{upstream.address}/?{number}")).status_code == 200
    assert tokens_seen(upstream).count("Bearer spent") <= 1


async def test_where_all_are_spent_the_first_to_have_room_is_waited_for(
    open_way: Ways, upstream: HostileUpstream
) -> None:
    upstream.answer("/", b"{}")
    limits = RateLimits(resources={"core": (Limit(requests=1, seconds=0.3),)})
    async with open_way("one", "two", limits=limits, patience_seconds=30) as way, way.make_client() as client:
        for number in range(6):
            assert (await client.get(f"{upstream.address}/?{number}")).status_code == 200
    assert upstream.count_most_within(0.3) <= 2


async def test_the_same_address_goes_with_the_same_token(open_way: Ways, upstream: HostileUpstream) -> None:
    upstream.answer("/", b"{}")
    async with open_way("one", "two", "three") as way, way.make_client() as client:
        for _ in range(4):
            await client.get(f"{upstream.address}/?same")
    assert len(set(tokens_seen(upstream))) == 1


def test_tokens_are_read_however_a_plugin_declares_them() -> None:
    class OneToken(ProviderSettings):
        token: SecretStr | None = None

    assert list_tokens("x", ProviderSettings()) == ()
    assert len(list_tokens("x", OneToken(token=SecretStr("a")))) == 1
    assert len(list_tokens("x", TokenSettings(token=(SecretStr("a"), SecretStr("b"))))) == 2
    assert CANARY not in str(list_tokens("x", OneToken(token=SecretStr(CANARY))))


@pytest.mark.parametrize(("value", "count"), [("a,b , a", 2), ('["a", "b"]', 2), ("a", 1), ("", 0)])
def test_several_tokens_in_one_variable(monkeypatch: pytest.MonkeyPatch, value: str, count: int) -> None:
    monkeypatch.setenv("WUMP_PROVIDER_X_TOKEN", value)
    assert len(TokenSettings(_env_prefix="WUMP_PROVIDER_X_").token) == count


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(measure, "_tracer", provider.get_tracer("tests"))
    yield exporter
    provider.shutdown()


@pytest.fixture
def log_text() -> Iterator[io.StringIO]:
    """All that is logged, down to debug."""
    kept = logging.root.handlers[:], logging.root.level
    configure_logging("debug", "json")
    written = io.StringIO()
    handler = logging.root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(written)
    yield written
    logging.root.handlers[:], level = kept
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("credential", ["bearer", "query:api_key"])
async def test_a_token_is_in_no_log_span_error_or_store(
    open_way: Ways,
    upstream: HostileUpstream,
    engine: AsyncEngine,
    valkey_url: str,
    spans: InMemorySpanExporter,
    log_text: io.StringIO,
    credential: str,
) -> None:
    upstream.answer("/good", CANARY.encode(), ETag='"1"', Link=f"<{upstream.address}/?api_key={CANARY}>")
    upstream.answer("/moved", status=302, Location=f"http://127.0.0.1:9/?api_key={CANARY}")
    upstream.answer("/bad", CANARY.encode(), 500)
    upstream.answer("/rejected", CANARY.encode(), 401)
    upstream.stream("/cut", lambda: iter([CANARY.encode()]), Content_Length="100")
    told = ""
    async with open_way(CANARY, credential=credential, engine=engine) as way, way.make_client() as client:
        for path in ("/good", "/good", "/moved", "/bad", "/cut", "/rejected"):
            try:
                response = await client.get(f"{upstream.address}{path}?token={CANARY}&page=2")
                response.raise_for_status()
            except (InvalidResponse, CredentialsRejected, RateLimited) as error:
                told += repr(error)
            except Exception as error:
                told += repr(error).replace(f"token={CANARY}", "")  # the plugin's own words
    assert all(CANARY in arrival.path + str(arrival.headers) for arrival in upstream.arrivals)
    assert "InvalidResponse" in told
    assert CANARY not in told
    finished = spans.get_finished_spans()
    assert len(finished) > 5
    assert {span.name for span in finished} == {"GET"}
    assert CANARY not in "".join(span.to_json() for span in finished)
    assert "page=2" in str(finished[0].attributes)
    assert "provider.call" in log_text.getvalue()
    assert CANARY not in log_text.getvalue()
    with Valkey.from_url(valkey_url) as valkey:
        assert CANARY not in str(valkey.keys())
    async with engine.connect() as connection:
        rows = (await connection.execute(text("SELECT r::text FROM responses r"))).scalars().all()
    assert len(rows) == 1
    assert CANARY not in str(rows)
