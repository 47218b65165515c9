"""Executions: how the work goes that a request started."""

import json
from typing import Any

import pytest
from sqlalchemy import text
from wump_api.models import Execution

OUTCOMES = [
    ("completed", {"code": "saved", "provider": "npm", "version": "1.0.0"}),
    ("completed", {"code": "saved", "provider": "npm", "version": None, "message": "no metadata"}),
    ("failed", {"code": "unavailable", "message": "<b>upstream</b> answered 500\r\nX: y"}),
    ("dead", {"code": "lease_lost", "message": "its workers died again and again"}),
    ("running", None),
]


@pytest.mark.parametrize(("state", "outcome"), OUTCOMES)
async def test_every_state_has_the_documented_shape(empty_api: Any, state: str, outcome: Any) -> None:
    started = (await empty_api.post("/api/v1/packages", json={"purl": "npm:a"})).json()
    async with empty_api.app.state.engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE job_executions SET state = :state, outcome = CAST(:outcome AS jsonb), started_at = now(),"
                " finished_at = CASE WHEN :state IN ('completed', 'dead') THEN now() END, records_processed = 3"
            ),
            {"state": state, "outcome": None if outcome is None else json.dumps(outcome)},
        )
    response = await empty_api.get(started["url"])
    assert response.headers["content-type"] == "application/json"
    execution = Execution.model_validate(response.json())
    assert (execution.state, execution.outcome, str(execution.id)) == (state, outcome, started["id"])


async def test_a_finished_run_is_followed_by_a_new_one(empty_api: Any) -> None:
    first = (await empty_api.post("/api/v1/packages", json={"purl": "npm:a"})).json()
    async with empty_api.app.state.engine.begin() as connection:
        await connection.execute(text("UPDATE job_executions SET state = 'completed'"))
    second = (await empty_api.post("/api/v1/packages", json={"purl": "npm:a"})).json()
    assert second["id"] != first["id"]
    assert (await empty_api.get(first["url"])).json()["state"] == "completed"


async def test_an_unknown_run(api: Any, problem: Any) -> None:
    missing = "0" * 8 + "-0000-0000-0000-" + "0" * 12
    document = problem(await api.get(f"/api/v1/executions/{missing}"), 404, "unknown-execution")
    assert missing in document["detail"]
    for text_ in ("1", "%00", "%E2%80%AE", "x" * 5_000):
        document = problem(await api.get(f"/api/v1/executions/{text_}"), 422, "invalid-request")
        assert document["errors"][0]["field"] == "path.id"
