"""How often a caller may ask: sliding windows, counted in Valkey for all processes together.

The library `limits` counts, with its sliding window counter: atomic in Valkey, by Valkey's clock. While Valkey is away
each process counts for itself, with the same windows. Requests of one caller that wait at the same time are counted by
one question, so that many at once cost little more than one; and far from its limits, a caller doesn't wait at all.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from wump_api.problems import Problem
from wump_api.sharing import Away, Shared

_NAMESPACE = "wump"
_STATE_SECONDS = 0.1
"""How long a process goes on by what it was told is left, taking off what it admitted itself."""
_FAR = 2_000
"""With so much left in each window, requests are admitted at once and counted a moment later."""
_MOST_OWED = 200
"""Most that a process admits so before it is counted. In the time for which it believes what it was told, several
processes together can't ask for what is left."""
_SETTLE_SECONDS = 0.01
_MOST_LINES = 10_000
_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Window:
    """So many units of cost in so many seconds, whenever they begin."""

    name: str
    amount: int
    seconds: int


@dataclass(slots=True)
class WindowState:
    """What is left of a window, and in how many seconds there is more."""

    window: Window
    remaining: int
    reset_seconds: int


@dataclass(slots=True)
class Verdict:
    """Whether a request may go on; if not, the window that is full. `policy` says which windows there are."""

    policy: bytes
    states: Sequence[WindowState]
    refused_by: WindowState | None = None

    def headers(self) -> list[tuple[bytes, bytes]]:
        """`RateLimit-Policy` and `RateLimit`, as draft-ietf-httpapi-ratelimit-headers has them."""
        left = ", ".join([f'"{it.window.name}";r={it.remaining};t={it.reset_seconds}' for it in self.states])
        return [(b"ratelimit-policy", self.policy), (b"ratelimit", left.encode())]

    def refusal(self) -> Problem:
        """The problem of a request that may not go on."""
        if self.refused_by is None:
            raise ValueError("it may go on")
        window = self.refused_by.window
        return Problem(
            "rate-limited",
            f"more than {window.amount} in {window.seconds} s were asked for",
            headers={"Retry-After": str(max(1, self.refused_by.reset_seconds))},
            **{"violated-policies": [window.name]},
        )


@dataclass(slots=True)
class _Waiting:
    cost: int
    verdict: "asyncio.Future[Verdict]"


