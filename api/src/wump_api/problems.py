"""Errors as RFC 9457 problem details: one table of kinds, one exception, and the handlers."""

import json
from collections.abc import Mapping
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope
from wump_core.errors import InvalidPurl
from wump_core.telemetry import note_server_failure

from wump_api.paths import find_path

PROBLEM_JSON = "application/problem+json"
log = structlog.get_logger("wump.api")
_MAX_TEXT = 1_000
_RETRY_AFTER = {"too-many-wrong-keys": {"Retry-After": "300"}, "idempotency-in-progress": {"Retry-After": "2"}}
_OUTAGE_CLASSES = ("08", "28", "3D", "40", "53", "57", "58", "XX")
"""Classes of SQLSTATE: no connection, no access, no such database, in the way of others (as a long query is on a
replica), no resources, stopped by the operator, trouble of its system or its own (as a disk that can't be written)."""

PROBLEMS: Mapping[str, tuple[int, str, str]] = {
    "invalid-request": (
        422,
        "The request can't be read",
        "Give each of `errors` a value that its message allows; /docs lists all parameters.",
    ),
    "invalid-purl": (422, "This is no package URL", "Write pkg:npm/express or pkg:pypi/requests."),
    "invalid-cursor": (
        422,
        "This cursor doesn't belong to this query",
        "Cursors go on with the query that gave them; start again without `cursor`.",
    ),
    "unsupported-filter": (
        422,
        "No list has these filters together",
        "Take one of `alternatives`: fewer filters, or another list.",
    ),
    "unknown-package": (
        404,
        "wump doesn't know this package",
        "Track it first: `wump track`, or POST /api/v1/packages.",
    ),
    "ambiguous-package": (
        409,
        "Several ecosystems have a package of this name",
        "Name one: /api/v1/packages/{ecosystem}/{name}/…",
    ),
    "unknown-organization": (404, "wump doesn't know this organization", "Take its id from the list of dependents."),
    "ambiguous-organization": (409, "Several hosts have an organization of this login", "Name one as host/login."),
    "unknown-execution": (404, "There is no such execution", "Take the address from the answer that started it."),
    "key-required": (
        401,
        "This needs a key",
        "Send one as `X-API-Key`; whoever runs this wump makes them with `wump keys create`, and says with"
        " WUMP_API_ANONYMOUS who may read without.",
    ),
    "invalid-key": (
        401,
        "This key is not valid",
        "Send it whole, as it was shown when it was made; ask for another one if it was lost, revoked or has expired.",
    ),
    "tier-not-allowed": (403, "This key may not do that", "Ask whoever runs this wump for a key of a higher tier."),
    "rate-limited": (
        429,
        "Too many requests",
        "Wait as `Retry-After` says. `RateLimit` in each answer says what is left; larger pages need fewer requests.",
    ),
    "too-many-wrong-keys": (
        429,
        "Too many wrong keys came from this address",
        "Wait as `Retry-After` says, and send a key that is valid.",
    ),
    "unknown-provider": (404, "There is no such provider", "Take its name from the list of providers."),
    "unknown-takedown": (404, "There is no such takedown", "Take its id from the list of takedowns."),
    "unknown-schedule": (
        404,
        "There is no such schedule",
        "Take its name from the list of schedules, which is empty before a scheduler has run.",
    ),
    "unknown-alert": (404, "There is no such alert", "Take its name from the list of alerts."),
    "not-paused": (404, "That is not paused", "The list of pauses has what is."),
    "wrong-state": (
        409,
        "Its state doesn't allow that",
        "See `state`, and look at the run again: it may have changed.",
    ),
    "unknown-key": (404, "There is no such key", "Take its id from the list of keys."),
    "https-required": (
        403,
        "This wump answers over HTTPS only",
        "Use https://. A key that was sent in the clear may be known to others: have it rotated.",
    ),
    "too-large": (413, "The body is too large", "Send less at once."),
    "address-too-long": (414, "The address is too long", "Leave out or shorten parameters."),
    "headers-too-large": (431, "The headers are too large", "Send fewer or shorter headers."),
    "too-slow": (503, "This took too long", "Try again when `Retry-After` says, with a smaller page or fewer filters."),
    "idempotency-mismatch": (
        422,
        "This Idempotency-Key belongs to another request",
        "Use a new word for each request, and the same word only to repeat the very same request.",
    ),
    "idempotency-in-progress": (
        409,
        "The first request with this Idempotency-Key is not answered yet",
        "Wait a few seconds and repeat it.",
    ),
    "idempotency-not-kept": (
        409,
        "This was done already",
        "Its answer showed a secret and is not kept. Look at the list, and use a new word to do it again.",
    ),
    "unavailable": (503, "A server that wump needs is away", "Try again shortly; the operator can run `wump doctor`."),
    "busy": (
        503,
        "As many exports run as are allowed at once",
        "Try again when `Retry-After` says; pages are not affected.",
    ),
    "http-error": (400, "The request was refused", "See the status and the detail; /docs lists what can be asked."),
    "internal-error": (500, "wump made a mistake", "Please report it, with the time of the request."),
}
"""Kind → (status, title, what to do). The kind is the last part of a problem's `type`, and stable."""


