"""Dependents: the question that wump is for."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from asyncpg import DataError
from fastapi import APIRouter, Query, Response
from sqlalchemy.ext.asyncio import AsyncConnection
from wump_core.records import Scope
from wump_core.store import answers

from wump_api.documents import (
    dependent_document,
    empty_hint,
    evidence_document,
    json_response,
    page_document,
    repository_document,
)
from wump_api.inject import Package, Reading
from wump_api.models import DependentOrganization, DependentRepository, EvidenceStatement, Page
from wump_api.pages import make_cursor, read_cursor
from wump_api.problems import Problem
from wump_api.routes.packages import READ_ERRORS, Cursor, Limit

router = APIRouter(prefix="/packages/{ecosystem}/{name}/dependents", tags=["dependents"])

Sort = Literal["repositories", "stars", "last_activity"]


@router.get("", responses={200: {"model": Page[DependentOrganization]}, **READ_ERRORS})
async def list_dependents(
    package: Package,
    connection: Reading,
    sort: Annotated[Sort, Query(description="Descending; unknown values come last.")] = "repositories",
    scope: Annotated[Scope | None, Query(description="Only organizations that use it so.")] = None,
    min_repositories: Annotated[
        int, Query(ge=1, le=2**31 - 1, description="Only organizations with at least so many dependent repositories.")
    ] = 1,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Which organizations depend on this package, with the evidence for each.

    What the list leaves out is counted in `meta.excluded`. The short form `/packages/{name}/dependents` works
    where only one ecosystem has a package of that name.
    """
    query = ("dependents", package["key"], sort, scope, min_repositories)
    after = None
    if cursor:
        rank, key = read_cursor(query, cursor, [str, int])
        after = (str(rank), int(key))
    try:
        rows = await answers.list_dependent_organizations(
            connection,
            package["key"],
            sort=sort,
            scope=scope,
            min_repositories=min_repositories,
            after=after,
            limit=limit + 1,
        )
    except DataError:
        # The rank is text that the database itself once wrote; it can't read back what was altered.
        raise Problem("invalid-cursor", "cursor: it was altered") from None
    page = rows[:limit]
    next_cursor = make_cursor(query, [page[-1]["rank"], page[-1]["organization_id"]]) if len(rows) > limit else None
    data = [dependent_document(row, package) for row in page]
    unfiltered = scope is None and min_repositories == 1
    hint = empty_hint(package) if not data and not cursor else None
    return json_response(
        page_document(data, next_cursor, package, total=package["organizations"] if unfiltered else None, hint=hint)
    )


@router.get("/repositories", responses={200: {"model": Page[DependentRepository]}, **READ_ERRORS})
async def list_dependent_repositories(
    package: Package,
    connection: Reading,
    include: Annotated[
        list[Literal["own_organization", "no_owner"]] | None,
        Query(description="Also list pairs that are left out for these reasons."),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Which repositories depend on this package, in a stable order."""
    excluded = sorted(set(include or ()))
    query = ("repositories", package["key"], *excluded)
    after = int(read_cursor(query, cursor, [int])[0]) if cursor else 0
    rows = await answers.list_dependent_repositories(
        connection, package["key"], excluded=excluded, after=after, limit=limit + 1
    )
    page = rows[:limit]
    next_cursor = make_cursor(query, [page[-1]["key"]]) if len(rows) > limit else None
    data = [repository_document(row) for row in page]
    hint = empty_hint(package) if not data and not cursor else None
    total = package["repositories"] if not excluded else None
    return json_response(page_document(data, next_cursor, package, total=total, hint=hint))


@router.get("/evidence", responses={200: {"model": Page[EvidenceStatement]}, **READ_ERRORS})
async def list_evidence(
    package: Package,
    connection: Reading,
    organization: Annotated[
        str,
        Query(
            min_length=1,
            max_length=300,
            description="The organization's id, its login, or host/login.",
            examples=["github.com/expressjs"],
        ),
    ],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Every statement by which one organization depends on this package."""
    found = await _find_organization(connection, organization)
    query = ("evidence", package["key"], found["id"])
    after = int(read_cursor(query, cursor, [int])[0]) if cursor else 0
    rows = await answers.list_evidence(connection, package["key"], found["id"], after=after, limit=limit + 1)
    page = rows[:limit]
    next_cursor = make_cursor(query, [page[-1]["key"]]) if len(rows) > limit else None
    data = [evidence_document(row, package["purl"]) for row in page]
    hint = None if data or cursor else f"No statement shows that {found['login']} depends on {package['purl']}."
    return json_response(page_document(data, next_cursor, package, total=None, hint=hint))


async def _find_organization(connection: AsyncConnection, text: str) -> Any:
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


async def _list_organizations_named(connection: AsyncConnection, text: str) -> Sequence[Any]:
    """Host and login are tried first: a nested group path has slashes too, and its first part may have dots."""
    if "\0" in text:
        return []
    host, _, login = text.partition("/")
    if login and (found := await answers.list_organizations_by_login(connection, login, host)):
        return found
    return await answers.list_organizations_by_login(connection, text, None)
