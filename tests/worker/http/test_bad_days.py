"""Each fault of an upstream ends in its named error, before the deadline, and costs little memory."""

import gzip
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import httpx
import pytest
from hostile_upstream import HostileUpstream
from worker.http.conftest import Ways
from wump_core.errors import InvalidResponse, ProviderError, Unavailable
from wump_core.providers import translate_error

MEBIBYTE = 1024 * 1024


async def test_the_whole_of_a_request_has_a_deadline(open_way: Ways, upstream: HostileUpstream) -> None:
    """Drips never pause for long, redirects are quick, answers come late: none of them lasts."""

    def drip_body(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "10000")
        request.end_headers()
        for _ in range(100):
            request.wfile.write(b"x")
            time.sleep(0.1)

    def drip_headers(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(100):
            request.wfile.write(f"X-{number}: x\r\n".encode())
            time.sleep(0.1)

    def silent(_: BaseHTTPRequestHandler) -> None:
        time.sleep(10)

    upstream.behaviours |= {"/body": drip_body, "/headers": drip_headers, "/silent": silent}
    upstream.answer("/slow-redirect", status=302, seconds=0.5, Location="/slow-redirect")
    async with open_way(total_timeout_seconds=1.2) as way, way.make_client() as client:
        for path in ("/body", "/headers", "/silent", "/slow-redirect"):
            with pytest.raises(httpx.ReadTimeout) as caught:
                await client.get(upstream.address + path)
            assert type(translate_error("some", caught.value)) is Unavailable
    assert upstream.asked.count("/slow-redirect") < 4


async def test_endless_pages_end(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"[]", Link='</?page=2>; rel="next"')
    async with open_way(max_requests=20) as way:
        client = way.make_client()
        for _ in range(20):
            await client.get(url)
        with pytest.raises(InvalidResponse, match="WUMP_WORKER_MAX_REQUESTS"):
            await client.get(url)
        assert (await way.make_client().get(url)).status_code == 200, "the next call begins anew"


async def test_an_extension_that_is_wrong_is_named(open_way: Ways, upstream: HostileUpstream) -> None:
    async with open_way() as way, way.make_client() as client:
        with pytest.raises(InvalidResponse, match="wump_resource"):
            await client.get(upstream.answer("/"), extensions={"wump_resource": "a:b\n"})


async def test_nobody_keeps_cookies(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"{}", Set_Cookie="session=1; Path=/")
    async with open_way() as way, way.make_client() as client:
        await client.get(url)
        await client.get(url)
    assert "cookie" not in upstream.seen_headers


def _bomb(wbits: int) -> Iterator[bytes]:
    packer = zlib.compressobj(9, wbits=wbits)
    for _ in range(1_024):
        yield packer.compress(bytes(MEBIBYTE))
    yield packer.flush()


def _send_many_headers(request: BaseHTTPRequestHandler) -> None:
    lines = b"".join(b"X-%d: y\r\n" % number for number in range(100_000))
    request.wfile.write(b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n")


CHILD = """
import asyncio, resource, sys
from wump_core.settings import ProviderSettings
from wump_core.telemetry import configure_logging
from wump_worker.http.client import make_client
from wump_worker.settings import WorkerSettings

async def main(address, paths):
    configure_logging("error", "json")
    worker = WorkerSettings(total_timeout_seconds=60)
    async with make_client("some", ProviderSettings(base_url=address), worker) as client:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path in paths:
            try:
                answer = await client.post(address + path)
                print(path, "answered", answer.status_code)
            except Exception as error:
                print(path, type(error).__name__)
        print("grown", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)

asyncio.run(main(sys.argv[1], sys.argv[2:]))
"""


def test_bombs_and_floods_cost_little_memory(upstream: HostileUpstream) -> None:
    """In a process of its own, with the real limits: 64 MiB more at most, over all of them."""
    double = gzip.compress(gzip.compress(bytes(100 * MEBIBYTE)))
    upstream.stream("/gzip", lambda: _bomb(31), Content_Encoding="gzip")
    upstream.stream("/deflate", lambda: _bomb(15), Content_Encoding="deflate")
    upstream.answer("/stacked", double, Content_Encoding="gzip, gzip")
    # Half a kilobyte of either stands for a gigabyte; neither is read, so neither needs to be whole.
    upstream.answer("/brotli", b"\x5b\xff\xff\xff" + bytes(500), Content_Encoding="br")
    upstream.answer("/zstd", b"\x28\xb5\x2f\xfd" + bytes(500), Content_Encoding="zstd")
    upstream.stream("/flood", lambda: iter([bytes(MEBIBYTE)] * 200))
    upstream.answer("/html", b"<html>" * 100, Content_Type="text/html")
    upstream.behaviours["/headers"] = _send_many_headers
    paths = ["/gzip", "/deflate", "/stacked", "/brotli", "/zstd", "/flood", "/headers", "/html"]
    result = subprocess.run(
        [sys.executable, "-c", CHILD, upstream.address, *paths], capture_output=True, text=True, timeout=120, check=True
    )
    *outcomes, grown = result.stdout.splitlines()
    assert outcomes == [
        *(f"{path} InvalidResponse" for path in paths[:6]),
        "/headers RemoteProtocolError",
        "/html answered 200",
    ]
    assert int(grown.split()[1]) <= 64, result.stdout
    assert upstream.bytes_sent < 100 * MEBIBYTE


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        (b"", httpx.RemoteProtocolError),
        (b"garbage\r\n\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", httpx.RemoteProtocolError),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", httpx.RemoteProtocolError),
        (b"HTTP/1.1 302 Found\r\nLocation: http://[bad\r\nContent-Length: 0\r\n\r\n", InvalidResponse),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", httpx.RemoteProtocolError),
    ],
    ids=["nothing", "garbage", "cut", "bad chunk", "bad location", "negative length"],
)
async def test_a_broken_answer_is_an_error_of_the_transport(
    open_way: Ways, upstream: HostileUpstream, wire: bytes, error: type[Exception]
) -> None:
    def behave(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(wire)
        request.close_connection = True

    upstream.behaviours["/"] = behave
    async with open_way() as way, way.make_client() as client:
        with pytest.raises(error) as caught:
            await client.post(upstream.address + "/")
    assert isinstance(translate_error("some", caught.value), ProviderError)
