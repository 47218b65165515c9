"""Dependents: the question that wump is for."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlencode
from uuid import UUID

from asyncpg import Connection, DataError
from fastapi import APIRouter, Query, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from wump_core.records import Scope
from wump_core.store import answers

from wump_api.documents import (
    dependent_documents,
    empty_hint,
    evidence_document,
    json_response,
    page_document,
    repository_document,
)
from wump_api.inject import AboutPackage, Asked, PackageRoute
from wump_api.models import DependentOrganization, DependentRepository, EvidenceStatement, ExclusionReason, Page
from wump_api.pages import make_cursor, read_cursor
from wump_api.problems import Problem, ProblemDetails
from wump_api.routes.packages import ABOUT_PACKAGE, READ_ERRORS, CursorParameters, PageParameters
from wump_api.routes.streams import stream_dependents

router = APIRouter(prefix=f"{ABOUT_PACKAGE}/dependents", tags=["dependents"], route_class=PackageRoute)

Sort = Literal["repositories", "stars", "last_activity"]
MAX_PAGE_ROWS = 100
_ANSWERS: dict[int | str, dict[str, Any]] = {
    **READ_ERRORS,
    200: {
        "model": Page[DependentOrganization],
        "description": "A page; as a stream, all rows: one a line, as in a page's `data`, or as CSV.",
        "content": {
            "application/x-ndjson": {"schema": {"$ref": "#/components/schemas/DependentOrganization"}},
            "text/csv": {"schema": {"type": "string"}},
        },
    },
    422: {"model": ProblemDetails, "description": "A parameter has a value it can't have, or can't have with others."},
    503: {"model": ProblemDetails, "description": "The database is away, or too many exports run."},
}


class DependentsParameters(CursorParameters):
    """Which organizations, in which order, as what."""

    sort: Sort = Field("repositories", description="Descending; unknown values come last.")
    scope: Scope | None = Field(None, description="Only organizations that use it so.")
    min_repositories: int = Field(
        1, ge=1, le=2**31 - 1, description="Only organizations with at least so many dependent repositories."
    )
    output: Literal["json", "ndjson", "csv"] = Field(
        "json", alias="format", description="A page as JSON, or all rows as a stream from one snapshot."
    )
    limit: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Rows of a page, 100 at the most, else 50; of a stream, else all."
    )

    @property
    def filters(self) -> dict[str, Any]:
        """What decides which rows there are, and their order."""
        return {"sort": self.sort, "scope": self.scope, "min_repositories": self.min_repositories}


@router.get("", responses=_ANSWERS)
async def list_dependents(asked: AboutPackage, wanted: Annotated[DependentsParameters, Query()]) -> Response:
    """Which organizations depend on this package, with the evidence for each.

    What the list leaves out is counted in `meta.excluded`. The short form `/packages/{name}/dependents` works
    where only one ecosystem has a package of that name. A filter goes with some of the sorts only, but with all in a
    stream. A stream that breaks off has no end: its connection is cut.
    """
    if wanted.output != "json":
        if wanted.cursor is not None:
            raise _refused("cursor", "A stream is all rows at once and takes no cursor")
        read = partial(
            answers.stream_dependent_organizations,
            package_id=asked.package["key"],
            limit=wanted.limit,
            **wanted.filters,
        )
        return stream_dependents(asked.request.app.state.streams, asked.package, wanted.output, read)
    limit = wanted.limit or 50
    if limit > MAX_PAGE_ROWS:
        raise _refused("limit", f"Input should be less than or equal to {MAX_PAGE_ROWS} for a page")
    _check_pair(**wanted.filters)
    return await _list_page(asked, wanted.filters, limit, wanted.cursor)


def _refused(parameter: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("query", parameter), "msg": message, "type": "value_error"}])


def _check_pair(sort: str, scope: str | None, min_repositories: int) -> None:
    """Raises `Problem` where no index holds a page of these filters in this order."""
    given = {"scope": scope, "min_repositories": min_repositories if min_repositories > 1 else None}
    on = {name: value for name, value in given.items() if value is not None}
    if sort in answers.PAGES[tuple(on)]:
        return
    pairs = [(other, on) for other in answers.PAGES[tuple(on)]]
    fewer = [names for names, sorts in answers.PAGES.items() if sort in sorts and on.keys() >= set(names)]
    pairs += [(sort, {name: on[name] for name in names}) for names in fewer]
    alternatives = [urlencode({"sort": order, **filters}) for order, filters in pairs]
    alternatives.append(urlencode({"sort": sort, **on, "format": "ndjson"}))
    raise Problem(
        "unsupported-filter",
        f"sort: no page has {sort} with {' and '.join(on)}: ask for one of {', '.join(alternatives)}",
        alternatives=alternatives,
    )


async def _list_page(asked: Asked, filters: Mapping[str, Any], limit: int, cursor: str | None) -> Response:
    package = asked.package
    query = ("dependents", package["key"], *filters.values())
    after = None
    if cursor:
        rank, key = read_cursor(query, cursor, [str, int])
        after = (str(rank), int(key))
    try:
        rows = await answers.list_dependent_organizations(
            asked.connection, package["key"], **filters, after=after, limit=limit + 1
        )
    except DataError:
        # The rank is text that the database itself once wrote; it can't read back what was altered.
        raise Problem("invalid-cursor", "cursor: it was altered") from None
    page = rows[:limit]
    next_cursor = make_cursor(query, [page[-1]["rank"], page[-1]["organization_id"]]) if len(rows) > limit else None
    data = dependent_documents(page, package)
    unfiltered = filters["scope"] is None and filters["min_repositories"] == 1
    hint = empty_hint(package) if not data and not cursor else None
    return json_response(
        page_document(data, next_cursor, package, total=package["organizations"] if unfiltered else None, hint=hint)
    )


class RepositoriesParameters(PageParameters):
    """Which repositories."""

    repeated: ClassVar[tuple[str, ...]] = ("include",)

    include: list[ExclusionReason] | None = Field(
        None, description="Also list pairs that are left out for these reasons."
    )


@router.get("/repositories", responses={200: {"model": Page[DependentRepository]}, **READ_ERRORS})
async def list_dependent_repositories(
    asked: AboutPackage, wanted: Annotated[RepositoriesParameters, Query()]
) -> Response:
    """Which repositories depend on this package, in a stable order."""
    package, cursor = asked.package, wanted.cursor
    excluded = sorted(set(wanted.include or ()))
    query = ("repositories", package["key"], *excluded)
    after = int(read_cursor(query, cursor, [int])[0]) if cursor else 0
    rows = await answers.list_dependent_repositories(
        asked.connection, package["key"], excluded=excluded, after=after, limit=wanted.limit + 1
    )
    page = rows[: wanted.limit]
    next_cursor = make_cursor(query, [page[-1]["key"]]) if len(rows) > wanted.limit else None
    data = [repository_document(row) for row in page]
    hint = empty_hint(package) if not data and not cursor else None
    total = package["repositories"] if not excluded else None
    return json_response(page_document(data, next_cursor, package, total=total, hint=hint))


class EvidenceParameters(PageParameters):
    """Whose evidence."""

    organization: str = Field(
        min_length=1,
        max_length=300,
        description="The organization's id, its login, or host/login.",
        examples=["github.com/expressjs"],
    )


@router.get("/evidence", responses={200: {"model": Page[EvidenceStatement]}, **READ_ERRORS})
async def list_evidence(asked: AboutPackage, wanted: Annotated[EvidenceParameters, Query()]) -> Response:
    """Every statement by which one organization depends on this package."""
    package, cursor = asked.package, wanted.cursor
    found = await _find_organization(asked.connection, wanted.organization)
    query = ("evidence", package["key"], found["id"])
    after = int(read_cursor(query, cursor, [int])[0]) if cursor else 0
    rows = await answers.list_evidence(
        asked.connection, package["key"], found["id"], after=after, limit=wanted.limit + 1
    )
    page = rows[: wanted.limit]
    next_cursor = make_cursor(query, [page[-1]["key"]]) if len(rows) > wanted.limit else None
    data = [evidence_document(row, package["purl"]) for row in page]
    hint = None if data or cursor else f"No statement shows that {found['login']} depends on {package['purl']}."
    return json_response(page_document(data, next_cursor, package, total=None, hint=hint))


async def _find_organization(connection: Connection, text: str) -> Any:
    """The organization of an id, a login or host/login."""
    try:
        found = await answers.get_organization_by_id(connection, UUID(text))
        candidates = [found] if found else []
    except ValueError:
        candidates = await _list_organizations_named(connection, text.lower())
    if len(candidates) > 1:
        choices = [f"{item['host']}/{item['login']}" for item in candidates]
        raise Problem(
            "ambiguous-organization",
            f"organization: {text[:100]!r} is on several hosts: name one of {', '.join(choices)}",
            organizations=choices,
        )
    if not candidates:
        raise Problem("unknown-organization", f"organization: {text[:100]!r} is not known to wump")
    return candidates[0]


async def _list_organizations_named(connection: Connection, text: str) -> Sequence[Any]:
    """Host and login are tried first: a nested group path has slashes too, and its first part may have dots."""
    if "\0" in text:
        return []
    host, _, login = text.partition("/")
    if login and (found := await answers.list_organizations_by_login(connection, login, host)):
        return found
    return await answers.list_organizations_by_login(connection, text, None)
