"""`wump merges`: an operator's word on who is one."""

import asyncio
import json
from collections.abc import Callable

import pytest
from core.test_organizations import told
from typer.testing import CliRunner, Result
from wump_core.errors import ConfigurationError, WumpError
from wump_core.settings import CoreSettings
from wump_core.store import make_engine
from wump_worker.merging import app

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(settings: CoreSettings, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run `wump merges` with these arguments; its errors come through."""
    assert settings.database_url is not None
    assert settings.valkey_url is not None
    monkeypatch.setenv("WUMP_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("WUMP_VALKEY_URL", settings.valkey_url.get_secret_value())
    return lambda *arguments: CliRunner().invoke(app, ["merges", *arguments], catch_exceptions=False)


def test_a_merge_is_added_listed_and_undone(invoke: Invoke, settings: CoreSettings) -> None:
    assert settings.database_url is not None
    url = settings.database_url

    async def prepare() -> None:
        engine = make_engine(url, application_name="tests", pool_size=1)
        for number, login in enumerate(("acme", "acme-labs")):
            await told(engine, login, str(number))
        await engine.dispose()

    asyncio.run(prepare())
    both = ("GitHub.com/acme-labs", "github.com/Acme")
    added = invoke("add", *both, "--because", "their website")
    merge = added.stdout.strip()
    assert (added.exit_code, len(merge)) == (0, 36)
    (listed,) = json.loads(invoke("--format", "json").stdout)
    assert (listed["id"], listed["absorbed_login"], listed["into_login"]) == (merge, "acme-labs", "acme")
    assert (listed["evidence"], listed["detail"], listed["undone_at"]) == ("operator", "their website", None)
    with pytest.raises(ConfigurationError, match="belong to one organization already"):
        invoke("add", *both)
    assert invoke("undo", merge, "--because", "they are not").exit_code == 0
    assert "they are not" in invoke().stdout
    for arguments, message in (
        (("undo", merge), "was undone before"),
        (("undo", merge[:-1] + "x"), None),
        (("undo", "00000000-0000-7000-8000-000000000000"), "there is no merge"),
        (("add", "github.com/nobody", "github.com/acme"), "no account 'github.com/nobody' is known"),
    ):
        if message is None:
            assert invoke(*arguments).exit_code == 2
            continue
        with pytest.raises(WumpError, match=message):
            invoke(*arguments)
