"""A database for reading beside the one for writing, as a replica is."""

from typing import Any

import pytest
from pydantic import SecretStr
from wump_core.errors import ConfigurationError
from wump_core.settings import CoreSettings, load_settings

CORE = "/api/v1/packages/npm/core/dependents"


async def test_reading_elsewhere(settings: CoreSettings, facts: CoreSettings, serving: Any) -> None:
    """Two databases stand in for a primary and its replica, so that it shows who was asked."""
    async with serving(settings.model_copy(update={"read_database_url": facts.database_url})) as api:
        assert (await api.get(CORE)).status_code == 200
        assert len((await api.get(CORE, params={"format": "csv"})).text.splitlines()) == 30
        made = await api.post("/api/v1/packages", json={"purl": "npm:new"})
        assert (await api.get(made.headers["location"])).status_code == 200
        assert (await api.get("/api/v1/packages/npm/new")).status_code == 404
        assert (await api.get("/health/jobs")).json()["waiting"] == 1
    async with serving(settings) as api:
        assert (await api.get("/api/v1/packages/npm/new")).status_code == 200


@pytest.mark.parametrize(("broken", "name"), [("database_url", "the database"), ("read_database_url", "for reading")])
async def test_health_says_which_database(settings: CoreSettings, serving: Any, broken: str, name: str) -> None:
    both = settings.model_copy(update={"read_database_url": settings.database_url})
    async with serving(both) as api:
        assert (await api.get("/health/db")).json() == {"status": "ok", "detail": None}
    away = SecretStr("postgresql://wump@127.0.0.1:1/wump")
    async with serving(both.model_copy(update={broken: away})) as api:
        response = await api.get("/health/db")
        assert response.status_code == 503
        detail = response.json()["detail"]
        assert name in detail
        assert ("for reading" in detail) == (broken == "read_database_url")


async def test_an_address_that_is_none(settings: CoreSettings, serving: Any) -> None:
    wrong = settings.model_copy(update={"read_database_url": SecretStr("postgresql://wump@127.0.0.1:secret/wump")})
    with pytest.raises(ConfigurationError, match="WUMP_READ_DATABASE_URL") as raised:
        async with serving(wrong):
            pass
    assert "secret" not in str(raised.value)


def test_a_replica_needs_a_primary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WUMP_READ_DATABASE_URL", "mysql://x")
    with pytest.raises(ConfigurationError, match=r"WUMP_READ_DATABASE_URL: .*must start with postgresql://"):
        load_settings()
    monkeypatch.setenv("WUMP_READ_DATABASE_URL", "postgresql://wump@127.0.0.1:1/wump")
    with pytest.raises(ConfigurationError, match=r"WUMP_READ_DATABASE_URL: .*needs WUMP_DATABASE_URL"):
        load_settings()
