"""The client that providers get, against servers that misbehave: where it may go, how long, and how much it takes."""

import asyncio
import gzip
import resource
import socket
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpcore
import httpx
import pytest
from hostile_upstream import HostileUpstream, serve_hostile
from wump_core.errors import (
    CredentialsRejected,
    InvalidResponse,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)
from wump_core.loading import load_providers
from wump_core.providers import translate_error
from wump_core.registries import TABLES
from wump_core.settings import ProviderSettings
from wump_worker.http.client import make_client
from wump_worker.http.guard import is_public
from wump_worker.settings import WorkerSettings

LIMIT = 100_000
MEBIBYTE = 1024 * 1024


@pytest.fixture
async def client(upstream: HostileUpstream) -> AsyncIterator[httpx.AsyncClient]:
    settings = ProviderSettings(base_url=upstream.address)
    worker = WorkerSettings(
        max_body_bytes=LIMIT, read_timeout_seconds=0.4, connect_timeout_seconds=0.4, total_timeout_seconds=3
    )
    async with make_client("some-registry", settings, worker, contact="mail@example.org") as client:
        yield client


async def refusal(client: httpx.AsyncClient, url: str) -> str:
    with pytest.raises(InvalidResponse) as caught:
        await client.get(url)
    return str(caught.value)


async def test_it_says_who_it_is_and_asks_for_one_encoding(
    client: httpx.AsyncClient, upstream: HostileUpstream
) -> None:
    response = await client.get(upstream.answer("/", b"{}"))
    assert response.json() == {}
    assert upstream.seen_headers["user-agent"].startswith("wump/")
    assert upstream.seen_headers["user-agent"].endswith(" (+mail@example.org)")
    assert upstream.seen_headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    "target",
    [
        "http://registry.example/",
        "https://127.0.0.1/",
        "http://127.0.0.1:9/",
        "http://localhost/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://[::ffff:127.0.0.1]/",
        "http://registry.example@127.0.0.2/",
    ],
)
async def test_other_origins_are_refused_directly_and_by_redirect(
    client: httpx.AsyncClient, upstream: HostileUpstream, target: str
) -> None:
    url = upstream.answer("/moved", status=302, Location=target)
    for address in (target, url):
        message = await refusal(client, address)
        assert "some-registry was sent to " in message
        assert "WUMP_PROVIDER_SOME_REGISTRY_HOSTS" in message
    assert upstream.asked == ["/moved"]


async def test_a_redirect_to_another_port_of_the_same_host_names_the_port(
    client: httpx.AsyncClient, upstream: HostileUpstream
) -> None:
    with serve_hostile() as other:
        other.answer("/secret", b"inside")
        message = await refusal(client, upstream.answer("/r", status=307, Location=f"{other.address}/secret"))
        assert f"sent to {other.address}," in message
        assert other.asked == []


async def test_a_host_that_the_settings_name_is_allowed(upstream: HostileUpstream) -> None:
    settings = ProviderSettings(base_url="https://registry.example", hosts=(upstream.address,))
    async with make_client("x", settings, WorkerSettings()) as client:
        assert (await client.get(upstream.answer("/a", b"yes"))).content == b"yes"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names resolve to, in place of the machine's resolver."""
    answers: dict[str, list[str]] = {}

    async def getaddrinfo(_: object, host: str, port: int, **__: object) -> list[Any]:
        if host not in answers:
            raise OSError("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in answers[host]]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    monkeypatch.setenv("NO_PROXY", "*")
    return answers


PRIVATE = [
    "127.0.0.1",
    "10.0.0.8",
    "169.254.169.254",
    "100.64.0.1",
    "::1",
    "fd00::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
]


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_public_name_that_leads_inside_is_refused_when_it_is_connected(
    names: dict[str, list[str]], address: str
) -> None:
    """As after a rebinding: the name is allowed, the address that it has by now isn't."""
    names["registry.example"] = [address]
    settings = ProviderSettings(base_url="http://registry.example")
    async with make_client("npm", settings, WorkerSettings(), base_url_origin=TABLES) as client:
        message = await refusal(client, "http://registry.example/")
    assert f"is at {address}, an address that is not public" in message


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("10.0.0.8", True),
        ("203.0.113.80", True),
        ("fd00::1", True),
        ("127.0.0.1", False),
        ("::1", False),
        ("0.0.0.0", False),
        ("169.254.169.254", False),
        ("fd00:ec2::254", False),
    ],
)
async def test_a_registrys_own_name_may_lead_to_a_mirror_inside_where_a_certificate_proves_it(
    names: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch, address: str, may: bool
) -> None:
    """Whether it is connected at all: the certificate would be the next thing to be asked for."""
    asked: list[str] = []

    async def connect(_: object, host: str, *__: object, **___: object) -> None:
        asked.append(host)
        raise httpcore.ConnectError("nobody is there")

    monkeypatch.setattr("httpcore._backends.auto.AutoBackend.connect_tcp", connect)
    names["registry.example"] = [address]
    settings = ProviderSettings(base_url="https://registry.example")
    async with make_client("npm", settings, WorkerSettings(), base_url_origin=TABLES) as client:
        with pytest.raises(httpx.ConnectError if may else InvalidResponse):
            await client.post("https://registry.example/")
    assert asked == ([address] if may else [])