class ProblemDetails(BaseModel):
    """An error as RFC 9457 has it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        examples=["/problems/unknown-package"],
        description="What kind of problem this is; stable, and a page that says what to do.",
    )
    title: str = Field(examples=["wump doesn't know this package"])
    status: int = Field(examples=[404])
    detail: str = Field(
        examples=["pkg:npm/express is not known to wump"],
        description="What is wrong with this request; starts with the parameter's name where one is at fault.",
    )
    fix: str = Field(
        examples=["Track it first: `wump track`, or POST /api/v1/packages."], description="What to do about it."
    )
    instance: str = Field(examples=["/api/v1/packages/npm/express"], description="The path as it was asked.")
    request_id: str | None = Field(
        None, examples=["6f1f0d4c2b9a4f0c8e7d6c5b4a392817"], description="As in `X-Request-Id`; the log has it too."
    )


class Problem(Exception):
    """Raised anywhere in a route; becomes a problem document."""

    def __init__(self, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **extensions: Any) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.headers = headers or {}
        self.extensions = extensions


class StreamCut(Exception):
    """An answer broke off after it had begun: the connection is cut, since it is too late for a problem document."""


def problem_response(
    request: Request, kind: str, detail: str, *, status: int | None = None, **extensions: Any
) -> Response:
    """The document for a kind of problem."""
    known_status, title, fix = PROBLEMS[kind]
    status = status or known_status
    body = {
        "type": f"/problems/{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "fix": fix,
        "instance": request.scope["raw_path"].decode("ascii", "replace")[:_MAX_TEXT],
        "request_id": request.scope.get("state", {}).get("request_id"),
    } | extensions
    headers = _RETRY_AFTER.get(kind, {"Retry-After": "5"} if status == 503 else {})
    # ASCII, since what was asked may hold what UTF-8 can't: half a surrogate pair.
    return Response(json.dumps(body), status, headers, PROBLEM_JSON)


def list_methods(scope: Scope) -> list[str]:
    """The methods that some route has for this path; none: there is no such path."""
    routes = scope["app"].router.routes
    found = [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(
            route.matches({**scope, "method": method, "path": find_path(scope, method)})[0] is Match.FULL
            for route in routes
        )
    ]
    extra = ["HEAD"] if "GET" in found else []
    return [*found, *extra, "OPTIONS"] if found else []


def install_problem_handlers(app: FastAPI) -> None:
    """Turn every error of a request into a problem document."""

    @app.exception_handler(Problem)
    async def on_problem(request: Request, error: Problem) -> Response:
        response = problem_response(request, error.kind, error.detail, **error.extensions)
        response.headers.update(error.headers)
        return response

    @app.exception_handler(InvalidPurl)
    async def on_invalid_purl(request: Request, error: InvalidPurl) -> Response:
        return problem_response(request, "invalid-purl", str(error))

    @app.exception_handler(RequestValidationError)
    async def on_invalid_request(request: Request, error: RequestValidationError) -> Response:
        errors = [
            {"field": ".".join(str(part)[:_MAX_TEXT] for part in item["loc"]), "message": str(item["msg"])}
            for item in error.errors()[:20]
        ]
        detail = "; ".join(f"{item['field']}: {item['message']}" for item in errors)
        return problem_response(request, "invalid-request", detail, errors=errors)

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        # FastAPI says 400 of a body that is no text at all.
        return (
            await on_invalid_request(request, _as_invalid(error))
            if error.status_code == 400
            else _refuse(request, error)
        )

    async def on_outage(request: Request, error: Exception) -> Response:
        note_server_failure("database", error)
        return problem_response(request, "unavailable", "the database can't be reached, or did not answer in time")

    async def on_mistake(request: Request, error: Exception) -> Response:
        if isinstance(error, StreamCut):
            log.warning("api.stream_cut", path=request.url.path, reason=str(error))
        else:
            log.error("api.mistake", path=request.url.path, exc_info=error)
        return problem_response(request, "internal-error", "the request could not be answered")

    async def on_database_error(request: Request, error: Exception) -> Response:
        return await (on_outage if _is_outage(error) else on_mistake)(request, error)

    # asyncpg has only that last one for a connection whose end it has read of and not yet seen.
    for kind in (OSError, TimeoutError, PoolTimeoutError, asyncpg.InternalClientError):
        app.add_exception_handler(kind, on_outage)
    for kind in (asyncpg.InterfaceError, asyncpg.PostgresError, DBAPIError):
        app.add_exception_handler(kind, on_database_error)
    app.add_exception_handler(Exception, on_mistake)


def _as_invalid(error: HTTPException) -> RequestValidationError:
    return RequestValidationError([{"loc": ("body",), "msg": error.detail, "type": "value_error"}])


def _refuse(request: Request, error: HTTPException) -> Response:
    kind = "too-large" if error.status_code == 413 else "http-error"
    response = problem_response(request, kind, str(error.detail), status=error.status_code)
    response.headers.update(error.headers or {})
    if error.status_code == 405:
        response.headers["Allow"] = ", ".join(list_methods(request.scope))
    return response


def _is_outage(error: Exception) -> bool:
    """Whether the database is away, rather than asked something wrong."""
    cause = error
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        cause = getattr(error.orig, "__cause__", None) or error
    return isinstance(cause, asyncpg.InterfaceError) or (getattr(cause, "sqlstate", "") or "")[:2] in _OUTAGE_CLASSES
