"""Asking again for what is known already: answers are kept in Postgres and revalidated (RFC 9110, RFC 9111).

A private cache: the key holds the credential's id, so no credential sees what another one got. An answer that
is fresh by the upstream's own word is given without asking; a stale one is only given after the upstream said
304. No freshness is guessed. Without the database nothing is kept, and all works, only dearer.
"""

import asyncio
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.store.responses import (
    StoredResponse,
    get_response,
    remove_old_responses,
    save_response,
    save_revalidated,
)

from wump_worker.http.bounds import WHOLE
from wump_worker.http.calls import call_of, with_headers
from wump_worker.http.measure import count_call

MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_AGE_DAYS = 30
LONGEST_FRESH_SECONDS = 86_400
_PRUNE_EVERY = 200
# Parts of the key, or the same in all requests of a provider.
_KEYED = frozenset({"accept", "authorization", "accept-encoding", "user-agent", "cookie", "private-token"})
_CONDITIONS = frozenset({"if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "range"})
_OF_THE_MOMENT = re.compile(r"x-ratelimit|x-rate-limit|ratelimit|retry-after|connection|keep-alive")
log = structlog.get_logger("wump.http")


class RevalidatingTransport(httpx.AsyncBaseTransport):
    """Gives the kept answer where the upstream allows it."""

    def __init__(self, inner: httpx.AsyncBaseTransport, provider: str, engine: AsyncEngine, *, max_bytes: int) -> None:
        self._inner = inner
        self._provider = provider
        self._engine = engine
        self._max_bytes = max_bytes
        self._saves = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, with the condition that spares the upstream a repetition."""
        if request.method != "GET" or _CONDITIONS & request.headers.keys():
            return await self._inner.handle_async_request(request)
        key = self._key(request)
        kept = await self._find(key, request)
        asked = _directives(request.headers)
        if kept is not None and _may_be_used(kept, asked):
            count_call(self._provider, call_of(request), "cached")
            return await _restore(kept, kept.headers)
        conditions = _conditions(kept.headers) if kept is not None else {}
        response = await self._inner.handle_async_request(with_headers(request, conditions))
        if response.status_code == 304 and kept is not None and conditions:
            return await self._keep_on(key, kept, response)
        if "no-store" not in asked:
            await self._keep(key, request, response)
        return response

    async def _find(self, key: bytes, request: httpx.Request) -> StoredResponse | None:
        try:
            async with self._engine.connect() as connection:
                kept = await get_response(connection, key)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _say_outage(error)
            return None
        matches = kept is not None and all(request.headers.get(name, "") == value for name, value in kept.vary.items())
        return kept if matches else None

    async def _keep_on(self, key: bytes, kept: StoredResponse, answer: httpx.Response) -> httpx.Response:
        """The kept answer, once the upstream has said that it is still so."""
        headers = {**kept.headers, **_lasting(answer.headers)}
        renewed = StoredResponse(headers, kept.vary, kept.body, kept.body_bytes, 0.0, is_fresh=True)
        try:
            async with self._engine.begin() as connection:
                await save_revalidated(connection, key, renewed, fresh_seconds=_fresh_seconds(httpx.Headers(headers)))
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _say_outage(error)
        return await _restore(renewed, {**headers, **_of_the_moment(answer.headers)})

    async def _keep(self, key: bytes, request: httpx.Request, response: httpx.Response) -> None:
        vary = [name.strip().lower() for name in response.headers.get("vary", "").split(",") if name.strip()]
        fresh_seconds = _fresh_seconds(response.headers)
        useful = fresh_seconds > 0 or _conditions(response.headers)
        if (
            response.status_code != 200
            or not useful
            or not response.extensions.get(WHOLE)
            or "*" in vary
            or "no-store" in _directives(response.headers)
            or len(response.content) > MAX_BODY_BYTES
        ):
            return
        stored = StoredResponse(
            headers=_lasting(response.headers),
            vary={name: request.headers.get(name, "") for name in vary if name not in _KEYED},
            body=await asyncio.to_thread(zlib.compress, response.content, 1),
            body_bytes=len(response.content),
            age_seconds=0.0,
            is_fresh=True,
        )
        try:
            async with self._engine.begin() as connection:
                await save_response(connection, key, self._provider, stored, fresh_seconds=fresh_seconds)
                if self._saves % _PRUNE_EVERY == 0:
                    await remove_old_responses(connection, max_bytes=self._max_bytes, max_age_days=MAX_AGE_DAYS)
            self._saves += 1
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _say_outage(error)

    def _key(self, request: httpx.Request) -> bytes:
        parts = [self._provider, call_of(request).credential, str(request.url), request.headers.get("accept", "")]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=32).digest()

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()


async def _restore(kept: StoredResponse, headers: Mapping[str, str]) -> httpx.Response:
    body = (
        await asyncio.to_thread(zlib.decompressobj().decompress, kept.body, kept.body_bytes) if kept.body_bytes else b""
    )
    return httpx.Response(200, headers={**headers, "age": str(int(kept.age_seconds))}, content=body)


def _may_be_used(kept: StoredResponse, asked: Mapping[str, str]) -> bool:
    """Whether a kept answer will do without asking, as RFC 9111 has it.

    A plugin says `max-stale` of what never changes, such as the metadata of a released version.
    """
    if {"no-cache", "no-store"} & asked.keys():
        return False
    is_welcome_stale = asked.get("max-stale") == "" and "must-revalidate" not in _directives(kept.headers)
    return kept.is_fresh or is_welcome_stale


def _conditions(headers: Mapping[str, str]) -> dict[str, str]:
    """The condition that an answer with these headers can be revalidated by."""
    names = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}
    return {condition: headers[name] for name, condition in names.items() if headers.get(name)}


def _lasting(headers: httpx.Headers) -> dict[str, str]:
    """Headers that belong to the answer rather than to the moment, by their name in lower case."""
    return {name: value for name, value in headers.items() if not _OF_THE_MOMENT.match(name)}


def _of_the_moment(headers: httpx.Headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if _OF_THE_MOMENT.match(name)}


def _directives(headers: Mapping[str, str]) -> dict[str, str]:
    """`Cache-Control` by directive."""
    parts = (part.strip().partition("=") for part in headers.get("cache-control", "")[:1_000].split(","))
    return {name.lower(): value.strip('"') for name, _, value in parts if name}


def _fresh_seconds(headers: httpx.Headers) -> float:
    """For how long the upstream says that its answer stays true; a private cache reads max-age, then Expires."""
    directives = _directives(headers)
    if "no-cache" in directives or headers.get("pragma", "").lower() == "no-cache":
        return 0.0
    age = int(headers["age"][:9]) if headers.get("age", "").isdecimal() else 0
    if "max-age" in directives:
        value = directives["max-age"]
        return float(min(max(int(value[:9]) - age, 0), LONGEST_FRESH_SECONDS)) if value.isdecimal() else 0.0
    if "expires" in headers:
        try:
            expires = parsedate_to_datetime(headers["expires"]).timestamp()
            date = (
                parsedate_to_datetime(headers["date"]).timestamp()
                if "date" in headers
                else datetime.now(UTC).timestamp()
            )
        except (ValueError, OverflowError):
            return 0.0
        return min(max(expires - date - age, 0.0), LONGEST_FRESH_SECONDS)
    return 0.0


def _say_outage(error: Exception) -> None:
    log.warning("responses.outage", error=type(error).__name__, effect="upstreams are asked without revalidation")
