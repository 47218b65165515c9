"""The benchmarks run, measure what they say, and are what the docs show. Nothing here asserts a time."""

import ast
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import wump_api
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks.command import DOCS, LARGE_ONLY, MEASUREMENTS, read_documents
from benchmarks.graph import SIZES, describe_graph, make_graph
from benchmarks.report import make_page
from benchmarks.telemetry import remove_calls

RUN = Path(__file__).with_name("run.py")
NOT_ALWAYS_RUN = {"datasette"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the smallest run of all measurements writes."""
    file = tmp_path_factory.mktemp("benchmarks") / "tiny.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WUMP_")}
    command = [sys.executable, str(RUN), "--size", "tiny", "--json", str(file), "--only", *MEASUREMENTS]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=150, check=False)
    assert result.returncode == 0, result.stderr[-2_000:]
    return json.loads(file.read_text("utf-8"))


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_each_measurement_has_numbers(measured: Any, name: str) -> None:
    found = measured["measurements"][name]
    assert found["title"]
    if name in NOT_ALWAYS_RUN:
        assert found["figures"] or found["notes"][0].startswith("not run: ")
        return
    assert found["figures"]
    for figure in found["figures"]:
        assert figure["low"] <= figure["median"] <= figure["high"]
        assert math.isfinite(figure["median"])
        assert figure["runs"] > 0
    for bar in found["bars"]:
        assert bar["met"] == (bar["value"] <= bar["limit"] if bar["at_most"] else bar["value"] >= bar["limit"])


def test_where_and_what_was_measured_is_said(measured: Any) -> None:
    assert measured["machine"]["cores"] > 0
    assert measured["machine"]["postgres"].startswith("18")
    assert measured["graph"]["statements"]["rows"] > 25_000
    assert make_page(measured).count("\n## ") >= len(MEASUREMENTS)


def test_what_telemetry_that_is_off_is_compared_with_has_none() -> None:
    source = "from wump_core.telemetry import note_job\ntry:\n    note_job(1)\nfinally:\n    note_other(2)\n"
    tree, taken = remove_calls(source)
    assert (ast.unparse(tree).split("\n")[2:], taken) == (["    pass", "finally:", "    note_other(2)"], 1)
    modules = Path(wump_api.__file__).parent.rglob("*.py")
    assert sum(remove_calls(path.read_text("utf-8"))[1] for path in modules) > 10


async def test_the_same_seed_makes_the_same_graph(engine: AsyncEngine, database_url: str, measured: Any) -> None:
    """This database and the run's own server hold the same, but for keys that are random and the time."""
    connection = await asyncpg.connect(database_url)
    try:
        await make_graph(connection, SIZES["tiny"], measured["seed"])
        again = await describe_graph(connection)
    finally:
        await connection.close()
    assert again == measured["graph"]


def test_the_page_shows_what_was_measured() -> None:
    small, *large = read_documents()
    assert [*small["measurements"], *LARGE_ONLY] == list(MEASUREMENTS)
    assert all(document["size"] == "large" for document in large)
    assert make_page(small, *large) == (DOCS / "performance.md").read_text("utf-8"), "run.py --docs writes it"