async def test_an_operators_host_may_be_inside_but_leads_to_no_clouds_secrets(
    names: dict[str, list[str]], upstream: HostileUpstream
) -> None:
    port = upstream.address.rpartition(":")[2]
    url = upstream.answer("/", b"inside").replace("127.0.0.1", "git.corp.example")
    async with make_client(
        "x", ProviderSettings(base_url=f"http://git.corp.example:{port}"), WorkerSettings()
    ) as client:
        names["git.corp.example"] = ["169.254.169.254", "127.0.0.1"]
        assert (await client.get(url)).text == "inside"
        names["git.corp.example"] = ["169.254.169.254"]
        await client.get(url)  # on the connection that is open
    async with make_client(
        "x", ProviderSettings(base_url=f"http://git.corp.example:{port}"), WorkerSettings()
    ) as client:
        assert "169.254.169.254" in await refusal(client, url)
        del names["git.corp.example"]
        with pytest.raises(httpx.ConnectError):
            await client.post(url)


@pytest.mark.parametrize(
    "address",
    [
        *PRIVATE,
        "0.0.0.0",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "fe80::1%eth0",
        "2002:7f00:1::",
        "64:ff9b:1::1",
        "ff02::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "::127.0.0.1",
        "2001:db8::1",
    ],
)
def test_these_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["140.82.121.6", "2606:50c0:8000::154", "::ffff:140.82.121.6", "64:ff9b::8c52:7906"]
)
def test_these_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("hosts", ['["http://"]', '["a b"]', '["u:p@r.example"]', '["ftp://r.example"]'])
def test_a_host_that_is_none_breaks_that_provider_alone(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    monkeypatch.setenv("WUMP_PROVIDER_NPM_HOSTS", hosts)
    loaded = load_providers(["npm", "pypi"])
    assert [provider.name for provider in loaded.active] == ["pypi"]
    assert [broken.name for broken in loaded.broken] == ["npm"]
    assert "WUMP_PROVIDER_NPM_HOSTS" in loaded.broken[0].reason


async def test_redirects_within_the_origin_are_followed_but_not_for_ever(
    client: httpx.AsyncClient, upstream: HostileUpstream
) -> None:
    upstream.answer("/end", b"here")
    assert (await client.get(upstream.answer("/start", status=301, Location="/end"))).content == b"here"
    with pytest.raises(httpx.TooManyRedirects) as caught:
        await client.get(upstream.answer("/loop", status=302, Location="/loop"))
    assert upstream.asked.count("/loop") == 6
    assert isinstance(translate_error("npm", caught.value), InvalidResponse)


async def test_a_body_that_says_it_is_too_large_is_not_read(
    client: httpx.AsyncClient, upstream: HostileUpstream
) -> None:
    url = upstream.stream("/big", lambda: iter([b"x" * 65_536] * 3_200), Content_Length=str(200 * MEBIBYTE))
    message = await refusal(client, url)
    assert f"a body of more than {LIMIT} bytes; raise WUMP_WORKER_MAX_BODY_BYTES" in message
    assert upstream.bytes_sent < 20 * MEBIBYTE


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_a_body_that_never_ends_is_left(
    client: httpx.AsyncClient, upstream: HostileUpstream, encoding: str
) -> None:
    def endless() -> Iterator[bytes]:
        packer = zlib.compressobj(wbits=31)
        while True:
            piece = b"x" * 65_536
            yield piece if encoding == "identity" else packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)

    assert "more than" in await refusal(client, upstream.stream("/endless", endless, Content_Encoding=encoding))
    assert upstream.bytes_sent < 20 * MEBIBYTE


async def test_compressed_nothings_that_never_end_are_left(
    client: httpx.AsyncClient, upstream: HostileUpstream
) -> None:
    def endless() -> Iterator[bytes]:
        packer = zlib.compressobj(wbits=31)
        yield packer.compress(b"")
        while True:
            yield packer.flush(zlib.Z_FULL_FLUSH) or b"\x00\x00\x00\xff\xff" * 1000

    url = upstream.stream("/nothings", endless, Content_Encoding="gzip")
    assert "more than" in await asyncio.wait_for(refusal(client, url), 20)


