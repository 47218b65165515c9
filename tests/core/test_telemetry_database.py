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
PLAIN = "SELECT $1::text"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """What is logged; whatever takes time is slow here."""
    monkeypatch.setattr(database, "SLOW_SECONDS", 0.0)
    monkeypatch.setattr(database, "log", structlog.get_logger("test"))
    with structlog.testing.capture_logs() as captured:
        yield captured


def _statements(lines: Lines) -> list[str]:
    assert "canary" not in str(lines)
    return [line["statement"] for line in lines if line["event"] == "statement.slow"]


async def test_statements_of_an_engine(engine: AsyncEngine, lines: Lines) -> None:
    database.observe_engine("test", engine)
    async with engine.connect() as connection:
        await connection.execute(text("SELECT CAST(:value AS text), \n 1"), {"value": "canary"})
        with pytest.raises(Exception, match="division by zero"):
            await connection.execute(text("SELECT 1 / CAST(:zero AS int)"), {"zero": 0})
    found = _statements(lines)
    assert [item for item in found if "CAST" in item] == ["SELECT CAST($1 AS text), 1", "SELECT 1 / CAST($1 AS int)"]


async def test_statements_of_a_pool(settings: CoreSettings, lines: Lines) -> None:
    assert settings.database_url
    url = settings.database_url.get_secret_value()
    async with asyncpg.create_pool(url, min_size=0, max_size=1, init=database.observe_connection) as pool:
        # The second finds the connection given back by the first: it is still observed.
        for _ in range(2):
            await pool.fetchval(PLAIN, "canary")
    assert _statements(lines).count(PLAIN) == 2


def test_only_what_takes_long_is_slow(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "SLOW_SECONDS", 0.5)
    database.observe_statement("SELECT 1", 0.4, None)
    database.observe_statement("  \n", 0.6, ValueError("canary"))
    assert _statements(lines) == [""]
