"""`wump export`: the same in this process and over the wire, and a file only when all is there."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from wump_api.output import writing_to
from wump_core.cli import make_app
from wump_core.errors import ServerUnavailable, WumpError
from wump_core.settings import CoreSettings


@pytest.fixture
def run(facts: CoreSettings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Runs a command on the saved facts, in this process."""
    assert facts.database_url
    assert facts.valkey_url
    monkeypatch.setenv("WUMP_DATABASE_URL", facts.database_url.get_secret_value())
    monkeypatch.setenv("WUMP_VALKEY_URL", facts.valkey_url.get_secret_value())
    return lambda *arguments, **options: CliRunner().invoke(make_app(), list(arguments), **options)


@pytest.mark.parametrize("output", ["ndjson", "csv"])
def test_export_here_and_over_the_wire(run: Any, server: tuple[str, int], tmp_path: Path, output: str) -> None:
    url = f"http://{server[0]}:{server[1]}"
    arguments = ("npm:core", "--format", output, "--sort", "stars", "--scope", "runtime")
    here = run("export", *arguments)
    there = run("export", *arguments, "--url", url)
    assert (here.exit_code, there.exit_code) == (0, 0)
    assert here.stdout_bytes == there.stdout_bytes
    assert "left out of the list for pkg:npm/core" in here.stderr
    file = tmp_path / "rows"
    file.write_text("old")
    assert run("export", *arguments, "--output", str(file)).stdout == ""
    assert file.read_bytes() == here.stdout_bytes
    assert list(tmp_path.glob(".*")) == []
    exported, listed = (
        run(command, "npm:core", "--format", output, "--scope", "runtime", *options).stdout
        for command, *options in (("export",), ("orgs", "--limit", "0"))
    )
    if output == "csv":
        assert listed == exported
    else:
        assert list(map(json.loads, listed.splitlines())) == list(map(json.loads, exported.splitlines()))
    nobody = run("export", "npm:ghost", "--format", output)
    assert nobody.exit_code == 0
    assert "wump track" in nobody.stderr


def test_export_says_what_is_wrong(run: Any, tmp_path: Path) -> None:
    for arguments, message in (
        (("npm:nothing",), "pkg:npm/nothing is not known"),
        (("npm:core", "--sort", "login"), "query.sort"),
        (("npm:core", "--output", str(tmp_path / "no" / "rows")), "--output"),
        (("npm:core", "--url", "http://127.0.0.1:1"), "does not answer"),
    ):
        with pytest.raises(WumpError, match=r"[\s\S]") as raised:
            run("export", *arguments, catch_exceptions=False)
        assert message in str(raised.value)
    assert run("export", "npm:core", "--output", "/dev/null").exit_code == 0
    assert Path("/dev/null").is_char_device()
    assert list(tmp_path.iterdir()) == []


def test_a_file_appears_when_all_is_there(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    for content in (None, b"old"):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(ServerUnavailable):
            _break_off(file)
        assert [path.read_bytes() for path in tmp_path.iterdir()] == ([content] if content else [])


def _break_off(file: Path) -> None:
    with writing_to(str(file)) as sink:
        sink.write(b"a part")
        raise ServerUnavailable("it broke off")
