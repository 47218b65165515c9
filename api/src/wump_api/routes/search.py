"""Search: packages and organizations by what they are called."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from asyncpg import Connection
from fastapi import APIRouter, Query, Response
from pydantic import Field
from wump_core.store import catalogue, search

from wump_api.catalogue import Hit, organization_summary, organization_url, package_summary
from wump_api.documents import Document, json_response, list_document, package_url
from wump_api.inject import AboutAnything
from wump_api.models import Page
from wump_api.pages import make_cursor, read_cursor
from wump_api.problems import Problem
from wump_api.reading import ReadRoute
from wump_api.routes.packages import AWAY, INVALID, Ecosystem, PageParameters

lists = APIRouter(prefix="/api/v1/search", tags=["search"], route_class=ReadRoute)
MOST = 200
"""Rows of all pages of a search: what comes behind them is hardly alike."""


class SearchParameters(PageParameters):
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


@lists.get("", responses={200: {"model": Page[Hit]}, 422: INVALID, 503: AWAY})
async def search_everything(asked: AboutAnything, wanted: Annotated[SearchParameters, Query()]) -> Response:
    """Packages and organizations by rank: the name itself, names that begin so, then those that are nearly so.

    The two hundred best at the most, page by page.
    """
    text = wanted.q.strip().lower()
    query = ("search", text, wanted.type, wanted.ecosystem)
    start = _read_place(read_cursor(query, wanted.cursor, [int])[0]) if wanted.cursor else 0
    end = min(start + wanted.limit, MOST)
    found = await _find(asked.connection, text, wanted, min(end + 1, MOST))
    data = [{name: value for name, value in hit.items() if name != "class"} for hit in found[start:end]]
    next_cursor = make_cursor(query, [end]) if len(found) > end else None
    hint = None
    if not data and not start:
        hint = f"Nothing is called {wanted.q[:100]!r} or nearly so. Track it, if it is a package."
    return json_response(list_document(data, next_cursor, await catalogue.list_sources(asked.connection), hint=hint))


def _read_place(value: str | int) -> int:
    """Raises `Problem` for a place that no cursor has."""
    place = int(value)
    if not 0 < place < MOST:
        raise Problem("invalid-cursor", "cursor: it was altered")
    return place


async def _find(connection: Connection, text: str, wanted: SearchParameters, limit: int) -> list[Document]:
    """So many of the best. Each kind is in its order; among both, the name itself comes before its beginning."""
    packages: list[Document] = []
    organizations: list[Document] = []
    if wanted.type != "organization":
        rows = await search.search_packages(connection, text, ecosystem=wanted.ecosystem, limit=limit)
        packages = [_hit("package", row, package_url(row), row["name"].lower(), text) for row in rows]
    if wanted.type != "package" and wanted.ecosystem is None:
        rows = await search.search_organizations(connection, text, limit=limit)
        organizations = [_hit("organization", row, organization_url(row["id"]), row["login"], text) for row in rows]
    return sorted((*packages, *organizations), key=lambda hit: hit["class"])[:limit]


def _hit(kind: str, row: Mapping[str, Any], url: str, name: str, query: str) -> Document:
    return {
        "class": 0 if name == query else 1 if name.startswith(query) else 2,
        "id": row["id"],
        "type": kind,
        "url": url,
        "package": package_summary(row) if kind == "package" else None,
        "organization": organization_summary(row) if kind == "organization" else None,
    }
