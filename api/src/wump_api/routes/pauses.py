"""Pauses and alerts, for operators: what is held up on purpose, and what is wrong."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Path, Response
from pydantic import Field
from wump_core.store import alerts, pauses, providers
from wump_core.texts import Storable

from wump_api.documents import Document, json_response, list_document
from wump_api.inject import Engine, ReadingPrimary
from wump_api.models import Model, Page
from wump_api.problems import Problem, ProblemDetails
from wump_api.routes.packages import AWAY, INVALID

router = APIRouter(tags=["jobs"])
Kind = Literal["job", "provider"]
_NAME: dict[str, Any] = {"min_length": 1, "max_length": 100, "pattern": r"^[a-z0-9_-]+$"}
PausedKind = Annotated[Kind, Path(description="A job, or a provider.")]
PausedName = Annotated[str, Path(**_NAME, description="Of the job or the provider.", examples=["github"])]
_NO_PROVIDER: dict[str, Any] = {"model": ProblemDetails, "description": "There is no provider of that name."}
_NO_ALERT = {"model": ProblemDetails, "description": "There is no such alert."}


class PauseRequest(Model):
    """What to pause."""

    kind: Kind
    name: str = Field(**_NAME, examples=["github"])
    reason: Annotated[str, Storable(500)] | None = Field(None, description="For whoever wonders later.")


class Pause(Model):
    """A job whose runs aren't started, or a provider that isn't asked."""

    id: str = Field(examples=["provider/github"])
    url: str = Field(examples=["/api/v1/pauses/provider/github"])
    kind: Kind
    name: str
    reason: str | None
    paused_at: datetime


class Alert(Model):
    """Something that is, or was, wrong."""

    id: str = Field(description="Its name.")
    url: str = Field(examples=["/api/v1/alerts/dead_jobs%3Aread_repository"])
    name: str = Field(examples=["dead_jobs"])
    severity: Literal["P1", "P2", "P3", "P4"]
    message: str
    since: datetime
    seen_at: datetime
    delivered_at: datetime | None = Field(description="When the webhook last took it.")
    ended_at: datetime | None = Field(description="When it was over; null: it is not.")


@router.get("/pauses", responses={200: {"model": Page[Pause]}, 503: AWAY})
async def list_pauses(connection: ReadingPrimary) -> Response:
    """What is paused, jobs and providers: all of it, as there are few."""
    rows = [_document(row) for row in await pauses.list_pauses(connection)]
    return json_response(list_document(rows, None, total=len(rows)))


@router.post("/pauses", status_code=201, responses={201: {"model": Pause}, 404: _NO_PROVIDER, 422: INVALID, 503: AWAY})
async def add_pause(body: PauseRequest, engine: Engine) -> Response:
    """Start no more runs of a job, or ask a provider nothing more. What is paused already stays so, as it was."""
    async with engine.begin() as connection:
        if body.kind == "provider":
            known = [row["name"] for row in await providers.list_provider_reports(connection)]
            if known and body.name not in known:
                raise Problem(
                    "unknown-provider", f"name: there is no provider {body.name!r}: expected one of {', '.join(known)}"
                )
        await pauses.add_pause(connection, body.kind, body.name, reason=body.reason)
        row = await _get(connection, body.kind, body.name)
    return json_response(row, 201)


_ABOUT_ONE = {404: {"model": ProblemDetails, "description": "That isn't paused."}, 422: INVALID, 503: AWAY}


@router.get("/pauses/{kind}/{name}", responses={200: {"model": Pause}, **_ABOUT_ONE})
async def get_pause(kind: PausedKind, name: PausedName, connection: ReadingPrimary) -> Response:
    """One pause."""
    return json_response(await _get(connection, kind, name))


@router.delete("/pauses/{kind}/{name}", responses={200: {"model": Pause}, **_ABOUT_ONE})
async def remove_pause(kind: PausedKind, name: PausedName, engine: Engine) -> Response:
    """Go on with a job or a provider; what waited is due now. The answer shows the pause as it was."""
    async with engine.begin() as connection:
        row = await _get(connection, kind, name)
        await pauses.remove_pause(connection, kind, name)
    return json_response(row)


@router.get("/alerts", responses={200: {"model": Page[Alert]}, 503: AWAY})
async def list_alerts(connection: ReadingPrimary) -> Response:
    """What is wrong now, the worst first, and what was within a month, a hundred at the most."""
    rows = [_alert_document(row) for row in await alerts.list_alerts(connection)]
    return json_response(list_document(rows, None))


@router.get("/alerts/{id:path}", responses={200: {"model": Alert}, 404: _NO_ALERT, 422: INVALID, 503: AWAY})
async def get_alert(
    id: Annotated[str, Path(max_length=300, pattern=r"^[^\x00]+$", description="As the list has it.")],  # noqa: A002
    connection: ReadingPrimary,
) -> Response:
    """One alert."""
    for row in await alerts.list_alerts(connection):
        if row["name"] == id:
            return json_response(_alert_document(row))
    raise Problem("unknown-alert", f"id: no alert is named {id[:100]!r}")


def _alert_document(row: Mapping[str, Any]) -> Document:
    return dict(row) | {"id": row["name"], "url": f"/api/v1/alerts/{quote(row['name'], safe='')}"}


async def _get(connection: Any, kind: str, name: str) -> Document:
    for row in await pauses.list_pauses(connection):
        if (row["kind"], row["name"]) == (kind, name):
            return _document(row)
    raise Problem("not-paused", f"the {kind} {name} is not paused")


def _document(row: Mapping[str, Any]) -> Document:
    name = f"{row['kind']}/{row['name']}"
    return dict(row) | {"id": name, "url": f"/api/v1/pauses/{name}"}
