"""Hostile texts in every parameter of every operation: refused or answered, never a 5xx, never slow, never split."""

import json
import socket
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.settings import CoreSettings

TEXTS = {
    "nul": b"\0",
    "escaped nul": b"%00",
    "half a surrogate": "\ud800".encode("utf-8", "surrogatepass"),
    "no UTF-8": b"\xff\xfe\x80",
    "four bytes": "\U0001f4a9\U0010ffff".encode(),
    "right to left": "\u202egpj.exe\u2066".encode(),
    "new header": b"a\r\nSet-Cookie: stolen=1\r\n\r\n<script>",
    "quotes": b"'\"`; DROP TABLE packages; --",
    "wildcards": b"%_%\\_[a-z]*" * 50,
    "pattern": b"((((a+)+)+)+)+$" + b"a" * 5_000 + b"!",
    "way up": b"../" * 40 + b"etc/passwd",
    "markup": b"<img src=x onerror=alert(1)>[bold]{{7*7}}${7*7}",
    "large number": b"9" * 400,
    "least": b"-9223372036854775809",
    "no number": b"NaN",
    "no date": b"0000-00-00T99:99:99+99:99",
    "last date": b"9999-12-31T23:59:59.999999-23:59",
    "digits elsewhere": "\u0663\u0664".encode(),
    "nothing": b"",
    "blank": b" \t\n\x0b\x1f\x7f",
    "formula": b"=HYPERLINK(1)",
    "script address": b"javascript:alert(1)",
    "long": b"a" * 59_000,
    "deep": b"[" * 5_000,
}
MEGABYTE = "\u00e9" * 500_000
SLOWEST_SECONDS = 0.5
MACHINE = 10
"""So much slower a machine may be that does other things too."""


def list_operations(schema: Any) -> Iterator[tuple[str, str, Any]]:
    """(method, path, description) of all below /api/v1."""
    for path, methods in schema["paths"].items():
        for method, described in methods.items():
            if path.startswith("/api/v1"):
                yield method.upper(), path, described


def make_target(path: str, described: Any, name: str, value: bytes) -> bytes:
    """The address of an operation with one parameter of this value, the others as good as can be."""
    good = {"ecosystem": b"npm", "name": b"core", "id": b"01890a5d-ac96-774b-bcce-b302099a8057"}
    target = path.encode()
    for known, usual in good.items():
        written = value if known == name else usual
        target = target.replace(b"{%s}" % known.encode(), quote(written, safe="").encode())
    wanted = [item for item in described.get("parameters", ()) if item["in"] == "query"]
    given = {item["name"]: b"core" for item in wanted if item.get("required")}
    if any(item["name"] == name for item in wanted):
        given[name] = value
    query = b"&".join(known.encode() + b"=" + quote(written, safe="").encode() for known, written in given.items())
    return target + (b"?" + query if query else b"")


@pytest.fixture
async def keyed(serving: Any, settings: CoreSettings, engine: AsyncEngine, adding: Any) -> AsyncIterator[Any]:
    """A client with an operator's key, so that every operation is reached, on a database of its own."""
    key = await adding(engine, "operator", requests_per_hour=10_000_000, requests_per_burst=10_000_000)
    async with serving(settings) as api:
        api.headers["X-API-Key"] = key
        yield api


