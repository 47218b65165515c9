"""What operators see of an upstream: what is left, whether it is left alone, and figures for every request."""

from collections.abc import Iterator
from typing import Any

import pytest
from hostile_upstream import HostileUpstream
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from worker.http.conftest import Ways
from wump_core.errors import RateLimited
from wump_core.limits import Limit, RateLimits
from wump_worker.http import measure

Read = Any


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[Read]:
    """Reads a metric: attributes to value."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    meter = provider.get_meter("tests")
    monkeypatch.setattr(measure, "_calls", meter.create_counter("provider.api.calls"))
    monkeypatch.setattr(measure, "_left", meter.create_gauge("provider.rate_limit.remaining"))
    monkeypatch.setattr(measure, "_duration", meter.create_histogram("http.client.request.duration"))

    def read(name: str) -> dict[tuple[Any, ...], float]:
        data = reader.get_metrics_data()
        assert data is not None
        metrics = [metric for item in data.resource_metrics for scope in item.scope_metrics for metric in scope.metrics]
        points: list[Any] = [point for metric in metrics if metric.name == name for point in metric.data.data_points]
        return {
            tuple(value for _, value in sorted((point.attributes or {}).items())): getattr(point, "value", None)
            or getattr(point, "count", 0)
            for point in points
        }

    yield read
    provider.shutdown()


async def test_every_call_is_counted_by_resource_and_outcome(
    open_way: Ways, upstream: HostileUpstream, figures: Read
) -> None:
    upstream.answer("/good", b"{}", X_RateLimit_Limit="90", X_RateLimit_Remaining="70", X_RateLimit_Reset="60")
    upstream.answer("/gone", status=404)
    upstream.answer("/broken", status=500)
    limits = RateLimits(resources={"core": (), "search": (Limit(requests=1, seconds=60),)})
    async with open_way("secret-token", limits=limits) as way, way.make_client() as client:
        for path in ("/good", "/gone", "/broken"):
            await client.get(upstream.address + path)
        await client.get(f"{upstream.address}/good", extensions={"wump_resource": "search"})
        with pytest.raises(RateLimited):
            await client.get(f"{upstream.address}/good", extensions={"wump_resource": "search"})
    assert figures("provider.api.calls") == {
        ("ok", "some", "core"): 1,
        ("not_found", "some", "core"): 1,
        ("failed", "some", "core"): 3,
        ("ok", "some", "search"): 1,
        ("held_back", "some", "search"): 1,
    }
    left = figures("provider.rate_limit.remaining")
    assert sorted((key[1:], value) for key, value in left.items()) == [(("some", "core"), 70), (("some", "search"), 70)]
    assert "secret-token" not in str(left)
    assert sum(figures("http.client.request.duration").values()) == 6


async def test_what_is_left_is_known_to_all_workers(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", b"{}", X_RateLimit_Limit="90", X_RateLimit_Remaining="70", X_RateLimit_Reset="600")
    async with open_way("one", "two") as way, open_way("one", "two") as other:
        assert (await other.get_limits()).limits == ()
        for number in range(12):
            await way.make_client().get(f"{url}?{number}")
        (limit,) = (await other.get_limits()).limits
    assert (limit.resource, limit.limit, limit.remaining) == ("core", 180, 140)
    assert limit.reset_at is not None


async def test_an_open_breaker_shows_with_its_reason(open_way: Ways, upstream: HostileUpstream) -> None:
    url = upstream.answer("/", status=502)
    async with open_way() as way, open_way() as other:
        assert (await other.get_breaker()).ok
        for _ in range(5):
            await way.make_client().post(url)
        health = await other.get_breaker()
    assert not health.ok
    assert "HTTP 502" in str(health.detail)


async def test_without_valkey_nothing_is_known(open_way: Ways) -> None:
    async with open_way(valkey=None) as way:
        assert (await way.get_limits()).limits == ()
        assert (await way.get_breaker()).ok
