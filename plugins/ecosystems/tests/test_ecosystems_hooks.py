"""What the kit doesn't ask: cursors, hosts, and values of the wrong kind."""

from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wump_core import Context, NotFound, collect_items, make_purl
from wump_provider_ecosystems import packages, parse, repositories
from wump_provider_ecosystems.settings import EcosystemsSettings

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def make_context(answer: Any) -> Context:
    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=answer(request) if callable(answer) else answer)

    return Context(
        http=httpx.AsyncClient(transport=httpx.MockTransport(respond)), settings=EcosystemsSettings(), log=None
    )


@pytest.mark.parametrize(
    "cursor", ["packages x", "packages ../x 1", "packages r.example 0", "repositories x", "else 1"]
)
async def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await packages.fetch_dependents(make_context([]), make_purl("npm", "x"), cursor)


async def test_another_hosts_accounts_are_not_found() -> None:
    with pytest.raises(NotFound):
        await repositories.fetch_organization(make_context([]), "gitlab.com", "acme")
    with pytest.raises(NotFound):
        await repositories.fetch_repository(make_context({}), "https://gitlab.com/acme/widget")
    with pytest.raises(NotFound):
        await repositories.fetch_sponsorships(make_context([]), "codeberg.org", "acme", None)


async def test_a_full_page_of_repositories_goes_on_behind_its_last_id() -> None:
    def answer(request: httpx.Request) -> Any:
        assert request.url.params["after_id"] == "5"
        return [{"id": number, "full_name": f"acme/r{number}"} for number in range(6, 106)]

    page = await packages.fetch_dependents(make_context(answer), make_purl("npm", "x"), "repositories 5")
    assert (len(page.items), page.next_cursor, page.complete) == (100, "repositories 105", False)


async def test_a_part_that_fails_is_no_part_that_is_missing() -> None:
    """Of a package whose newest version could not be had, the dependencies are not unknown: asking failed."""

    def respond(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/registries"):
            return httpx.Response(200, json=[{"name": "registry.example", "purl_type": "npm", "default": True}])
        if path.endswith("/hosts"):
            return httpx.Response(200, json=[{"name": "GitHub", "url": "https://github.com"}])
        failed = path.endswith("/latest_version") or "/accounts/" in path
        return httpx.Response(503 if failed else 200, json={"name": "x", "login": "x"})

    context = Context(
        http=httpx.AsyncClient(transport=httpx.MockTransport(respond)), settings=EcosystemsSettings(), log=None
    )
    with pytest.raises(httpx.HTTPStatusError):
        await packages.fetch_package(context, make_purl("npm", "x"))
    with pytest.raises(httpx.HTTPStatusError):
        await repositories.fetch_organization(context, "github.com", "x")


@settings(max_examples=60, deadline=None)
@given(VALUES, VALUES, VALUES)
def test_values_of_any_kind_cost_themselves_or_are_named(one: Any, two: Any, three: Any) -> None:
    package = {"name": "x", "licenses": one, "normalized_licenses": two, "funding_links": three, "homepage": one}
    record = parse.parse_package(make_purl("npm", "x"), package, {"number": two, "dependencies": three})
    assert record.dependencies is None or isinstance(three, list)
    for read, item in (
        (parse.parse_dependent, {"name": one, "ecosystem": two, "repository_url": three}),
        (lambda item: parse.parse_repository(item, "github.com"), {"full_name": one, "topics": two, "uuid": three}),
        (lambda item: parse.parse_owner(item, three, "github.com"), {"login": one, "metadata": two}),
        (lambda item: parse.parse_sponsorship(item, "github.com"), {"funder": one, "maintainer": two}),
    ):
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # what `collect_items` sets aside
            read(item)


def test_what_is_odd_costs_one_field_or_one_item_and_not_the_page() -> None:
    found = parse.parse_repository({"full_name": "Acme/widget", "source_name": "no path", "uuid": 12}, "github.com")
    assert (found.owner, found.parent, found.host_id, found.stars) == ("Acme", None, "12", None)
    removed = {"name": "left-pad", "ecosystem": "npm", "status": "removed"}
    items, diagnostics = collect_items([removed, {"name": "x", "ecosystem": "npm"}], parse.parse_dependent)
    assert ([item.purl for item in items], len(diagnostics)) == (["pkg:npm/x"], 1)
    paid = {"funder": {"login": "a"}, "maintainer": {"login": "b"}}
    assert [
        parse.parse_sponsorship(paid | {"status": word}, "github.com").active for word in ("active", "new", None)
    ] == [
        True,
        None,
        None,
    ]


def test_a_package_is_what_stands_behind_its_alias_and_unknown_is_not_none() -> None:
    purl = make_purl("npm", "left-pad")
    alias = {"package_name": "old", "ecosystem": "npm", "requirements": "npm:real@^1", "kind": "runtime"}
    known = parse.parse_package(purl, {"status": "deprecated"}, {"number": "1.0", "dependencies": [alias]})
    assert known.deprecated is True
    assert [(item.purl, item.alias, item.requirement) for item in known.dependencies or ()] == [
        ("pkg:npm/real", "old", "^1")
    ]
    unknown = parse.parse_package(purl, {}, {"number": "1.0", "dependencies": [{"package_name": None}]})
    assert (unknown.dependencies, unknown.dependencies_unknown) == (None, "none of them can be read")
