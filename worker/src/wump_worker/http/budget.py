"""The layer that keeps to an upstream's limits: a ticket for each request, and what the answer says is noted."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import httpx
from wump_core.errors import RateLimited

from wump_worker.http.calls import Call, call_of
from wump_worker.http.limiter import Limiter, Ticket
from wump_worker.http.measure import count_call, note_left
from wump_worker.http.reported import Report, is_limited, parse_report

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class BudgetTransport(httpx.AsyncBaseTransport):
    """Waits a little for room, and says when there will be some where that takes longer."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, provider: str, limiter: Limiter, *, patience_seconds: float
    ) -> None:
        self._inner = inner
        self._provider = provider
        self._limiter = limiter
        self._patience_seconds = patience_seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request when there is room for it.

        Raises:
            RateLimited: There will be none soon, or the upstream itself says that it was asked too often.
        """
        call = call_of(request)
        ticket = await self._wait_for_ticket(call)
        try:
            response = await self._inner.handle_async_request(request)
        except BaseException as error:
            was_sent = not isinstance(error, _NEVER_SENT)
            await self._limiter.settle(call, ticket, Report(), was_sent=was_sent, is_limited=False)
            raise
        report = parse_report(response.headers)
        limited = is_limited(request, response, report)
        if not limited and response.status_code != 503:
            report = Report(report.limit, report.remaining, report.reset_in, None, report.resource)
        wait = await self._limiter.settle(call, ticket, report, was_sent=True, is_limited=limited)
        if report.remaining is not None:
            note_left(self._provider, report.resource or call.resource, call.credential, report.remaining)
        if limited:
            raise self._limited("says that it was asked too often", wait)
        return response

    async def _wait_for_ticket(self, call: Call) -> Ticket:
        loop = asyncio.get_running_loop()
        patience = self._patience_seconds if call.patience is None else call.patience
        give_up_at = loop.time() + patience
        while True:
            wait = await self._limiter.take(call)
            if isinstance(wait, Ticket):
                return wait
            # The others wake, too: who comes a little later finds the queue a little shorter.
            seconds = wait.seconds + random.uniform(0.0, 0.05 + wait.seconds / 10)  # noqa: S311
            if loop.time() + seconds > give_up_at:
                count_call(self._provider, call, "held_back")
                what = "is asked by others just now" if wait.is_busy else f"allows no more {call.resource} requests now"
                raise self._limited(what, max(wait.seconds, 1.0))
            await asyncio.sleep(seconds)

    def _limited(self, what: str, seconds: float) -> RateLimited:
        retry_at = datetime.now(UTC) + timedelta(seconds=seconds)
        return RateLimited(f"{self._provider} {what}; again at {retry_at:%Y-%m-%d %H:%M:%S} UTC", retry_at)

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()
