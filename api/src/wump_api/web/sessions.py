"""Sessions of operators: a cookie that only this site gets, and what belongs to it in Valkey.

Valkey is disposable: where it is emptied, operators log in again. A session ends with its key, too.
"""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
from fastapi import Request, Response
from valkey.asyncio import Valkey
from wump_core.store import keys

from wump_api.auth import Caller
from wump_api.problems import Problem
from wump_api.sharing import Away, Shared

COOKIE = "__Host-wump-operator"
"""With this prefix browsers take it over HTTPS or from this machine only, for this host alone."""
SECONDS = 8 * 3600


class Session(msgspec.Struct, frozen=True):
    """Who is logged in. `form_token` is in every form of the page: other sites can't know it."""

    name: str
    key_id: str
    form_token: str


async def start_session(request: Request, response: Response, caller: Caller) -> None:
    """Log an operator in.

    Raises:
        Problem: Valkey is away.
    """
    token = secrets.token_urlsafe(32)
    session = Session(caller.name, str(caller.id), secrets.token_urlsafe(32))
    raw = msgspec.json.encode(session)
    await _ask(request, lambda valkey: valkey.set(_key(token), raw, ex=SECONDS))
    response.set_cookie(COOKIE, token, max_age=SECONDS, path="/", secure=True, httponly=True, samesite="strict")


async def get_session(request: Request) -> Session | None:
    """The session of a request; null: nobody is logged in, or no longer.

    Raises:
        Problem: Valkey is away.
    """
    token = request.cookies.get(COOKIE, "")
    if not token or len(token) > 100:
        return None
    raw = await _ask(request, lambda valkey: valkey.get(_key(token)))
    if raw is None:
        return None
    session = msgspec.json.decode(raw, type=Session)
    async with request.app.state.engine.connect() as connection:
        key = await keys.get_key(connection, UUID(session.key_id))
    return session if key is not None and _is_live_operator(key) else None


def _is_live_operator(key: Mapping[str, Any]) -> bool:
    ended = key["expires_at"] is not None and key["expires_at"] <= datetime.now(UTC)
    return key["tier"] == "operator" and key["revoked_at"] is None and not ended


async def end_session(request: Request, response: Response) -> None:
    """Log out."""
    token = request.cookies.get(COOKIE, "")
    await _ask(request, lambda valkey: valkey.unlink(_key(token)))
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


def is_from_this_page(request: Request, session: Session, form: dict[str, str]) -> bool:
    """Whether a form was sent by the page itself."""
    return is_from_this_site(request) and hmac.compare_digest(
        form.get("form_token", "").encode(), session.form_token.encode()
    )


def is_from_this_site(request: Request) -> bool:
    """By what browsers say of where a request comes from; a request that says nothing is no browser's."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    host = request.headers.get("host", "")
    return site in ("same-origin", "none") and (origin is None or origin.partition("://")[2] == host)


def _key(token: str) -> str:
    """The token itself is nowhere but in the browser."""
    return f"wump:session:{hashlib.sha256(token.encode()).hexdigest()}"


async def _ask(request: Request, question: Callable[[Valkey], Awaitable[Any]]) -> bytes | None:
    shared: Shared = request.app.state.shared
    try:
        found: bytes | None = await shared.ask(question)
    except Away:
        raise Problem("unavailable", "Valkey does not answer, so nobody can be logged in") from None
    return found
