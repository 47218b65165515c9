"""Providers: who tells wump its facts."""

from fastapi import APIRouter, Response
from wump_core.store import answers

from wump_api.documents import json_response, provider_document
from wump_api.inject import Reading
from wump_api.models import ProviderList
from wump_api.problems import ProblemDetails

router = APIRouter(tags=["providers"])


@router.get(
    "/providers",
    responses={
        200: {"model": ProviderList},
        503: {"model": ProblemDetails, "description": "The database is away."},
    },
)
async def list_providers(connection: Reading) -> Response:
    """The providers as the workers loaded and saw them last, broken ones with the reason. Empty before one ran."""
    return json_response({"data": [provider_document(row) for row in await answers.list_providers(connection)]})
