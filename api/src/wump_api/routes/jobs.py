"""Jobs, for operators: look at the runs of the ledger, run a failed one again, discard one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field
from wump_core.store import executions, operations
from wump_core.texts import Storable

from wump_api.documents import Document, json_response, list_document
from wump_api.inject import Engine, ReadingPrimary
from wump_api.models import Execution, Model, Page
from wump_api.pages import make_cursor, read_cursor
from wump_api.problems import Problem, ProblemDetails
from wump_api.routes.packages import AWAY, INVALID, PageParameters

router = APIRouter(tags=["jobs"])
State = Literal["pending", "running", "completed", "failed", "dead"]
RunId = Annotated[UUID, Path(description="The run's id, as the list has it.")]
_UNKNOWN = {404: {"model": ProblemDetails, "description": "There is no such run."}}
_REFUSED = {409: {"model": ProblemDetails, "description": "Its state doesn't allow that."}}


class Run(Execution):
    """One run of a job, with what an operator may want to know."""

    arguments: dict[str, Any]
    arguments_version: int
    lease_until: datetime | None = Field(description="Until when its worker has it.")
    outage_since: datetime | None = Field(
        description="Since when something else than the job keeps it from being done."
    )
    schedule: str | None = Field(description="The schedule that it was due by.")
    fire_at: datetime | None
    rerun_requested: bool
    metadata: dict[str, Any]
    trace_id: str | None


class JobsParameters(PageParameters):
    """Which runs."""

    state: list[State] | None = Field(None, max_length=5, description="Only runs in this state; may be given again.")
    job: str | None = Field(None, min_length=1, max_length=100, pattern=r"^[a-z_]+$", description="Only of this job.")
    queue: Literal["high", "normal", "low"] | None = Field(None, description="Only of this queue.")
    subject: str | None = Field(
        None, min_length=1, max_length=1_000, pattern=r"^[^\x00]+$", description="Only about exactly this."
    )


@router.get("/jobs", responses={200: {"model": Page[Run]}, 422: INVALID, 503: AWAY})
async def list_jobs(connection: ReadingPrimary, wanted: Annotated[JobsParameters, Query()]) -> Response:
    """The runs of jobs, the newest first."""
    states = sorted(set(wanted.state or ()))
    query = ("jobs", *states, wanted.job, wanted.queue, wanted.subject)
    before = None
    if wanted.cursor:
        before = _read_id(str(read_cursor(query, wanted.cursor, [str])[0]))
    rows = await operations.list_executions(
        connection,
        states=states,
        job=wanted.job,
        queue=wanted.queue,
        subject=wanted.subject,
        before=before,
        limit=wanted.limit + 1,
    )
    page = rows[: wanted.limit]
    next_cursor = make_cursor(query, [str(page[-1]["id"])]) if len(rows) > wanted.limit else None
    return json_response(list_document([run_document(row) for row in page], next_cursor))


def _read_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Problem("invalid-cursor", "cursor: it was altered") from None


def run_document(row: Mapping[str, Any]) -> Document:
    """One run."""
    return dict(row) | {"url": f"/api/v1/jobs/{row['id']}", "trace_id": row["trace_id"] or None}


class RunRequest(Model):
    """What is to be run."""

    job: str = Field(min_length=1, max_length=100, pattern=r"^[a-z_]+$", examples=["refresh_package"])
    subject: Annotated[str, Storable(1_000, 1)] = Field(
        "all", examples=["pkg:npm/express"], description="What it is about, as the ledger has it; `all`: nothing."
    )
    arguments: dict[Annotated[str, Storable(100, 1)], Annotated[str, Storable(1_000)] | int | bool | None] = Field(
        default_factory=dict, max_length=20, examples=[{"depth": 1}]
    )
    arguments_version: int = Field(1, ge=1, le=1_000, strict=True, description="Of their form; 1 for most jobs.")


@router.post("/jobs", status_code=202, responses={202: {"model": Run}, 422: INVALID, 503: AWAY})
async def run_job(body: RunRequest, engine: Engine) -> Response:
    """Make one run of a job due now, or join the open one of the same subject.

    Only workers know which jobs there are: a run of none, or with a subject or arguments that it can't have, ends dead
    and says so.
    """
    async with engine.begin() as connection:
        public_id = await executions.add_execution(
            connection,
            body.job,
            body.subject,
            queue="high",
            arguments=body.arguments,
            version=body.arguments_version,
        )
        row = await _get(connection, public_id)
    document = run_document(row)
    return json_response(document, 202, {"Location": document["url"]})


@router.get("/jobs/{id}", responses={200: {"model": Run}, **_UNKNOWN, 422: INVALID, 503: AWAY})
async def get_job(id: RunId, connection: ReadingPrimary) -> Response:  # noqa: A002 - its public name
    """One run of a job."""
    return json_response(run_document(await _get(connection, id)))


@router.post("/jobs/{id}/retry", responses={200: {"model": Run}, **_UNKNOWN, **_REFUSED, 422: INVALID, 503: AWAY})
async def retry_job(id: RunId, engine: Engine) -> Response:  # noqa: A002 - its public name
    """Make a failed or dead run due now, as if it were new."""
    async with engine.begin() as connection:
        row = await _get(connection, id)
        if not await operations.retry_executions(connection, [id]):
            raise Problem(
                "wrong-state",
                f"the run is {row['state']}, or its job is open again for the same subject: only failed and dead"
                " runs can be run again",
                state=row["state"],
            )
        row = await _get(connection, id)
    return json_response(run_document(row))


@router.delete("/jobs/{id}", responses={200: {"model": Run}, **_UNKNOWN, **_REFUSED, 422: INVALID, 503: AWAY})
async def discard_job(id: RunId, engine: Engine) -> Response:  # noqa: A002 - its public name
    """Remove a run that isn't running or completed; the answer shows it as it was."""
    async with engine.begin() as connection:
        row = await _get(connection, id)
        if not await operations.discard_executions(connection, [id]):
            raise Problem(
                "wrong-state",
                f"the run is {row['state']}: what runs or is completed can't be discarded",
                state=row["state"],
            )
    return json_response(run_document(row))


async def _get(connection: Any, public_id: UUID) -> Mapping[str, Any]:
    row = await operations.get_execution_details(connection, public_id)
    if row is None:
        raise Problem("unknown-execution", f"no run has the id {public_id}")
    return row