async def count_rows(engine: AsyncEngine) -> list[int]:
    """Rows that no refused request may make or remove."""
    async with engine.connect() as connection:
        tables = ("packages", "organizations", "repositories", "takedowns", "providers")
        return [(await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() for table in tables]


def check(response: httpx.Response, began: float, what: str) -> None:
    """Whether an answer is as it should be."""
    assert response.status_code < 500, (what, response.text)
    assert time.perf_counter() - began < SLOWEST_SECONDS * MACHINE, what
    assert "set-cookie" not in response.headers, what
    assert "Traceback" not in response.text, what
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json", what
        assert len(response.content) < 20_000, what
        assert json.loads(response.content)["fix"], what


async def test_in_every_part_of_an_address(keyed: Any, engine: AsyncEngine) -> None:
    before, asked = await count_rows(engine), 0
    for method, path, described in list_operations(keyed.app.openapi()):
        if method == "POST":
            continue
        for item in described.get("parameters", ()):
            if item["in"] not in ("path", "query"):
                continue
            for kind, value in TEXTS.items():
                target = make_target(path, described, item["name"], value)
                began = time.perf_counter()
                url = httpx.URL("http://127.0.0.1").copy_with(raw_path=target)
                check(await keyed.request(method, url), began, f"{kind} as {item['name']} of {method} {path}")
                asked += 1
    assert asked > 1_000
    assert await count_rows(engine) == before


async def test_in_every_field_of_a_body(keyed: Any, engine: AsyncEngine) -> None:
    before = await count_rows(engine)
    schema = keyed.app.openapi()
    for method, path, described in list_operations(schema):
        if "requestBody" not in described:
            continue
        reference = json.dumps(described["requestBody"]).partition("#/components/schemas/")[2].partition('"')[0]
        fields = schema["components"]["schemas"][reference]["properties"]
        target = make_target(path, described, "", b"").decode()
        for field in fields:
            for kind, value in [*TEXTS.items(), ("a megabyte", MEGABYTE.encode())]:
                for shown in (value.decode("utf-8", "surrogateescape"), [value.decode("latin-1")], 10**400):
                    began = time.perf_counter()
                    # No tier of that name, so that no key is made, which takes its time.
                    body = json.dumps({"tier": "none", field: shown}).encode()
                    answer = await keyed.request(
                        method, target, content=body, headers={"Content-Type": "application/json"}
                    )
                    check(answer, began, f"{kind} as {field} of {path}")
    assert await count_rows(engine) == before


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b'{"purl": "npm:a", "purl": "npm:b"',
        b'{"purl": "\\ud800"}',
        b'{"purl": "npm:a\\u0000b"}',
        b'{"purl": NaN}',
        b"[" * 100_000,
        b'{"purl": ' + b'{"a":' * 50_000,
        b"\xff\xfe\x00",
    ],
)
async def test_bodies_that_are_none(keyed: Any, body: bytes) -> None:
    for path in ("/api/v1/packages", "/api/v1/packages/lookup", "/api/v1/keys", "/api/v1/takedowns"):
        began = time.perf_counter()
        answer = await keyed.post(path, content=body, headers={"Content-Type": "application/json"})
        check(answer, began, path)
        assert answer.status_code == 422


@pytest.mark.parametrize("name", ["X-API-Key", "X-Request-Id", "Idempotency-Key", "If-None-Match", "Accept-Encoding"])
async def test_in_headers(keyed: Any, name: str) -> None:
    for kind, value in TEXTS.items():
        if b"\r" in value or b"\n" in value or b"\0" in value:
            continue  # No HTTP parser lets them through.
        began = time.perf_counter()
        answer = await keyed.post("/api/v1/packages", json={"purl": "?"}, headers=[(name.encode(), value)])
        check(answer, began, f"{kind} as {name}")


def test_raw_bytes_in_the_request_line(server: tuple[str, int]) -> None:
    """What clients refuse to send: through a real server process."""
    for raw in (
        b"GET /api/v1/packages/npm/\0 HTTP/1.1",
        b"GET /api/v1/packages/npm/\xff\xfe HTTP/1.1",
        b"GET /api/v1/packages/npm/a%0d%0aSet-Cookie:x=1 HTTP/1.1",
        b"GET /api/v1/packages/npm/../../../etc/passwd HTTP/1.1",
        b"GET /static/..%2f..%2f..%2f..%2fetc/passwd HTTP/1.1",
        b"GET /static//etc/passwd HTTP/1.1",
        b"GET http://evil.example/api/v1/providers HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"NONSENSE / HTTP/1.1",
        b"GET /api/v1/packages/npm/%zz%/dependents?limit=%zz HTTP/1.1",
    ):
        with socket.create_connection(server, timeout=10) as client:
            client.sendall(raw + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := client.recv(65_536):
                answer += part
        status = int(answer.split(b" ", 2)[1])
        assert status in (200, 204, 400, 404, 405, 422), (raw, answer[:300])
        head = answer.partition(b"\r\n\r\n")[0].lower()
        assert b"set-cookie" not in head
        assert b"root:" not in answer
