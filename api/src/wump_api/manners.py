"""What holds for every request and answer, whatever route it is for: the outermost layer of the API.

HEAD is GET without the body, every answer has an id and the headers that browsers obey, requests that are too large
are refused before they are read, and where HTTPS is asked for, plain HTTP is refused.
"""

import re
import secrets
from typing import Any, cast

import structlog
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from wump_api.auth import is_from_this_machine
from wump_api.problems import Problem, problem_response
from wump_api.settings import ApiSettings, split_list

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_TARGET_BYTES = 63 * 1024
"""Of an address. The parser of HTTP takes no more than 64 KiB."""
MAX_HEADER_BYTES = 64 * 1024
MAX_HEADERS = 100
WITHOUT_BODY = "wump.without_body"
"""Key of an ASGI scope whose answer's body is thrown away, so that it needn't be made."""
REQUEST_ID = re.compile(rb"[0-9A-Za-z._-]{8,100}")
_READ_HEADERS = frozenset((b"x-request-id", b"content-length", b"accept-encoding"))
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    # Nothing of the API is a page; the pages bring a policy of their own.
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_VARY = (b"vary", b"Accept-Encoding")
_HSTS = (b"strict-transport-security", b"max-age=31536000")
_OPEN_TO_PROBES = "/health"
_MIN_COMPRESSED_BYTES = 1_000
_COMPRESSION = 4
"""Of gzip: a page takes a third of the time of the best level, and a tenth more bytes."""
_EXPOSED = (
    *("X-Request-Id", "RateLimit", "RateLimit-Policy", "Retry-After", "Location", "Link", "ETag"),
    *("Deprecation", "Sunset", "Idempotent-Replayed"),
)


def add_manners(app: ASGIApp, settings: ApiSettings) -> ASGIApp:
    """The app with all that holds for every request around it."""
    compressing: ASGIApp = GZipMiddleware(app, minimum_size=_MIN_COMPRESSED_BYTES, compresslevel=_COMPRESSION)
    if origins := split_list(settings.cors_origins):
        app, compressing = (_allow_origins(each, origins) for each in (app, compressing))
    mannerly = Manners(app, compressing, https_only=settings.https_only)
    proxies = split_list(settings.trusted_proxies)
    behind: Any = ProxyHeadersMiddleware(cast(Any, mannerly), trusted_hosts=proxies) if proxies else mannerly
    return cast(ASGIApp, behind)


def _allow_origins(app: ASGIApp, origins: list[str]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["X-API-Key", "Content-Type", "Idempotency-Key", "If-None-Match", "X-Request-Id"],
        expose_headers=_EXPOSED,
        max_age=3_600,
    )


class Manners:
    """ASGI wrapper around everything else. Answers' headers may be added to as `scope["state"]["headers"]`."""

    def __init__(self, app: ASGIApp, compressing: ASGIApp, *, https_only: bool) -> None:
        self._app = app
        self._compressing = compressing
        self._https_only = https_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = {name: value for name, value in scope["headers"] if name in _READ_HEADERS}
        request_id = given.get(b"x-request-id", b"")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = secrets.token_hex(16).encode()
        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        headers = [(b"x-request-id", request_id)]
        if self._https_only and scope["scheme"] == "https":
            headers.append(_HSTS)
        state = scope.get("state", {}) | {"headers": headers, "request_id": request_id.decode()}
        scope = dict(scope, state=state)
        without_body = scope["method"] == "HEAD"
        if without_body:
            scope |= {"method": "GET", WITHOUT_BODY: True}

        async def send_mannerly(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _complete(message.get("headers", ()), headers, scope["path"])
            elif without_body and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        if problem := self._find_fault(scope, given.get(b"content-length", b"")):
            response = problem_response(Request(scope), problem.kind, problem.detail)
            await response(scope, receive, send_mannerly)
            return
        if scope["method"] not in ("GET", "HEAD"):
            receive = _bound_body(receive)
        # Those who don't ask for it need not go through the layer that compresses.
        app = self._compressing if b"gzip" in given.get(b"accept-encoding", b"") else self._app
        await app(scope, receive, send_mannerly)

    def _find_fault(self, scope: Scope, length: bytes) -> Problem | None:
        headers = scope["headers"]
        if length.isdigit() and (len(length) > 15 or int(length) > MAX_BODY_BYTES):
            return Problem("too-large", f"the body has more than {MAX_BODY_BYTES} bytes")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET_BYTES:
            return Problem("address-too-long", f"the address has more than {MAX_TARGET_BYTES} bytes")
        if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES:
            return Problem("headers-too-large", f"more than {MAX_HEADERS} headers, or {MAX_HEADER_BYTES} bytes of them")
        if self._https_only and scope["scheme"] != "https" and not scope["path"].startswith(_OPEN_TO_PROBES):
            return None if is_from_this_machine(scope) else Problem("https-required", "this was sent in the clear")
        return None


def _bound_body(receive: Receive) -> Receive:
    """What is received, until it is too large: where no length was announced, that shows only then."""
    size = 0

    async def receive_some() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > MAX_BODY_BYTES:
            # Whoever reads a body for FastAPI lets only such an error through.
            raise HTTPException(413, f"the body has more than {MAX_BODY_BYTES} bytes")
        return message

    return receive_some


def _complete(given: list[tuple[bytes, bytes]], own: list[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in given}
    complete = [*given, *own, *(item for item in _SECURITY_HEADERS if item[0] not in names)]
    if b"vary" not in names:
        complete.append(_VARY)
    if b"cache-control" not in names and path.startswith("/api/"):
        complete.append((b"cache-control", b"no-store"))
    return complete
