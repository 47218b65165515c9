"""Another try for what is safe to repeat: GET, HEAD, and what a plugin marks as idempotent."""

import httpx
import stamina

from wump_worker.http.calls import call_of
from wump_worker.http.reported import parse_report

TRIES = 3
_WORTH_ANOTHER = frozenset({408, 425, 500, 502, 503, 504})


class _Repeat(Exception):
    """The answer is worth another try; it is the answer if there is none."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.response = response


class RetryingTransport(httpx.AsyncBaseTransport):
    """Tries three times at most, with growing, random waits; what takes longer is for the ledger to repeat."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, again where it failed on the upstream's side and may be repeated."""
        if not call_of(request).repeatable:
            return await self._inner.handle_async_request(request)
        attempts = stamina.retry_context(
            on=(_Repeat, httpx.TransportError),
            attempts=TRIES,
            timeout=None,
            wait_initial=0.3,
            wait_max=3,
            wait_jitter=0.7,
        )
        try:
            async for attempt in attempts:
                with attempt:
                    response = await self._inner.handle_async_request(request)
                    if response.status_code in _WORTH_ANOTHER and not _asks_for_patience(response):
                        raise _Repeat(response)
                    return response
        except _Repeat as last:
            return last.response
        raise AssertionError("the last try returns or raises")

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()


def _asks_for_patience(response: httpx.Response) -> bool:
    return bool(parse_report(response.headers).retry_after)
