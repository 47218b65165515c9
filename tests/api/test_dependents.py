"""Dependents: the list, its pages, its filters, and what it says of itself."""

import json
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from api.conftest import record, save
from wump_api.models import DependentOrganization, DependentRepository, EvidenceStatement, Page
from wump_core.store import answers
from wump_core.store.dependencies import EXCLUSIONS

CORE = "/packages/npm/core/dependents"
SORTS = ("repositories", "stars", "last_activity")


def order(row: DependentOrganization, sort: str) -> Any:
    """What a sort compares; null: unknown."""
    return {"repositories": row.repositories, "stars": row.stars, "last_activity": row.last_activity_at}[sort]


async def walk(api: Any, path: str, limit: int, **parameters: Any) -> list[Any]:
    """All pages. They are full, but where a walk is shorter than the list."""
    rows: list[Any] = []
    cursor = None
    short = min(answers.WALKED, answers.WALKED_PAST) < 30
    while True:
        page = await api.page(path, limit=limit, cursor=cursor, **parameters)
        assert len(page["data"]) <= limit
        rows += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return rows
        assert short or len(page["data"]) == limit


async def test_the_answer_with_its_evidence(api: Any) -> None:
    document = await api.page(CORE)
    page = Page[DependentOrganization].model_validate(document)
    rows = {(row.host, row.login): row for row in page.data}
    assert len(rows) == len(page.data) == page.meta.total == 29
    twice = rows["github.com", "org00"]
    assert (twice.repositories, twice.usage) == (2, {"runtime": 1, "development": 1})
    nested = rows["gitlab.example", "my.group/sub"]
    assert nested.profile_url == "https://gitlab.example/my.group/sub"
    evidence = {name: row.evidence for name, row in rows.items() if row.evidence}
    assert len(evidence) == len(rows)
    assert evidence["gitlab.example", "my.group/sub"].repository == "https://gitlab.example/my.group/sub/nested"
    assert evidence["github.com", "acme"].version == "=HYPERLINK(1)"
    assert ("github.com", "own") not in rows
    links = [*(row.profile_url for row in page.data), *(item.repository for item in evidence.values())]
    assert all(url.startswith("https://") for url in links)


async def test_the_envelope_says_how_good_the_list_is(api: Any) -> None:
    meta = (await api.page(CORE))["meta"]
    assert meta["excluded"] == dict.fromkeys(EXCLUSIONS, 0) | {"own_organization": 1, "no_owner": 2}
    assert meta["as_of"]
    assert meta["hint"] is None
    assert meta["sources"] == [
        {"provider": "npm", "title": "npm", "licence": "CC0-1.0", "attribution": "thanks", "terms": None}
    ]
    assert {(item["provider"], item["capability"], item["state"]) for item in meta["completeness"]} == {
        ("npm", "fetch_package", "complete"),
        ("npm", "fetch_dependents", "not_supported"),
    }


@pytest.mark.parametrize(("name", "asked", "state"), [("ghost", "npm (failed)", "failed"), ("late", "npm", "complete")])
async def test_an_empty_list_says_who_was_asked_and_what_to_do(api: Any, name: str, asked: str, state: str) -> None:
    page = Page[DependentOrganization].model_validate(await api.page(f"/packages/npm/{name}/dependents"))
    assert page.data == []
    assert f"Asked about it: {asked}." in (page.meta.hint or "")
    assert "wump track" in (page.meta.hint or "")
    assert page.meta.completeness[0].state == state


async def test_nobody_asked_is_not_nobody_depends(empty_api: Any) -> None:
    await empty_api.post("/api/v1/packages", json={"purl": "npm:new"})
    page = await empty_api.page("/packages/npm/new/dependents")
    assert "Asked about it: nobody yet." in page["meta"]["hint"]
    assert page["meta"]["as_of"] is None


def passes(row: dict[str, Any], filters: dict[str, Any]) -> bool:
    """Whether a row of the whole list passes, by what it shows."""
    checks = {
        "scope": lambda value: row["usage"].get(value, 0) > 0,
        "kind": lambda value: row["kind"] == value,
        "min_repositories": lambda value: row["repositories"] >= value,
        "min_stars": lambda value: (row["stars"] if row["stars"] is not None else -1) >= value,
        "active_since": lambda value: (row["last_activity_at"] or "") >= value,
        "first_seen_after": lambda value: row["first_seen_at"] > value,
        "provider": lambda value: value in row["providers"],
        "q": row["login"].startswith,
    }
    return all(checks[name](value) for name, value in filters.items())


FILTERS: dict[str, Any] = {
    "scope": "development",
    "min_repositories": 2,
    "kind": "unknown",
    "min_stars": 2,
    "active_since": "2026-01-02T22:00:00.000000Z",
    "first_seen_after": "2020-01-01T00:00:00Z",
    "provider": "npm",
    "q": "org1",
}
SETS: tuple[tuple[str, ...], ...] = (
    *((), *((name,) for name in FILTERS), ("scope", "min_repositories"), ("min_repositories", "kind", "provider")),
    *(("min_stars", "active_since"), ("scope", "first_seen_after", "q")),
)
PAIRS = [
    (sort, order, {name: FILTERS[name] for name in names})
    for names in SETS
    for sort in answers.SORTS
    for order in ("desc", "asc")
]


