"""The hooks where the kit's recordings don't reach: without an index, far pages, odd versions, settings."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from wump_core import Context, InvalidResponse, NotFound, ProviderSettings, make_purl
from wump_provider_cratesio import dependents, describe_provider, fetch_changes, fetch_dependents, fetch_package
from wump_provider_cratesio.index import make_path, parse_dependencies, parse_versions
from wump_provider_cratesio.settings import CratesSettings
from wump_provider_cratesio.versions import choose_default

BASE = "https://registry.example"
API = f"{BASE}/api/v1/crates"
CRATE = {"name": "widget", "repository": None, "default_version": None, "max_version": "2.0.0"}


def run(
    hook: Callable[..., Any], answers: Mapping[str, Any], settings: ProviderSettings | None = None, **given: Any
) -> Any:
    """Call a hook with these answers, by address."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json=answers[asked[-1]]) if asked[-1] in answers else httpx.Response(404)

    async def call() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
            context = Context(http=client, settings=settings or CratesSettings(base_url=BASE), log=None)
            return await hook(context=context, **given)

    return asyncio.run(call())


def test_without_an_index_the_api_tells_the_dependencies() -> None:
    versions = [
        {"id": 2, "num": "2.0.0-beta.1", "yanked": False, "license": "MIT"},
        {"id": 1, "num": "1.10.0", "yanked": False, "license": "Apache-2.0", "features": {"x": ["dep:serde"]}},
        {"id": 3, "num": "1.9.0", "yanked": False, "license": "MIT"},
    ]
    needs = {"crate_id": "serde", "req": "^1", "kind": "normal", "optional": True, "target": None}
    answers = {
        f"{API}/widget?include=default_version": {"crate": CRATE | {"versions": [2, 1, 3]}, "versions": versions},
        f"{API}/widget/1.10.0/dependencies": {"dependencies": [needs, {**needs, "kind": "peer"}, 7]},
    }
    record = run(fetch_package, answers, purl=make_purl("cargo", "widget"))
    assert (record.latest_version, record.licences, record.deprecated) == ("1.10.0", ("Apache-2.0",), False)
    (dependency,) = record.dependencies
    assert (dependency.purl, dependency.scope, dependency.groups) == ("pkg:cargo/serde", "optional", ("x",))
    assert len(record.diagnostics) == 2


def test_a_crate_without_versions_has_unknown_dependencies() -> None:
    answers = {f"{API}/widget?include=default_version": {"crate": CRATE | {"max_version": "0.0.0"}, "versions": None}}
    record = run(fetch_package, answers, purl=make_purl("cargo", "widget"))
    assert (record.latest_version, record.dependencies, record.deprecated) == (None, None, None)
    assert record.dependencies_unknown


def test_an_error_with_status_200_is_no_crate() -> None:
    answers = {f"{API}/widget?include=default_version": {"errors": [{"detail": "no"}]}}
    with pytest.raises(InvalidResponse, match="tells an error"):
        run(fetch_package, answers, purl=make_purl("cargo", "widget"))


@pytest.mark.parametrize(("name", "expected"), [("serde_json", NotFound), ("other", InvalidResponse)])
def test_an_answer_about_another_crate_is_told_apart(name: str, expected: type[Exception]) -> None:
    answers = {f"{API}/Serde-JSON?include=default_version": {"crate": CRATE | {"name": name}}}
    with pytest.raises(expected, match=name):
        run(fetch_package, answers, purl=make_purl("cargo", "Serde-JSON"))


def test_dependents_end_where_the_api_does() -> None:
    rows = [{"version_id": 1, "kind": "normal", "req": "^1"}] * dependents.PAGE_SIZE
    document = {
        "dependencies": rows,
        "versions": [{"id": 1, "crate": "app", "num": "1.0.0"}],
        "meta": {"total": 99_999},
    }
    answers = {f"{API}/widget/reverse_dependencies?per_page=100&page={page}": document for page in (1, 2, 200)}
    found = {
        cursor: run(fetch_dependents, answers, purl=make_purl("cargo", "widget"), cursor=cursor)
        for cursor in (None, "2", "200")
    }
    assert [(page.next_cursor, page.complete, page.total) for page in found.values()] == [
        ("2", True, 99_999),
        ("3", True, 99_999),
        (None, False, 99_999),
    ]


