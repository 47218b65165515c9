"""Recording from a server that tells too much, and what is kept of it."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import probe_plugin as plugin
import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_registry import LocalRegistry, serve_registry
from pydantic import SecretStr
from wump_core import NotFound, ProviderSettings, TokenSettings
from wump_core.errors import InvalidResponse, Unavailable
from wump_core.testing import Case
from wump_core.testing.cases import load_provider
from wump_core.testing.recorder import record_case
from wump_core.testing.recording import MAIL, REGISTRY, Scrubber, list_leaks, list_registry_hosts
from wump_core.testing.replay import Exchange, dump_exchanges, load_exchanges

TOKEN = "tok-0123456789abcdef"
SIGNED = plugin.SOURCE.replace("ProviderSettings, ", "TokenSettings, ").replace(
    "class Settings(ProviderSettings):", "class Settings(TokenSettings):"
)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalRegistry]:
    """The upstream, and an environment that leads there."""
    with serve_registry() as running:
        monkeypatch.setenv("WUMP_PROVIDER_PROBE_BASE_URL", running.address)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running


@pytest.fixture
def record(
    tmp_path: Path, server: LocalRegistry, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., list[dict]]]:
    """Record a case of the plugin, and give what was kept."""
    monkeypatch.syspath_prepend(tmp_path)

    def record(case: Case, *, source: str = plugin.SOURCE) -> list[dict]:
        plugin.write(tmp_path, source=source, recordings={})
        replayed = load_provider("probe", {})
        record_case(replayed, case, tmp_path / "kept" / "case.json")
        return json.loads((tmp_path / "kept" / "case.json").read_text())

    yield record
    sys.modules.pop(plugin.MODULE, None)


def test_what_is_kept_is_clean(record: Any, server: LocalRegistry) -> None:
    host = sorted(list_registry_hosts())[0]
    server.answers["/p/left"] = (
        200,
        {
            "Content-Type": "application/json",
            "Set-Cookie": "session=1",
            "Server": "secret-machine",
            "Link": f'<{server.address}/p/left?page=2>; rel="next"',
        },
        json.dumps({"name": "left", "mail": "joe@company.co", "home": f"https://files.{host}/left"}).encode(),
    )
    (kept,) = record(Case("fetch_package", purl="npm:left"))
    assert kept["request"] == {"method": "GET", "url": "https://probe.example/p/left"}
    assert set(kept["response"]["headers"]) == {"content-type", "link", "date"}
    assert kept["response"]["headers"]["link"] == '<https://probe.example/p/left?page=2>; rel="next"'
    assert kept["response"]["body"] == {"name": "left", "mail": MAIL, "home": f"https://{REGISTRY}/left"}


@pytest.mark.parametrize("placement", ["bearer", "header:X-Key", "query:api_key"])
def test_a_token_is_sent_and_not_kept(
    record: Any, server: LocalRegistry, monkeypatch: pytest.MonkeyPatch, placement: str
) -> None:
    monkeypatch.setenv("WUMP_PROVIDER_PROBE_TOKEN", TOKEN)
    answer = {"name": "left", "about": f"you sent {TOKEN}"}
    server.answers |= {"/p/left": answer, f"/p/left?api_key={TOKEN}": answer}
    source = SIGNED.replace('attribution="probe"', f'attribution="probe", credential="{placement}"')
    (kept,) = record(Case("fetch_package", purl="npm:left"), source=source)
    assert kept["request"]["url"] == "https://probe.example/p/left"
    assert kept["response"]["body"]["about"] == "you sent REDACTED"
    assert server.requests == [f"/p/left?api_key={TOKEN}" if placement.startswith("query") else "/p/left"]


def test_all_pages_are_kept(record: Any, server: LocalRegistry) -> None:
    server.answers["/search?q=pad&page=1"] = {"found": [{"name": "left"}], "more": True}
    server.answers["/search?q=pad&page=2"] = {"found": []}
    kept = record(Case("search_packages", query="pad"))
    assert [item["request"]["url"].rpartition("=")[2] for item in kept] == ["1", "2"]


def test_an_expected_error_is_kept(record: Any) -> None:
    (kept,) = record(Case("fetch_package", purl="npm:gone", raises=NotFound))
    assert kept["response"]["status"] == 404


def test_another_error_is_not_kept(record: Any, server: LocalRegistry, tmp_path: Path) -> None:
    server.answers["/p/left"] = (503, {}, b"")
    with pytest.raises(Unavailable):
        record(Case("fetch_package", purl="npm:left"))
    assert not (tmp_path / "kept").exists()


def test_another_host_is_not_asked(record: Any, server: LocalRegistry) -> None:
    source = plugin.SOURCE.replace('f"{context.settings.base_url}/p/{purl.name}"', '"https://elsewhere.example/"')
    with pytest.raises(InvalidResponse, match=r"elsewhere\.example is none of the hosts"):
        record(Case("fetch_package", purl="npm:left"), source=source)
    assert server.requests == []


SECRETS = st.sampled_from(
    [
        "ghp_" + "a1" * 18,
        "github_pat_" + "b2" * 20,
        "glpat-" + "c3" * 10,
        "npm_" + "d4" * 18,
        "https://joe:hunter2@files.example/x",
        "https://files.example/x?access_token=abcdef",
        "authorization: Bearer abcdefghijkl",
        "joe.bloggs@company.co",
        *(f"https://a.b.{host}/x" for host in list_registry_hosts()),
        TOKEN,
    ]
)


@given(st.lists(SECRETS | st.text(" \n\"'<>:,/ab@.-", max_size=5), max_size=8))
def test_nothing_that_must_not_be_kept_stays(parts: list[str]) -> None:
    text = " ".join(parts)
    asked = TokenSettings(base_url="https://real.example/api", token=(SecretStr(TOKEN),))
    scrubbed = Scrubber(asked, ProviderSettings(base_url="https://registry.example")).scrub(text)
    assert list_leaks(scrubbed) == []
    assert TOKEN not in scrubbed
    assert "hunter2" not in scrubbed


@pytest.mark.parametrize("text", ["git+ssh://git@github.com/a/b", "git@github.com:a/b", "@scope/name", "a@1.2.3"])
def test_what_only_looks_like_a_mail_address_stays(text: str) -> None:
    settings = ProviderSettings(base_url="https://registry.example")
    assert Scrubber(settings, settings).scrub(text) == text
    assert list_leaks(text) == []


BODIES = st.binary(max_size=40) | st.text(max_size=40).map(str.encode)


@given(BODIES, BODIES, st.integers(100, 599))
def test_a_recording_reads_back_as_it_was_written(tmp_path_factory: Any, sent: bytes, body: bytes, status: int) -> None:
    exchange = Exchange("POST", "https://registry.example/x", sent, status, (("etag", '"1"'),), body)
    path = tmp_path_factory.mktemp("kept") / "case.json"
    path.write_text(dump_exchanges([exchange]), "utf-8")
    (read,) = load_exchanges(path)
    assert (read.method, read.url, read.status, read.headers) == ("POST", exchange.url, status, exchange.headers)
    for before, after in ((sent, read.sent), (body, read.body)):
        assert after == before or json.loads(after) == json.loads(before)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("{}", "must be a list"),
        ("[1]", "exchange 0 can't be read"),
        ('[{"request": {"url": "x"}}]', "'response'"),
        ('[{"request": {"url": "x"}, "response": {"status": "many"}}]', "exchange 0 can't be read"),
        ('[{"request": {"url": "x"}, "response": {"status": 200, "base64": "*"}}]', "exchange 0 can't be read"),
    ],
)
def test_what_is_no_recording_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "case.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        load_exchanges(tmp_path / "case.json")
