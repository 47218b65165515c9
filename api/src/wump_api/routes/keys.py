"""Keys, for operators: make, look at, rotate and revoke them."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncConnection
from wump_core.store import keys
from wump_core.store.keys import NewKey
from wump_core.texts import Storable

from wump_api.auth import Caller, make_key
from wump_api.documents import json_response, list_document
from wump_api.inject import Engine, ReadingPrimary
from wump_api.models import Model, Moment, Page
from wump_api.pages import make_cursor, read_cursor
from wump_api.problems import Problem, ProblemDetails
from wump_api.routes.packages import AWAY, INVALID, PageParameters
from wump_api.tiers import TIERS, Area

router = APIRouter(tags=["keys"])
MAX_OVERLAP_SECONDS = 7 * 24 * 3600
MAX_REQUESTS = 100_000_000
_LATEST = timedelta(days=100 * 365)
_QUERY = ("keys",)
_SHOWN_ONCE = {"Cache-Control": "no-store"}
_UNKNOWN = {404: {"model": ProblemDetails, "description": "There is no such key, or it is revoked or expired."}}
_ERRORS: dict[int | str, dict[str, Any]] = {422: INVALID, 503: AWAY}

TierName = Literal["free", "standard", "premium", "operator"]
KeyId = Annotated[UUID, Path(description="The key's id, as the list has it.")]


def _sort(areas: list[Area]) -> list[Area]:
    return sorted(set(areas))


class KeyRequest(Model):
    """A key to be made."""

    name: Annotated[str, Storable(200, 1)] = Field(examples=["dashboard"], description="Whose it is, or what for.")
    tier: TierName = Field("standard", description="What it may do, and how often.")
    requests_per_hour: int | None = Field(None, ge=1, le=MAX_REQUESTS, strict=True, description="Null: the tier's.")
    requests_per_burst: int | None = Field(
        None, ge=1, le=MAX_REQUESTS, strict=True, description="In ten seconds. Null: the tier's."
    )
    areas: Annotated[list[Area], AfterValidator(_sort)] | None = Field(
        None, min_length=1, max_length=4, examples=[["read"]], description="What it may do. Null: what its tier may."
    )
    expires_at: Moment | None = Field(None, examples=["2027-12-31T23:59:59Z"], description="When it ends; null: never.")


class RotateRequest(Model):
    """How a key gets another secret."""

    overlap_seconds: int = Field(
        24 * 3600, ge=0, le=MAX_OVERLAP_SECONDS, strict=True, description="How long the secret before works on."
    )


class ApiKey(Model):
    """A key, without its secret."""

    id: UUID
    url: str = Field(examples=["/api/v1/keys/01890a5d-ac96-774b-bcce-b302099a8057"])
    name: str
    tier: TierName
    prefixes: list[str] = Field(examples=[["3kTMd91x"]], description="The public part of each live secret.")
    requests_per_hour: int
    requests_per_burst: int = Field(description="In ten seconds.")
    areas: list[Area] = Field(description="What it may do.")
    created_by: str = Field(description="`command line`, or the name of the key that made it.")
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute; null: not yet.")


class NewApiKey(ApiKey):
    """A key with its secret, which is shown this once."""

    key: str = Field(examples=["wump_3kTMd91x_…"], description="Send it as `X-API-Key`. wump can't show it again.")


@router.get("/keys", responses={200: {"model": Page[ApiKey]}, **_ERRORS})
async def list_api_keys(connection: ReadingPrimary, wanted: Annotated[PageParameters, Query()]) -> Response:
    """All keys, oldest first, revoked and expired ones too."""
    after = _read_id(read_cursor(_QUERY, wanted.cursor, [str])[0]) if wanted.cursor else None
    rows = await keys.list_keys(connection, after=after, limit=wanted.limit + 1)
    page = rows[: wanted.limit]
    next_cursor = make_cursor(_QUERY, [str(page[-1]["id"])]) if len(rows) > wanted.limit else None
    return json_response(list_document([_key_document(row) for row in page], next_cursor))


@router.post("/keys", status_code=201, responses={201: {"model": NewApiKey}, **_ERRORS})
async def create_api_key(request: Request, body: KeyRequest, engine: Engine) -> Response:
    """Make a key. Its secret is in this answer and nowhere else."""
    now = datetime.now(UTC)
    if body.expires_at is not None and not now < body.expires_at < now + _LATEST:
        raise Problem("invalid-request", "body.expires_at: it must be in the future, and within a hundred years")
    caller: Caller = request.state.caller
    secret, kept = await asyncio.to_thread(make_key)
    async with engine.begin() as connection:
        key = NewKey(**body.model_dump())
        public_id = await keys.add_key(connection, key, kept, created_by=caller.name)
        document = await _describe(connection, public_id)
    return json_response(document | {"key": secret}, 201, _SHOWN_ONCE | {"Location": document["url"]})


@router.get("/keys/{id}", responses={200: {"model": ApiKey}, **_UNKNOWN, **_ERRORS})
async def get_api_key(id: KeyId, connection: ReadingPrimary) -> Response:  # noqa: A002 - its public name
    """One key."""
    return json_response(await _describe(connection, id))


@router.post("/keys/{id}/rotate", status_code=201, responses={201: {"model": NewApiKey}, **_UNKNOWN, **_ERRORS})
async def rotate_api_key(id: KeyId, engine: Engine, body: RotateRequest | None = None) -> Response:  # noqa: A002
    """Give a key another secret, which is in this answer and nowhere else. The one before works on for a while."""
    secret, kept = await asyncio.to_thread(make_key)
    overlap = (body or RotateRequest()).overlap_seconds
    async with engine.begin() as connection:
        if not await keys.replace_secret(connection, id, kept, overlap_seconds=overlap):
            raise Problem("unknown-key", f"no key that can be used has the id {id}")
        document = await _describe(connection, id)
    return json_response(document | {"key": secret}, 201, _SHOWN_ONCE)


@router.delete("/keys/{id}", responses={200: {"model": ApiKey}, **_UNKNOWN, **_ERRORS})
async def revoke_api_key(id: KeyId, engine: Engine) -> Response:  # noqa: A002
    """Revoke a key, for good. Every process refuses it within a second."""
    async with engine.begin() as connection:
        await keys.save_revoked(connection, id)
        return json_response(await _describe(connection, id))


async def _describe(connection: AsyncConnection, public_id: UUID) -> dict[str, Any]:
    row = await keys.get_key(connection, public_id)
    if row is None:
        raise Problem("unknown-key", f"no key has the id {public_id}")
    return _key_document(row)


def _key_document(row: Mapping[str, Any]) -> dict[str, Any]:
    tier = TIERS[row["tier"]]
    return dict(row) | {
        "url": f"/api/v1/keys/{row['id']}",
        "requests_per_hour": row["requests_per_hour"] or tier.per_hour,
        "requests_per_burst": row["requests_per_burst"] or tier.per_burst,
        "areas": row["areas"] or sorted(tier.areas),
    }


def _read_id(text: str | int) -> UUID:
    try:
        return UUID(str(text))
    except ValueError:
        raise Problem("invalid-cursor", "cursor: it was altered") from None
