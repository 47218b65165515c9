"""The cache: finished answers as bytes, in Valkey for all processes and for a second in each process itself.

A key is `wump:cache:{subject}:{view}:{audience}:{hash of the parameters}`, where the subject is `package:npm:express`,
`org:{id}` or `stats:{ecosystem}`. Each subject has a generation under `wump:cache:{subject}:generation`, and each
stored answer the generation that it was begun under: it is only kept, and only served, while that one stands. Whoever
changes a subject replaces its generation after the commit, which outdates all of its answers at once. Where a
generation is lost, as by eviction or a restart, a new one is made up, so that no older answer comes back.

Without Valkey, answers are made anew each time.
"""

import asyncio
import hashlib
import random
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from valkey.asyncio import Valkey
from wump_core.caching import GENERATION_SECONDS, PREFIX, generation_key
from wump_core.telemetry import count_cache

from wump_api.sharing import Away, Shared

NEAR_SECONDS = 1.0
"""How long a process serves an answer without asking whether its generation still stands."""
NEAR_BYTES = 32 * 1024 * 1024
MAX_STORED_BYTES = 2 * 1024 * 1024
_STORE = """
if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('set', KEYS[2], ARGV[2], 'ex', ARGV[3]) end"""


class Finished(msgspec.Struct, array_like=True, gc=False):
    """An answer as it is sent. `made_at` is in seconds since 1970."""

    body: bytes
    media_type: str
    made_at: int
    etag: str

    @classmethod
    def of(cls, response: Response) -> "Finished":
        """What a route answered."""
        body = bytes(response.body)
        # Weak, since the same answer may be sent compressed too.
        etag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        return cls(body, response.headers["content-type"], int(time.time()), etag)


class _Stored(msgspec.Struct, array_like=True, gc=False):
    generation: bytes
    answer: Finished


