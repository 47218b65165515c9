"""Executions: how the work that a request started goes."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Response
from wump_core.store import executions

from wump_api.documents import json_response
from wump_api.inject import ReadingPrimary
from wump_api.models import Execution
from wump_api.problems import Problem, ProblemDetails

router = APIRouter(tags=["executions"])


def execution_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """One run."""
    return dict(row) | {"url": f"/api/v1/executions/{row['id']}"}


@router.get(
    "/executions/{id}",
    responses={
        200: {"model": Execution},
        404: {"model": ProblemDetails, "description": "There is no such execution."},
        422: {"model": ProblemDetails, "description": "The id is no UUID."},
        503: {"model": ProblemDetails, "description": "The database is away."},
    },
)
async def get_execution(
    id: Annotated[UUID, Path(description="As the answer that started it says.")],  # noqa: A002 - its public name
    connection: ReadingPrimary,
) -> Response:
    """One run of a job: its state, and what it came to."""
    row = await executions.get_execution(connection, id)
    if row is None:
        raise Problem("unknown-execution", f"no execution has the id {id}")
    return json_response(execution_document(row))
