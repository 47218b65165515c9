"""What the API's processes share in Valkey, and how long a request waits for it.

Valkey is disposable: whoever asks must know what to do without it. A request that finds it away or frozen waits once,
and those of the next second don't wait at all.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog
from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

WAIT_SECONDS = 0.1
"""Longest wait for one answer."""
_LOOK_SECONDS = 0.02
_MOST_LOOKS = 20
"""Where this process is too busy to look in time, Valkey has as many chances to have answered."""
PAUSE_SECONDS = 1.0
"""How long nobody asks after Valkey was found away."""
Value = TypeVar("Value")
log = structlog.get_logger("wump.api")


class Away(Exception):
    """Valkey does not answer, or not in time."""


class Shared:
    """Valkey, for whoever can do without it."""

    def __init__(self, valkey: Valkey) -> None:
        self.valkey = valkey
        self._away_until = 0.0

    async def ask(self, question: Callable[[Valkey], Awaitable[Any]]) -> Any:
        """What Valkey answers to one command.

        Raises:
            Away: It doesn't, or didn't a moment ago.
        """
        return await self.wait_for(lambda: _run(question(self.valkey)))

    async def wait_for(self, question: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """What something that asks Valkey once comes to. Raises like `ask`."""
        if self._away_until > time.monotonic():
            raise Away
        watch = _Watch()
        try:
            async with watch.limit:
                return await question()
        except (ValkeyError, OSError, TimeoutError) as error:
            self._away_until = time.monotonic() + PAUSE_SECONDS
            log.warning("api.valkey_away", error=type(error).__name__)
            raise Away from None
        finally:
            watch.stop()


class _Watch:
    """Ends a wait after a while; time in which this process was busy itself counts less, since it isn't Valkey's."""

    def __init__(self) -> None:
        self.limit = asyncio.timeout(None)
        self._loop = asyncio.get_running_loop()
        self._left, self._looks = WAIT_SECONDS, _MOST_LOOKS
        self._next()

    def _next(self) -> None:
        self._started = self._loop.time()
        self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._looks -= 1
        if self._loop.time() - self._started < 2 * _LOOK_SECONDS:
            self._left -= _LOOK_SECONDS
        if self._left > 0 and self._looks:
            self._next()
        else:
            self.limit.reschedule(self._loop.time())

    def stop(self) -> None:
        """It is over."""
        self._timer.cancel()


async def _run(answer: Awaitable[Any]) -> Any:
    return await answer
