"""Packages: what one is, what it depends on, and tracking."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field
from wump_core.errors import InvalidPurl, WumpError
from wump_core.purl import ECOSYSTEMS, parse_purl
from wump_core.schedule import plan_refresh, plan_tracked_package
from wump_core.store import answers, catalogue, executions

from wump_api.catalogue import FoundPackage, PackageSummary, package_summary
from wump_api.documents import (
    dependencies_hint,
    json_response,
    list_document,
    package_document,
    package_url,
    page_document,
    statement_document,
)
from wump_api.inject import AboutAnything, AboutPackage, Engine, Reading
from wump_api.models import Execution, Model, Page, Statement, TrackRequest
from wump_api.models import Package as PackageModel
from wump_api.pages import MAX_CURSOR_LENGTH, make_cursor, read_cursor
from wump_api.problems import Problem, ProblemDetails
from wump_api.reading import HOUR, PackageRoute, Parameters, ReadRoute, kept
from wump_api.routes.executions import execution_document

GONE = "Nobody says this any more, or nobody ever did."
ABOUT_PACKAGE = "/api/v1/packages/{ecosystem}/{name}"
router = APIRouter(tags=["packages"])
lists = APIRouter(tags=["packages"], route_class=ReadRoute)
one = APIRouter(prefix=ABOUT_PACKAGE, tags=["packages"], route_class=PackageRoute)

NOT_FOUND = {"model": ProblemDetails, "description": "wump doesn't know this package."}
AMBIGUOUS = {"model": ProblemDetails, "description": "The short form fits several ecosystems."}
INVALID = {"model": ProblemDetails, "description": "A parameter has a value it can't have."}
AWAY = {"model": ProblemDetails, "description": "The database is away."}
READ_ERRORS = {404: NOT_FOUND, 409: AMBIGUOUS, 422: INVALID, 503: AWAY}

Ecosystem = StrEnum("Ecosystem", {name: name for name in ECOSYSTEMS})


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
    responses={
        202: {"model": Execution, "description": "The run that fetches it; look at `url` for how it goes."},
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


class PackagesParameters(PageParameters):
    """Which packages."""

    ecosystem: Ecosystem | None = Field(None, description="Only packages of this one.")
    tracked: bool = Field(False, description="Only packages that are tracked.")


@lists.get("/api/v1/packages", responses={200: {"model": Page[PackageSummary]}, 422: INVALID, 503: AWAY})
async def list_packages(asked: AboutAnything, wanted: Annotated[PackagesParameters, Query()]) -> Response:
    """The packages that wump knows, by ecosystem and name; those are many more than are tracked."""
    query = ("packages", wanted.ecosystem, wanted.tracked)
    after = None
    if wanted.cursor:
        ecosystem, name = read_cursor(query, wanted.cursor, [str, str])
        after = (str(ecosystem), str(name))
    rows = await catalogue.list_packages(
        asked.connection, ecosystem=wanted.ecosystem, tracked=wanted.tracked, after=after, limit=wanted.limit + 1
    )
    page = rows[: wanted.limit]
    next_cursor = make_cursor(query, [page[-1]["ecosystem"], page[-1]["name"]]) if len(rows) > wanted.limit else None
    hint = None if page or after else "There are none: track some, with POST /api/v1/packages or `wump track`."
    sources = await catalogue.list_sources(asked.connection)
    return json_response(list_document([package_summary(row) for row in page], next_cursor, sources, hint=hint))


class LookupRequest(Model):
    """Which packages to look up."""

    purls: list[Annotated[str, Field(min_length=1, max_length=1_000)]] = Field(
        min_length=1, max_length=100, examples=[["pkg:npm/express", "pypi:requests"]]
    )


@router.post("/packages/lookup", responses={200: {"model": Page[FoundPackage]}, 422: INVALID, 503: AWAY})
async def look_up_packages(body: LookupRequest, connection: Reading) -> Response:
    """Up to a hundred packages at once: what wump knows of each, in the order of the request. Writes nothing."""
    read = [_read_purl(text) for text in body.purls]
    rows = await catalogue.list_packages_by_purl(connection, sorted({purl for purl, _ in read if purl}))
    known = {row["purl"]: package_summary(row) for row in rows}
    data = [
        {"asked": text, "package": known.get(purl) if purl else None, "problem": problem}
        for text, (purl, problem) in zip(body.purls, read, strict=True)
    ]
    return json_response(list_document(data, None, await catalogue.list_sources(connection), total=len(data)))


def _read_purl(text: str) -> tuple[str | None, str | None]:
    """Its canonical form, or what is wrong with it."""
    try:
        return str(parse_purl(text)), None
    except InvalidPurl as error:
        return None, str(error)


@router.post(
    "/packages/{ecosystem}/{name}/refresh",
    status_code=202,
    responses={
        202: {"model": Execution, "description": "The run that fetches it; look at `url` for how it goes."},
        **READ_ERRORS,
    },
)
async def refresh_package(asked: AboutPackage, engine: Engine) -> Response:
    """Fetch a known package again soon. One that isn't tracked stays so."""
    async with engine.begin() as connection:
        public_id = await plan_refresh(connection, asked.package["purl"])
        row = await executions.get_execution(connection, public_id)
    if row is None:
        raise WumpError("the execution vanished while it was planned")
    document = execution_document(row)
    return json_response(document, 202, {"Location": document["url"]})


@one.get("", responses={200: {"model": PackageModel}, **READ_ERRORS})
@kept("package", seconds=HOUR)
async def get_package(asked: AboutPackage) -> Response:
    """One package. `/packages/{name}` works too where only one ecosystem has a package of that name."""
    return json_response(package_document(asked.package))


class StatementsParameters(PageParameters):
    """Which statements."""

    statement: UUID | None = Field(None, description="Only the statement of this id, as its `permalink` says.")


@one.get("/dependencies", responses={200: {"model": Page[Statement]}, **READ_ERRORS})
@kept("dependencies", seconds=HOUR)
async def list_dependencies(asked: AboutPackage, wanted: Annotated[StatementsParameters, Query()]) -> Response:
    """What the package's latest version says it needs, with the evidence."""
    package, cursor = asked.package, wanted.cursor
    query = ("dependencies", package["key"], wanted.statement)
    after = int(read_cursor(query, cursor, [int])[0]) if cursor else 0
    rows = await answers.list_package_dependencies(
        asked.connection, package["key"], only=wanted.statement, after=after, limit=wanted.limit + 1
    )
    page = rows[: wanted.limit]
    next_cursor = make_cursor(query, [page[-1]["key"]]) if len(rows) > wanted.limit else None
    place = f"{package_url(package)}/dependencies?"
    data = [statement_document(row, row["dependency"], place) for row in page]
    hint = None if data or cursor else GONE if wanted.statement else dependencies_hint(package)
    return json_response(page_document(data, next_cursor, package, total=None, hint=hint))
