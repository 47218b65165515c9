"""Errors as RFC 9457 problem details: one table of kinds, one exception, and the handlers."""

from collections.abc import Mapping
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from wump_core.errors import InvalidPurl

PROBLEM_JSON = "application/problem+json"
log = structlog.get_logger("wump.api")

PROBLEMS: Mapping[str, tuple[int, str, str]] = {
    "invalid-request": (422, "The request can't be read", "A parameter or the body has a value it can't have."),
    "invalid-purl": (422, "This is no package URL", "Write pkg:npm/express or pkg:pypi/requests."),
    "invalid-cursor": (
        422,
        "This cursor doesn't belong to this query",
        "Cursors go on with the query that gave them; start again without `cursor`.",
    ),
    "unknown-package": (404, "wump doesn't know this package", "Track it first: POST /api/v1/packages."),
    "ambiguous-package": (
        409,
        "Several ecosystems have a package of this name",
        "Name one: /api/v1/packages/{ecosystem}/{name}/…",
    ),
    "unknown-organization": (404, "wump doesn't know this organization", "Take its id from the list of dependents."),
    "unknown-execution": (404, "There is no such execution", "Take the address from the answer that started it."),
    "writing-needs-loopback": (
        403,
        "Writing is only allowed from this machine",
        "Until there are API keys, call the API on the loopback address, or use the command line.",
    ),
    "unavailable": (503, "A server that wump needs is away", "Try again shortly; the operator can run `wump doctor`."),
    "http-error": (400, "The request was refused", "See the status and the detail."),
    "internal-error": (500, "wump made a mistake", "Please report it, with the time of the request."),
}
"""Kind → (status, title, what to do). The kind is the last part of a problem's `type`, and stable."""


class ProblemDetails(BaseModel):
    """An error as RFC 9457 has it."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["/problems/unknown-package"], description="What kind of problem this is; stable.")
    title: str
    status: int
    detail: str = Field(description="What is wrong with this request.")
    fix: str = Field(description="What to do about it.")
    instance: str | None = Field(default=None, description="The path that was asked.")


class Problem(Exception):
    """Raised anywhere in a route; becomes a problem document."""

    def __init__(self, kind: str, detail: str, **extensions: Any) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.extensions = extensions


def problem_response(
    request: Request, kind: str, detail: str, *, status: int | None = None, **extensions: Any
) -> JSONResponse:
    """The document for a kind of problem."""
    known_status, title, fix = PROBLEMS[kind]
    status = status or known_status
    body = {
        "type": f"/problems/{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "fix": fix,
        "instance": request.url.path,
    } | extensions
    headers = {"Retry-After": "5"} if status == 503 else None
    return JSONResponse(body, status, headers=headers, media_type=PROBLEM_JSON)


def install_problem_handlers(app: FastAPI) -> None:
    """Turn every error of a request into a problem document."""

    @app.exception_handler(Problem)
    async def on_problem(request: Request, error: Problem) -> JSONResponse:
        return problem_response(request, error.kind, error.detail, **error.extensions)

    @app.exception_handler(InvalidPurl)
    async def on_invalid_purl(request: Request, error: InvalidPurl) -> JSONResponse:
        return problem_response(request, "invalid-purl", str(error))

    @app.exception_handler(RequestValidationError)
    async def on_invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"field": ".".join(str(part) for part in item["loc"]), "message": str(item["msg"])}
            for item in error.errors()[:20]
        ]
        detail = "; ".join(f"{item['field']}: {item['message']}" for item in errors)
        return problem_response(request, "invalid-request", detail, errors=errors)

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> JSONResponse:
        response = problem_response(request, "http-error", str(error.detail), status=error.status_code)
        response.headers.update(error.headers or {})
        return response

    async def on_outage(request: Request, error: Exception) -> JSONResponse:
        log.warning("api.outage", error=f"{type(error).__name__}: {error}"[:300])
        return problem_response(request, "unavailable", "the database can't be reached, or did not answer in time")

    async def on_mistake(request: Request, error: Exception) -> JSONResponse:
        log.error("api.mistake", path=request.url.path, exc_info=error)
        return problem_response(request, "internal-error", "the request could not be answered")

    for kind in (OSError, TimeoutError, PoolTimeoutError, InterfaceError, asyncpg.QueryCanceledError):
        app.add_exception_handler(kind, on_outage)
    for connection_error in (asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, asyncpg.InterfaceError):
        app.add_exception_handler(connection_error, on_outage)

    @app.exception_handler(DBAPIError)
    async def on_database_error(request: Request, error: DBAPIError) -> JSONResponse:
        away = error.connection_invalidated or "QueryCanceled" in str(error.orig)
        return await (on_outage if away else on_mistake)(request, error)

    app.add_exception_handler(Exception, on_mistake)
