"""Packages: what one is, what it depends on, and tracking."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import Field
from wump_core.errors import InvalidPurl, WumpError
from wump_core.purl import parse_purl
from wump_core.schedule import plan_tracked_package
from wump_core.store import answers, executions

from wump_api.documents import (
    dependencies_hint,
    json_response,
    package_document,
    page_document,
    statement_document,
)
from wump_api.inject import AboutPackage, Engine, PackageRoute, Parameters, require_loopback
from wump_api.models import Execution, Page, Statement, TrackRequest
from wump_api.models import Package as PackageModel
from wump_api.pages import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from wump_api.problems import Problem, ProblemDetails
from wump_api.routes.executions import execution_document

ABOUT_PACKAGE = "/api/v1/packages/{ecosystem}/{name}"
router = APIRouter(tags=["packages"])
one = APIRouter(prefix=ABOUT_PACKAGE, tags=["packages"], route_class=PackageRoute)

NOT_FOUND = {"model": ProblemDetails, "description": "wump doesn't know this package."}
AMBIGUOUS = {"model": ProblemDetails, "description": "The short form fits several ecosystems."}
INVALID = {"model": ProblemDetails, "description": "A parameter has a value it can't have."}
AWAY = {"model": ProblemDetails, "description": "The database is away."}
READ_ERRORS = {404: NOT_FOUND, 409: AMBIGUOUS, 422: INVALID, 503: AWAY}


class CursorParameters(Parameters):
    """From where a list goes on."""

    cursor: str | None = Field(
        None, max_length=MAX_CURSOR_LENGTH, description="`next_cursor` of the page before; of this query only."
    )


class PageParameters(CursorParameters):
    """How much of a list, and from where."""

    limit: int = Field(50, ge=1, le=100, description="Rows of a page.")


@router.post(
    "/packages",
    status_code=202,
    dependencies=[Depends(require_loopback)],
    responses={
        202: {"model": Execution, "description": "The run that fetches it; look at `url` for how it goes."},
        403: {"model": ProblemDetails, "description": "Not from this machine."},
        422: INVALID,
        503: AWAY,
    },
)
async def track_package(request: Request, body: TrackRequest, engine: Engine) -> Response:
    """Track a package: its registry is asked soon, and again whenever this is called."""
    try:
        purl = parse_purl(body.purl)
    except InvalidPurl as error:
        raise Problem("invalid-purl", f"purl: {error}") from None
    async with engine.begin() as connection:
        public_id = await plan_tracked_package(connection, purl, depth=request.app.state.follow_depth)
        row = await executions.get_execution(connection, public_id)
    if row is None:
        raise WumpError("the execution vanished while it was planned")
    document = execution_document(row)
    return json_response(document, 202, {"Location": document["url"]})


@one.get("", responses={200: {"model": PackageModel}, **READ_ERRORS})
async def get_package(asked: AboutPackage) -> Response:
    """One package. `/packages/{name}` works too where only one ecosystem has a package of that name."""
    return json_response(package_document(asked.package))


@one.get("/dependencies", responses={200: {"model": Page[Statement]}, **READ_ERRORS})
async def list_dependencies(asked: AboutPackage, wanted: Annotated[PageParameters, Query()]) -> Response:
    """What the package's latest version says it needs, with the evidence."""
    package, cursor = asked.package, wanted.cursor
    query = ("dependencies", package["key"])
    after = int(read_cursor(query, cursor, [int])[0]) if cursor else 0
    rows = await answers.list_package_dependencies(
        asked.connection, package["key"], after=after, limit=wanted.limit + 1
    )
    page = rows[: wanted.limit]
    next_cursor = make_cursor(query, [page[-1]["key"]]) if len(rows) > wanted.limit else None
    data = [statement_document(row, row["dependency"]) for row in page]
    hint = dependencies_hint(package) if not data and not cursor else None
    return json_response(page_document(data, next_cursor, package, total=None, hint=hint))
