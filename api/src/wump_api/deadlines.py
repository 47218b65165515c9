"""The longest time of a request, for all requests by one look a quarter of a second: a timer each would cost more."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from wump_api.problems import Problem

LOOK_SECONDS = 0.25


class Deadlines:
    """The requests that run, the oldest first, since all have the same time."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: dict[asyncio.Task[Any], float] = {}
        self._ended: set[asyncio.Task[Any]] = set()

    @contextmanager
    def limit(self) -> Generator[None]:
        """Let what is inside take no longer than may be.

        Raises:
            Problem: It did, and was cancelled.
        """
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be ended")
        self._running[task] = loop.time() + self._seconds
        try:
            yield
        except asyncio.CancelledError:
            if task in self._ended and task.uncancel() == 0:
                raise Problem("too-slow", f"it took more than {self._seconds} s") from None
            raise
        finally:
            self._running.pop(task, None)
            self._ended.discard(task)

    async def keep_looking(self) -> None:
        """End those whose time is over. Ends by being cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = loop.time()
            for task, deadline in list(self._running.items()):
                if deadline > now:
                    break
                del self._running[task]
                self._ended.add(task)
                task.cancel()