@pytest.mark.parametrize(("sort", "direction", "filters"), PAIRS, ids=str)
async def test_pages_join_to_the_whole_list_in_order(
    api: Any, sort: str, direction: str, filters: dict[str, Any]
) -> None:
    asked = {"sort": sort, "order": direction, **filters}
    whole = await walk(api, CORE, 100, **asked)
    rows = [DependentOrganization.model_validate(row) for row in whole]
    ranks = [order(row, sort) for row in rows]
    known = [rank for rank in ranks if rank is not None]
    assert known == sorted(known, reverse=direction == "desc") == ranks[: len(known)]
    behind = [row.repositories for row in rows[len(known) :]]
    assert behind == sorted(behind, reverse=direction == "desc")
    if not filters and sort != "repositories":
        assert len(known) > 1 < len(behind)
    for limit in (7,) if filters else (1, 7, len(whole) - 1, len(whole)):
        assert await walk(api, CORE, limit, **asked) == whole
    everything = await walk(api, CORE, 100, sort=sort, order=direction)
    assert whole == [row for row in everything if passes(row, filters)]
    assert whole


@pytest.fixture(params=["walk", "named"])
def short_walks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Walks of five rows, so that a page ends before it is full; logins are looked up, or are too many for that."""
    monkeypatch.setattr(answers, "WALKED", 5)
    if request.param == "walk":
        monkeypatch.setattr(answers, "NAMED", 0)
    answers.walk_statement.cache_clear()
    yield
    answers.walk_statement.cache_clear()


@pytest.mark.usefixtures("short_walks")
async def test_pages_of_a_walk_join_to_what_a_stream_has(api: Any) -> None:
    everything = await walk(api, CORE, 100)
    for names in SETS:
        filters = {name: FILTERS[name] for name in names}
        for sort in answers.SORTS:
            asked = {**filters, "sort": sort}
            response = await api.get(f"/api/v1{CORE}", params={**asked, "format": "ndjson"})
            streamed = [json.loads(line) for line in response.text.splitlines()]
            assert {row["id"] for row in streamed} == {row["id"] for row in everything if passes(row, filters)}
            for limit in (1, 3, 50):
                assert await walk(api, CORE, limit, **asked) == streamed, (asked, limit)


@pytest.mark.usefixtures("short_walks")
async def test_an_empty_page_says_why(api: Any) -> None:
    page = await api.page(CORE, provider="pypi")
    assert page["data"] == []
    assert "go on with `next_cursor`" in page["meta"]["hint"]
    assert await walk(api, CORE, 50, provider="pypi") == []
    page = await api.page(CORE, q="nobody")
    if page["next_cursor"] is None:
        assert page["meta"]["hint"] == "None passes q; 29 organizations depend on it."


async def test_those_that_depend_no_more_turn_pages_too(empty_api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = empty_api.app.state.engine
    for number in range(8):
        await save(engine, record(f"pkg:npm/p{number}", f"org{number}/repo", ("lib", "runtime")))
    await save(engine, record("pkg:npm/q", "org7/fork", ("lib", "runtime")))
    for number in range(1, 8):
        await save(engine, record(f"pkg:npm/p{number}", f"org{number}/repo"))
    path, past = "/packages/npm/lib/dependents", [f"org{number}" for number in range(1, 7)]
    for length in (200, 2):
        monkeypatch.setattr(answers, "WALKED_PAST", length)
        answers.walk_statement.cache_clear()
        for sort, order, limit in product(answers.SORTS, ("asc", "desc"), (1, 4, 50)):
            rows = await walk(empty_api, path, limit, state="past", sort=sort, order=order)
            assert [row["login"] for row in rows] == (past if order == "asc" else past[::-1])
        assert [row["repositories"] for row in await walk(empty_api, path, 50, state="past", q="org3")] == [0]
        assert len(await walk(empty_api, path, 50, state="past", kind="unknown")) == len(past)
        assert await walk(empty_api, path, 50, state="past", kind="user") == []
    answers.walk_statement.cache_clear()


async def test_of_the_past_nothing_is_counted(api: Any, problem: Any) -> None:
    for name in answers.OF_CURRENT:
        for output in ("json", "ndjson"):
            asked = {"state": "past", name: FILTERS[name], "sort": "stars", "format": output}
            document = problem(await api.get(f"/api/v1{CORE}", params=asked), 422, "unsupported-filter")
            assert len(document["alternatives"]) == 2
            for alternative in document["alternatives"]:
                assert (await api.get(f"/api/v1{CORE}?{alternative}")).status_code == 200, alternative


async def test_only_some_fields_and_what_the_list_can_not_hold(api: Any, problem: Any) -> None:
    assert (await api.page(CORE, fields="login,usage", limit=1))["data"] == [
        {name: row[name] for name in ("login", "usage")} for row in (await api.page(CORE, limit=1))["data"]
    ]
    lines = (await api.get(f"/api/v1{CORE}?fields=login,evidence&format=csv&limit=1")).text.splitlines()
    assert lines[0].startswith("login,evidence.repository,")
    for moment in ("0.5", "1700000000", "2026-01-01"):
        document = problem(await api.get(f"/api/v1{CORE}?active_since={moment}"), 422, "invalid-request")
        assert "write a moment as" in document["detail"], moment
    assert "rows have no name" in problem(await api.get(f"/api/v1{CORE}?fields=name"), 422, "invalid-request")["detail"]
    document = problem(await api.get(f"/api/v1{CORE}?include=fork&include=template"), 422, "unsupported-filter")
    assert document["alternatives"] == [
        "/api/v1/packages/npm/core/dependents/repositories?include=fork&include=template"
    ]
    assert (await api.get(document["alternatives"][0])).status_code == 200


async def test_a_filtered_total_is_unknown_and_what_is_left_out_is_not(api: Any) -> None:
    meta = (await api.page(CORE, min_repositories=2))["meta"]
    assert meta["total"] is None
    assert meta["excluded"] == dict.fromkeys(EXCLUSIONS, 0) | {"own_organization": 1, "no_owner": 2}


async def test_repositories(api: Any) -> None:
    whole = Page[DependentRepository].model_validate(await api.page(f"{CORE}/repositories", limit=100))
    assert len(whole.data) == whole.meta.total == 35
    assert all(row.excluded is None and row.organization for row in whole.data)
    for limit in (1, 10, 35):
        rows = await walk(api, f"{CORE}/repositories", limit)
        assert [row["id"] for row in rows] == [str(row.id) for row in whole.data]


async def test_repositories_that_are_left_out_can_be_listed_too(api: Any) -> None:
    for include, paths in (
        (["own_organization"], {"own/inner"}),
        (["no_owner"], {"pub/thing"}),
        (["no_owner", "own_organization", "no_owner"], {"own/inner", "pub/thing"}),
    ):
        page = Page[DependentRepository].model_validate(
            await api.page(f"{CORE}/repositories", limit=100, include=include)
        )
        assert {row.path for row in page.data if row.excluded} == paths
        assert len(page.data) == 35 + len(paths)
        assert page.meta.total is None
        assert len(await walk(api, f"{CORE}/repositories", 3, include=include)) == 35 + len(paths)


@pytest.mark.parametrize(
    ("organization", "packages"),
    [
        ("github.com/org00", {"pkg:npm/d0", "pkg:npm/e0"}),
        ("GitHub.com/Org00", {"pkg:npm/d0", "pkg:npm/e0"}),
        ("org00", {"pkg:npm/d0", "pkg:npm/e0"}),
        ("my.group/sub", {"pkg:npm/nested"}),
        ("gitlab.example/my.group/sub", {"pkg:npm/nested"}),
        ("github.com/acme", {"pkg:npm/formula"}),
        ("own", {"pkg:npm/inner"}),
        ("github.com/late", {"pkg:npm/late"}),
    ],
)
async def test_evidence_by_login(api: Any, organization: str, packages: set[str]) -> None:
    page = Page[EvidenceStatement].model_validate(await api.page(f"{CORE}/evidence", organization=organization))
    assert {row.package for row in page.data} == packages
    assert {row.excluded for row in page.data} == {"own_organization" if organization == "own" else None}


async def test_every_row_links_to_its_evidence(api: Any) -> None:
    for row in (await api.page(CORE))["data"]:
        evidence = (await api.get(row["url"])).json()
        assert row["evidence"]["package"] in {item["package"] for item in evidence["data"]}
        assert len({item["repository"] for item in evidence["data"]}) == row["repositories"]
    tool = await walk(api, f"{CORE}/evidence", 1, organization="tools")
    assert sorted(item["scope"] for item in tool) == ["development", "runtime"]


async def test_an_organization_that_is_not_one(api: Any, problem: Any) -> None:
    path = f"/api/v1{CORE}/evidence"
    ambiguous = problem(await api.get(path, params={"organization": "acme"}), 409, "ambiguous-organization")
    assert ambiguous["organizations"] == ["github.com/acme", "gitlab.example/acme"]
    for name in ("nobody", "github.com/nobody", "a/b/c", "\0", "%", "0" * 32, "'; --", "\u202e"):
        document = problem(await api.get(path, params={"organization": name}), 404, "unknown-organization")
        assert document["detail"].startswith("organization: ")
    nothing = await api.page(f"{CORE}/evidence", organization="github.com/own")
    assert nothing["data"][0]["excluded"] == "own_organization"
    none = await api.page("/packages/npm/dependents/dependents/evidence", organization="tools")
    assert "No statement shows that tools depends on pkg:npm/dependents" in none["meta"]["hint"]


async def test_the_number_of_statements_does_not_grow(api: Any, counting: Any) -> None:
    for path, expected in (("", 2), ("/repositories", 2), ("/evidence?organization=github.com/acme", 3)):
        counts = []
        for name in ("core", "dependents"):
            async with counting(api) as statements:
                await api.page(f"/packages/npm/{name}/dependents{path}")
            counts.append(len(statements))
        assert counts == [expected, expected], path