async def test_a_body_at_the_limit_is_taken(client: httpx.AsyncClient, upstream: HostileUpstream) -> None:
    body = bytes(range(256)) * (LIMIT // 256)
    assert (await client.get(upstream.answer("/plain", body))).content == body
    packed = upstream.answer("/packed", gzip.compress(body), Content_Encoding="GZIP")
    response = await client.get(packed)
    assert response.content == body
    assert "content-encoding" not in response.headers
    assert (await client.get(upstream.answer("/empty", b"", Content_Encoding="gzip"))).content == b""
    assert (await client.get(upstream.answer("/of-empty", gzip.compress(b""), Content_Encoding="gzip"))).content == b""


async def test_200_mb_cost_no_more_memory_than_the_limit(upstream: HostileUpstream) -> None:
    """With the real limit: plain, and as a bomb whose wire is a thousandth of it."""
    piece = b"x" * MEBIBYTE

    def bomb() -> Iterator[bytes]:
        packer = zlib.compressobj(9, wbits=31)
        for _ in range(1_000):
            yield packer.compress(piece)
        yield packer.flush()

    async with make_client("npm", ProviderSettings(base_url=upstream.address), WorkerSettings()) as client:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        await refusal(client, upstream.stream("/plain", lambda: iter([piece] * 200)))
        await refusal(client, upstream.stream("/bomb", bomb, Content_Encoding="gzip"))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 160, f"{grown:.0f} MiB more"
    assert upstream.bytes_sent < 100 * MEBIBYTE


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        ("br", b"\x0b\x02\x80", "the encoding 'br', which was not asked for"),
        ("deflate", zlib.compress(b"{}"), "the encoding 'deflate'"),
        ("gzip, gzip", gzip.compress(gzip.compress(b"{}")), "the encoding 'gzip, gzip'"),
        ("gzip", gzip.compress(b"{}" * 500)[:-9], "ends in the middle of its compression"),
        ("gzip", b"<html>no gzip</html>", "can't be decompressed"),
        ("gzip", gzip.compress(b"{}") + b"more", "goes on after the end of its compression"),
        ("gzip", gzip.compress(b"{}") + gzip.compress(b"{}"), "goes on after the end of its compression"),
        ("gzip", gzip.compress(b"{}")[:-8] + b"12345678", "can't be decompressed"),
    ],
    ids=["brotli", "deflate", "stacked", "cut", "no gzip", "trailing", "two members", "checksum"],
)
async def test_other_encodings_are_refused(
    client: httpx.AsyncClient, upstream: HostileUpstream, encoding: str, body: bytes, reason: str
) -> None:
    assert reason in await refusal(client, upstream.answer("/", body, Content_Encoding=encoding))


async def test_double_gzip_is_undone_once(client: httpx.AsyncClient, upstream: HostileUpstream) -> None:
    """Declared once, it is what it is: bytes that the plugin's parser will refuse, and no bomb."""
    inner = gzip.compress(bytes(50 * MEBIBYTE))
    response = await client.get(upstream.answer("/", gzip.compress(inner), Content_Encoding="gzip"))
    assert response.content == inner


async def test_whoever_is_slow_or_gone_is_unavailable(client: httpx.AsyncClient, upstream: HostileUpstream) -> None:
    def silent(_: BaseHTTPRequestHandler) -> None:
        time.sleep(1)

    def half(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"half")
        request.close_connection = True

    upstream.behaviours |= {"/silent": silent, "/half": half}
    messages = {}
    for path in ("/silent", "/half"):
        with pytest.raises(httpx.TransportError) as caught:
            await client.get(upstream.address + path)
        messages[path] = translate_error("npm", caught.value)
        assert type(messages[path]) is Unavailable
    assert str(messages["/silent"]) == "npm did not answer in time"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidResponse),
        (401, CredentialsRejected),
        (403, CredentialsRejected),
        (404, NotFound),
        (408, Unavailable),
        (410, NotFound),
        (418, InvalidResponse),
        (425, Unavailable),
        (451, NotFound),
        (500, Unavailable),
        (503, Unavailable),
        (599, Unavailable),
        (304, InvalidResponse),
    ],
)
async def test_each_status_is_the_error_that_decides(
    client: httpx.AsyncClient, upstream: HostileUpstream, status: int, error: type[ProviderError]
) -> None:
    response = await client.get(upstream.answer("/", status=status))
    with pytest.raises(httpx.HTTPStatusError) as caught:
        response.raise_for_status()
    translated = translate_error("npm", caught.value)
    assert type(translated) is error
    assert str(status) in str(translated)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 60),
        ("-5", 60),
        ("soon", 60),
        ("9" * 30, 60),
        ("9999999", 86_400),
        ("", 60),
        ("²", 60),
        (timedelta(minutes=5), 300),
        (timedelta(minutes=-5), 1),
        (timedelta(days=400), 86_400),
        ("Sun, 06 Nov 1994 08:49:37 -0000", 1),
    ],
)
def test_retry_after_in_all_its_forms(value: str | timedelta, seconds: float) -> None:
    if isinstance(value, timedelta):
        value = format_datetime(datetime.now(UTC) + value, usegmt=True)
    request = httpx.Request("GET", "http://registry.example/")
    response = httpx.Response(429, headers=[(b"Retry-After", value.encode("latin-1"))], request=request)
    error = translate_error("npm", httpx.HTTPStatusError("", request=request, response=response))
    assert isinstance(error, RateLimited)
    assert error.retry_at is not None
    assert (error.retry_at - datetime.now(UTC)).total_seconds() == pytest.approx(seconds, abs=20)
