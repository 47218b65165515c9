"""The one factory of clients for providers: the layers, one on another, and the client on top.

From the plugin down to the network: bounds of one call · allowed origins · choice of a token · kept answers ·
another try · breaker · budget · measures · the token's place on the request · bounds of an answer · connections
to addresses that may be asked.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.errors import InvalidResponse, WumpError
from wump_core.hookspecs import ProviderInfo
from wump_core.limits import RateLimits
from wump_core.records import ProviderHealth, RateLimitStatus
from wump_core.registries import TABLES
from wump_core.settings import ProviderSettings

from wump_worker.http.bounds import BoundedTransport
from wump_worker.http.breaker import BreakerTransport
from wump_worker.http.budget import BudgetTransport
from wump_worker.http.calls import begin_call
from wump_worker.http.credentials import RotatingTransport, SigningTransport, list_tokens
from wump_worker.http.guard import GuardedTransport, origin_of
from wump_worker.http.limiter import Limiter
from wump_worker.http.measure import MeasuredTransport
from wump_worker.http.network import open_network
from wump_worker.http.retries import RetryingTransport
from wump_worker.http.revalidation import RevalidatingTransport
from wump_worker.http.shared import SharedState
from wump_worker.http.status import get_breaker, get_limits
from wump_worker.settings import WorkerSettings

MAX_REDIRECTS = 5
_DEADLINE = "wump_deadline"


@dataclass
class Outcomes:
    """When an upstream last answered, and when and why it last did not."""

    last_ok_at: datetime | None = None
    last_error_at: datetime | None = None
    last_error: str | None = None

    def note_status(self, status: int) -> None:
        """An answer; one that says "no such thing" is as good as any."""
        if status < 500 and status not in (401, 403, 429):
            self.last_ok_at = datetime.now(UTC)
        else:
            self.note_error(f"HTTP {status}")

    def note_error(self, reason: str) -> None:
        """No answer, or none that is of use."""
        self.last_error_at, self.last_error = datetime.now(UTC), reason[:500]


class Upstream:
    """A provider's way to its upstream: one per process, under all of its clients."""

    def __init__(
        self,
        provider: str,
        settings: ProviderSettings,
        worker: WorkerSettings,
        *,
        contact: str = "",
        info: ProviderInfo | None = None,
        base_url_origin: str = "",
        shared: SharedState | None = None,
        engine: AsyncEngine | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            provider: Its name.
            settings: Its settings; `base_url` is set.
            worker: Deadlines and bounds.
            contact: Mail or web address for the User-Agent.
            info: What it states of limits and credentials; null: no limits, tokens as bearer.
            base_url_origin: Where the base URL was found. What only tables know may lead to a private address
                over TLS alone.
            shared: What the workers know together; null: this process is alone.
            engine: Where answers are kept; null: nowhere.
        """
        self.outcomes = Outcomes()
        self._provider = provider
        self._worker = worker
        comment = f" (+{contact})" if contact else ""
        self._user_agent = f"wump/{version('wump-worker')}{comment}"
        base_url = httpx.URL(settings.base_url or "")
        hosts = [_host_url(host) for host in settings.hosts]
        allowed = frozenset(origin_of(url) for url in (base_url, *hosts))
        is_named = base_url_origin != TABLES and "base_url" in settings.model_fields_set
        named = {base_url.raw_host.decode()} if is_named else set()
        if "hosts" in settings.model_fields_set:  # else they are the plugin's defaults
            named |= {url.raw_host.decode() for url in hosts}
        # A mirror under the registry's own name is common inside networks. The name is a constant, and whoever
        # answers to it has a certificate that this machine trusts.
        is_proven = base_url_origin == TABLES and base_url.scheme == "https"
        proven = {base_url.raw_host.decode()} if is_proven else set()
        self._shared = shared = shared or SharedState()
        self._tokens = tokens = list_tokens(provider, settings)
        self._limits = limits = settings.limits or (info.limits if info else None) or RateLimits()
        limiter = Limiter(provider, limits, shared, lease_seconds=worker.total_timeout_seconds + 5)

        layers: httpx.AsyncBaseTransport = open_network(provider, base_url, frozenset(named), frozenset(proven))
        layers = BoundedTransport(layers, provider, worker.max_body_bytes)
        layers = SigningTransport(layers, tokens, info.credential if info else "bearer")
        layers = MeasuredTransport(layers, provider)
        layers = BudgetTransport(layers, provider, limiter, patience_seconds=worker.patience_seconds)
        layers = BreakerTransport(layers, provider, shared, probe_seconds=worker.total_timeout_seconds + 5)
        layers = RetryingTransport(layers)
        if engine is not None:
            layers = RevalidatingTransport(layers, provider, engine, max_bytes=worker.kept_responses_bytes)
        layers = RotatingTransport(
            layers, provider, tokens, origin_of(base_url), limiter, shared, patience_seconds=worker.patience_seconds
        )
        self._layers = GuardedTransport(layers, provider, allowed)

    def make_client(self, *, on_demand: bool = False, is_last: bool = False) -> httpx.AsyncClient:
        """A client for one call of a hook, to be dropped afterwards.

        Args:
            on_demand: Somebody waits for it, so that it may use the part of a budget that is kept for that.
            is_last: Closing it closes the connections; without this it closes nothing.
        """
        return httpx.AsyncClient(
            transport=_CallTransport(
                self._layers,
                self._provider,
                self._worker,
                self.outcomes,
                on_demand=on_demand,
                closes_inner=is_last,
            ),
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(self._worker.read_timeout_seconds, connect=self._worker.connect_timeout_seconds),
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            trust_env=False,
        )

    async def get_limits(self) -> RateLimitStatus:
        """What the upstream said is left, as all workers know it; nothing while Valkey is away."""
        return await get_limits(self._shared, self._provider, self._limits, [token.id for token in self._tokens])

    async def get_breaker(self) -> ProviderHealth:
        """Whether the workers ask the upstream at all, and if not, why."""
        return await get_breaker(self._shared, self._provider)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._layers.aclose()


class _CallTransport(httpx.AsyncBaseTransport):
    """The uppermost layer: bounds one call of a hook in requests, and each of them in time, redirects included."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        provider: str,
        worker: WorkerSettings,
        outcomes: Outcomes,
        *,
        on_demand: bool,
        closes_inner: bool,
    ) -> None:
        self._inner = inner
        self._outcomes = outcomes
        self._provider = provider
        self._seconds = worker.total_timeout_seconds
        self._max_requests = worker.max_requests
        self._on_demand = on_demand
        self._closes_inner = closes_inner
        self._requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and wait for its whole answer.

        Raises:
            InvalidResponse: The call has made as many requests as one may.
            httpx.ReadTimeout: The answer was not complete in time.
        """
        self._requests += 1
        if self._requests > self._max_requests:
            raise InvalidResponse(
                f"{self._provider} needed more than {self._max_requests} requests for one call: endless pages?"
                " If it is right, raise WUMP_WORKER_MAX_REQUESTS"
            )
        await request.aread()
        # A redirect is a new request with the extensions of the one before, and so with its deadline.
        deadline = request.extensions.setdefault(_DEADLINE, asyncio.get_running_loop().time() + self._seconds)
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._inner.handle_async_request(
                    begin_call(request, deadline=deadline, on_demand=self._on_demand)
                )
        except TimeoutError:
            self._outcomes.note_error(f"no whole answer within {self._seconds:g} s")
            raise httpx.ReadTimeout(f"no whole answer within {self._seconds:g} s", request=request) from None
        except Exception as error:
            self._outcomes.note_error(str(error) if isinstance(error, WumpError) else type(error).__name__)
            raise
        self._outcomes.note_status(response.status_code)
        return response

    async def aclose(self) -> None:
        """Close the layers below, if this is their only client."""
        if self._closes_inner:
            await self._inner.aclose()


def make_client(
    provider: str,
    settings: ProviderSettings,
    worker: WorkerSettings,
    *,
    contact: str = "",
    info: ProviderInfo | None = None,
    base_url_origin: str = "",
) -> httpx.AsyncClient:
    """A client for a command, with nothing shared and nothing kept; close it. For the arguments see `Upstream`."""
    upstream = Upstream(provider, settings, worker, contact=contact, info=info, base_url_origin=base_url_origin)
    return upstream.make_client(on_demand=True, is_last=True)


def _host_url(host: str) -> httpx.URL:
    """Of a host as the settings have it: HTTPS unless it names another scheme."""
    return httpx.URL(host if "://" in host else f"https://{host}")
