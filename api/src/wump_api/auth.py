"""Who calls: keys, and what a request without one may count as.

A key is `wump_`, eight characters by which its row is found, `_`, and 49 characters: a secret of 256 bits and a
checksum. What is looked at, from cheap to dear: this process's memory, the checksum, the row, a small part of the
secret's SHA-256, and at last bcrypt, in a thread. Every failure gives the same answer, by the same way.
"""

import asyncio
import base64
import hashlib
import hmac
import re
import secrets
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from itertools import islice
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import bcrypt
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Scope
from wump_core.store import keys
from wump_core.store.keys import NewSecret, Row

from wump_api.problems import Problem
from wump_api.sharing import Away, Shared

KEY_PATTERN = re.compile(rb"wump_[0-9A-Za-z]{8}_[0-9A-Za-z]{49}")
TRUSTED_SECONDS = 0.5
"""How long a process believes what it read of a key: a revoked one works no longer than this."""
TRUSTED_IN_OUTAGE_SECONDS = 5.0
"""The same while the database is away."""
VERIFIED_SECONDS = 30
"""How long Valkey remembers that bcrypt agreed."""
BCRYPT_ROUNDS = 10
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PREFIX_LENGTH, _SECRET_LENGTH, _CHECKSUM_LENGTH = 8, 43, 6
_PRECHECK_BYTES = 4
_MOST_REMEMBERED = 10_000
_MOST_AT_ONCE = 1_000
_USES_EVERY_SECONDS = 5.0
_NOBODY: Row = {"key": 0, "precheck": b"\0" * _PRECHECK_BYTES, "hash": "", "is_live": False}
log = structlog.get_logger("wump.api")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `id` is the key's, null where there is none; null limits and areas are those of the tier.

    `subject` is what is counted under: the key or, without one, the address.
    """

    name: str
    tier: str
    subject: str
    id: UUID | None = None
    requests_per_hour: int | None = None
    requests_per_burst: int | None = None
    areas: frozenset[str] | None = None


CHALLENGE = {"WWW-Authenticate": 'ApiKey realm="wump"'}
PROCESS = Caller("command line", "process", "process")
LOCAL = Caller("this machine", "local", "local")


def make_key() -> tuple[str, NewSecret]:
    """A new key, to be shown once, and what is kept of it. Takes about a tenth of a second."""
    body = f"wump_{_random(_PREFIX_LENGTH)}_{_random(_SECRET_LENGTH)}"
    key = f"{body}{_checksum(body.encode())}"
    digest = hashlib.sha256(key.encode()).digest()
    hashed = bcrypt.hashpw(base64.b64encode(digest), bcrypt.gensalt(BCRYPT_ROUNDS)).decode()
    return key, NewSecret(prefix=_prefix(key.encode()), precheck=digest[:_PRECHECK_BYTES], hash=hashed)


class Keys:
    """The keys of the database, as this process knows them."""

    def __init__(self, engine: AsyncEngine, shared: Shared) -> None:
        self._engine = engine
        self._shared = shared
        self._trusted: dict[bytes, tuple[float, Caller]] = {}
        self._recent: set[bytes] = set()
        self._asked: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._waiting: dict[str, asyncio.Future[tuple[float, Row]]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._verified: dict[bytes, None] = {}
        self._used: set[int] = set()
        # So many at once, whatever comes: bcrypt takes a core for a tenth of a second.
        self._threads = ThreadPoolExecutor(2, "wump-bcrypt")

    def recall(self, given: bytes) -> Caller | None:
        """The caller of a key that was found good a moment ago."""
        known = self._trusted.get(given)
        if known is None or time.monotonic() - known[0] >= TRUSTED_SECONDS:
            return None
        self._recent.add(given)
        return known[1]

    def knows(self, given: bytes) -> bool:
        """Whether this was a good key at some time: whoever tries it guesses nothing."""
        return given in self._trusted

    async def authenticate(self, given: bytes) -> Caller:
        """The caller of a key.

        Raises:
            Problem: It is no key, or one that is revoked or expired. It doesn't say which.
            TimeoutError, OSError, SQLAlchemyError: The database is away, for longer than an earlier answer holds.
        """
        if caller := self.recall(given):
            return caller
        if not _is_well_formed(given):
            raise invalid_key()
        asking = self._asked.get(given)
        if asking is None:
            asking = self._asked[given] = asyncio.create_task(self._read(given))
            asking.add_done_callback(lambda _: self._asked.pop(given, None))
        # Whoever leaves must not take the answer from the others that wait for it.
        caller = await asyncio.shield(asking)
        if caller is None:
            raise invalid_key()
        return caller

    async def _read(self, given: bytes) -> Caller | None:
        try:
            read_at, row = await self._look_up(_prefix(given))
        except (SQLAlchemyError, OSError, TimeoutError):
            known = self._trusted.get(given)
            if known and time.monotonic() - known[0] < TRUSTED_IN_OUTAGE_SECONDS:
                return known[1]
            raise
        return await self._accept(given, row, read_at)

    async def _look_up(self, prefix: str) -> tuple[float, Row]:
        """When the row of a prefix was asked for, and the row. Whoever asks meanwhile shares the next statement."""
        waiting = self._waiting.setdefault(prefix, asyncio.get_running_loop().create_future())
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_up_all())
        return await waiting

    async def _look_up_all(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, {}
                # With them all that were used since, and would ask one by one within the next half second.
                used = {_prefix(given): given for given in islice(self._recent & self._trusted.keys(), _MOST_AT_ONCE)}
                self._recent.clear()
                read_at = time.monotonic()
                try:
                    async with self._engine.connect() as connection:
                        rows = await keys.list_secrets(connection, waiting.keys() | used.keys())
                except Exception as error:
                    for future in waiting.values():
                        future.set_exception(error)
                    continue
                for prefix, future in waiting.items():
                    future.set_result((read_at, rows.get(prefix, _NOBODY)))
                for prefix, given in used.items():
                    await self._accept(given, rows.get(prefix, _NOBODY), read_at)
        finally:
            self._looking = None

    async def _accept(self, given: bytes, row: Row, read_at: float) -> Caller | None:
        """Trust a key as of when its row was read, or no longer."""
        if not await self._is_right(given, row):
            self._trusted.pop(given, None)
            return None
        self._used.add(row["key"])
        caller = Caller(
            row["name"],
            row["tier"],
            f"key:{row['id']}",
            row["id"],
            row["requests_per_hour"],
            row["requests_per_burst"],
            None if row["areas"] is None else frozenset(row["areas"]),
        )
        _remember(self._trusted, given, (read_at, caller))
        return caller

    async def _is_right(self, given: bytes, row: Row) -> bool:
        digest = hashlib.sha256(given).digest()
        likely = hmac.compare_digest(digest[:_PRECHECK_BYTES], row["precheck"])
        if not (likely and row["is_live"]):
            return False
        # The hash is part of the name, so that nobody who only writes to Valkey can say that a key is good.
        name = hashlib.sha256(digest + row["hash"].encode()).digest()
        if name in self._verified:
            return True
        shared_name = f"wump:verified:{name.hex()}"
        try:
            agreed = await self._shared.ask(lambda valkey: valkey.exists(shared_name))
        except Away:
            agreed = False
        if not agreed:
            loop = asyncio.get_running_loop()
            if not await loop.run_in_executor(self._threads, _run_bcrypt, digest, row["hash"]):
                return False
            try:
                await self._shared.ask(lambda valkey: valkey.set(shared_name, 1, ex=VERIFIED_SECONDS))
            except Away:
                log.debug("api.verified_not_shared")
        _remember(self._verified, name, None)
        return True

    async def keep_saving_uses(self) -> None:
        """Write down, every few seconds, which keys were used. Ends by being cancelled."""
        while True:
            await asyncio.sleep(_USES_EVERY_SECONDS)
            await self.save_uses()

    async def save_uses(self) -> None:
        """Write down which keys were used since the last time; where that fails, the next time tries again."""
        used, self._used = self._used, set()
        if not used:
            return
        try:
            async with self._engine.begin() as connection:
                await keys.save_key_use(connection, used)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            self._used |= used
            log.warning("api.uses_not_saved", error=type(error).__name__)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def invalid_key() -> Problem:
    """The one answer to whatever is wrong with a key."""
    return Problem("invalid-key", "X-API-Key: this is no key of this wump, or no longer", headers=CHALLENGE)


def describe_address(scope: Scope) -> str:
    """What an address is counted under: itself or, of IPv6, the network that one customer has."""
    client = scope.get("client")
    try:
        address = ip_address(client[0] if client else "")
    except ValueError:
        return "unknown"
    if address.version == 4:
        return str(address)
    if mapped := address.ipv4_mapped:
        return str(mapped)
    return f"{ip_address(int(address) >> 64 << 64)}/64"


_PROXY_HEADERS = (b"forwarded", b"via", b"x-real-ip")


def is_from_this_machine(scope: Scope) -> bool:
    """Whether a request comes from the machine that the API runs on, and from no web page.

    The Host header is checked too: a web page elsewhere can point a name of its own at 127.0.0.1. A request that a
    proxy says it passed on comes from somewhere else, whatever its peer address says; so does what a browser says
    another site made it send.
    """
    host = b""
    for name, value in scope["headers"]:
        if name in _PROXY_HEADERS or name.startswith(b"x-forwarded-"):
            return False
        if name == b"sec-fetch-site" and value not in (b"same-origin", b"none"):
            return False
        if name == b"host":
            host = value
    client: Any = scope.get("client")
    return _is_loopback(client[0] if client else "") and _is_loopback(_host_name(host))


@lru_cache(1_000)
def _host_name(header: bytes) -> str:
    try:
        return urlsplit(f"//{header.decode('latin-1')}").hostname or ""
    except ValueError:
        return ""


@lru_cache(1_000)
def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_well_formed(given: bytes) -> bool:
    body, checksum = given[:-_CHECKSUM_LENGTH], given[-_CHECKSUM_LENGTH:]
    return KEY_PATTERN.fullmatch(given) is not None and _checksum(body).encode() == checksum


def _prefix(given: bytes) -> str:
    return given[5 : 5 + _PREFIX_LENGTH].decode("ascii")


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(body: bytes) -> str:
    number, text = zlib.crc32(body), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        text = _ALPHABET[digit] + text
    return text


def _run_bcrypt(digest: bytes, hashed: str) -> bool:
    return bcrypt.checkpw(base64.b64encode(digest), hashed.encode())


def _remember(memory: dict[Any, Any], name: Any, value: Any) -> None:
    memory.pop(name, None)
    if len(memory) >= _MOST_REMEMBERED:
        del memory[next(iter(memory))]
    memory[name] = value
