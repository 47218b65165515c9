"""`Idempotency-Key`: whoever repeats a POST with the same word gets the first answer again, for a day.

As draft-ietf-httpapi-idempotency-key-header has it. An answer that may not be stored, as one that shows a secret, is
not kept: repeating it is refused, so that nothing is done twice. What was refused may be tried again.
"""

import hashlib
import json
import re
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from wump_core.store import idempotency

from wump_api.problems import Problem

_WORD = re.compile(r"[!-~]{1,200}")
_KEPT_HEADERS = (b"content-type", b"location")
_MAX_KEPT_BYTES = 1024 * 1024


async def answer_once(app: ASGIApp, scope: Scope, receive: Receive, send: Send, caller: str) -> None:
    """Let the app answer, or answer as it did before.

    Raises:
        Problem: The word is none, belongs to another request, is being answered, or its answer is not kept.
    """
    words = [value.decode("latin-1") for name, value in scope["headers"] if name == b"idempotency-key"]
    if not words:
        await app(scope, receive, send)
        return
    if len(words) > 1 or not _WORD.fullmatch(words[0]):
        raise Problem("invalid-request", "Idempotency-Key: give one, of 1 to 200 visible ASCII characters")
    body = await _read(receive)
    fingerprint = hashlib.sha256(f"{scope['method']} {scope['path']}?".encode() + scope["query_string"] + b"\n" + body)
    engine: AsyncEngine = scope["app"].state.engine
    async with engine.begin() as connection:
        earlier = await idempotency.add_request(connection, caller, words[0], fingerprint.digest())
    if earlier is not None:
        await _repeat(earlier, fingerprint.digest())(scope, receive, send)
        return
    answer = _Answer(send)
    try:
        await app(scope, _Replay(body, receive), answer.keep)
    finally:
        async with engine.begin() as connection:
            if answer.status is None or answer.status >= 400:
                await idempotency.remove_request(connection, caller, words[0])
            else:
                await idempotency.save_answer(connection, caller, words[0], **answer.as_kept())


async def _read(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
    return b"".join(parts)


def _repeat(earlier: Any, fingerprint: bytes) -> Response:
    if earlier["fingerprint"] != fingerprint:
        raise Problem("idempotency-mismatch", "Idempotency-Key: it was given with another request")
    if earlier["status"] is None:
        raise Problem("idempotency-in-progress", "Idempotency-Key: the first request with it is not answered yet")
    if earlier["headers"] is None:
        raise Problem("idempotency-not-kept", "Idempotency-Key: this was done already, and its answer is not kept")
    return Response(earlier["body"], earlier["status"], earlier["headers"] | {"Idempotent-Replayed": "true"})


class _Replay:
    """Gives a body that was read already, then what else comes."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        message = {"type": "http.request", "body": self._body, "more_body": False}
        self._body = None
        return message


class _Answer:
    """An answer on its way, and what is to be kept of it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""

    async def keep(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self._headers = message["status"], list(message.get("headers", ()))
        elif len(self._body) <= _MAX_KEPT_BYTES:
            self._body += message.get("body", b"")
        await self._send(message)

    def as_kept(self) -> dict[str, Any]:
        """For `save_answer`."""
        headers = {name.lower(): value for name, value in self._headers}
        if b"no-store" in headers.get(b"cache-control", b"") or len(self._body) > _MAX_KEPT_BYTES:
            return {"status": self.status, "headers": None, "body": None}
        kept = {name.decode(): headers[name].decode("latin-1") for name in _KEPT_HEADERS if name in headers}
        return {"status": self.status, "headers": json.dumps(kept), "body": self._body}
