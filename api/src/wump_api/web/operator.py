"""The operators' page: how far the work has come, what failed, and what the upstreams allow. Made on the server."""

from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from sqlalchemy.ext.asyncio import AsyncConnection
from wump_core.store import operations, providers

from wump_api.auth import describe_address
from wump_api.gate import FAILURES
from wump_api.problems import Problem
from wump_api.web.sessions import (
    Session,
    end_session,
    get_session,
    is_from_this_page,
    is_from_this_site,
    start_session,
)

PATH = "/operator"
MINUTES = 60
ROWS = 25
MAX_FORM_BYTES = 4_096
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
}
_pages = Environment(
    loader=PackageLoader("wump_api.web"), autoescape=select_autoescape(default=True), undefined=StrictUndefined
)


def install_operator_page(app: FastAPI) -> None:
    """Add the page to the app."""
    router = APIRouter(include_in_schema=False, prefix=PATH)
    router.add_api_route("", _show, methods=["GET"])
    router.add_api_route("/login", _log_in, methods=["POST"])
    router.add_api_route("/logout", _log_out, methods=["POST"])
    router.add_api_route("/runs/{run}/{action}", _act, methods=["POST"])
    app.include_router(router)


async def _show(request: Request) -> Response:
    session = await get_session(request)
    if session is None:
        return _page("login.html", error=None)
    async with request.app.state.engine.connect() as connection:
        return _page("operator.html", session=session, minutes=MINUTES, **await _read(connection))


async def _read(connection: AsyncConnection) -> dict[str, Any]:
    """What the page shows."""
    queues, database_bytes = await operations.describe_queues(connection)
    return {
        "backlog": await operations.describe_backlog(connection),
        "queues": queues,
        "database_gb": database_bytes / 2**30,
        "recent": await operations.describe_recent(connection, minutes=MINUTES),
        "running": await operations.list_executions(connection, states=["running"], limit=ROWS),
        "stuck": await operations.list_executions(connection, states=["failed", "dead"], limit=ROWS),
        "providers": await providers.list_provider_reports(connection),
        "feeds": await providers.list_feed_lags(connection),
    }


async def _log_in(request: Request) -> Response:
    """By an operator's key; wrong ones are limited by address, as everywhere."""
    form = await _read_form(request)
    if not is_from_this_site(request):
        return _page("login.html", status=403, error="This form was sent by another site.")
    state, subject = request.app.state, f"failures:{describe_address(request.scope)}"
    if not await state.limiter.has_room(subject, FAILURES):
        return _page("login.html", status=429, error="Too many wrong keys came from this address: wait five minutes.")
    try:
        caller = await state.keys.authenticate(form.get("key", "").strip().encode())
    except Problem:
        await state.limiter.hit(FAILURES, subject, 1)
        return _page("login.html", status=401, error="This key is not valid.")
    if caller.tier != "operator" or (caller.areas is not None and "operate" not in caller.areas):
        return _page("login.html", status=403, error="This is no operator's key.")
    response = RedirectResponse(PATH, 303, _HEADERS)
    await start_session(request, response, caller)
    return response


async def _log_out(request: Request) -> Response:
    await _check(request)
    response = RedirectResponse(PATH, 303, _HEADERS)
    await end_session(request, response)
    return response


async def _act(request: Request, run: UUID, action: str) -> Response:
    """Run a failed run again, or discard it. What came in between is what the page then shows."""
    await _check(request)
    acts = {"retry": operations.retry_executions, "discard": operations.discard_executions}
    if action not in acts:
        raise Problem("http-error", f"there is no action {action[:40]!r}")
    async with request.app.state.engine.begin() as connection:
        await acts[action](connection, [run])
    return RedirectResponse(PATH, 303, _HEADERS)


async def _check(request: Request) -> Session:
    """Raises `Problem` for whoever isn't logged in, or sends a form that isn't this page's."""
    session = await get_session(request)
    if session is None:
        raise Problem("key-required", f"log in at {PATH}")
    if not is_from_this_page(request, session, await _read_form(request)):
        raise Problem("tier-not-allowed", "this form was sent by another site, or is of another session")
    return session


async def _read_form(request: Request) -> dict[str, str]:
    body = await request.body()
    if len(body) > MAX_FORM_BYTES:
        raise Problem("too-large", f"a form has {MAX_FORM_BYTES} bytes at the most")
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def _page(name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(_pages.get_template(name).render(**values), status, _HEADERS)
