"""Takedowns, for operators: accounts that asked to be named nowhere."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field
from valkey.exceptions import ValkeyError
from wump_core.schedule import plan_takedown
from wump_core.store import takedowns
from wump_core.texts import Storable

from wump_api.cache import drop_cache
from wump_api.documents import Document, json_response, list_document
from wump_api.inject import Engine, ReadingPrimary
from wump_api.models import Model, Page
from wump_api.pages import make_cursor, read_cursor
from wump_api.problems import Problem, ProblemDetails
from wump_api.routes.packages import AWAY, INVALID, PageParameters

router = APIRouter(tags=["takedowns"])
TakedownId = Annotated[UUID, Path(description="As the list has it.")]
_QUERY = ("takedowns",)
_ABOUT_ONE = {404: {"model": ProblemDetails, "description": "There is no such takedown."}, 422: INVALID, 503: AWAY}


class TakedownRequest(Model):
    """Whom to name no more."""

    account: str = Field(
        min_length=3,
        max_length=500,
        pattern=r"^[A-Za-z0-9.:_-]+/[^\x00-\x20/?#]+(/[^\x00-\x20/?#]+)*$",
        examples=["github.com/expressjs"],
        description="The host and the login, or the path of a nested group.",
    )
    reason: Annotated[str, Storable(500)] | None = Field(
        None, description="For your own record; never shown to others."
    )


class Takedown(Model):
    """An account that is named nowhere."""

    id: UUID
    url: str = Field(examples=["/api/v1/takedowns/01890a5d-ac96-774b-bcce-b302099a8057"])
    host: str = Field(examples=["github.com"])
    login: str = Field(examples=["expressjs"])
    reason: str | None
    created_by: str | None
    created_at: datetime


class Takedowns(Model):
    """What was taken down by a request: the account, and all others of its organization."""

    data: list[Takedown]
    executions: list[str] = Field(description="Where to look for how taking them out of all lists goes.")


@router.get("/takedowns", responses={200: {"model": Page[Takedown]}, 422: INVALID, 503: AWAY})
async def list_takedowns(connection: ReadingPrimary, wanted: Annotated[PageParameters, Query()]) -> Response:
    """The accounts that are named nowhere, by host and login."""
    after = None
    if wanted.cursor:
        host, login = read_cursor(_QUERY, wanted.cursor, [str, str])
        after = (str(host), str(login))
    rows = await takedowns.list_takedowns(connection, after=after, limit=wanted.limit + 1)
    page = rows[: wanted.limit]
    next_cursor = make_cursor(_QUERY, [page[-1]["host"], page[-1]["login"]]) if len(rows) > wanted.limit else None
    return json_response(list_document([_document(row) for row in page], next_cursor))


@router.post("/takedowns", status_code=202, responses={202: {"model": Takedowns}, 422: INVALID, 503: AWAY})
async def add_takedown(request: Request, body: TakedownRequest, engine: Engine) -> Response:
    """Name an account nowhere any more: in no list, search, export or badge, and by no new fact.

    All accounts of its organization are taken down with it. What names it is hidden at once; lists of dependents
    follow within seconds, when the runs of `executions` are completed.
    """
    host, _, login = body.account.lower().partition("/")
    async with engine.begin() as connection:
        rows = await takedowns.add_takedown(
            connection, host, login, reason=body.reason, created_by=request.state.caller.name
        )
        planned = [await plan_takedown(connection, row["host"], row["login"]) for row in rows]
    await _drop(request)
    return json_response(_answer(rows, planned), 202)


@router.get("/takedowns/{id}", responses={200: {"model": Takedown}, **_ABOUT_ONE})
async def get_takedown(id: TakedownId, connection: ReadingPrimary) -> Response:  # noqa: A002 - its public name
    """One account that is named nowhere."""
    row = await takedowns.get_takedown(connection, id)
    if row is None:
        raise _unknown(id)
    return json_response(_document(row))


@router.delete("/takedowns/{id}", responses={200: {"model": Takedowns}, **_ABOUT_ONE})
async def delete_takedown(request: Request, id: TakedownId, engine: Engine) -> Response:  # noqa: A002 - its public name
    """Let one account be named again; the answer shows the takedown as it was."""
    async with engine.begin() as connection:
        row = await takedowns.delete_takedown(connection, id)
        if row is None:
            raise _unknown(id)
        planned = [await plan_takedown(connection, row["host"], row["login"])]
    await _drop(request)
    return json_response(_answer([row], planned))


def _unknown(public_id: UUID) -> Problem:
    return Problem("unknown-takedown", f"no takedown has the id {public_id}")


async def _drop(request: Request) -> None:
    """Forget what is cached. Where Valkey is away, so is what it keeps: it starts empty, or answers run out."""
    if request.app.state.cache is not None:
        request.app.state.cache.forget_near()
    with suppress(ValkeyError, OSError, TimeoutError):
        await drop_cache(request.app.state.answers)


def _answer(rows: list[Mapping[str, Any]], planned: list[UUID]) -> Document:
    return {"data": [_document(row) for row in rows], "executions": [f"/api/v1/executions/{id_}" for id_ in planned]}


def _document(row: Mapping[str, Any]) -> Document:
    return dict(row) | {"url": f"/api/v1/takedowns/{row['id']}"}
