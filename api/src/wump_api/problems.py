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
from wump_core.errors import InvalidPurl

PROBLEM_JSON = "application/problem+json"
log = structlog.get_logger("wump.api")
_MAX_TEXT = 1_000
_PROBLEM_SCHEMA = {"$ref": "#/components/schemas/ProblemDetails"}
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
        "No page has this filter in this order",
        "Take one of `alternatives`: another order, fewer filters, or all rows as a stream.",
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
    "writing-needs-loopback": (
        403,
        "Writing is only allowed from this machine",
        "Until there are API keys, call the API on the loopback address, or use the command line.",
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


class Problem(Exception):
    """Raised anywhere in a route; becomes a problem document."""

    def __init__(self, kind: str, detail: str, **extensions: Any) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
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
    } | extensions
    headers = {"Retry-After": "5"} if status == 503 else None
    # ASCII, since what was asked may hold what UTF-8 can't: half a surrogate pair.
    return Response(json.dumps(body), status, headers, PROBLEM_JSON)


def document_problems(app: FastAPI) -> None:
    """Let OpenAPI say that problems come as `application/problem+json`, which FastAPI can't know."""
    describe = app.openapi

    def describe_with_problems() -> dict[str, Any]:
        schema = describe()
        for path in schema["paths"].values():
            for operation in path.values():
                for response in operation["responses"].values():
                    content = response.get("content", {})
                    if content.get("application/json", {}).get("schema") == _PROBLEM_SCHEMA:
                        content[PROBLEM_JSON] = content.pop("application/json")
        return schema

    app.openapi = describe_with_problems  # type: ignore[method-assign]


def install_problem_handlers(app: FastAPI) -> None:
    """Turn every error of a request into a problem document."""

    @app.exception_handler(Problem)
    async def on_problem(request: Request, error: Problem) -> Response:
        return problem_response(request, error.kind, error.detail, **error.extensions)

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
        response = problem_response(request, "http-error", str(error.detail), status=error.status_code)
        response.headers.update(error.headers or {})
        return response

    async def on_outage(request: Request, error: Exception) -> Response:
        log.warning("api.outage", error=f"{type(error).__name__}: {error}"[:300])
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


def _is_outage(error: Exception) -> bool:
    """Whether the database is away, rather than asked something wrong."""
    cause = error
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        cause = getattr(error.orig, "__cause__", None) or error
    return isinstance(cause, asyncpg.InterfaceError) or (getattr(cause, "sqlstate", "") or "")[:2] in _OUTAGE_CLASSES
