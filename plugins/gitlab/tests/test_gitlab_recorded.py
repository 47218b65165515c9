"""Recorded answers, where the checkout has them beside it."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from wump_core import RepositoryRecord
from wump_provider_gitlab import parse
from wump_provider_gitlab.dependencies import parse_dependency
from wump_provider_gitlab.pages import next_parameters

RECORDED = next(
    (folder for parent in Path(__file__).parents if (folder := parent / "shared" / "payloads" / "gitlab").is_dir()),
    Path("nowhere"),
)


def load(name: str) -> Any:
    path = RECORDED / f"{name}.json"
    if not path.exists():
        pytest.skip("the recorded answers aren't here")
    document = json.loads(path.read_text())
    return document["response"]["body"] if name.endswith(".exchange") else document


def test_a_recorded_project() -> None:
    record = parse.parse_project(load("project_get.exchange"), "gitlab.com", load("project_languages"))
    expected = RepositoryRecord(
        host="gitlab.com",
        path="ase/ase",
        host_id="470007",
        owner="ase",
        owner_id="293845",
        owner_kind="organization",
        visibility="public",
        description="[Atomic Simulation Environment](https://wiki.fysik.dtu.dk/ase/):"
        " A Python library for working with atoms",
        language="Ruby",
        licence="LGPL-2.1",
        topics=("Atomistic simulations", "chemistry", "materials", "physics"),
        stars=421,
        forks=770,
        fork=False,
        archived=False,
        mirror=False,
        empty=False,
        default_branch="master",
        created_at="2015-09-17T12:32:33.814Z",
    )
    assert record == expected


@pytest.mark.parametrize("name", ["projects_list", "search_projects"])
def test_recorded_lists_of_projects(name: str) -> None:
    found = load(name)
    records = [parse.parse_project(item, "gitlab.com") for item in parse.parse_list(found)]
    assert [record.host_id for record in records] == [str(item["id"]) for item in found]
    assert all(record.owner for record in records)


def test_recorded_groups() -> None:
    record = parse.parse_group(load("group_get"), "gitlab.com")
    assert (record.login, record.host_id, record.kind, record.website) == ("twitter", "4", "organization", None)
    assert record.description == "Aliquid qui quis dignissimos distinctio ut commodi voluptas est."
    for name in ("groups_list", "groups_list_documentation"):
        assert all(parse.parse_group(item, "gitlab.com").login for item in parse.parse_list(load(name)))


def test_a_recorded_tree() -> None:
    found = load("repository_tree")
    entries = [parse.parse_entry(item) for item in parse.parse_list(found)]
    assert [entry.path for entry in entries if entry] == [item["path"] for item in found if item["type"] == "blob"]


def test_a_recorded_dependency_list() -> None:
    found = load("project_dependencies")
    records = [parse_dependency(item) for item in found]
    assert [(record.name, record.resolved_version, record.field, record.purl, record.direct) for record in records] == [
        ("rails", "5.0.1", "Gemfile.lock", None, False),
        ("hanami", "1.3.1", "Gemfile.lock", None, False),
    ]


def test_only_the_query_of_a_link_is_believed() -> None:
    link = '<http://evil.example/x?page_token=7&private_token=secret&page=>; rel="next"'
    response = httpx.Response(200, headers={"link": link, "x-next-page": "9"})
    assert next_parameters(response, {"page": "1"}) == {"page_token": "7", "page": ""}
    assert next_parameters(httpx.Response(200, headers={"x-next-page": "9"}), {"a": "b"}) == {"a": "b", "page": "9"}
    assert next_parameters(httpx.Response(200, headers={"x-next-page": " "}), {}) is None


@pytest.mark.parametrize(
    ("query", "reason"), [("page=1", "the same page"), ("&".join(f"a{n}=1" for n in range(60)), "fields")]
)
def test_a_next_page_must_be_another_one(query: str, reason: str) -> None:
    response = httpx.Response(200, headers={"link": f'<https://x.example/?{query}>; rel="next"'})
    with pytest.raises(ValueError, match=reason):
        next_parameters(response, {"page": "1"})