class Limiter:
    """Counts for all callers."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        connected: dict[str, Any] = {"connection_pool": shared.valkey.connection_pool}
        storage = RedisStorage("valkey://shared:1", implementation="valkey", **connected)
        self._far = SlidingWindowCounterRateLimiter(storage)
        self._near = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._lines: dict[str, _Line] = {}

    async def take(self, subject: str, windows: tuple[Window, ...], cost: int) -> Verdict:
        """Count a request of a caller, if all windows have room for it. The first window is the shortest."""
        line = self._lines.get(subject)
        if line is None or line.windows != windows:
            if len(self._lines) >= _MOST_LINES:
                self._lines = {name: line for name, line in self._lines.items() if line.busy}
            line = self._lines[subject] = _Line(self, subject, windows)
        # What costs more than a whole window may be asked for when that is empty.
        return await line.join(min(cost, *(window.amount for window in windows)))

    async def has_room(self, subject: str, window: Window) -> bool:
        """Whether the caller has anything left, without counting."""
        item = _item(window)
        try:
            return await self._shared.wait_for(lambda: self._far.test(item, subject))
        except Away:
            return await self._near.test(item, subject)

    async def hit(self, window: Window, subject: str, cost: int) -> bool:
        """Count so much if there is room for all of it."""
        item = _item(window)
        try:
            return await self._shared.wait_for(lambda: self._far.hit(item, subject, cost=cost))
        except Away:
            return await self._near.hit(item, subject, cost=cost)

    async def look(self, window: Window, subject: str) -> WindowState:
        """What is left of a window."""
        item = _item(window)
        try:
            stats = await self._shared.wait_for(lambda: self._far.get_window_stats(item, subject))
        except Away:
            stats = await self._near.get_window_stats(item, subject)
        reset = min(max(0, math.ceil(stats.reset_time - time.time())), window.seconds)
        return WindowState(window, max(0, stats.remaining), reset)


class _Line:
    """The requests of one caller that are to be counted, and what is known of its windows."""

    def __init__(self, limiter: Limiter, subject: str, windows: tuple[Window, ...]) -> None:
        self.windows = windows
        self._policy = ", ".join(f'"{it.name}";q={it.amount};w={it.seconds}' for it in windows).encode()
        self._limiter = limiter
        self._subject = subject
        self._waiting: list[_Waiting] = []
        self._owed = 0
        self._counting: asyncio.Task[None] | None = None
        self._states: list[WindowState] = []
        self._looked_at = -math.inf

    @property
    def busy(self) -> bool:
        """Whether something is being counted."""
        return self._counting is not None

    async def join(self, cost: int) -> Verdict:
        """Count a request."""
        if self._is_far_from_full(cost):
            self._owed += cost
            self._take_off(cost)
            self._start()
            return Verdict(self._policy, self._states)
        waiting = _Waiting(cost, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._start()
        return await waiting.verdict

    def _is_far_from_full(self, cost: int) -> bool:
        return (
            time.monotonic() - self._looked_at < _STATE_SECONDS
            and self._owed + cost <= _MOST_OWED
            and all(state.remaining >= _FAR for state in self._states)
        )

    def _start(self) -> None:
        if self._counting is None:
            self._counting = asyncio.create_task(self._count())

    async def _count(self) -> None:
        batch: list[_Waiting] = []
        try:
            while self._waiting or self._owed:
                batch, self._waiting = self._waiting, []
                if batch:
                    await self._decide(batch)
                else:
                    await asyncio.sleep(_SETTLE_SECONDS)
                    await self._settle()
        except BaseException as error:
            for waiting in (*batch, *self._waiting):
                if not waiting.verdict.done():
                    waiting.verdict.set_exception(error)
            self._waiting = []
            if not isinstance(error, Exception):
                raise
        finally:
            self._counting = None

    async def _settle(self) -> None:
        """Count what was admitted on the word of what is known, and look again."""
        owed, self._owed = self._owed, 0
        for window in self.windows:
            if not await self._limiter.hit(window, self._subject, owed):
                room = (await self._limiter.look(window, self._subject)).remaining
                await self._limiter.hit(window, self._subject, min(owed, room))
        await self._look()

    async def _decide(self, batch: list[_Waiting]) -> None:
        left, refused_by = batch, {}
        for window in self.windows:
            taken = await self._take_most(window, [item.cost for item in left])
            refused_by |= {id(item): window.name for item, fits in zip(left, taken, strict=True) if not fits}
            left = [item for item, fits in zip(left, taken, strict=True) if fits]
            if not left:
                break
        if refused_by or time.monotonic() - self._looked_at > _STATE_SECONDS:
            await self._look()
        else:
            self._take_off(sum(item.cost for item in left))
        full = {state.window.name: state for state in self._states}
        for item in batch:
            name = refused_by.get(id(item))
            if not item.verdict.done():
                item.verdict.set_result(Verdict(self._policy, self._states, full[name] if name else None))

    async def _look(self) -> None:
        self._states = [await self._limiter.look(window, self._subject) for window in self.windows]
        self._looked_at = time.monotonic()
        self._take_off(self._owed)

    def _take_off(self, cost: int) -> None:
        for state in self._states:
            state.remaining = max(0, state.remaining - cost)

    async def _take_most(self, window: Window, costs: Sequence[int]) -> list[bool]:
        """Which of these the window has room for, in their order; those are counted."""
        fitting = [True] * len(costs)
        for _ in range(_ROUNDS):
            wanted = sum(cost for cost, fits in zip(costs, fitting, strict=True) if fits)
            if not wanted or await self._limiter.hit(window, self._subject, wanted):
                return fitting
            room = (await self._limiter.look(window, self._subject)).remaining
            fitting = _choose(costs, min(room, wanted - 1))
        return [False] * len(costs)


def _choose(costs: Sequence[int], room: int) -> list[bool]:
    chosen = []
    for cost in costs:
        fits = cost <= room
        room -= cost if fits else 0
        chosen.append(fits)
    return chosen


def _item(window: Window) -> RateLimitItemPerSecond:
    return RateLimitItemPerSecond(window.amount, window.seconds, namespace=_NAMESPACE)
