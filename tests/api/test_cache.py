"""The cache: the same answers, sooner; outdated when their package changes, and never in the way."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from api.conftest import Serving, record, save
from pydantic import SecretStr
from starlette.responses import Response
from valkey.asyncio import Valkey
from wump_api.cache import NEAR_SECONDS, Cache, Finished, Place
from wump_api.sharing import Shared
from wump_api.warming import warm
from wump_core.caching import PREFIX, generation_key, package_subject
from wump_core.settings import CoreSettings
from wump_core.store.dependents import fold_deltas
from wump_worker.outdating import outdate_touched

V1 = "/api/v1"
LIB = f"{V1}/packages/npm/lib/dependents"


@pytest.fixture
async def cached(settings: CoreSettings, serving: Serving) -> AsyncGenerator[Any]:
    """A client of an app that caches."""
    async with serving(settings, cache=True) as api:
        await save(api.app.state.engine, record("pkg:npm/a", "one/a", ("lib", "runtime")))
        yield api


async def settle(api: Any) -> None:
    """Wait until what was made is stored, and the process asks Valkey again."""
    await api.app.state.cache.finish()
    api.app.state.cache.forget_near()


async def outdate(api: Any) -> int:
    """What the scheduler does."""
    async with api.app.state.engine.begin() as connection:
        await fold_deltas(connection)
    return await outdate_touched(api.app.state.engine, api.app.state.valkey)


async def keys(api: Any) -> list[str]:
    return sorted([key.decode() async for key in api.app.state.valkey.scan_iter(match=f"{PREFIX}*")])


async def test_answers_may_have_a_valkey_of_their_own(settings: CoreSettings, serving: Serving, adding: Any) -> None:
    """One that may be flushed: what must stay is in the other."""
    assert settings.valkey_url
    elsewhere = SecretStr(settings.valkey_url.get_secret_value().rpartition("/")[0] + "/14")
    async with serving(settings.model_copy(update={"cache_url": elsewhere}), cache=True) as api:
        await save(api.app.state.engine, record("pkg:npm/a", "one/a", ("lib", "runtime")))
        api.headers["x-api-key"] = await adding(api.app.state.engine, "operator")
        assert (await api.get(LIB)).status_code == 200
        await settle(api)
        assert not [key for key in await keys(api) if ":package:" in key]
        kept = [key async for key in api.app.state.valkey.scan_iter(match="*")]
        assert kept, "what is counted, and the key that was verified"
        assert len([key async for key in api.app.state.answers.scan_iter(match=f"{PREFIX}*")]) == 2
        assert (await api.delete(f"{V1}/cache")).json()["keys"] == 2
        assert set(kept) <= {key async for key in api.app.state.valkey.scan_iter(match="*")}
        assert (await api.get("/health/valkey")).status_code == 200
    closed = SecretStr("valkey://127.0.0.1:1/0")
    async with serving(settings.model_copy(update={"cache_url": closed}), cache=True) as api:
        away = await api.get("/health/valkey")
        assert (away.status_code, "WUMP_CACHE_URL" in away.json()["detail"]) == (503, True)
        assert (await api.get(LIB)).status_code == 200


async def test_the_same_bytes_without_a_statement_until_the_package_changes(cached: Any, counting: Any) -> None:
    await outdate(cached)
    first = await cached.get(LIB)
    await settle(cached)
    async with counting(cached) as statements:
        for _ in range(3):
            again = await cached.get(LIB)
            assert again.content == first.content
            assert again.headers["etag"] == first.headers["etag"]
        assert statements == []
        assert (await cached.get(LIB, params={"limit": 1})).status_code == 200
        assert len(statements) == 2, "other parameters are another answer"
    found = await keys(cached)
    assert f"{PREFIX}package:npm:lib:generation" in found
    assert any(key.startswith(f"{PREFIX}package:npm:lib:dependents:public:") for key in found)
    # Changed, but it was outdated less than a minute ago: the old answer stands.
    await save(cached.app.state.engine, record("pkg:npm/b", "two/b", ("lib", "runtime")))
    assert await outdate(cached) == 0
    await settle(cached)
    assert (await cached.get(LIB)).content == first.content
    async with cached.app.state.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE package_touches SET taken_at = taken_at - interval '1 minute'")
    assert await outdate(cached) == 1
    await settle(cached)
    assert len((await cached.get(LIB)).json()["data"]) == 2


async def test_who_has_it_is_told_so(cached: Any) -> None:
    first = await cached.get(LIB)
    assert first.headers["cache-control"] == "private, max-age=60"
    tag, modified = first.headers["etag"], first.headers["last-modified"]
    for headers in (
        {"if-none-match": tag},
        {"if-none-match": f'"x", {tag}'},
        {"if-none-match": tag.removeprefix("W/")},
        {"if-none-match": "*"},
        {"if-modified-since": modified},
        {"if-none-match": tag, "if-modified-since": "x"},
    ):
        response = await cached.get(LIB, headers=headers)
        assert (response.status_code, response.content) == (304, b""), headers
        assert response.headers["etag"] == tag
    for headers in ({"if-none-match": '"x"'}, {"if-none-match": '"x"', "if-modified-since": modified}):
        assert (await cached.get(LIB, headers=headers)).status_code == 200


async def test_what_everybody_may_read_may_be_kept_on_the_way(settings: CoreSettings, serving: Serving) -> None:
    async with serving(settings, cache=True, anonymous="everyone") as api:
        assert (await api.get(f"{V1}/stats")).headers["cache-control"].startswith("public, max-age=60")


async def test_neither_streams_nor_problems_nor_short_forms_are_kept(cached: Any) -> None:
    for path in (f"{LIB}?format=csv", f"{V1}/packages/npm/nowhere", f"{V1}/packages/lib/dependents", f"{V1}/packages"):
        response = await cached.get(path)
        assert "etag" not in response.headers
    await settle(cached)
    assert not any(":public:" in key for key in await keys(cached))


@pytest.mark.parametrize("what", ["", "?purl=npm:lib"])
async def test_by_hand(cached: Any, adding: Any, what: str) -> None:
    operator = {"x-api-key": await adding(cached.app.state.engine, "operator")}
    first = await cached.get(LIB)
    await settle(cached)
    await save(cached.app.state.engine, record("pkg:npm/b", "two/b", ("lib", "runtime")))
    assert (await cached.get(LIB)).content == first.content
    dropped = await cached.delete(f"{V1}/cache{what}", headers=operator)
    assert dropped.status_code == 200, dropped.text
    assert dropped.json()["keys"] >= 1
    assert len((await cached.get(LIB)).json()["data"]) == 2
    both = await cached.delete(
        f"{V1}/cache?purl=npm:a&organization={'0' * 8}-0000-0000-0000-{'0' * 12}", headers=operator
    )
    assert both.status_code == 422


async def test_an_answer_that_was_begun_before_a_change_is_not_kept(settings: CoreSettings) -> None:
    """Nor does a lost generation bring an old answer back."""
    assert settings.valkey_url
    valkey = Valkey.from_url(settings.valkey_url.get_secret_value())
    cache, other = Cache(Shared(valkey)), Cache(Shared(valkey))
    subject = package_subject("pkg:npm/lib")
    place = Place(subject, "dependents", "", 60)
    numbers = iter(range(100))

    async def make() -> Response:
        return Response(str(next(numbers)), media_type="text/plain")

    async def make_while_it_changes() -> Response:
        await valkey.unlink(generation_key(subject))
        return await make()

    assert (await cache.answer(place, make_while_it_changes)).body == b"0"
    await cache.finish()
    assert (await other.answer(place, make)).body == b"1"
    await other.finish()
    assert (await Cache(Shared(valkey)).answer(place, make)).body == b"1"
    await valkey.unlink(generation_key(subject))
    assert (await Cache(Shared(valkey)).answer(place, make)).body == b"2"
    assert (await other.answer(place, make)).body == b"1", "for a second at most"
    await asyncio.sleep(NEAR_SECONDS)
    assert (await other.answer(place, make)).body == b"2"
    await valkey.set(place.key, b"\x93 of another version")
    assert (await Cache(Shared(valkey)).answer(place, make)).body == b"3"
    await valkey.aclose()


async def test_many_who_ask_at_once_are_one(settings: CoreSettings) -> None:
    assert settings.valkey_url
    valkey = Valkey.from_url(settings.valkey_url.get_secret_value())
    cache, made = Cache(Shared(valkey)), 0

    async def make() -> Response:
        nonlocal made
        made += 1
        await asyncio.sleep(0.05)
        return Response("x", media_type="text/plain")

    async def fail() -> Response:
        nonlocal made
        made += 1
        await asyncio.sleep(0.05)
        raise ValueError("no")

    place = Place("package:npm:a", "dependents", "", 60)
    leaving = asyncio.create_task(cache.answer(place, make))
    await asyncio.sleep(0.01)
    others = [asyncio.create_task(cache.answer(place, make)) for _ in range(50)]
    leaving.cancel()
    assert {item.body for item in await asyncio.gather(*others)} == {b"x"}
    assert made == 1, "who leaves takes nothing from the others"
    failing = Place("package:npm:b", "dependents", "", 60)
    found = await asyncio.gather(*(cache.answer(failing, fail) for _ in range(50)), return_exceptions=True)
    assert made == 2
    assert all(isinstance(error, ValueError) for error in found)
    with pytest.raises(ValueError, match="no"):
        await cache.answer(failing, fail)
    await valkey.aclose()


async def test_without_valkey_answers_come_all_the_same(settings: CoreSettings, serving: Serving) -> None:
    """A server that takes connections and never answers is the worst of outages."""
    held: list[Any] = []
    server = await asyncio.start_server(lambda *pair: held.append(pair), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    frozen = settings.model_copy(update={"valkey_url": SecretStr(f"valkey://127.0.0.1:{port}/0")})
    async with serving(frozen, cache=True) as api:
        await save(api.app.state.engine, record("pkg:npm/a", "one/a", ("lib", "runtime")))
        bodies = set()
        times = []
        for _ in range(5):
            began = time.monotonic()
            bodies.add((await api.get(LIB)).content)
            times.append(time.monotonic() - began)
        assert len(bodies) == 1
        assert sum(times) < 5, "only the first of each second waits"
    server.close()
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    await server.wait_closed()


async def test_the_most_used_are_there_before_somebody_asks(cached: Any, counting: Any) -> None:
    await outdate(cached)
    assert await warm(cached.app) == 1
    await settle(cached)
    async with counting(cached) as statements:
        assert len((await cached.get(LIB)).json()["data"]) == 1
    assert statements == []


def test_what_is_kept_is_bounded() -> None:
    cache = Cache(Shared(Valkey()))
    large = Finished(b"x" * 1_500_000, "application/json", int(time.time()), 'W/"x"')
    for number in range(100):
        cache._keep_near(str(number), large, b"g", 60)
    assert cache._near_bytes == sum(len(near.answer.body) for near in cache._near.values()) <= 32 * 1024 * 1024
    assert "99" in cache._near


async def test_what_goes_while_its_generation_is_asked_for_is_served_all_the_same(cached: Any) -> None:
    """Many answers push one out at any moment."""
    await cached.get(LIB)
    await settle(cached)
    expected = (await cached.get(LIB)).content
    await asyncio.sleep(NEAR_SECONDS)
    asking = asyncio.create_task(cached.get(LIB))
    for _ in range(10_000):
        if cached.app.state.cache._running or asking.done():
            break
        await asyncio.sleep(0)
    assert cached.app.state.cache._running
    await asyncio.sleep(0)
    cached.app.state.cache.forget_near()
    response = await asking
    assert (response.status_code, response.content) == (200, expected)
