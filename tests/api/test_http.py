"""Manners: what every answer carries, whoever gave it, and what is refused before a route sees it."""

import asyncio
import contextlib
import gzip
import json
import re
import socket
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_api.manners import MAX_BODY_BYTES
from wump_api.settings import ApiSettings, load_api_settings
from wump_core.errors import ConfigurationError
from wump_core.settings import CoreSettings

READ = "/api/v1/providers"
PACKAGES = "/api/v1/packages"
CORE = "/api/v1/packages/npm/core"
ELSEWHERE = ("203.0.113.9", 4711)
PROXY = ("10.0.0.7", 4711)


async def test_every_answer_carries_what_browsers_obey(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_down(*_: Any, **__: Any) -> None:
        raise RuntimeError("a mistake of ours")

    answers = [
        await api.request(method, path)
        for method, path in (
            ("GET", CORE),
            ("GET", "/health"),
            ("GET", "/docs"),
            ("GET", "/problems/invalid-key"),
            ("GET", "/nothing"),
            ("DELETE", CORE),
            ("GET", f"{CORE}/dependents?limit=0"),
            ("OPTIONS", CORE),
        )
    ]
    monkeypatch.setattr(type(api.app.state.limiter), "has_room", break_down)
    answers.append(await api.get(READ, headers={"X-API-Key": "wrong"}))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 404, 405, 422, 204, 500]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "default-src" in answer.headers["content-security-policy"]
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
        assert "server" not in answer.headers
        assert "strict-transport-security" not in answer.headers
        assert len(answer.headers.get_list("cache-control")) <= 1
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)
    assert "mistake of ours" not in answers[-1].text
    assert "Traceback" not in answers[-1].text


async def test_the_documentation_runs_only_its_own_scripts(api: Any) -> None:
    page = await api.get("/docs")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe-inline" not in re.sub("style-src[^;]*", "", policy)
    assert not re.findall(r"<script(?![^>]*\bsrc=)[^>]*>\s*\S", page.text)


async def test_a_request_has_an_id_that_the_log_has_too(api: Any) -> None:
    given = await api.get(f"{READ}x", headers={"X-Request-Id": "client-4711"})
    assert given.headers["x-request-id"] == given.json()["request_id"] == "client-4711"
    for odd in ("short", "x" * 101, "a b c d e f g h", "<script>alert"):
        assert (await api.get(READ, headers={"X-Request-Id": odd})).headers["x-request-id"] != odd


@pytest.mark.parametrize("path", [CORE, READ, "/health", "/docs", "/openapi.json", "/problems/invalid-key"])
async def test_head_is_get_without_the_body(api: Any, path: str) -> None:
    whole, head = await api.get(path), await api.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert head.headers["content-type"] == whole.headers["content-type"]


async def test_options_and_refused_methods_name_what_is_allowed(api: Any, problem: Any) -> None:
    for path, methods in (
        (CORE, {"GET", "HEAD", "OPTIONS"}),
        (f"{CORE}/refresh", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/api/v1/packages/lookup", {"GET", "HEAD", "POST", "OPTIONS"}),
        (PACKAGES, {"GET", "HEAD", "POST", "OPTIONS"}),
        ("/api/v1/keys/01890a5d-ac96-774b-bcce-b302099a8057", {"GET", "HEAD", "DELETE", "OPTIONS"}),
    ):
        answer = await api.options(path)
        assert (answer.status_code, answer.content) == (204, b"")
        assert set(answer.headers["allow"].split(", ")) == methods
    refused = await api.delete(PACKAGES)
    problem(refused, 405, "http-error")
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}
    problem(await api.options("/api/v1/nothing"), 404, "http-error")


async def test_what_is_too_large_is_refused(api: Any, problem: Any) -> None:
    large = b"x" * (MAX_BODY_BYTES + 1)

    async def in_parts() -> Any:
        for start in range(0, len(large), 65_536):
            yield large[start : start + 65_536]

    headers = {"Content-Type": "application/json"}
    problem(await api.post(PACKAGES, content=large, headers=headers), 413, "too-large")
    problem(await api.post(PACKAGES, content=in_parts(), headers=headers), 413, "too-large")
    problem(await api.get(READ, headers={"X-Long": "x" * 70_000}), 431, "headers-too-large")
    problem(await api.get(READ, headers=[("X-Many", str(number)) for number in range(101)]), 431, "headers-too-large")


