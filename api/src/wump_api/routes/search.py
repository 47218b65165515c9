"""Search: packages and organizations by what they are called."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field
from wump_core.store import catalogue, search

from wump_api.catalogue import Hit, organization_summary, organization_url, package_summary
from wump_api.documents import Document, json_response, list_document, package_url
from wump_api.inject import AboutAnything
from wump_api.models import Page
from wump_api.reading import Parameters, ReadRoute
from wump_api.routes.packages import AWAY, INVALID, Ecosystem

lists = APIRouter(prefix="/api/v1/search", tags=["search"], route_class=ReadRoute)
MAX_ROWS = 50


class SearchParameters(Parameters):
    """What to look for, and among what."""

    q: str = Field(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00]*[^\s\x00][^\x00]*$",
        description="A name, how it begins, or nearly so; of packages also words of the description.",
        examples=["express"],
    )
    type: Literal["all", "package", "organization"] = Field("all", description="What to find.")
    ecosystem: Ecosystem | None = Field(None, description="Only packages of this one, and no organizations.")
    limit: int = Field(20, ge=1, le=MAX_ROWS, description="Rows at the most, the best first. There is no second page.")


@lists.get("", responses={200: {"model": Page[Hit]}, 422: INVALID, 503: AWAY})
async def search_everything(asked: AboutAnything, wanted: Annotated[SearchParameters, Query()]) -> Response:
    """Packages and organizations by rank: the name itself, names that begin so, then those that are nearly so."""
    query = wanted.q.strip().lower()
    packages: list[Document] = []
    organizations: list[Document] = []
    if wanted.type != "organization":
        rows = await search.search_packages(asked.connection, query, ecosystem=wanted.ecosystem, limit=wanted.limit)
        packages = [_hit("package", row, package_url(row), row["name"].lower(), query) for row in rows]
    if wanted.type != "package" and wanted.ecosystem is None:
        rows = await search.search_organizations(asked.connection, query, limit=wanted.limit)
        organizations = [_hit("organization", row, organization_url(row["id"]), row["login"], query) for row in rows]
    # Each kind is in its order; among both, the name itself comes before its beginning, and that before the rest.
    found = sorted((*packages, *organizations), key=lambda hit: hit["class"])[: wanted.limit]
    data = [{name: value for name, value in hit.items() if name != "class"} for hit in found]
    hint = None if data else f"Nothing is called {wanted.q[:100]!r} or nearly so. Track it, if it is a package."
    return json_response(list_document(data, None, await catalogue.list_sources(asked.connection), hint=hint))


def _hit(kind: str, row: Mapping[str, Any], url: str, name: str, query: str) -> Document:
    return {
        "class": 0 if name == query else 1 if name.startswith(query) else 2,
        "id": row["id"],
        "type": kind,
        "url": url,
        "package": package_summary(row) if kind == "package" else None,
        "organization": organization_summary(row) if kind == "organization" else None,
    }
