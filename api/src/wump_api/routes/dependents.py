"""Dependents: the question that wump is for."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property, partial
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlencode

import msgspec
from asyncpg import DataError
from fastapi import APIRouter, Query, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field, field_validator
from wump_core.records import Scope
from wump_core.store import answers, catalogue, touches
from wump_core.store.answers import Row

from wump_api.catalogue import DependentPackage, dependent_package_document
from wump_api.documents import (
    Dependent,
    dependent_documents,
    empty_hint,
    evidence_document,
    json_response,
    package_url,
    page_document,
    repository_document,
)
from wump_api.inject import AboutPackage, Asked, get_named_organization
from wump_api.models import (
    DependentOrganization,
    DependentRepository,
    EvidenceStatement,
    ExclusionReason,
    Facets,
    Moment,
    Page,
)
from wump_api.pages import make_cursor, read_cursor
from wump_api.problems import Problem, ProblemDetails
from wump_api.reading import HOUR, PackageRoute, kept
from wump_api.routes.packages import (
    ABOUT_PACKAGE,
    GONE,
    READ_ERRORS,
    CursorParameters,
    PageParameters,
    StatementsParameters,
)
from wump_api.routes.streams import stream_dependents

router = APIRouter(prefix=f"{ABOUT_PACKAGE}/dependents", tags=["dependents"], route_class=PackageRoute)

Sort = Literal["repositories", "stars", "last_activity"]
MAX_PAGE_ROWS = 100
_ANSWERS: dict[int | str, dict[str, Any]] = {
    **READ_ERRORS,
    200: {
        # The second: rows of the fields that were asked for.
        "model": Page[DependentOrganization] | Page[dict[str, Any]],
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

    repeated: ClassVar[tuple[str, ...]] = ("include",)

    sort: Sort = Field("repositories", description="By what to sort.")
    order: Literal["desc", "asc"] = Field("desc", description="Unknown values come last, by repositories.")
    state: Literal["current", "past"] = Field(
        "current", description="`past`: those that depended on it once and do no more; with `kind` and `q` only."
    )
    scope: Scope | None = Field(None, description="Only organizations that use it so.")
    kind: Literal["organization", "user", "unknown"] | None = Field(None, description="Only accounts of this kind.")
    min_repositories: int = Field(
        1, ge=1, le=2**31 - 1, description="Only organizations with at least so many dependent repositories."
    )
    min_stars: int | None = Field(
        None, ge=0, le=2**53, description="Only organizations whose dependent repositories have so many stars in all."
    )
    active_since: Moment | None = Field(
        None, description="Only organizations with activity in a dependent repository at this time or later."
    )
    first_seen_after: Moment | None = Field(
        None, description="Only organizations that wump saw depend on it first after this time."
    )
    provider: str | None = Field(
        None, min_length=1, max_length=100, pattern=r"^[a-z0-9-]+$", description="Only what this provider told of too."
    )
    q: str | None = Field(
        None, min_length=1, max_length=100, pattern=r"^[^\x00]+$", description="Only logins that begin so."
    )
    include: list[ExclusionReason] | None = Field(
        None,
        description="Organizations of pairs that are left out are not kept; the problem names the list that has them.",
    )
    fields: str | None = Field(
        None,
        max_length=300,
        examples=["id,login,repositories"],
        description="Only these fields of each row, comma-separated.",
    )
    output: Literal["json", "ndjson", "csv"] = Field(
        "json", alias="format", description="A page as JSON, or all rows as a stream from one snapshot."
    )
    limit: int | None = Field(
        None, ge=1, le=2**31 - 1, description="Rows of a page, 100 at the most, else 50; of a stream, else all."
    )

    @field_validator("fields")
    @classmethod
    def _known_fields(cls, value: str | None) -> str | None:
        unknown = sorted(set(value.split(",")) - set(Dependent.__struct_fields__)) if value else []
        if unknown:
            raise ValueError(f"rows have no {', '.join(unknown)}; they have {', '.join(Dependent.__struct_fields__)}")
        return value

    @property
    def cacheable(self) -> bool:
        """Streams are not kept."""
        return self.output == "json"

    @property
    def shown(self) -> tuple[str, ...]:
        """The fields of each row; none: all."""
        return tuple(dict.fromkeys(self.fields.split(","))) if self.fields else ()

    @cached_property
    def rows(self) -> answers.Wanted:
        """What decides which rows there are, and their order."""
        given: dict[str, Any] = {
            "scope": self.scope,
            "min_repositories": self.min_repositories if self.min_repositories > 1 else None,
            "kind": self.kind,
            "state": "past" if self.state == "past" else None,
            "min_stars": self.min_stars,
            "active_since": self.active_since,
            "first_seen_after": self.first_seen_after,
            "provider": self.provider,
            "q": self.q.lower() if self.q else None,
        }
        on = {name: value for name, value in given.items() if value is not None}
        return answers.Wanted(self.sort, on, ascending=self.order == "asc")


@router.get("", responses=_ANSWERS)
@kept("dependents", seconds=HOUR)
async def list_dependents(asked: AboutPackage, wanted: Annotated[DependentsParameters, Query()]) -> Response:
    """Which organizations depend on this package, with the evidence for each.

    What the list leaves out is counted in `meta.excluded`. The short form `/packages/{name}/dependents` works
    where only one ecosystem has a package of that name. Where no index holds what is filtered, a page looks at a
    thousand rows at the most: it may hold fewer than `limit`, or none, while `next_cursor` says that more follow.
    A stream that breaks off has no end: its connection is cut.
    """
    _check_included(asked, wanted)
    _check_pair(wanted.rows)
    if wanted.output != "json":
        if wanted.cursor is not None:
            raise _refused("cursor", "A stream is all rows at once and takes no cursor")
        read = partial(
            answers.stream_dependent_organizations,
            package_id=asked.package["key"],
            wanted=wanted.rows,
            limit=wanted.limit,
        )
        return stream_dependents(asked.request.app.state.streams, asked.package, wanted.output, read, wanted.shown)
    limit = wanted.limit or 50
    if limit > MAX_PAGE_ROWS:
        raise _refused("limit", f"Input should be less than or equal to {MAX_PAGE_ROWS} for a page")
    return await _list_page(asked, wanted, limit)


def _refused(parameter: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"loc": ("query", parameter), "msg": message, "type": "value_error"}])


def _check_included(asked: Asked, wanted: DependentsParameters) -> None:
    """Raises `Problem` where pairs that are left out are wanted: the answer is kept without them."""
    if not wanted.include:
        return
    reasons = urlencode([("include", reason) for reason in wanted.include])
    there = f"{package_url(asked.package)}/dependents/repositories?{reasons}"
    raise Problem(
        "unsupported-filter",
        f"include: organizations are listed by the pairs that count; {there} lists the repositories of the others",
        alternatives=[there],
    )


def _check_pair(wanted: answers.Wanted) -> None:
    """Raises `Problem` for filters by what is counted, together with `state=past`: of the past, nothing is counted."""
    counted = [name for name in answers.OF_CURRENT if name in wanted.filters]
    if "state" not in wanted.filters or not counted:
        return
    texts = {name: _as_parameter(value) for name, value in wanted.filters.items()}
    alternatives = [
        urlencode({"sort": wanted.sort, **{name: texts[name] for name in texts if name not in left_out}})
        for left_out in (("state",), counted)
    ]
    raise Problem(
        "unsupported-filter",
        "state: of organizations that depend no more, nothing is counted, so past doesn't go with"
        f" {' and '.join(counted)}: ask for one of {', '.join(alternatives)}",
        alternatives=alternatives,
    )


def _as_parameter(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


async def _list_page(asked: Asked, wanted: DependentsParameters, limit: int) -> Response:
    package, rows_wanted, cursor = asked.package, wanted.rows, wanted.cursor
    query = ("dependents", package["key"], wanted.sort, wanted.order, *sorted(rows_wanted.filters.items()))
    after = None
    if cursor:
        part, rank, key = read_cursor(query, cursor, [int, str, int])
        after = (int(part), str(rank), int(key))
        if not 0 <= after[0] < len(rows_wanted.parts):
            raise Problem("invalid-cursor", "cursor: it was altered")
    try:
        found = await answers.list_dependent_organizations(
            asked.connection, package["key"], rows_wanted, after=after, limit=limit
        )
    except DataError:
        # The rank is text that the database itself once wrote; it can't read back what was altered.
        raise Problem("invalid-cursor", "cursor: it was altered") from None
    next_cursor = make_cursor(query, found.go_on) if found.go_on else None
    data: Sequence[object] = dependent_documents(found.rows, package)
    if wanted.shown:
        data = [{name: getattr(row, name) for name in wanted.shown} for row in data]
    total = package["organizations"] if not rows_wanted.filters else None
    hint = None if data else _hint(package, rows_wanted, first=cursor is None, more=next_cursor is not None)
    return json_response(page_document(data, next_cursor, package, total=total, hint=hint))


def _hint(package: Row, wanted: answers.Wanted, *, first: bool, more: bool) -> str | None:
    """Why a page is empty."""
    if more:
        return "None of the rows that this page looked at passes; go on with `next_cursor`, or take all as a stream."
    if not first:
        return None
    if wanted.filters and package["organizations"]:
        return f"None passes {' and '.join(wanted.on)}; {package['organizations']} organizations depend on it."
    return empty_hint(package)


class RepositoriesParameters(PageParameters):
    """Which repositories."""

    repeated: ClassVar[tuple[str, ...]] = ("include",)

    include: list[ExclusionReason] | None = Field(
        None, description="Also list pairs that are left out for these reasons."
    )


@router.get("/repositories", responses={200: {"model": Page[DependentRepository]}, **READ_ERRORS})
@kept("repositories", seconds=HOUR)
async def list_dependent_repositories(
    asked: AboutPackage, wanted: Annotated[RepositoriesParameters, Query()]
) -> Response:
    """Which repositories depend on this package, in a stable order.

    A page looks at a thousand pairs at the most, and passes over those that are left out: it may hold fewer rows than
    `limit`, or none, while `next_cursor` says that more follow.
    """
    package, cursor = asked.package, wanted.cursor
    excluded = sorted(set(wanted.include or ()))
    query = ("repositories", package["key"], *excluded)
    after = int(read_cursor(query, cursor, [int])[0]) if cursor else 0
    rows, last = await answers.list_dependent_repositories(
        asked.connection, package["key"], excluded=excluded, after=after, limit=wanted.limit
    )
    next_cursor = make_cursor(query, [last]) if last is not None else None
    data = [repository_document(row) for row in rows]
    hint = empty_hint(package) if not data and not cursor and next_cursor is None else None
    total = package["repositories"] if not excluded else None
    return json_response(page_document(data, next_cursor, package, total=total, hint=hint))


@router.get("/packages", responses={200: {"model": Page[DependentPackage]}, **READ_ERRORS})
@kept("packages", seconds=HOUR)
async def list_dependent_packages(asked: AboutPackage, wanted: Annotated[PageParameters, Query()]) -> Response:
    """Which packages say that they need this one, in a stable order.

    A page may hold fewer rows than `limit` while more follow: files of repositories say it too, and are passed over.
    """
    package, cursor = asked.package, wanted.cursor
    query = ("dependent packages", package["key"])
    after = int(read_cursor(query, cursor, [int])[0]) if cursor else 0
    rows, last = await catalogue.list_dependent_packages(
        asked.connection, package["key"], after=after, limit=wanted.limit
    )
    next_cursor = make_cursor(query, [last]) if last is not None else None
    data = [dependent_package_document(row) for row in rows]
    hint = empty_hint(package) if not data and not cursor and next_cursor is None else None
    return json_response(page_document(data, next_cursor, package, total=None, hint=hint))


@router.get("/facets", responses={200: {"model": Facets}, **READ_ERRORS})
@kept("facets", seconds=HOUR)
async def get_facets(asked: AboutPackage) -> Response:
    """How many of the organizations that depend on this package are of which kind, scope, host and provider.

    Of the whole list, whatever a page filters. Counted behind the list, of large lists less often: `as_of` says when.
    """
    package = asked.package
    found = await touches.get_facets(asked.connection, package["key"])
    return json_response(
        {
            "package": package["purl"],
            "url": f"{package_url(package)}/dependents/facets",
            "organizations": found and found["organizations"],
            "facets": found and msgspec.Raw(found["facets"]),
            "as_of": found and found["as_of"],
        }
    )


class EvidenceParameters(StatementsParameters):
    """Whose evidence."""

    organization: str = Field(
        min_length=1,
        max_length=300,
        description="The organization's id, its login, or host/login.",
        examples=["github.com/expressjs"],
    )


@router.get("/evidence", responses={200: {"model": Page[EvidenceStatement]}, **READ_ERRORS})
@kept("evidence", seconds=HOUR)
async def list_evidence(asked: AboutPackage, wanted: Annotated[EvidenceParameters, Query()]) -> Response:
    """Every statement by which one organization depends on this package."""
    package, cursor = asked.package, wanted.cursor
    found = await get_named_organization(asked.connection, wanted.organization, "organization")
    query = ("evidence", package["key"], found["id"], wanted.statement)
    after = int(read_cursor(query, cursor, [int])[0]) if cursor else 0
    rows = await answers.list_evidence(
        asked.connection, package["key"], found["id"], only=wanted.statement, after=after, limit=wanted.limit + 1
    )
    page = rows[: wanted.limit]
    next_cursor = make_cursor(query, [page[-1]["key"]]) if len(rows) > wanted.limit else None
    place = f"{package_url(package)}/dependents/evidence?organization={found['public_id']}&"
    data = [evidence_document(row, package["purl"], place) for row in page]
    nothing = f"No statement shows that {found['login']} depends on {package['purl']}."
    hint = None if data or cursor else GONE if wanted.statement else nothing
    return json_response(page_document(data, next_cursor, package, total=None, hint=hint))
