"""The commands that ask: the same in this process and over the wire, in every format, and clear when used wrongly."""

import csv
import http.server
import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from wump_core.cli import make_app
from wump_core.errors import WumpError
from wump_core.settings import CoreSettings

Run = Callable[..., Any]


@pytest.fixture
def run(facts: CoreSettings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command on the saved facts, in this process."""
    assert facts.database_url
    assert facts.valkey_url
    monkeypatch.setenv("WUMP_DATABASE_URL", facts.database_url.get_secret_value())
    monkeypatch.setenv("WUMP_VALKEY_URL", facts.valkey_url.get_secret_value())
    return lambda *arguments, **options: CliRunner().invoke(make_app(), list(arguments), **options)


@pytest.fixture
def address(server: tuple[str, int]) -> str:
    return f"http://{server[0]}:{server[1]}"


def test_organizations_in_every_format(run: Run) -> None:
    table = run("orgs", "npm:core", "--limit", "3")
    assert table.exit_code == 0
    assert len(table.stdout.strip().splitlines()) == 4
    assert "left out of the list for pkg:npm/core: 1 own organization, 2 no owner" in table.stderr
    document = json.loads(run("orgs", "npm:core", "--limit", "0", "--format", "json").stdout)
    assert len(document["data"]) == document["meta"]["total"] == 29
    lines = run("orgs", "npm:core", "--limit", "0", "--format", "ndjson").stdout.splitlines()
    assert [json.loads(line) for line in lines] == document["data"]
    rows = list(csv.DictReader(io.StringIO(run("orgs", "npm:core", "--limit", "0", "--format", "csv").stdout)))
    assert [row["id"] for row in rows] == [row["id"] for row in document["data"]]
    assert {row["usage.runtime"] for row in rows} >= {"1", ""}


def test_a_spreadsheet_runs_nothing(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("orgs", "npm:core", "--limit", "0", "--format", "csv").stdout)))
    assert "'=HYPERLINK(1)" in {row["evidence.version"] for row in rows}
    assert not [value for row in rows for value in row.values() if value.startswith(("=", "+", "-", "@", "\t", "\r"))]


@pytest.mark.parametrize("output", ["table", "json", "ndjson", "csv"])
def test_over_the_wire_is_as_in_process(run: Run, address: str, output: str) -> None:
    for arguments in (
        ("orgs", "npm:core", "--scope", "development", "--min-repositories", "2"),
        ("orgs", "npm:core", "--sort", "stars", "--scope", "development", "--kind", "unknown", "--min-stars", "1"),
        ("orgs", "npm:core", "--login", "org1", "--provider", "npm", "--first-seen-after", "2020-01-01T00:00:00Z"),
        ("explain", "npm:core", "github.com/org00"),
        ("orgs", "npm:ghost"),
        ("search", "core"),
        ("packages", "--ecosystem", "npm", "--limit", "3"),
        ("organization", "org00"),
        ("organization", "org00", "--show", "repositories"),
        ("organization", "org00", "--show", "accounts"),
    ):
        here = run(*arguments, "--format", output)
        there = run(*arguments, "--format", output, "--url", address)
        assert (here.exit_code, here.stdout, here.stderr) == (0, there.stdout, there.stderr)
        assert there.exit_code == 0


def test_explain(run: Run) -> None:
    result = run("explain", "npm:core", "my.group/sub")
    assert "pkg:npm/nested" in result.stdout
    nothing = run("explain", "npm:dependents", "tools")
    assert nothing.exit_code == 1
    assert "No statement shows that tools depends on pkg:npm/dependents" in nothing.stderr
    assert run("explain", "npm:dependents", "tools", "--format", "csv").stdout == ""


@pytest.mark.parametrize("output", ["table", "json", "ndjson", "csv"])
def test_track(run: Run, tmp_path: Path, settings: CoreSettings, output: str) -> None:
    assert settings.database_url
    file = tmp_path / "packages.txt"
    file.write_text("\ufeffnpm:a  # the first\n\n# none\npkg:pypi/B_c\nnpm:a\n", "utf-8")
    result = run(
        *("track", str(file), "npm:d", "-", "--format", output),
        input="npm:@e/f\r\n",
        env={"WUMP_DATABASE_URL": settings.database_url.get_secret_value()},
    )
    assert result.exit_code == 0
    for purl in ("pkg:npm/a", "pkg:pypi/b-c", "pkg:npm/d", "pkg:npm/%40e/f"):
        assert purl in result.stdout
    assert "add --wait" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("orgs", "core"), "names no ecosystem: write npm:core or pypi:core"),
        (("orgs", "cobol:core"), "unknown ecosystem 'cobol'"),
        (("orgs", "npm:nothing"), "pkg:npm/nothing is not known to wump"),
        (("orgs", "npm:core", "--sort", "login"), "query.sort"),
        (("orgs", "npm:core", "--scope", "prod"), "query.scope"),
        (("explain", "npm:core", "acme"), "github.com/acme, gitlab.example/acme"),
        (("explain", "npm:core", "nobody"), "'nobody' is not known"),
        (("explain", "npm:core", "\0"), "not known"),
        (("track", "a" * 300), "names no ecosystem"),
        (("track", "npm:" + "a" * 5_000), "at most 1000 characters"),
        (("track", "npm:a", "nothing.txt"), "names no ecosystem"),
        (("track", "\0"), "names no ecosystem"),
        (("orgs", "npm:core", "--url", "ftp://a"), "--url"),
        (("orgs", "npm:core", "--url", "http://a:b"), "--url"),
        (("orgs", "npm:core", "--url", "http://["), "does not answer"),
        (("orgs", "npm:core", "--url", "http://"), "--url"),
        (("orgs", "npm:core", "--url", "http://127.0.0.1:1"), "does not answer"),
    ],
)
def test_mistakes_are_named(run: Run, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(WumpError, match=r"[\s\S]") as raised:
        run(*arguments, catch_exceptions=False)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"npm:a\nnonsense\n", "line 2: 'nonsense' names no ecosystem"),
        (b"\xff\xfe\x00", "is no UTF-8 text"),
        (b"# nothing\n", "there is no package"),
        (b"npm:a\n" * 1_700_000, "split it"),
    ],
)
def test_a_file_is_read_before_anything_is_done(run: Run, tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "packages.txt"
    file.write_bytes(content)
    for arguments, given in (((str(file),), None), (("-",), content)):
        with pytest.raises(WumpError, match=r"[\s\S]") as raised:
            run("track", *arguments, input=given, catch_exceptions=False)
        assert message in str(raised.value)


@pytest.fixture
def other_server() -> Iterator[str]:
    """Something else than wump."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"[1, 2]" if "core" in self.path else b"<html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["core", "else"])
