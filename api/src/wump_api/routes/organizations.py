"""Organizations: who they are, what they use, and what of it asks for money."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field
from wump_core.store import catalogue

from wump_api.catalogue import (
    OrganizationDetails,
    OrganizationSummary,
    OwnedRepository,
    UsedPackage,
    organization_details,
    organization_summary,
    owned_repository_document,
    used_package_document,
)
from wump_api.documents import json_response, list_document
from wump_api.inject import AboutAnything, AboutOrganization
from wump_api.models import Page
from wump_api.pages import make_cursor, read_cursor
from wump_api.problems import Problem, ProblemDetails
from wump_api.reading import HOUR, OrganizationRoute, ReadRoute, kept
from wump_api.routes.packages import AWAY, INVALID, PageParameters

lists = APIRouter(prefix="/api/v1/organizations", tags=["organizations"], route_class=ReadRoute)
one = APIRouter(prefix="/api/v1/organizations/{id}", tags=["organizations"], route_class=OrganizationRoute)

_ERRORS = {
    404: {"model": ProblemDetails, "description": "wump doesn't know this organization."},
    409: {"model": ProblemDetails, "description": "Several hosts have an organization of this login."},
    422: INVALID,
    503: AWAY,
}


class OrganizationsParameters(PageParameters):
    """Which organizations."""

    host: str | None = Field(
        None,
        max_length=253,
        pattern=r"^[a-z0-9.:_-]+$",
        description="Only those of this host.",
        examples=["github.com"],
    )


@lists.get("", responses={200: {"model": Page[OrganizationSummary]}, 422: INVALID, 503: AWAY})
async def list_organizations(asked: AboutAnything, wanted: Annotated[OrganizationsParameters, Query()]) -> Response:
    """The organizations that wump knows, by host and login: all owners of repositories, users among them."""
    query = ("organizations", wanted.host)
    after = None
    if wanted.cursor:
        host, login = read_cursor(query, wanted.cursor, [str, str])
        after = (str(host), str(login))
    rows = await catalogue.list_organizations(asked.connection, host=wanted.host, after=after, limit=wanted.limit + 1)
    page = rows[: wanted.limit]
    next_cursor = make_cursor(query, [page[-1]["host"], page[-1]["login"]]) if len(rows) > wanted.limit else None
    hint = None if page or after else "None is known: organizations come with the packages that are tracked."
    sources = await catalogue.list_sources(asked.connection)
    return json_response(list_document([organization_summary(row) for row in page], next_cursor, sources, hint=hint))


@one.get("", responses={200: {"model": OrganizationDetails}, **_ERRORS})
@kept("organization", seconds=6 * HOUR)
async def get_organization(asked: AboutOrganization) -> Response:
    """One organization, with what its hosts say of its accounts."""
    row = await catalogue.get_organization(asked.connection, asked.organization["id"])
    if row is None:
        raise Problem("unknown-organization", f"id: {asked.organization['login']!r} is not known to wump")
    return json_response(organization_details(row))


@one.get("/packages", responses={200: {"model": Page[UsedPackage]}, **_ERRORS})
@kept("packages", seconds=6 * HOUR)
async def list_packages_of_organization(
    asked: AboutOrganization, wanted: Annotated[PageParameters, Query()]
) -> Response:
    """Which packages an organization depends on, the most used first, and how each of them can be funded."""
    organization, cursor = asked.organization, wanted.cursor
    query = ("packages of", organization["id"])
    after = None
    if cursor:
        repositories, key = read_cursor(query, cursor, [int, int])
        after = (_small(int(repositories)), int(key))
    rows = await catalogue.list_packages_of_organization(
        asked.connection, organization["id"], after=after, limit=wanted.limit + 1
    )
    page = rows[: wanted.limit]
    next_cursor = (
        make_cursor(query, [page[-1]["used_in"], page[-1]["package_id"]]) if len(rows) > wanted.limit else None
    )
    data = [used_package_document(row, organization["public_id"]) for row in page]
    hint = None if data or cursor else f"No package is known that {organization['login']} depends on."
    sources = await catalogue.list_sources(asked.connection)
    return json_response(list_document(data, next_cursor, sources, hint=hint))


def _small(number: int) -> int:
    """Raises `Problem` for what a count of repositories can't be."""
    if abs(number) >= 2**31:
        raise Problem("invalid-cursor", "cursor: it was altered")
    return number


@one.get("/repositories", responses={200: {"model": Page[OwnedRepository]}, **_ERRORS})
@kept("repositories", seconds=6 * HOUR)
async def list_repositories_of_organization(
    asked: AboutOrganization, wanted: Annotated[PageParameters, Query()]
) -> Response:
    """The repositories of an organization that wump knows, in a stable order."""
    organization, cursor = asked.organization, wanted.cursor
    query = ("repositories of", organization["id"])
    after = int(read_cursor(query, cursor, [int])[0]) if cursor else 0
    rows = await catalogue.list_repositories_of_organization(
        asked.connection, organization["id"], after=after, limit=wanted.limit + 1
    )
    page = rows[: wanted.limit]
    next_cursor = make_cursor(query, [page[-1]["key"]]) if len(rows) > wanted.limit else None
    data = [owned_repository_document(row) for row in page]
    hint = None if data or cursor else f"No repository of {organization['login']} is known."
    sources = await catalogue.list_sources(asked.connection)
    return json_response(list_document(data, next_cursor, sources, hint=hint))
