"""Repositories: every field, and where the API says it in another way."""

from datetime import UTC, datetime

import pytest
import respx
import wump_provider_github as provider
from wump_core import NotFound, RepositoryRecord
from wump_provider_github.repositories import parse_repository

API = "https://api.github.com"
FULL = {
    "id": 1300192,
    "name": "App",
    "full_name": "Octo/App",
    "private": False,
    "owner": {"login": "Octo", "id": 7, "type": "Organization"},
    "html_url": "https://github.com/Octo/App",
    "description": " An app.\u0000 ",
    "fork": True,
    "parent": {"full_name": "Up/Stream"},
    "homepage": "app.example/start",
    "size": 171,
    "stargazers_count": 678,
    "forks_count": 37,
    "language": "Jupyter Notebook",
    "license": {"key": "mit", "spdx_id": "MIT"},
    "topics": ["one", "two"],
    "visibility": "public",
    "is_template": False,
    "archived": True,
    "disabled": False,
    "default_branch": "main",
    "mirror_url": None,
    "created_at": "2016-09-22T10:42:55Z",
    "pushed_at": "2016-12-18T13:32:27Z",
}
RECORD = RepositoryRecord(
    host="github.com",
    path="Octo/App",
    host_id="1300192",
    owner="Octo",
    owner_id="7",
    owner_kind="organization",
    visibility="public",
    description="An app.",
    homepage="https://app.example/start",
    language="Jupyter Notebook",
    licence="MIT",
    topics=("one", "two"),
    stars=678,
    forks=37,
    fork=True,
    parent="Up/Stream",
    archived=True,
    template=False,
    mirror=False,
    empty=False,
    default_branch="main",
    created_at=datetime(2016, 9, 22, 10, 42, 55, tzinfo=UTC),
    pushed_at=datetime(2016, 12, 18, 13, 32, 27, tzinfo=UTC),
)


@respx.mock
def test_every_field_of_a_repository(call):
    respx.get(f"{API}/repos/octo/app").respond(json=FULL)
    assert call(provider.fetch_repository, "https://github.com/Octo/App.git") == RECORD


def test_a_minimal_one_leaves_the_rest_unknown():
    found = parse_repository("github.com", {"full_name": "a/b", "owner": None, "license": None})
    assert found == RepositoryRecord(host="github.com", path="a/b", owner="a")


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"license": {"key": "other", "spdx_id": "NOASSERTION"}}, "licence", None),
        ({"license": {"key": "other", "spdx_id": None}}, "licence", None),
        ({"homepage": ""}, "homepage", None),
        ({"homepage": "http://a b"}, "homepage", None),
        ({"homepage": "ftp://a.example"}, "homepage", None),
        ({"description": ""}, "description", None),
        ({"description": "x" * 5_000}, "description", "x" * 2_000),
        ({"visibility": "internal"}, "visibility", "private"),
        ({"visibility": None, "private": True}, "visibility", "private"),
        ({"visibility": None, "private": None}, "visibility", None),
        ({"owner": {"login": "robot", "type": "Bot"}}, "owner_kind", "unknown"),
        ({"owner": {"login": "ann", "type": "User"}}, "owner_kind", "user"),
        ({"mirror_url": "https://git.example/x"}, "mirror", True),
        ({"size": 0}, "empty", None),
        ({"size": 0, "pushed_at": None}, "empty", True),
        ({"pushed_at": None}, "pushed_at", None),
        ({"topics": None}, "topics", None),
        ({"topics": []}, "topics", ()),
        ({"stargazers_count": None}, "stars", None),
        ({"stargazers_count": "12"}, "stars", None),
        ({"created_at": "yesterday"}, "created_at", None),
    ],
)
def test_what_a_field_may_be(changes, field, expected):
    assert getattr(parse_repository("github.com", FULL | changes), field) == expected


@respx.mock
def test_a_renamed_repository_is_found_under_its_new_name(call):
    respx.get(f"{API}/repos/old/name").respond(
        301, json={"message": "Moved Permanently"}, headers={"location": f"{API}/repositories/1300192"}
    )
    respx.get(f"{API}/repositories/1300192").respond(json=FULL)
    found = call(provider.fetch_repository, "https://github.com/old/name")
    assert (found.path, found.host_id) == ("Octo/App", "1300192")


@pytest.mark.parametrize(
    "url", ["https://gitlab.com/a/b", "https://github.com/a", "nonsense", "https://github.com/login/x", ""]
)
def test_what_is_no_repository_here_is_not_found(call, url):
    with pytest.raises(NotFound, match=r"expected https://github\.com/owner/name"):
        call(provider.fetch_repository, url)


@respx.mock
def test_enterprise_server_has_another_base_and_host(call):
    respx.get("https://ghe.example/api/v3/repos/Team/Tool").respond(json=FULL | {"full_name": "Team/Tool"})
    settings = {"base_url": "https://ghe.example/api/v3/", "code_host": "ghe.example"}
    found = call(provider.fetch_repository, "https://ghe.example/Team/Tool", **settings)
    assert (found.host, found.path) == ("ghe.example", "Team/Tool")