def test_what_is_no_wump_api_is_named(run: Run, other_server: str, name: str) -> None:
    with pytest.raises(WumpError, match="is no wump API"):
        run("orgs", f"npm:{name}", "--url", other_server, catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("orgs", "nonsense"), 2, "wump: 'nonsense' names no ecosystem"),
        (("orgs", "npm:nothing"), 1, "wump: pkg:npm/nothing is not known"),
        (("orgs", "npm:core", "--limit", "x"), 2, "--limit"),
    ],
)
def test_exit_codes(address: str, arguments: tuple[str, ...], code: int, message: str) -> None:
    command = [str(Path(sys.executable).with_name("wump")), *arguments, "--url", address]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_lookups_say_what_they_found(run: Run) -> None:
    assert run("search", "core").stdout.splitlines()[1].split()[:2] == ["package", "pkg:npm/core"]
    nothing = run("search", "zzzqqq")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "Nothing is called 'zzzqqq'" in nothing.stderr
    assert run("organization", "tools").stdout.splitlines()[1].split()[-1] == "https://fund.example/core"
    assert "nothing was counted yet" in run("stats").stderr
    assert isinstance(run("organization", "nobody").exception, WumpError)


def test_operators_commands_here_and_there(
    settings: CoreSettings, monkeypatch: pytest.MonkeyPatch, running_api: Any
) -> None:
    """Here they need no key; over the wire they need an operator's."""
    assert settings.database_url
    assert settings.valkey_url
    monkeypatch.setenv("WUMP_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("WUMP_VALKEY_URL", settings.valkey_url.get_secret_value())

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(make_app(), list(arguments))

    added = run("takedowns", "add", "github.com/shy", "--reason", "asked", "--format", "json")
    [row] = json.loads(added.stdout)["data"]
    assert (row["login"], row["created_by"]) == ("shy", "command line")
    key = run("keys", "create", "me", "--tier", "operator").stdout.strip()
    with running_api(settings) as (host, port):
        url = f"http://{host}:{port}"
        refused = run("takedowns", "list", "--url", url)
        assert "needs a key" in str(refused.exception) or "without a key nobody may operate" in str(refused.exception)
        monkeypatch.setenv("WUMP_URL", url)
        listed = json.loads(run("takedowns", "list", "--key", key, "--format", "json").stdout)
        assert [item["id"] for item in listed["data"]] == [row["id"]]
        monkeypatch.setenv("WUMP_KEY", key)
        assert run("takedowns", "remove", row["id"]).exit_code == 0
        assert json.loads(run("takedowns", "list", "--format", "json").stdout)["data"] == []
        assert "key(s) dropped, of package:npm:express" in run("cache", "drop", "npm:express").stderr
        assert "of all" in run("cache", "drop").stderr
        assert "no key of wump" in str(run("takedowns", "list", "--key", "\u00e9").exception)
