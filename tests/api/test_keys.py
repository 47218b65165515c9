"""Keys: made once, checked cheaply, refused without a hint, revoked and rotated at once."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner
from valkey import Valkey
from wump_api import auth
from wump_api.auth import KEY_PATTERN, TRUSTED_SECONDS, VERIFIED_SECONDS, make_key
from wump_api.main import make_app
from wump_api.settings import ApiSettings
from wump_api.tiers import TIERS, describe_operation
from wump_core.cli import make_app as make_cli
from wump_core.settings import CoreSettings
from wump_core.store import make_engine

READ = "/api/v1/providers"
KEYS = "/api/v1/keys"
ELSEWHERE = ("203.0.113.9", 4711)


@pytest.fixture
async def elsewhere(serving: Any, settings: CoreSettings) -> Any:
    """A client that is not on the API's machine."""
    async with serving(settings, ELSEWHERE) as api:
        yield api


def sent(key: str) -> dict[str, str]:
    return {"X-API-Key": key}


async def test_a_key_opens_what_its_tier_may(elsewhere: Any, engine: AsyncEngine, adding: Any, problem: Any) -> None:
    document = problem(await elsewhere.get(READ), 401, "key-required")
    assert "WUMP_API_ANONYMOUS" in document["fix"]
    asked = {"read": ("GET", READ), "write": ("POST", "/api/v1/packages"), "operate": ("GET", KEYS)}
    for tier in ("free", "standard", "premium", "operator"):
        key = await adding(engine, tier)
        assert KEY_PATTERN.fullmatch(key.encode())
        for area, (method, path) in asked.items():
            response = await elsewhere.request(method, path, headers=sent(key), json={"purl": "npm:a"})
            if area in TIERS[tier].areas:
                assert response.is_success, (tier, area, response.text)
            else:
                problem(response, 403, "tier-not-allowed")


async def test_a_key_may_less_or_more_than_its_tier(
    elsewhere: Any, engine: AsyncEngine, adding: Any, problem: Any
) -> None:
    operator = sent(await adding(engine, "operator"))
    made = await elsewhere.post(KEYS, json={"name": "writes", "areas": ["write", "read", "read"]}, headers=operator)
    assert made.json()["areas"] == ["read", "write"]
    assert (await elsewhere.get(made.json()["url"], headers=operator)).json()["areas"] == ["read", "write"]
    key = sent(made.json()["key"])
    assert (await elsewhere.post("/api/v1/packages", headers=key, json={"purl": "npm:a"})).status_code == 202
    refused = await elsewhere.get(f"{READ}?format=csv", headers=key)
    assert problem(refused, 403, "tier-not-allowed")["detail"] == "this key may not export"
    made = await elsewhere.post(KEYS, json={"name": "x", "tier": "free", "areas": ["operate"]}, headers=operator)
    key = sent(made.json()["key"])
    assert (await elsewhere.get(KEYS, headers=key)).status_code == 200
    problem(await elsewhere.get(READ, headers=key), 403, "tier-not-allowed")
    for areas in ([], ["fly"], "read"):
        refused = await elsewhere.post(KEYS, json={"name": "x", "areas": areas}, headers=operator)
        problem(refused, 422, "invalid-request")


