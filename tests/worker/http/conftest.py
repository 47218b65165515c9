"""What the tests of the transport share: an upstream that misbehaves, and ways to it that share Valkey."""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from hostile_upstream import HostileUpstream, serve_hostile
from pydantic import SecretStr
from valkey import Valkey
from wump_core.embedded import Servers
from wump_core.hookspecs import ProviderInfo
from wump_core.limits import RateLimits
from wump_core.settings import TokenSettings
from wump_worker.http.client import Upstream
from wump_worker.http.shared import SharedState
from wump_worker.settings import WorkerSettings

Ways = Callable[..., AbstractAsyncContextManager[Upstream]]


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileUpstream]:
    """A server of the test's own, reached without a proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve_hostile() as server:
        yield server


@pytest.fixture
def valkey_url(servers: Servers) -> str:
    """An empty Valkey."""
    with Valkey.from_url(servers.valkey_url) as client:
        client.flushall()
    return servers.valkey_url


@pytest.fixture
def open_way(upstream: HostileUpstream, valkey_url: str) -> Ways:
    """Opens a provider's way to the upstream, as a worker has it; each has its own connections."""

    @contextlib.asynccontextmanager
    async def open_one(
        *tokens: str,
        limits: RateLimits | None = None,
        credential: str = "bearer",
        address: str = upstream.address,
        hosts: tuple[str, ...] = (),
        valkey: str | None = valkey_url,
        engine: Any = None,
        **worker: Any,
    ) -> AsyncGenerator[Upstream]:
        info = ProviderInfo(
            title="Some",
            provider_type="aggregator",
            ecosystems=("npm",),
            licence="CC0-1.0",
            attribution="Some",
            limits=limits,
            credential=credential,
        )
        settings = TokenSettings(base_url=address, hosts=hosts, token=tuple(SecretStr(token) for token in tokens))
        shared = SharedState(SecretStr(valkey) if valkey else None)
        worker_settings = WorkerSettings.model_validate({"patience_seconds": 0} | worker)
        way = Upstream(
            "some",
            settings,
            worker_settings,
            info=info,
            shared=shared,
            engine=engine,
        )
        try:
            yield way
        finally:
            await way.aclose()
            await shared.aclose()

    return open_one


@pytest.fixture
async def client(open_way: Ways) -> AsyncIterator[httpx.AsyncClient]:
    """A client without limits or tokens."""
    async with open_way() as way, way.make_client() as client:
        yield client
