"""Code search, limits, health, and what the provider says of itself."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
import wump_provider_github as provider
from pydantic import ValidationError
from wump_core import (
    DependentRecord,
    InvalidResponse,
    ProviderHealth,
    Purl,
    RateLimit,
    RepositoryClaim,
    Unavailable,
    make_purl,
)
from wump_provider_github.dependents import MANIFESTS
from wump_provider_github.settings import STORAGE_HOSTS, GitHubSettings, find_graphql_url

API = "https://api.github.com"
COMMIT = "b4fb0b96703b469e81e716d8b1873a2efdbb19c3"
FILE: dict[str, Any] = {
    "name": "package.json",
    "path": "web/package.json",
    "sha": "a77d7ed3",
    "url": f"{API}/repositories/735896119/contents/web/package.json?ref={COMMIT}",
    "repository": {"id": 735896119, "full_name": "Busdos/Protocols", "private": False, "owner": {"login": "Busdos"}},
}
HINT = DependentRecord(
    repository=RepositoryClaim(host="github.com", path="busdos/protocols", owner="busdos"),
    certain=False,
    path="web/package.json",
    revision=COMMIT,
)


@respx.mock
def test_manifests_that_name_a_package_are_hints(call):
    secret = FILE | {"repository": FILE["repository"] | {"private": True}}
    files = [FILE, secret, {"path": "x"}, FILE | {"url": None}]
    route = respx.get(f"{API}/search/code").respond(json={"total_count": 4, "incomplete_results": True, "items": files})
    page = call(provider.fetch_dependents, make_purl("npm", "@scope/tool"), None)
    assert page.items == (HINT, HINT.model_copy(update={"revision": None}))
    assert (page.total, page.complete, page.next_cursor) == (4, False, None)
    assert [item.field for item in page.diagnostics] == ["items.1"]
    asked = dict(route.calls.last.request.url.params)
    assert asked == {"q": '"@scope/tool" filename:package.json', "per_page": "100", "page": "1"}


@respx.mock
def test_each_kind_of_manifest_is_searched_page_by_page(call):
    asked = []

    def answer(request):
        asked.append((request.url.params["q"].partition(":")[2], request.url.params["page"]))
        return httpx.Response(200, json={"total_count": 150, "items": [FILE]})

    respx.get(f"{API}/search/code").mock(side_effect=answer)
    cursor, cursors = None, set()
    while True:
        page = call(provider.fetch_dependents, make_purl("pypi", "Flask"), cursor)
        cursor = page.next_cursor
        if cursor is None:
            break
        assert cursor not in cursors
        cursors.add(cursor)
    names = ("pyproject.toml", "requirements.txt", "setup.py", "setup.cfg", "Pipfile")
    assert asked == [(name, number) for name in names for number in ("1", "2")]


@respx.mock
def test_what_can_not_be_reached_is_said(call):
    respx.get(f"{API}/search/code").respond(json={"total_count": 42_000, "items": [FILE]})
    page = call(provider.fetch_dependents, make_purl("npm", "x"), "0:10")
    assert (page.complete, page.next_cursor) == (False, None)
    assert "42,000" in page.diagnostics[0].message


@respx.mock
def test_an_action_is_searched_in_workflows(call):
    route = respx.get(f"{API}/search/code").respond(json={"total_count": 0, "items": []})
    page = call(provider.fetch_dependents, make_purl("githubactions", "Octo/Act"), None)
    assert route.calls.last.request.url.params["q"] == '"octo/act" path:.github/workflows extension:yml'
    assert page.next_cursor == "1:1"


@respx.mock
def test_both_parts_of_a_maven_name_must_be_there(call):
    route = respx.get(f"{API}/search/code").respond(json={"total_count": 0, "items": []})
    call(provider.fetch_dependents, Purl("maven", "org.junit/junit-bom"), None)
    assert route.calls.last.request.url.params["q"] == '"org.junit" "junit-bom" filename:pom.xml'


@pytest.mark.parametrize("cursor", ["x", "9:1", "0:0", "0:11", "0:1\n", "٣:1"])
def test_a_foreign_cursor_is_refused(call, cursor):
    with pytest.raises(InvalidResponse, match="begin again"):
        call(provider.fetch_dependents, make_purl("npm", "x"), cursor)


def test_an_ecosystem_without_known_manifests_is_out_of_reach(call):
    with pytest.raises(Unavailable, match="cobol"):
        call(provider.fetch_dependents, Purl("cobol", "x"), None)


@respx.mock
def test_what_is_left_of_the_limits(call):
    core = {"limit": 5000, "used": 2, "remaining": 4998, "reset": 1710965388}
    respx.get(f"{API}/rate_limit").respond(json={"resources": {"core": core, "odd": None}})
    assert call(provider.rate_limit_status).limits == (
        RateLimit(resource="core", limit=5000, remaining=4998, reset_at=datetime(2024, 3, 20, 20, 9, 48, tzinfo=UTC)),
        RateLimit(resource="odd"),
    )
    respx.get(f"{API}/rate_limit").respond(json={"rate": core})
    assert [limit.resource for limit in call(provider.rate_limit_status).limits] == ["core"]


@respx.mock
def test_a_server_that_limits_nothing_has_no_limits(call):
    respx.get("https://ghe.example/api/v3/rate_limit").respond(404, json={"message": "Rate limiting is not enabled."})
    settings = {"base_url": "https://ghe.example/api/v3"}
    assert call(provider.rate_limit_status, **settings).limits == ()
    assert call(provider.health_check, **settings).ok


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx.Response(200, json={}), ProviderHealth(ok=True, detail="answered 200")),
        (httpx.Response(403), ProviderHealth(ok=True, detail="answered 403")),
        (httpx.Response(401), ProviderHealth(ok=False, detail="the token is refused (HTTP 401)")),
        (httpx.Response(503), ProviderHealth(ok=False, detail="answered 503")),
        (httpx.ConnectTimeout("late"), ProviderHealth(ok=False, detail="no answer: ConnectTimeout")),
    ],
)
@respx.mock
def test_health(call, answer, expected):
    respx.get(f"{API}/rate_limit").mock(side_effect=[answer])
    assert call(provider.health_check) == expected


def test_the_provider_describes_itself():
    info = provider.describe_provider()
    assert (info.title, info.provider_type) == ("GitHub", "repository")
    assert info.ecosystems == (*MANIFESTS, "github")
    assert info.manifests == tuple(glob for item in provider.FORMATS for glob in item.globs)
    assert {".gitmodules", "action.yml", "FUNDING.yml", "funding.json"} < set(info.manifests)
    settings = info.settings_class()
    assert (settings.base_url, settings.code_host) == ("https://api.github.com", "github.com")
    assert settings.hosts == STORAGE_HOSTS


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://api.github.com", "https://api.github.com/graphql"),
        ("https://ghe.example/api/v3", "https://ghe.example/api/graphql"),
        ("https://api.octo.ghe.com", "https://api.octo.ghe.com/graphql"),
    ],
)
def test_graphql_stands_where_the_edition_has_it(base_url, expected):
    assert find_graphql_url(base_url) == expected


def test_settings_are_checked():
    with pytest.raises(ValidationError):
        GitHubSettings(base_url="https://token@api.github.com")
    with pytest.raises(ValidationError):
        GitHubSettings(code_host="https://github.com")
