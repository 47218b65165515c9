"""Schedules, for operators: which jobs are due by themselves, when, and with what."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, ConfigDict, Field, model_validator
from wump_core.cron import MAX_LENGTH, check_cron
from wump_core.errors import ConfigurationError
from wump_core.store import schedules
from wump_core.texts import Storable

from wump_api.documents import Document, json_response, list_document
from wump_api.inject import Engine, ReadingPrimary
from wump_api.models import Model, Page
from wump_api.problems import Problem, ProblemDetails
from wump_api.routes.packages import AWAY, INVALID

router = APIRouter(tags=["jobs"])
ScheduleName = Annotated[
    str,
    Path(
        min_length=1,
        max_length=100,
        pattern=r"^[a-z0-9_-]+$",
        description="The schedule's name, as the list has it.",
        examples=["clean_up"],
    ),
]
_ABOUT_ONE: dict[int | str, dict[str, Any]] = {
    404: {"model": ProblemDetails, "description": "There is no such schedule."},
    422: INVALID,
    503: AWAY,
}
_NO_SCHEDULER = "No scheduler has run so far: start one with `wump up` or `wump scheduler`."


class Schedule(Model):
    """When a job is due by itself, and what became of its last run."""

    id: str = Field(description="Its name.", examples=["clean_up"])
    url: str = Field(examples=["/api/v1/schedules/clean_up"], description="Permalink.")
    name: str = Field(examples=["clean_up"])
    job: str = Field(examples=["clean_up"])
    subject: str = Field(examples=["all"], description="What its runs are about; `all`: nothing.")
    arguments: dict[str, Any] = Field(description="What its runs are given.")
    queue: Literal["high", "normal", "low"]
    cron: str = Field(examples=["0 4 1 * *"], description="Minute, hour, day of month, month, day of week; in UTC.")
    custom: bool = Field(description="Whether an operator has set `cron`.")
    own_cron: str | None = Field(
        examples=["0 4 1 * *"], description="What the job itself says; null: no scheduler of this version has run."
    )
    next_at: datetime | None = Field(
        description="When it is due next; null: a scheduler works it out within a second, or `error` says why not."
    )
    last_fire_at: datetime | None = Field(description="The moment that its last run stands for; null: none so far.")
    skipped: int = Field(description="Moments that passed without a run before that, as in a downtime.")
    paused_at: datetime | None = Field(description="Since when it makes nothing due; null: it is not paused.")
    error: str | None = Field(description="Why it is never due; null: it is.")
    last_execution: UUID | None = Field(description="The id of its last run; null: there is none, or it is cleaned up.")
    last_state: Literal["pending", "running", "completed", "failed", "dead"] | None
    last_outcome: dict[str, Any] | None
    last_finished_at: datetime | None


def _check(expression: str) -> str:
    try:
        check_cron(expression)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    return expression


class ScheduleChanges(Model):
    """What to change; what is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    # Their defaults come from factories, so that the description shows none: left out is not the same as given so.
    cron: Annotated[str, Storable(MAX_LENGTH, 1), AfterValidator(_check)] | None = Field(
        default_factory=lambda: None,
        examples=["0 5 1 * *"],
        description="Minute, hour, day of month, month, day of week; in UTC. Null: back to the job's own.",
    )
    arguments: dict[Annotated[str, Storable(100, 1)], Annotated[str, Storable(1_000)] | int | bool | None] = Field(
        default_factory=dict, max_length=20, description="What its runs are given from now on, instead of what was."
    )
    paused: bool = Field(default_factory=bool, strict=True, description="Whether it makes nothing due.")

    @model_validator(mode="after")
    def _is_some(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("give at least one of cron, arguments and paused")
        return self


@router.get("/schedules", responses={200: {"model": Page[Schedule]}, 503: AWAY})
async def list_schedules(connection: ReadingPrimary) -> Response:
    """All schedules by name, as there are few; none before a scheduler has run."""
    rows = [_document(row) for row in await schedules.list_schedules(connection)]
    return json_response(list_document(rows, None, total=len(rows), hint=None if rows else _NO_SCHEDULER))


@router.get("/schedules/{name}", responses=_ABOUT_ONE | {200: {"model": Schedule}})
async def get_schedule(name: ScheduleName, connection: ReadingPrimary) -> Response:
    """One schedule."""
    return _answer(name, await schedules.get_schedule(connection, name))


@router.patch("/schedules/{name}", responses=_ABOUT_ONE | {200: {"model": Schedule}})
async def change_schedule(name: ScheduleName, body: ScheduleChanges, engine: Engine) -> Response:
    """Change when a schedule is due, what its runs are given, or whether it is paused.

    What a paused schedule's moments would have started is not made up for. Only workers know which arguments a job
    takes: a run with others ends dead and says so.
    """
    try:
        async with engine.begin() as connection:
            row = await schedules.change_schedule(connection, name, body.model_dump(exclude_unset=True))
    except ConfigurationError as error:
        raise Problem("invalid-request", f"cron: {error}") from None
    return _answer(name, row)


def _answer(name: str, row: Mapping[str, Any] | None) -> Response:
    if row is None:
        raise Problem("unknown-schedule", f"name: there is no schedule {name!r}")
    return json_response(_document(row))


def _document(row: Mapping[str, Any]) -> Document:
    return dict(row) | {"id": row["name"], "url": f"/api/v1/schedules/{row['name']}"}