async def test_nobody_without_a_key_may_more_than_they_should(
    serving: Any, settings: CoreSettings, problem: Any
) -> None:
    body = {"purl": "npm:a"}
    async with serving(settings, ELSEWHERE, anonymous="everyone") as api:
        assert (await api.get(READ)).status_code == 200
        problem(await api.post("/api/v1/packages", json=body), 401, "key-required")
        problem(await api.get(f"{READ}?format=csv"), 401, "key-required")
        problem(await api.get(KEYS), 401, "key-required")
    async with serving(settings) as api:
        assert (await api.get(READ)).status_code == 200
        assert (await api.post("/api/v1/packages", json=body)).status_code == 202
        problem(await api.get(KEYS), 401, "key-required")
        for headers in (
            {"Host": "wump.example"},
            {"X-Forwarded-For": "203.0.113.9"},
            {"Via": "1.1 proxy"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            problem(await api.post("/api/v1/packages", json=body, headers=headers), 401, "key-required")
            problem(await api.get(READ, headers=headers), 401, "key-required")
    async with serving(settings, anonymous="nobody") as api:
        problem(await api.get(READ), 401, "key-required")
        assert (await api.get("/health")).status_code == 200


def test_each_route_is_in_an_area(facts: CoreSettings) -> None:
    """What is not a reading needs more than an anonymous caller has; what operators do needs an operator."""
    paths = make_app(facts, ApiSettings()).openapi()["paths"]
    for path, methods in paths.items():
        for method in methods if path.startswith("/api/v1") else ():
            area = describe_operation(method.upper(), path, b"").area
            operating = bool(
                {"keys", "jobs", "pauses", "alerts", "schedules", "takedowns", "cache"} & set(path.split("/"))
            )
            assert (area == "operate") == operating, path
            assert area != "read" or method == "get" or path.endswith("/lookup"), (method, path)


async def test_wrong_keys_are_all_refused_alike(
    elsewhere: Any, engine: AsyncEngine, adding: Any, problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, other = await adding(engine), make_key()[0]
    checked: list[bytes] = []
    monkeypatch.setattr(auth, "_run_bcrypt", lambda digest, hashed: bool(checked.append(digest)))
    body = good[:-6]
    wrong_secret = f"{body[:14]}{other[14:-6]}"
    wrong_secret += auth._checksum(wrong_secret.encode())
    expired = await adding(engine, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    documents = []
    for key in (other, wrong_secret, expired, good.swapcase(), good[:-1], "", "x" * 5_000, "\u00e9"):
        response = await elsewhere.get(READ, headers=[(b"X-API-Key", key.encode("latin-1"))])
        document = problem(response, 401, "invalid-key")
        documents.append({name: value for name, value in document.items() if name != "request_id"})
        assert response.headers["www-authenticate"].startswith("ApiKey")
    assert all(document == documents[0] for document in documents)
    assert not checked, "bcrypt is for those whose secret is most probably right"
    problem(await elsewhere.get(READ, headers=[("X-API-Key", good), ("X-API-Key", good)]), 401, "invalid-key")


async def test_bcrypt_runs_once(
    serving: Any, settings: CoreSettings, engine: AsyncEngine, adding: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, runs, run = await adding(engine), [], auth._run_bcrypt
    monkeypatch.setattr(auth, "_run_bcrypt", lambda *given: runs.append(given) or run(*given))
    async with serving(settings, ELSEWHERE) as first, serving(settings, ELSEWHERE) as second:
        answers = await asyncio.gather(*(first.get(READ, headers=sent(key)) for _ in range(40)))
        assert {answer.status_code for answer in answers} == {200}
        await asyncio.sleep(TRUSTED_SECONDS + 0.1)
        assert (await first.get(READ, headers=sent(key))).status_code == 200
        assert (await second.get(READ, headers=sent(key))).status_code == 200
    assert len(runs) == 1
    assert settings.valkey_url
    with Valkey.from_url(settings.valkey_url.get_secret_value()) as valkey:
        names = list(valkey.scan_iter("wump:verified:*"))
        assert len(names) == 1
        assert 0 < valkey.ttl(names[0]) <= VERIFIED_SECONDS
        everything = b" ".join([*valkey.scan_iter(), *(valkey.get(name) for name in names)])
    async with engine.connect() as connection:
        everything += str((await connection.execute(text("SELECT * FROM api_key_secrets"))).all()).encode()
    assert key[14:57].encode() not in everything


async def test_a_revoked_key_is_refused_within_a_second_by_all(
    serving: Any, settings: CoreSettings, engine: AsyncEngine, adding: Any, problem: Any
) -> None:
    operator, key = await adding(engine, "operator"), await adding(engine)
    async with serving(settings, ELSEWHERE) as first, serving(settings, ELSEWHERE) as second:
        for api in (first, second):
            assert (await api.get(READ, headers=sent(key))).status_code == 200
        found = (await first.get(KEYS, headers=sent(operator))).json()["data"]
        (listed,) = [item for item in found if item["tier"] == "standard"]
        revoked = await first.delete(listed["url"], headers=sent(operator))
        assert revoked.json()["revoked_at"]
        await asyncio.sleep(TRUSTED_SECONDS + 0.01)
        for api in (first, second):
            problem(await api.get(READ, headers=sent(key)), 401, "invalid-key")
        problem(await first.post(f"{listed['url']}/rotate", headers=sent(operator)), 404, "unknown-key")
        unknown = f"{KEYS}/01890a5d-ac96-774b-bcce-b302099a8057"
        for method, path in (("GET", unknown), ("DELETE", unknown), ("POST", f"{unknown}/rotate")):
            problem(await first.request(method, path, headers=sent(operator)), 404, "unknown-key")


async def test_the_life_of_a_key(elsewhere: Any, engine: AsyncEngine, adding: Any, problem: Any) -> None:
    operator = sent(await adding(engine, "operator"))
    body = {"name": "dashboard", "tier": "free", "requests_per_hour": 7, "expires_at": "2030-01-01T00:00:00Z"}
    made = await elsewhere.post(KEYS, json=body, headers=operator)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    document = made.json()
    first = document.pop("key")
    assert document["created_by"] == "a operator key"
    assert (document["requests_per_hour"], document["requests_per_burst"]) == (7, TIERS["free"].per_burst)
    assert made.headers["location"] == document["url"]
    assert (await elsewhere.get(document["url"], headers=operator)).json() == document
    page = (await elsewhere.get(KEYS, params={"limit": 1}, headers=operator)).json()
    following = await elsewhere.get(KEYS, params={"cursor": page["next_cursor"]}, headers=operator)
    assert (following.json()["data"], following.json()["next_cursor"]) == ([document], None)
    assert first not in following.text
    answer = await elsewhere.get(READ, headers=sent(first))
    assert '"hour";q=7;w=3600' in answer.headers["ratelimit-policy"]
    rotated = await elsewhere.post(f"{document['url']}/rotate", json={"overlap_seconds": 3600}, headers=operator)
    second = rotated.json()["key"]
    assert len(rotated.json()["prefixes"]) == 2
    for key in (first, second):
        assert (await elsewhere.get(READ, headers=sent(key))).status_code == 200
    third = (await elsewhere.post(f"{document['url']}/rotate", json={"overlap_seconds": 0}, headers=operator)).json()
    await asyncio.sleep(TRUSTED_SECONDS + 0.01)
    for key in (first, second):
        problem(await elsewhere.get(READ, headers=sent(key)), 401, "invalid-key")
    assert (await elsewhere.get(READ, headers=sent(third["key"]))).status_code == 200
    for wrong in (
        {"name": ""},
        {"name": "a\0b"},
        {"name": "x", "tier": "anonymous"},
        {"name": "x", "requests_per_hour": 0},
        {"name": "x", "requests_per_hour": 2**40},
        {"name": "x", "requests_per_hour": True},
        {"name": "x", "expires_at": 4_000_000_000},
        {"name": "x", "expires_at": "2001-01-01T00:00:00Z"},
        {"name": "x", "expires_at": "2030-01-01T00:00:00"},
        {"name": "x", "expires_at": "9999-12-31T23:59:59Z"},
        {"name": "x", "more": 1},
    ):
        document = problem(await elsewhere.post(KEYS, json=wrong, headers=operator), 422, "invalid-request")
        assert "body." in document["detail"]


async def test_its_last_use_is_noted(serving: Any, settings: CoreSettings, engine: AsyncEngine, adding: Any) -> None:
    key = await adding(engine)
    async with serving(settings, ELSEWHERE) as api:
        await api.get(READ, headers=sent(key))
        await api.app.state.keys.save_uses()
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT last_used_at FROM api_keys"))).scalar_one() is not None


async def test_wrong_keys_from_one_address_are_counted(
    serving: Any, settings: CoreSettings, engine: AsyncEngine, adding: Any, problem: Any
) -> None:
    good, late = await adding(engine), await adding(engine)
    async with serving(settings, ELSEWHERE) as api, serving(settings, ("203.0.113.10", 1)) as neighbour:
        assert (await api.get(READ, headers=sent(good))).status_code == 200
        for _ in range(30):
            problem(await api.get(READ, headers=sent("wump_nothing")), 401, "invalid-key")
        refused = await api.get(READ, headers=sent(late))
        problem(refused, 429, "too-many-wrong-keys")
        assert int(refused.headers["retry-after"]) > 0
        await asyncio.sleep(TRUSTED_SECONDS + 0.01)
        assert (await api.get(READ, headers=sent(good))).status_code == 200, "one that was good before is no guess"
        assert (await neighbour.get(READ, headers=sent(late))).status_code == 200


async def test_without_valkey_the_database_says_who_may(
    serving: Any, settings: CoreSettings, engine: AsyncEngine, adding: Any, problem: Any
) -> None:
    away = settings.model_copy(update={"valkey_url": SecretStr("valkey://127.0.0.1:1")})
    key = await adding(engine)
    async with serving(away, ELSEWHERE) as api:
        assert (await api.get(READ, headers=sent(key))).status_code == 200
        async with engine.begin() as connection:
            await connection.execute(text("UPDATE api_keys SET revoked_at = now()"))
        await asyncio.sleep(TRUSTED_SECONDS + 0.01)
        problem(await api.get(READ, headers=sent(key)), 401, "invalid-key")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 61), st.characters(codec="ascii"))
def test_no_single_slip_of_the_pen_passes_the_checksum(place: int, letter: str) -> None:
    key = "wump_3kTMd91x_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
    key += auth._checksum(key.encode())
    assert auth._is_well_formed(key.encode())
    typed = key[:place] + letter + key[place + 1 :]
    assert typed == key or not auth._is_well_formed(typed.encode())


def test_commands_make_list_rotate_and_revoke(settings: CoreSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first key is made so: in-process, without one."""
    assert settings.database_url
    assert settings.valkey_url
    monkeypatch.setenv("WUMP_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("WUMP_VALKEY_URL", settings.valkey_url.get_secret_value())

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(make_cli("keys"), ["keys", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    assert "no keys" not in run("list")
    key = run("create", "me", "--tier", "operator", "--days", "30", "--per-hour", "50").strip()
    assert KEY_PATTERN.fullmatch(key.encode())
    (row,) = json.loads(run("list", "--format", "json"))["data"]
    assert (row["name"], row["created_by"], row["requests_per_hour"]) == ("me", "command line", 50)
    assert KEY_PATTERN.fullmatch(run("rotate", row["id"], "--overlap", "0").strip().encode())
    run("revoke", row["id"])
    assert json.loads(run("list", "--format", "json"))["data"][0]["revoked_at"]


def test_a_key_in_a_real_process(server: tuple[str, int], facts: CoreSettings, adding: Any) -> None:
    """The server process that all read tests share: with a key, from the same machine."""
    host, port = server

    async def add() -> str:
        assert facts.database_url
        engine = make_engine(facts.database_url, application_name="tests")
        try:
            return await adding(engine)
        finally:
            await engine.dispose()

    response = httpx.get(f"http://{host}:{port}{READ}", headers=sent(asyncio.run(add())))
    assert response.status_code == 200
    assert response.headers["ratelimit"]
