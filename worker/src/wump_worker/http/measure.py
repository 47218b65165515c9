"""Each request to an upstream as a span, in figures, and as a log line; secrets are in none of them.

Names follow OpenTelemetry's semantic conventions for HTTP clients, where there are any.
"""

import asyncio
import time

import httpx
import structlog
from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind, StatusCode
from wump_core.telemetry.figures import SECONDS

from wump_worker.http.calls import Call, call_of, show_url

log = structlog.get_logger("wump.http")
_tracer = trace.get_tracer("wump.http")
_meter = metrics.get_meter("wump.http")
_METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS".split())
_EXPECTED = frozenset({"ok", "not_modified", "not_found"})
_calls = _meter.create_counter(
    "provider.api.calls", unit="{call}", description="Requests of providers by resource and outcome."
)
_duration = _meter.create_histogram(
    "http.client.request.duration",
    unit="s",
    description="Time for one request, its whole answer included.",
    explicit_bucket_boundaries_advisory=SECONDS,
)
_left = _meter.create_gauge(
    "provider.rate_limit.remaining", unit="{request}", description="What an upstream says is left of a budget."
)


def count_call(provider: str, call: Call, outcome: str) -> None:
    """Count a request of a provider, also one that was answered or held back before it was sent."""
    _calls.add(1, {"provider": provider, "resource": call.resource, "outcome": outcome})


def note_left(provider: str, resource: str, credential: str, remaining: int) -> None:
    """Note what an upstream says is left."""
    _left.set(remaining, {"provider": provider, "resource": resource, "credential": credential or "anonymous"})


class MeasuredTransport(httpx.AsyncBaseTransport):
    """Measures what is sent. It stands above the layer that knows secrets, so it can't tell any."""

    def __init__(self, inner: httpx.AsyncBaseTransport, provider: str) -> None:
        self._inner = inner
        self._provider = provider

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and note what became of it."""
        call = call_of(request)
        method = request.method if request.method in _METHODS else "_OTHER"
        attributes: dict[str, str | int] = {
            "http.request.method": method,
            "server.address": request.url.host,
            "server.port": request.url.port or (443 if request.url.scheme == "https" else 80),
        }
        shown = show_url(request.url)
        details: dict[str, str | int] = {
            "url.full": shown,
            "wump.provider": self._provider,
            "wump.resource": call.resource,
        }
        started = time.perf_counter()
        with _tracer.start_as_current_span(
            method,
            kind=SpanKind.CLIENT,
            attributes=attributes | details,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            outcome = "cancelled"
            try:
                response = await self._inner.handle_async_request(request)
                outcome = _name_outcome(response.status_code)
                attributes["http.response.status_code"] = response.status_code
                span.set_attribute("http.response.status_code", response.status_code)
                if response.status_code >= 400:
                    attributes["error.type"] = str(response.status_code)
            except Exception as error:
                attributes["error.type"] = type(error).__name__
                outcome = "timeout" if isinstance(error, httpx.TimeoutException) else "failed"
                raise
            except asyncio.CancelledError:
                if call.is_late:
                    attributes["error.type"] = outcome = "timeout"
                raise
            finally:
                if "error.type" in attributes:
                    span.set_status(StatusCode.ERROR)
                    span.set_attribute("error.type", attributes["error.type"])
                seconds = time.perf_counter() - started
                _duration.record(seconds, attributes)
                count_call(self._provider, call, outcome)
                say = log.debug if outcome in _EXPECTED else log.info
                say(
                    "provider.call",
                    provider=self._provider,
                    resource=call.resource,
                    method=request.method,
                    url=shown,
                    outcome=outcome,
                    seconds=round(seconds, 3),
                )
        return response

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()


def _name_outcome(status: int) -> str:
    named = {304: "not_modified", 401: "rejected", 403: "refused", 404: "not_found", 429: "rate_limited"}
    return named.get(status) or ("ok" if status < 400 else "failed" if status >= 500 else "refused")
