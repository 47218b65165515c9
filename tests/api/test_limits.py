"""Limits: exact however many ask at once, told in every answer, and kept when Valkey is not there."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_api.limits import Window, _choose
from wump_api.tiers import TIERS, describe_operation
from wump_core.settings import CoreSettings

READ = "/api/v1/providers"
ELSEWHERE = ("203.0.113.9", 4711)


def sent(key: str) -> dict[str, str]:
    return {"X-API-Key": key}


async def test_three_processes_admit_exactly_the_limit(
    settings: CoreSettings, engine: AsyncEngine, adding: Any
) -> None:
    """1,800 calls at once against 100 an hour; one of the clocks is wrong."""
    assert settings.database_url
    assert settings.valkey_url
    key = await adding(engine, "premium", requests_per_hour=100)
    environment = os.environ | {
        "WUMP_DATABASE_URL": settings.database_url.get_secret_value(),
        "WUMP_VALKEY_URL": settings.valkey_url.get_secret_value(),
        "WUMP_LOG_LEVEL": "error",
    }
    command = [sys.executable, str(Path(__file__).with_name("many_callers.py")), key, "600"]
    callers = [
        subprocess.Popen(  # noqa: ASYNC220 - the test waits for nothing else
            [*command, skew], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for skew in ("0", "3", "-3")
    ]
    try:
        for caller in callers:
            assert caller.stdout
            assert caller.stdout.readline() == "ready\n"
        for caller in callers:
            assert caller.stdin
            caller.stdin.write("\n")
            caller.stdin.flush()
        found = [json.loads(caller.communicate(timeout=90)[0].splitlines()[-1]) for caller in callers]
    finally:
        for caller in callers:
            caller.kill()
            caller.wait()
    assert sum(item.get("404", 0) for item in found) == 100, found
    assert sum(item.get("429", 0) for item in found) == 1_700, found


async def test_what_is_told_agrees_with_the_count(
    serving: Any, settings: CoreSettings, engine: AsyncEngine, adding: Any, problem: Any
) -> None:
    key = sent(await adding(engine, requests_per_hour=40, requests_per_burst=30))
    async with serving(settings, ELSEWHERE) as api:
        for number in range(1, 4):
            answer = await api.get(READ, headers=key)
            assert answer.headers["ratelimit-policy"] == '"burst";q=30;w=10, "hour";q=40;w=3600'
            left = dict(item.split(";r=") for item in answer.headers["ratelimit"].split(", "))
            assert left['"hour"'].startswith(f"{40 - number};t=")
            assert left['"burst"'].startswith(f"{30 - number};t=")
        answer = await api.get(f"{READ}?format=csv", headers=key)
        assert '"hour";r=17;' in answer.headers["ratelimit"], "an export costs twenty"
        refused = await api.get(f"{READ}?format=csv", headers=key)
        document = problem(refused, 429, "rate-limited")
        assert document["violated-policies"] == ["burst"]
        assert 1 <= int(refused.headers["retry-after"]) <= 10
        assert '"hour";r=17;' in refused.headers["ratelimit"], "what the burst refused is not taken from the hour"
        assert (await api.get("/api/v1/none", headers=key)).headers["ratelimit"]
        assert "ratelimit" not in (await api.get("/health")).headers


async def test_the_window_slides(serving: Any, settings: CoreSettings) -> None:
    """What was asked just before the edge of a window still counts just after it."""
    window = Window("short", 10, 1)
    async with serving(settings) as api:
        take = api.app.state.limiter.take
        # The library's windows begin with the first one counted, so this lies at the end of one.
        assert (await take("slider", (window,), 1)).refused_by is None
        await asyncio.sleep(0.85)
        assert (await take("slider", (window,), 9)).refused_by is None
        await asyncio.sleep(0.3)
        admitted = [await take("slider", (window,), 1) for _ in range(10)]
        assert sum(verdict.refused_by is None for verdict in admitted) <= 3


async def test_anonymous_callers_are_counted_by_address(serving: Any, settings: CoreSettings, problem: Any) -> None:
    """An address of IPv6 counts with its network, of which one customer has all."""
    per_burst = TIERS["anonymous"].per_burst or 0
    async with (
        serving(settings, ("2001:db8::1", 1), anonymous="everyone") as one,
        serving(settings, ("2001:db8::ffff", 1), anonymous="everyone") as same_network,
        serving(settings, ("2001:db8:0:1::1", 1), anonymous="everyone") as other,
        serving(settings) as local,
    ):
        answers = await asyncio.gather(*(api.get(READ) for api in (one, same_network) for _ in range(per_burst)))
        assert sum(answer.status_code == 200 for answer in answers) == per_burst
        assert (await other.get(READ)).status_code == 200
        assert "ratelimit" not in (await local.get(READ)).headers


async def test_without_valkey_each_process_counts_for_itself(
    serving: Any, settings: CoreSettings, engine: AsyncEngine, adding: Any
) -> None:
    away = settings.model_copy(update={"valkey_url": SecretStr("valkey://127.0.0.1:1")})
    key = sent(await adding(engine, requests_per_hour=25))
    async with serving(away, ELSEWHERE) as api:
        answers = await asyncio.gather(*(api.get(READ, headers=key) for _ in range(60)))
        assert sorted(answer.status_code for answer in answers) == [200] * 25 + [429] * 35
        assert all(answer.headers["ratelimit"] for answer in answers)


async def test_a_frozen_valkey_is_waited_for_once(
    serving: Any, settings: CoreSettings, engine: AsyncEngine, adding: Any
) -> None:
    key = sent(await adding(engine))
    silent = socket.create_server(("127.0.0.1", 0))
    frozen = settings.model_copy(update={"valkey_url": SecretStr(f"valkey://127.0.0.1:{silent.getsockname()[1]}")})
    async with serving(frozen, ELSEWHERE) as api:
        waits = 0
        shared = api.app.state.shared
        wait_for = shared.wait_for

        async def counting(question: Any) -> Any:
            nonlocal waits
            waits += shared._away_until < time.monotonic()
            return await wait_for(question)

        shared.wait_for = counting
        shared._away_until = 0.0
        for _ in range(5):
            assert (await api.get(READ, headers=key)).status_code == 200
        assert waits == 1
    silent.close()


def test_the_table_of_tiers_is_documented() -> None:
    """As it stands in the code: docs/rest.md shows exactly these rows."""
    rows = [
        f"| `{name}` | {', '.join(sorted(tier.areas))} | {_figure(tier.per_hour)}| {_figure(tier.per_burst)}"
        f"| {tier.meaning} |"
        for name, tier in TIERS.items()
    ]
    table = "\n".join(("| caller | may | an hour | in 10 s | who |", "|---|---|---|---|---|", *rows, ""))
    assert f"\n{table}\n" in (Path(__file__).parents[2] / "docs" / "rest.md").read_text("utf-8"), table


def _figure(number: int | None) -> str:
    return "" if number is None else f"{number:,} "


def test_what_costs_more() -> None:
    costs = {
        ("GET", "/api/v1/packages/npm/a/dependents", b""): 1,
        ("GET", "/api/v1/packages/npm/a/dependents", b"format=ndjson&limit=5"): 20,
        ("GET", "/api/v1/packages/npm/a/dependents", b"sort=stars&format=csv"): 20,
        ("POST", "/api/v1/packages", b""): 5,
        ("POST", "/api/v1/packages/lookup", b""): 20,
        ("GET", "/api/v1/search", b"q=a"): 5,
    }
    for (method, path, query), cost in costs.items():
        assert describe_operation(method, path, query).cost == cost


def test_of_several_waiting_those_that_fit_are_taken() -> None:
    assert _choose([1, 20, 1, 1], 3) == [True, False, True, True]
    assert _choose([1, 1], 0) == [False, False]


async def test_room_is_filled_to_the_last(serving: Any, settings: CoreSettings) -> None:
    """Requests of different cost at once: none that fits is refused because it waited with one that didn't."""
    window = Window("odd", 37, 60)
    async with serving(settings) as first, serving(settings) as second:
        takes = [
            api.app.state.limiter.take("mixed", (window,), cost)
            for cost in (1, 5, 2, 20, 1, 5)
            for api in (first, second, first)
        ]
        verdicts = await asyncio.gather(*takes)
        costs = [cost for cost in (1, 5, 2, 20, 1, 5) for _ in range(3)]
        taken = sum(cost for cost, verdict in zip(costs, verdicts, strict=True) if verdict.refused_by is None)
        assert taken in (36, 37)
        left = (await first.app.state.limiter.look(window, "mixed")).remaining
        assert left == 37 - taken
