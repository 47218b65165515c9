"""Bad input: every refusal names the field and the fix, whatever the text, and never comes to a 5xx."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wump_api.pages import make_cursor, read_cursor
from wump_api.problems import PROBLEMS, Problem, ProblemDetails
from wump_core.store import answers

CORE = "/api/v1/packages/npm/core/dependents"
HOSTILE = [
    "\0",
    "%00",
    "\ud800",
    "\u202ex",
    "a\r\nSet-Cookie: b=c",
    "'\"; DROP TABLE packages --",
    "%_",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "[bold]x[/bold]",
    "-1",
    "9" * 40,
    "NaN",
    "a" * 60_000,
]


@pytest.mark.parametrize("field", ["sort", "scope", "min_repositories", "limit", "cursor"])
async def test_hostile_values_are_refused_by_name(api: Any, problem: Any, field: str) -> None:
    for value in HOSTILE:
        raw = value.encode("utf-8", "surrogatepass")
        response = await api.get(CORE, params=[(field, raw)])
        kind = "invalid-cursor" if field == "cursor" and len(value) <= 500 else "invalid-request"
        document = problem(response, 422, kind)
        assert field in document["detail"]
        assert "set-cookie" not in response.headers
        assert len(response.content) < 5_000


@pytest.mark.parametrize("field", ["organization", "include", "unknown"])
async def test_hostile_values_of_other_lists(api: Any, field: str) -> None:
    path = f"{CORE}/{'evidence' if field == 'organization' else 'repositories'}"
    for value in HOSTILE:
        response = await api.get(path, params=[(field, value.encode("utf-8", "surrogatepass"))])
        assert response.status_code == 200 if field == "unknown" else response.status_code in (404, 422)
        if response.status_code != 200:
            assert field in ProblemDetails.model_validate(response.json()).detail


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "query.limit"),
        ("limit=101", "query.limit"),
        ("limit=ten", "query.limit"),
        ("min_repositories=0", "query.min_repositories"),
        ("min_repositories=2147483648", "query.min_repositories"),
        ("sort=login", "query.sort"),
        ("scope=prod", "query.scope"),
    ],
)
async def test_a_value_out_of_range(api: Any, problem: Any, query: str, named: str) -> None:
    document = problem(await api.get(f"{CORE}?{query}"), 422, "invalid-request")
    assert document["errors"][0]["field"] == named
    assert named in document["detail"]


def altered(cursor: str, **changes: Any) -> str:
    version, query, values = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    new = {"version": version, "query": query, "values": values} | changes
    return base64.urlsafe_b64encode(json.dumps(list(new.values())).encode()).decode().rstrip("=")


async def test_cursors_of_other_queries(api: Any, problem: Any) -> None:
    cursor = (await api.get(CORE, params={"limit": 1})).json()["next_cursor"]
    for path in (
        f"{CORE}?sort=stars",
        f"{CORE}?scope=runtime",
        f"{CORE}?min_repositories=2",
        f"{CORE}/repositories?",
        f"{CORE}/evidence?organization=org00",
        "/api/v1/packages/npm/dependents/dependents?",
        "/api/v1/packages/npm/core/dependencies?",
    ):
        document = problem(await api.get(f"{path}&cursor={cursor}"), 422, "invalid-cursor")
        assert document["detail"].startswith("cursor: ")
    plain = (await api.get(f"{CORE}/repositories", params={"limit": 1})).json()["next_cursor"]
    problem(await api.get(f"{CORE}/repositories?include=no_owner&cursor={plain}"), 422, "invalid-cursor")


@pytest.mark.parametrize("sort", ["repositories", "stars", "last_activity"])
async def test_altered_cursors(api: Any, problem: Any, sort: str) -> None:
    cursor = (await api.get(CORE, params={"limit": 1, "sort": sort})).json()["next_cursor"]
    ranks: list[Any] = ["-", "--", "1e9", "9" * 30, "\0", "\u0663", "nnn", "1; --", "x" * 100, 1, None, [], {}]
    changes: list[dict[str, Any]] = [{"values": [0, rank, 1]} for rank in ranks]
    changes += [{"values": [part, "1", 1]} for part in (-1, 2, "0", None)]
    changes += [{"values": [0, "1", key]} for key in ("1", 2**63, -(2**63) - 1, 2**200, 1.5, True, None)]
    changes += [{"values": values} for values in ([], ["1"], [0, "1"], [0, "1", 1, 1], "1", {})]
    changes += [
        {"version": 0},
        {"version": 1},
        {"version": 3},
        {"version": "2"},
        {"query": "x"},
        {"query": None},
        {"more": 1},
    ]
    for change in changes:
        problem(await api.get(CORE, params={"sort": sort, "cursor": altered(cursor, **change)}), 422, "invalid-cursor")
    assert (await api.get(CORE, params={"sort": sort, "cursor": cursor})).status_code == 200


async def test_a_cursor_from_before_a_migration_says_so(api: Any, problem: Any) -> None:
    """As one of an older wump, whose values meant something else."""
    cursor = (await api.get(CORE, params={"limit": 1})).json()["next_cursor"]
    document = problem(await api.get(CORE, params={"cursor": altered(cursor, version=0)}), 422, "invalid-cursor")
    assert document["detail"] == "cursor: it has version 0, and this wump goes on from 2"
    assert "start again without `cursor`" in document["fix"]


def test_the_table_of_filters_and_sorts_is_documented() -> None:
    """As it stands in the code: docs/rest.md shows exactly these rows."""
    rows = [f"| `{sort}` | {', '.join(f'`{name}`' for name in held)} |" for sort, held in answers.HELD.items()]
    table = "\n".join(("| sort | filters with which pages are full |", "|---|---|", *rows, ""))
    assert f"\n{table}\n" in (Path(__file__).parents[2] / "docs" / "rest.md").read_text("utf-8"), table


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=600),
        st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=6).map(
            lambda value: base64.urlsafe_b64encode(json.dumps([1, "q", value]).encode()).decode().rstrip("=")
        ),
    )
)
def test_no_text_breaks_the_reading_of_cursors(text: str) -> None:
    try:
        values = read_cursor(("q",), text, [str, int])
    except Problem as error:
        kind = error.kind
    else:
        kind = "invalid-cursor" if make_cursor(("q",), values) else ""
    assert kind == "invalid-cursor"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r"-?[0-9]{1,25}|[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:.+]{1,20}", fullmatch=True))
def test_a_cursor_brings_back_what_it_was_given(rank: str) -> None:
    query = ("dependents", 1, "stars", None, 1)
    try:
        cursor = make_cursor(query, [rank, 7])
    except UnicodeEncodeError:
        return  # Half a surrogate pair: the database never writes one.
    assert read_cursor(query, cursor, [str, int]) == [rank, 7]


def test_no_cursor_text_comes_to_a_5xx(facts: Any, serving: Any) -> None:
    """Through the whole API, with ranks that only the database can judge."""

    async def check(cases: list[tuple[str, str]]) -> set[int]:
        async with serving(facts) as api:
            statuses = set()
            for sort, rank in cases:
                page = (await api.get(CORE, params={"limit": 1, "sort": sort})).json()
                response = await api.get(
                    CORE, params={"sort": sort, "cursor": altered(page["next_cursor"], values=[rank, 5])}
                )
                statuses.add(response.status_code)
            return statuses

    cases: list[tuple[str, str]] = []

    @settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(["repositories", "stars", "last_activity"]), st.text(max_size=30))
    def collect(sort: str, rank: str) -> None:
        cases.append((sort, rank))

    collect()
    assert asyncio.run(check(cases)) <= {200, 422}


async def test_every_kind_of_problem_has_its_page(api: Any, problem: Any) -> None:
    for kind, (status, title, _) in PROBLEMS.items():
        page = await api.get(f"/problems/{kind}")
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert f"HTTP {status}" in page.text
        assert title.replace("'", "&#x27;") in page.text
    assert "&lt;" not in problem(await api.get("/problems/%3Cb%3E"), 404, "http-error")["detail"]


async def test_a_mistake_of_ours_tells_nothing_of_itself(api: Any, problem: Any) -> None:
    async with api.app.state.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE providers RENAME TO hidden_providers")
    try:
        response = await api.get("/api/v1/providers")
    finally:
        async with api.app.state.engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE hidden_providers RENAME TO providers")
    document = problem(response, 500, "internal-error")
    assert "providers" not in document["detail"]
