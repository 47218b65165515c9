"""Slow statements are logged, without their values, whichever of the two drivers executes them."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import asyncpg
import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.settings import CoreSettings
from wump_core.telemetry import database

Lines = list[MutableMapping[str, Any]]
PLAIN = "SELECT $1::text, pg_sleep(0.01)"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What is logged; a hundredth of a second is slow here."""
    monkeypatch.setattr(database, "SLOW_SECONDS", 0.01)
    monkeypatch.setattr(database, "log", structlog.get_logger("test"))
    with structlog.testing.capture_logs() as captured:
        yield captured


async def test_of_an_engine(engine: AsyncEngine, lines: Lines) -> None:
    database.observe_engine("test", engine)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        await connection.execute(text("SELECT CAST(:value AS text), \n pg_sleep(0.01)"), {"value": "canary"})
        with pytest.raises(Exception, match="division by zero"):
            await connection.execute(text("SELECT pg_sleep(0.01), 1 / CAST(:zero AS int)"), {"zero": 0})
    slow = [line["statement"] for line in lines if line["event"] == "statement.slow"]
    assert slow[0] == "SELECT CAST($1 AS text), pg_sleep(0.01)"
    assert len(slow) == 2
    assert "canary" not in str(lines)


async def test_of_a_pool(settings: CoreSettings, lines: Lines) -> None:
    assert settings.database_url
    url = settings.database_url.get_secret_value()
    async with asyncpg.create_pool(url, min_size=0, max_size=1, init=database.observe_connection) as pool:
        # The second finds the connection given back by the first: it is still observed.
        for _ in range(2):
            await pool.fetchval(PLAIN, "canary")
    assert [line["statement"] for line in lines if line["event"] == "statement.slow"] == [PLAIN, PLAIN]
    assert "canary" not in str(lines)
