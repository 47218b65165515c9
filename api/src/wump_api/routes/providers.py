"""Providers: who tells wump its facts."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from wump_core.store import catalogue

from wump_api.documents import json_response, list_document, provider_document
from wump_api.inject import Reading
from wump_api.models import Page, Provider
from wump_api.pages import make_cursor, read_cursor
from wump_api.problems import Problem, ProblemDetails
from wump_api.routes.packages import AWAY, INVALID, PageParameters

router = APIRouter(tags=["providers"])
_QUERY = ("providers",)


@router.get("/providers", responses={200: {"model": Page[Provider]}, 422: INVALID, 503: AWAY})
async def list_providers(connection: Reading, wanted: Annotated[PageParameters, Query()]) -> Response:
    """The providers as the workers loaded and saw them last, broken ones with the reason. Empty before one ran."""
    after = str(read_cursor(_QUERY, wanted.cursor, [str])[0]) if wanted.cursor else ""
    rows = await catalogue.list_providers(connection, after=after, limit=wanted.limit + 1)
    page = rows[: wanted.limit]
    next_cursor = make_cursor(_QUERY, [page[-1]["name"]]) if len(rows) > wanted.limit else None
    hint = None if page or after else "None is known: workers report what they have loaded. Start one, with `wump up`."
    return json_response(list_document([provider_document(row) for row in page], next_cursor, hint=hint))


@router.get(
    "/providers/{id}",
    responses={
        200: {"model": Provider},
        404: {"model": ProblemDetails, "description": "No worker has loaded such a provider."},
        422: INVALID,
        503: AWAY,
    },
)
async def get_provider(
    connection: Reading,
    id: Annotated[str, Path(description="Its name.", max_length=100, pattern=r"^[a-z0-9-]+$", examples=["npm"])],  # noqa: A002
) -> Response:
    """One provider."""
    row = await catalogue.get_provider(connection, id)
    if row is None:
        raise Problem("unknown-provider", f"id: no worker has loaded a provider {id!r}")
    return json_response(provider_document(row))
