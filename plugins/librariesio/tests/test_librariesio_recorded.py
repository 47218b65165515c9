"""Recorded answers of 2020, where the checkout has them beside it; and what the kit doesn't ask."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wump_core import Context, NotFound, collect_items, make_purl
from wump_provider_librariesio import packages, parse, repositories
from wump_provider_librariesio.settings import LibrariesIoSettings

RECORDED = next(
    (
        folder
        for parent in Path(__file__).parents
        if (folder := parent / "shared" / "payloads" / "librariesio").is_dir()
    ),
    Path("nowhere"),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def load(name: str) -> Any:
    path = RECORDED / f"{name}.json"
    if not path.exists():
        pytest.skip("the recorded answers aren't here")
    document = json.loads(path.read_text())
    return document["response"]["body"] if name.endswith(".exchange") else document


def make_context(answer: Any) -> Context:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=answer))
    return Context(http=httpx.AsyncClient(transport=transport), settings=LibrariesIoSettings(), log=None)


async def test_recorded_lists_of_dependents() -> None:
    purl = make_purl("npm", "react")
    disabled = await packages.fetch_dependents(make_context(load("dependents_disabled.exchange")), purl, None)
    assert (disabled.items, disabled.total, disabled.complete) == ((), None, False)
    assert "Disabled for performance reasons" in disabled.diagnostics[0].message
    listed = await packages.fetch_dependents(make_context(load("dependents_2020")), purl, None)
    assert [item.purl for item in listed.items] == [f"pkg:npm/{item['name']}" for item in load("dependents_2020")]
    found = load("dependent_repositories_page1.exchange")
    page = await packages.fetch_dependents(make_context(found), purl, "repositories 1")
    assert [item.repository.path for item in page.items if item.repository] == [item["full_name"] for item in found]


async def test_a_recorded_project_and_search() -> None:
    project = load("project_version_dependencies.exchange")
    record = parse.parse_package(make_purl("npm", "grunt"), project)
    assert [item.name for item in record.dependencies or ()] == [item["name"] for item in project["dependencies"]]
    page = await packages.search_packages(make_context(load("search_page1.exchange")), "grunt", None)
    assert page.items[0].purl == "pkg:npm/grunt"
    assert page.items[0].dependencies is None


def test_a_recorded_repository_and_its_owner() -> None:
    record = parse.parse_repository(load("repository.exchange"))
    assert (record.host, record.path, record.stars, record.licence) == ("github.com", "ropensci/wellknown", 15, None)
    owner = parse.parse_owner(load("owner.exchange"), "github.com")
    assert (owner.kind, owner.website, owner.host_id) == ("organization", "https://ropensci.org/", "1200269")
    assert "info@" not in owner.model_dump_json()


@pytest.mark.parametrize("cursor", ["0", "301", "x", "repositories", "repositories 0", "else 1", "1 1"])
async def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await packages.fetch_dependents(make_context([]), make_purl("npm", "x"), cursor)


async def test_what_another_host_has_is_not_found() -> None:
    with pytest.raises(NotFound):
        await repositories.fetch_repository(make_context({}), "https://gitlab.com/acme/widget")
    with pytest.raises(NotFound):
        await repositories.fetch_organization(make_context({}), "codeberg.org", "acme")


@settings(max_examples=60, deadline=None)
@given(VALUES, VALUES, VALUES)
def test_values_of_any_kind_cost_themselves_or_are_named(one: Any, two: Any, three: Any) -> None:
    project = {"name": "x", "platform": "NPM", "licenses": one, "normalized_licenses": two, "funding_urls": three}
    record = parse.parse_package(make_purl("npm", "x"), project | {"dependencies": three, "status": one})
    assert record.dependencies is None or isinstance(three, list)
    for read, item in (
        (parse.parse_dependent, {"name": one, "platform": two, "repository_url": three}),
        (parse.parse_repository, {"full_name": one, "host_type": "GitHub", "keywords": two, "uuid": three}),
        (lambda item: parse.parse_owner(item, "github.com"), {"login": one, "blog": two}),
    ):
        with suppress(ValueError, KeyError, TypeError, AttributeError, parse.InvalidResponse):
            read(item)


LEFT_PAD = {"name": "left-pad", "platform": "NPM"}


def test_what_was_removed_is_set_aside_and_the_page_kept() -> None:
    for reader in (parse.parse_found_package, parse.parse_dependent):
        items, diagnostics = collect_items([LEFT_PAD | {"status": "Removed"}, LEFT_PAD], reader)
        assert (len(items), [note.field for note in diagnostics]) == (1, ["items.0"])


def test_dependencies_of_which_none_can_be_read_are_unknown() -> None:
    purl = make_purl("npm", "left-pad")
    unreadable = parse.parse_package(purl, LEFT_PAD | {"dependencies": [None]})
    assert (unreadable.dependencies, unreadable.dependencies_unknown) == (None, "none of them can be read")
    assert parse.parse_package(purl, LEFT_PAD | {"dependencies": []}).dependencies == ()


def test_a_repository_is_kept_whatever_its_parent_is_called() -> None:
    document = {"full_name": "acme/widget", "host_type": "GitHub", "source_name": "no path", "uuid": 12}
    found = parse.parse_repository(document)
    assert (found.parent, found.host_id, found.fork, found.stars) == (None, "12", None, None)