def test_a_feed_that_is_asked_again_brings_only_what_is_new() -> None:
    def crates(*moments: str) -> dict[str, Any]:
        return {
            "crates": [{"name": f"c{at[5:7]}", "updated_at": at} for at in moments],
            "meta": {"next_page": "?page=2"},
        }

    address = f"{API}?sort=recent-updates&per_page=100"
    answers = {address: crates("2026-03-01T00:00:00Z", "2026-02-01T00:00:00.5+00:00", "2026-01-01T00:00:00Z")}
    page = run(fetch_changes, answers, cursor="2026-01-15T00:00:00.000000000Z")
    assert page.items == ("pkg:cargo/c03", "pkg:cargo/c02")
    again = run(fetch_changes, answers, cursor=page.next_cursor)
    assert (again.items, again.next_cursor) == ((), page.next_cursor)


@pytest.mark.parametrize("address", ["?next=evil", "https://evil.example/?q=x", "?q=x\n", 7, None, "?" + "q=x&" * 900])
def test_a_next_page_that_is_none_is_not_followed(address: object) -> None:
    moment = "2026-03-01T00:00:00Z"
    answers = {
        f"{API}?sort=recent-updates&per_page=100": {
            "crates": [{"name": "a", "updated_at": moment}],
            "meta": {"next_page": address},
        }
    }
    page = run(fetch_changes, answers, cursor="2026-01-15T00:00:00.000000000Z")
    assert page.next_cursor == "2026-03-01T00:00:00.000000000Z"


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([("1.9.0", False), ("1.10.0", False)], "1.10.0"),
        ([("2.0.0", True), ("1.0.0", False)], "1.0.0"),
        ([("2.0.0-rc.1", False), ("1.0.0", False)], "1.0.0"),
        ([("2.0.0-rc.1", False), ("1.0.0", True)], "2.0.0-rc.1"),
        ([("1.0.0-alpha.9", False), ("1.0.0-alpha.10", False), ("1.0.0-alpha", False)], "1.0.0-alpha.10"),
        ([("1.0.0-beta", False), ("1.0.0-alpha.1", False), ("1.0.0-1", False)], "1.0.0-beta"),
        ([("1.0.0", True), ("2.0.0-rc.1", True)], "1.0.0"),
        ([("no version", False), ("0.0.1", False)], "0.0.1"),
        ([("1.0.0+a", False), ("1.0.0+b", False)], "1.0.0+b"),
    ],
)
def test_the_default_version_is_the_one_that_people_get(versions: list[tuple[str, bool]], expected: str) -> None:
    position = choose_default(versions)
    assert position is not None
    assert versions[position][0] == expected


@pytest.mark.parametrize(
    ("name", "path"), [("a", "1/a"), ("CC", "2/cc"), ("rsa", "3/r/rsa"), ("Se_de-x", "se/_d/se_de-x")]
)
def test_where_a_crate_stands_in_an_index(name: str, path: str) -> None:
    assert make_path(name) == path


def test_lines_of_an_index_with_defaults_left_out() -> None:
    line = json.dumps({"name": "a", "vers": "1.0.0", "deps": [{"name": "b", "req": "^1"}]}).encode()
    (version,) = parse_versions(make_purl("cargo", "a"), line + b"\n\n")
    (dependency,), _ = parse_dependencies(version)
    assert (dependency.scope, dependency.optional, version.yanked) == ("runtime", False, False)
    for bad in (b"", b"{}", b"[]", b"{", b'{"name":"a","vers":"1.0.0","v":9}', b'{"name":"b","vers":"1.0.0"}'):
        with pytest.raises(InvalidResponse):
            parse_versions(make_purl("cargo", "a"), bad)


def test_the_index_is_beside_crates_io_and_nowhere_else() -> None:
    own = CratesSettings()
    assert own.base_url is None
    assert own.index_url is not None
    assert own.hosts == (own.index_url,)
    assert CratesSettings(base_url=BASE).index_url is None
    given = CratesSettings(base_url=BASE, index_url="sparse+https://index.registry.example/")
    assert (given.index_url, given.hosts) == ("https://index.registry.example",) * 1 + (
        ("https://index.registry.example",),
    )
    with pytest.raises(ValidationError):
        CratesSettings(index_url="ftp://index.registry.example")


def test_the_api_is_asked_once_a_second() -> None:
    limits = describe_provider().limits
    assert limits is not None
    assert [(limit.requests, limit.seconds) for limit in limits.resources["core"]] == [(1, 1.0)]
    assert limits.resources["index"][0].requests > 10
