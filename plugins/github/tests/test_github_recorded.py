"""Recorded answers, where the checkout has them beside it."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import respx
import wump_provider_github as provider
from wump_core import (
    CredentialsRejected,
    InvalidResponse,
    NotFound,
    RateLimited,
    RepositoryQuery,
    Unavailable,
    make_purl,
)
from wump_provider_github.funding import parse_funding_file
from wump_provider_github.graphql import TooHeavy, read_answer
from wump_provider_github.repositories import parse_repository
from wump_provider_github.sboms import Place, parse_sbom
from wump_provider_github.upstream import check_status

_PLACES = [parent / "shared" / "payloads" / "github" for parent in Path(__file__).parents]
RECORDED = next((place for place in _PLACES if place.is_dir()), Path("nowhere"))
API = "https://api.github.com"


def load(name: str) -> Any:
    path = RECORDED / name
    if not path.exists():
        pytest.skip("the recorded answers aren't here")
    return json.loads(path.read_text("utf-8"))


def answer(name: str) -> httpx.Response:
    """The recorded answer, as it came over the wire."""
    found = load(f"{name}.exchange.json")["response"]
    body, headers = found["body"], {**found["headers"]}
    headers.pop("content-encoding", None)
    content = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return httpx.Response(found["status"], headers=headers, content=content)


def body(name: str) -> Any:
    found = load(name)
    return found["response"]["body"] if name.endswith(".exchange.json") else found


def serve(*names: str) -> None:
    """Each answer at the path at which it was recorded."""
    for name in names:
        url = load(f"{name}.exchange.json")["request"]["url"]
        respx.route(url__startswith=url.partition("?")[0], path=urlsplit(url).path).mock(return_value=answer(name))


REPOSITORIES = {
    "repo_get.exchange.json": ("octokit-fixture-org/hello-world", "organization", None, False, None),
    "repo_get_2026.exchange.json": ("hub4j/github-api", "organization", "MIT", False, None),
    "repo_get_archived.exchange.json": ("test/archived", "user", "MIT", True, None),
    "repo_get_disabled.exchange.json": ("hub4j-test-org/github-api", "organization", "MIT", False, "hub4j/github-api"),
    "repo_get_fork_with_parent_source.json": ("octocat/Hello-World", "user", "MIT", False, "octocat/Hello-World"),
}


@pytest.mark.parametrize("name", REPOSITORIES)
def test_a_repository(name):
    found = parse_repository("github.com", body(name))
    path, kind, licence, archived, parent = REPOSITORIES[name]
    assert (found.path, found.owner_kind, found.archived) == (path, kind, archived)
    assert (found.licence, found.parent) == (licence, parent)
    assert found.host_id == str(body(name)["id"])
    assert (found.stars, found.forks) == (body(name)["stargazers_count"], body(name)["forks_count"])


@respx.mock
def test_a_renamed_repository(call):
    serve("repo_get_renamed_301", "repo_get_renamed_301_target")
    found = call(provider.fetch_repository, "https://github.com/protoncoin/protoncoin")
    assert found.host_id == "112116543"
    assert found.path != "protoncoin/protoncoin"


@respx.mock
def test_a_search_past_the_cap(call):
    serve("search_repositories")
    page = call(provider.search_repositories, RepositoryQuery(text="tetris", language="assembly"), None)
    assert (page.total, page.complete, page.diagnostics) == (1677, True, ())
    assert [item.stars for item in page.items] == [678, *(item.stars for item in page.items[1:])]
    assert len(page.items) == 3
    assert page.next_cursor


@respx.mock
def test_a_search_without_results(call):
    serve("search_repositories_empty")
    page = call(provider.search_repositories, RepositoryQuery(text="doesnotexist"), None)
    assert (page.items, page.total, page.next_cursor) == ((), 0, None)


@pytest.mark.parametrize(("name", "complete"), [("search_code", True), ("search_code_incomplete_results", False)])
@respx.mock
def test_a_code_search(call, name, complete):
    serve(name)
    page = call(provider.fetch_dependents, make_purl("npm", "jquery"), None)
    assert (len(page.items), page.total, page.complete) == (3, 7, complete)
    assert all(item.revision and not item.certain and item.path for item in page.items)


@respx.mock
def test_a_tree(call):
    serve("git_tree_recursive")
    tree = call(provider.fetch_tree, "https://github.com/hub4j/github-api", "main")
    assert tree.revision == "1d004a35a03cee424736a2f549bc662d196a0217"
    assert tree.complete
    assert tree.entries[0].path == ".github/workflows/maven-build.yml"
    assert (tree.entries[0].blob, tree.entries[0].size) == ("8a086a74e7a612345871621953ebd0b7ebcea9f2", 520)


@pytest.mark.parametrize(
    ("name", "path", "content"),
    [
        ("contents_file", "ghcontent-ro/a-file-with-content", b"thanks for reading me\n"),
        ("contents_file_empty", "ghcontent-ro/an-empty-file", b""),
        ("contents_symlink_to_file", "ghcontent-ro/a-symlink-to-a-file", b"thanks for reading me\n"),
    ],
)
@respx.mock
def test_a_file(call, name, path, content):
    serve(name)
    url = "https://github.com/hub4j-test-org/GHContentIntegrationTest"
    respx.get(url__regex=r"(?i).*/contents/.*").mock(return_value=answer(name))
    assert call(provider.fetch_file, url, "main", path) == content


@respx.mock
def test_a_folder_is_no_file(call):
    respx.get(url__regex=r".*/contents/.*").mock(return_value=answer("contents_dir"))
    with pytest.raises(NotFound, match="folder"):
        call(provider.fetch_file, "https://github.com/octokit-fixture-org/hello-world", "main", "x")


@respx.mock
def test_a_large_file(call):
    respx.get(url__regex=r".*/contents/.*").respond(json=body("contents_file_over_1mb.json"))
    respx.get(url__regex=r".*/git/blobs/.*").mock(return_value=answer("git_blob"))
    found = call(provider.fetch_file, "https://github.com/octocat/hello-world", "main", "manifests/large-crd.yaml")
    assert found.startswith(b"# sample manifest\nrequests==2.31.0\n")


@pytest.mark.parametrize(
    ("name", "kind", "website", "verified"),
    [
        ("org_get", "organization", "https://jenkins.io", None),
        ("org_get_recent", "organization", "https://quarkus.io", None),
        ("org_get_with_nulls", "organization", None, None),
    ],
)
@respx.mock
def test_an_organization(call, name, kind, website, verified):
    serve(name)
    respx.post(f"{API}/graphql").respond(401)
    respx.get(url__regex=r".*/\.github/contents/.*").respond(404)
    login = body(f"{name}.exchange.json")["login"]
    found = call(provider.fetch_organization, "github.com", login)
    assert (found.login, found.kind, found.website, found.verified_domain) == (login, kind, website, verified)
    assert found.public_repositories == body(f"{name}.exchange.json")["public_repos"]
    assert "redacted" not in found.model_dump_json()


@respx.mock
def test_sponsorships(call):
    respx.post(f"{API}/graphql").respond(json=load("graphql_sponsorships_as_maintainer.json"))
    page = call(provider.fetch_sponsorships, "github.com", "lpil", "received:")
    assert [item.sponsor for item in page.items] == ["nono", "josevalim"]
    assert {item.maintainer for item in page.items} == {"lpil"}
    assert page.next_cursor == "received:Mg"


@pytest.mark.parametrize("name", ["sbom.exchange.json", "sbom_2024_prefixed_names.json", "sbom_documentation.json"])
def test_an_sbom(name):
    page = parse_sbom(body(name), Place())
    packages = body(name)["sbom"]["packages"]
    assert (len(page.items), page.total) == (len(packages) - 1, len(packages) - 1)
    roots = {"com.github.hub4j/github-api", "com.github.test/test", "github/example"}
    assert [item.name for item in page.items] == [
        package["name"].removeprefix("pip:") for package in packages if package["name"] not in roots
    ]
    assert all(item.direct for item in page.items)


@respx.mock
def test_limits(call):
    serve("rate_limit")
    found = {limit.resource: limit for limit in call(provider.rate_limit_status).limits}
    assert (found["core"].remaining, found["code_search"].limit) == (4998, 10)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("auth_401", CredentialsRejected),
        ("rate_limit_primary_403", RateLimited),
        ("rate_limit_secondary_403_abuse", RateLimited),
        ("rate_limit_secondary_429", RateLimited),
        ("repo_blocked_403_tos", NotFound),
        ("repo_blocked_451_dmca", NotFound),
        ("repo_get_404", NotFound),
        ("not_found_404_current", NotFound),
        ("license_404", NotFound),
        ("search_422_past_1000", InvalidResponse),
        ("search_422_unknown_repo", InvalidResponse),
        ("server_error_500", Unavailable),
    ],
)
def test_a_refusal(name, error):
    with pytest.raises(error):
        check_status(answer(name))


@pytest.mark.parametrize(
    ("name", "error"),
    [("graphql_rate_limited_variant_200", RateLimited), ("graphql_repository_not_found_200", NotFound)],
)
def test_a_refusal_of_graphql(name, error):
    with pytest.raises(error):
        read_answer(answer(name))


@respx.mock
def test_a_timeout_of_graphql(call):
    respx.post(f"{API}/graphql").mock(return_value=answer("graphql_timeout_502"))
    with pytest.raises(TooHeavy):
        call(provider.fetch_sponsorships, "github.com", "x", None)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("graphql_partial_data_not_found_200", "repository"),
        ("graphql_forbidden_field_200", "search.nodes.0.commits.nodes.0.commit.statusCheckRollup"),
    ],
)
def test_data_and_errors_of_graphql(name, field):
    found = read_answer(answer(name))
    assert found.data
    assert [item.field for item in found.describe_errors()] == [field]


FUNDING = {
    "block_lists": ["https://github.com/sponsors/ofek", "https://ofek.dev/donate/"],
    "custom_and_github": ["https://github.com/sponsors/NARKOZ", "https://github.com/NARKOZ/SponsorMe"],
    "custom_without_scheme": ["https://github.com/sponsors/rustfoundation", "https://rust-lang.org/funding"],
    "open_collective_only": ["https://opencollective.com/backyourstack"],
    "single_login": ["https://github.com/sponsors/Bogdanp"],
    "template_with_nulls": [
        "https://github.com/sponsors/ljharb",
        "https://tidelift.com/funding/github/npm/side-channel",
    ],
    "tidelift_open_collective": [
        "https://tidelift.com/funding/github/pypi/pluggy",
        "https://opencollective.com/pytest",
    ],
}


@pytest.mark.parametrize("name", FUNDING)
def test_a_funding_file(name):
    path = RECORDED / f"FUNDING_{name}.yml"
    if not path.exists():
        pytest.skip("the recorded answers aren't here")
    links, diagnostics = parse_funding_file(path.read_bytes())
    assert [link.url for link in links] == FUNDING[name]
    assert diagnostics == ()