async def test_pages_are_compressed_for_those_who_ask(api: Any) -> None:
    async with api.stream("GET", f"{CORE}/dependents", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([part async for part in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert "accept-encoding" in answer.headers["vary"].lower()
    whole = await api.get(f"{CORE}/dependents", headers={"Accept-Encoding": "identity"})
    assert json.loads(gzip.decompress(raw))["data"] == whole.json()["data"]
    assert len(raw) < len(whole.content) / 2
    async with api.stream("GET", f"{CORE}/dependents?format=csv", headers={"Accept-Encoding": "gzip"}) as answer:
        assert (await answer.aread()).count(b"\n") > 20


async def test_pages_elsewhere_may_ask_if_the_setting_names_them(serving: Any, facts: CoreSettings) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "GET"}
    async with serving(facts) as api:
        assert "access-control-allow-origin" not in (await api.get(READ, headers=asked)).headers
    async with serving(facts, ELSEWHERE, cors_origins="https://app.example, https://b.example") as api:
        preflight = await api.options(READ, headers=asked | {"Access-Control-Request-Headers": "X-API-Key"})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-credentials" not in preflight.headers
        refused = await api.get(READ, headers=asked)
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://app.example", "its page may read why"
        assert "RateLimit" in refused.headers["access-control-expose-headers"]
        other = await api.options(READ, headers=asked | {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_behind_tls_plain_http_is_refused(serving: Any, facts: CoreSettings, problem: Any) -> None:
    options = {"https_only": True, "trusted_proxies": "10.0.0.0/8", "anonymous": "everyone"}
    secure = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.77", "Host": "wump.example"}
    async with serving(facts, PROXY, **options) as api:
        answer = await api.get(READ, headers=secure)
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        problem(await api.get(READ, headers=secure | {"X-Forwarded-Proto": "http"}), 403, "https-required")
        assert (await api.get("/health")).status_code == 200, "probes come from inside"
    async with serving(facts, ELSEWHERE, **options) as api:
        problem(await api.get(READ, headers=secure), 403, "https-required")
    async with serving(facts, https_only=True) as api:
        assert (await api.get(READ)).status_code == 200, "nothing left this machine"


async def test_only_a_trusted_proxy_says_who_asks(serving: Any, settings: CoreSettings) -> None:
    async def left(api: Any, forwarded: str) -> str:
        answer = await api.get(READ, headers={"X-Forwarded-For": forwarded, "Host": "wump.example"})
        return answer.headers["ratelimit"].partition('"hour";r=')[2].partition(";")[0]

    async with serving(settings, PROXY, trusted_proxies="10.0.0.7", anonymous="everyone") as api:
        assert await left(api, "203.0.113.1") == "599"
        assert await left(api, "203.0.113.2") == "599"
        assert await left(api, "203.0.113.99, 203.0.113.2") == "598", "what the client itself wrote is not believed"
    async with serving(settings, ("10.0.0.8", 1), trusted_proxies="10.0.0.7", anonymous="everyone") as api:
        assert [await left(api, f"203.0.113.{number}") for number in (5, 6)] == ["599", "598"]


async def test_a_repeated_request_is_done_once(
    serving: Any, settings: CoreSettings, engine: AsyncEngine, adding: Any, problem: Any
) -> None:
    operator = {"X-API-Key": await adding(engine, "operator")}
    async with serving(settings) as api:
        word = {"Idempotency-Key": "first"}
        body = {"purl": "npm:a"}
        first = await api.post(PACKAGES, json=body, headers=word)
        again = await api.post(PACKAGES, json=body, headers=word)
        assert first.status_code == again.status_code == 202
        assert again.content == first.content
        assert again.headers["location"] == first.headers["location"]
        assert again.headers["idempotent-replayed"] == "true"
        assert "idempotent-replayed" not in first.headers
        problem(await api.post(PACKAGES, json={"purl": "npm:b"}, headers=word), 422, "idempotency-mismatch")
        problem(await api.post(PACKAGES, json=body, headers={"Idempotency-Key": "x" * 201}), 422, "invalid-request")
        other_caller = await api.post(PACKAGES, json={"purl": "npm:b"}, headers=word | operator)
        assert other_caller.status_code == 202, "words of one caller are not those of another"
        key = {"name": "twice"}
        assert (await api.post("/api/v1/keys", json=key, headers=word | operator)).status_code == 422
        made = {"Idempotency-Key": "made"}
        assert (await api.post("/api/v1/keys", json=key, headers=made | operator)).status_code == 201
        problem(await api.post("/api/v1/keys", json=key, headers=made | operator), 409, "idempotency-not-kept")
        problem(await api.post(PACKAGES, json={"purl": "?"}, headers={"Idempotency-Key": "bad"}), 422, "invalid-purl")
        assert (await api.post(PACKAGES, json=body, headers={"Idempotency-Key": "bad"})).status_code == 202
        answers = await asyncio.gather(
            *(api.post(PACKAGES, json=body, headers={"Idempotency-Key": "at-once"}) for _ in range(8))
        )
        assert {answer.status_code for answer in answers} <= {202, 409}
        async with engine.connect() as connection:
            kept = (await connection.execute(text("SELECT body FROM idempotent_requests WHERE word = 'made'"))).scalar()
            assert kept is None, "no secret is kept"
            count = "SELECT count(*) FROM api_keys WHERE name = 'twice'"
            assert (await connection.execute(text(count))).scalar() == 1


async def test_a_request_takes_a_bounded_time(serving: Any, facts: CoreSettings, problem: Any) -> None:
    async with serving(facts, request_timeout_seconds=1) as api:

        async def never_ends() -> Any:
            yield b"{"
            await asyncio.sleep(60)

        headers = {"Content-Type": "application/json"}
        answer = await api.post(PACKAGES, content=never_ends(), headers=headers)
        problem(answer, 503, "too-slow")
        assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WUMP_API_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("WUMP_API_CORS_ORIGINS", "https://app.example/path"),
        ("WUMP_API_CORS_ORIGINS", "app.example"),
        ("WUMP_API_ANONYMOUS", "yes"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        load_api_settings()
    monkeypatch.delenv(name)
    assert load_api_settings() == ApiSettings()


def test_what_never_ends_is_cut_off_by_the_server(server: tuple[str, int]) -> None:
    """A real process, before it has read all of the address or the headers."""
    for start, endless in ((b"GET /health?x=", b"x"), (b"GET /health HTTP/1.1\r\nX-Long: ", b"x")):
        with socket.create_connection(server, timeout=20) as client:
            sent = client.send(start)
            with contextlib.suppress(OSError):
                while sent < 10_000_000:
                    sent += client.send(endless * 65_536)
            assert sent < 10_000_000
    assert httpx.get(f"http://{server[0]}:{server[1]}/health").status_code == 200


def test_an_address_that_is_too_long(server: tuple[str, int]) -> None:
    with socket.create_connection(server, timeout=20) as client:
        client.sendall(b"GET /health?x=" + b"x" * 65_000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := client.recv(65_536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 414 ")
    assert b"/problems/address-too-long" in answer
