"""The cache, for operators: forget what is kept."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, model_validator
from valkey.exceptions import ValkeyError
from wump_core.caching import organization_subject, package_subject
from wump_core.purl import parse_purl

from wump_api.cache import drop_cache
from wump_api.documents import json_response
from wump_api.models import Model
from wump_api.problems import Problem
from wump_api.reading import Parameters
from wump_api.routes.packages import AWAY, INVALID

router = APIRouter(tags=["cache"])


class CacheParameters(Parameters):
    """What to forget; nothing given: everything."""

    purl: str | None = Field(None, min_length=1, max_length=1_000, description="Only what is about this package.")
    organization: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
        description="Only what is about the organization of this id.",
    )

    @model_validator(mode="after")
    def _one(self) -> "CacheParameters":
        if self.purl and self.organization:
            raise ValueError("give a purl or an organization, not both")
        return self


class Dropped(Model):
    """What was forgotten."""

    subject: Literal["all"] | str
    keys: int = Field(
        description="Keys that were removed from Valkey; of one subject, the one that all its answers hang on."
    )


@router.delete("/cache", responses={200: {"model": Dropped}, 422: INVALID, 503: AWAY})
async def drop_cached(request: Request, wanted: Annotated[CacheParameters, Query()]) -> Response:
    """Forget finished answers, of one package, one organization, or all. Other processes follow within a second."""
    subject = None
    if wanted.purl:
        subject = package_subject(str(parse_purl(wanted.purl)))
    elif wanted.organization:
        subject = organization_subject(wanted.organization)
    if request.app.state.cache is not None:
        request.app.state.cache.forget_near()
    try:
        keys = await drop_cache(request.app.state.answers, subject)
    except (ValkeyError, OSError, TimeoutError) as error:
        raise Problem("unavailable", f"Valkey does not answer: {type(error).__name__}") from None
    return json_response({"subject": subject or "all", "keys": keys})
