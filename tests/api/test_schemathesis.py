"""schemathesis: what the description allows and what it doesn't, asked of a real server process."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from wump_core.settings import CoreSettings
from wump_core.store import make_engine

PROGRAM = Path(sys.executable).with_name("st")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = 20


@pytest.mark.timeout(960)
@pytest.mark.skipif(not PROGRAM.exists(), reason="schemathesis is not installed")
def test_it_finds_nothing(
    settings: CoreSettings,
    adding: Any,
    running_api: Callable[[CoreSettings], AbstractContextManager[tuple[str, int]]],
    tmp_path: Path,
) -> None:
    async def add() -> str:
        assert settings.database_url
        engine = make_engine(settings.database_url, application_name="tests")
        key: str = await adding(engine, "operator", requests_per_hour=10_000_000, requests_per_burst=10_000_000)
        await engine.dispose()
        return key

    key = asyncio.run(add())
    with running_api(settings) as (host, port):
        done = subprocess.run(
            [
                *(str(PROGRAM), f"--config-file={CONFIGURATION}", "run", f"http://{host}:{port}/openapi.json"),
                *("--header", f"X-API-Key: {key}", "--phases", "examples,fuzzing"),
                *("--max-examples", str(EXAMPLES), "--generation-deterministic"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]


def test_each_exclusion_is_explained() -> None:
    page = (Path(__file__).parents[2] / "docs" / "decisions" / "0036-schemathesis.md").read_text("utf-8")
    lines = CONFIGURATION.read_text("utf-8").splitlines()
    excluded = [line.split(".")[-2] for line in lines if line.endswith(".enabled = false")]
    assert len(excluded) == 6
    assert not [name for name in excluded if f"`{name}`" not in page]