@dataclass(slots=True)
class _Near:
    answer: Finished
    generation: bytes
    checked_at: float
    until: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer is kept, and for how many seconds."""

    subject: str
    view: str
    parameters: str
    seconds: int
    audience: str = "public"

    @property
    def key(self) -> str:
        """Its key in Valkey."""
        digest = hashlib.blake2b(self.parameters.encode(), digest_size=12).hexdigest()
        return f"{PREFIX}{self.subject}:{self.view}:{self.audience}:{digest}"

    @property
    def pattern(self) -> str:
        """What kind of key it is, for counting."""
        return f"{self.subject.partition(':')[0]}:{self.view}"


class Cache:
    """The cache of one process.

    Args:
        shared: Valkey, for whoever can do without it.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._near: OrderedDict[str, _Near] = OrderedDict()
        self._near_bytes = 0
        self._running: dict[str, asyncio.Task[Finished]] = {}
        self._storing: set[asyncio.Task[None]] = set()

    async def answer(self, place: Place, make: Callable[[], Awaitable[Response]]) -> Finished:
        """The stored answer of this place, or the one that `make` makes, once however many ask for it meanwhile.

        Raises:
            Exception: Whatever `make` raises, to all who wait for it.
        """
        key = place.key
        near = self._near.get(key)
        if near and time.monotonic() < near.checked_at + NEAR_SECONDS:
            count_cache(place.pattern, hit=True)
            return near.answer
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.create_task(self._find(place, key, make))
            running.add_done_callback(lambda task: self._forget(key, task))
        return await asyncio.shield(running)

    def _forget(self, key: str, task: asyncio.Task[Finished]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()

    async def _find(self, place: Place, key: str, make: Callable[[], Awaitable[Response]]) -> Finished:
        try:
            generation, found = await self._look_up(place, key)
        except Away:
            return Finished.of(await make())
        count_cache(place.pattern, hit=found is not None)
        if found is not None:
            return found
        answer = Finished.of(await make())
        if len(answer.body) <= MAX_STORED_BYTES:
            self._keep_near(key, answer, generation, place.seconds)
            storing = asyncio.create_task(self._store(place, key, generation, answer))
            self._storing.add(storing)
            storing.add_done_callback(self._storing.discard)
        return answer

    async def _look_up(self, place: Place, key: str) -> tuple[bytes, Finished | None]:
        """The generation that stands, and the answer that was stored under it."""
        subject = generation_key(place.subject)
        near = self._near.get(key)
        if near and time.monotonic() < near.until:
            standing = await self._shared.ask(lambda valkey: valkey.get(subject))
            if standing == near.generation:
                # Anew: others may have pushed it out meanwhile.
                self._keep_near(key, near.answer, standing, place.seconds)
                return standing, near.answer
        standing, raw = await self._shared.ask(lambda valkey: valkey.mget(subject, key))
        if standing is None:
            fresh = secrets.token_hex(8).encode()
            old = await self._shared.ask(
                lambda valkey: valkey.set(subject, fresh, ex=GENERATION_SECONDS, nx=True, get=True)
            )
            return old or fresh, None
        stored = _read(raw) if raw else None
        if stored is None or stored.generation != standing:
            return standing, None
        self._keep_near(key, stored.answer, standing, place.seconds)
        return standing, stored.answer

    def _keep_near(self, key: str, answer: Finished, generation: bytes, seconds: int) -> None:
        if old := self._near.pop(key, None):
            self._near_bytes -= len(old.answer.body)
        now = time.monotonic()
        until = now + max(0.0, answer.made_at + seconds - time.time())
        self._near[key] = _Near(answer, generation, now, until)
        self._near_bytes += len(answer.body)
        while self._near_bytes > NEAR_BYTES:
            _, old = self._near.popitem(last=False)
            self._near_bytes -= len(old.answer.body)

    async def _store(self, place: Place, key: str, generation: bytes, answer: Finished) -> None:
        """Keep an answer, unless its subject has changed since it was begun."""
        raw = msgspec.msgpack.encode(_Stored(generation, answer))
        # Spread, so that what was made together isn't made anew together.
        seconds = int(place.seconds * random.uniform(0.9, 1.0))  # noqa: S311 - guards nothing
        names = (generation_key(place.subject), key)
        try:
            await self._shared.ask(
                lambda valkey: valkey.execute_command("EVAL", _STORE, 2, *names, generation, raw, seconds)
            )
        except Away:
            return

    async def finish(self) -> None:
        """Wait until what was made is stored."""
        await asyncio.gather(*self._storing)

    def forget_near(self) -> None:
        """Ask Valkey again for everything."""
        self._near.clear()
        self._near_bytes = 0


def _read(raw: bytes) -> _Stored | None:
    """What was stored; null where another version of wump wrote it."""
    try:
        return msgspec.msgpack.decode(raw, type=_Stored)
    except msgspec.MsgspecError:
        return None


async def drop_cache(valkey: Valkey, subject: str | None = None) -> int:
    """Outdate what is cached of a subject, or delete all that is cached of any; returns how many keys went."""
    if subject is not None:
        return int(await valkey.unlink(generation_key(subject)))
    dropped = 0
    batch: list[bytes] = []
    async for key in valkey.scan_iter(match=f"{PREFIX}*", count=1_000):
        batch.append(key)
        if len(batch) == 1_000:
            dropped += int(await valkey.unlink(*batch))
            batch.clear()
    return dropped + (int(await valkey.unlink(*batch)) if batch else 0)


class FinishedResponse:
    """Sends a finished answer, or 304 to who has it already.

    Args:
        control: Who may keep it, as `Cache-Control` says.
    """

    def __init__(self, answer: Finished, control: str) -> None:
        self.answer = answer
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self.answer
        headers = [
            (b"etag", answer.etag.encode()),
            (b"last-modified", _http_date(answer.made_at)),
            (b"cache-control", self._control.encode()),
        ]
        if _has_it(answer, scope):
            await send({"type": "http.response.start", "status": 304, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        headers += [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", str(len(answer.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})


def _has_it(answer: Finished, scope: Scope) -> bool:
    given = dict(scope["headers"])
    if tags := given.get(b"if-none-match"):
        wanted = answer.etag.removeprefix("W/").encode()
        return any(tag.strip().removeprefix(b"W/") in (wanted, b"*") for tag in tags.split(b","))
    since = given.get(b"if-modified-since")
    return since is not None and since == _http_date(answer.made_at)


@lru_cache(1_000)
def _http_date(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode()
