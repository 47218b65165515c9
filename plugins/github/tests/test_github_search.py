"""Searching past the cap: the walk shows each repository once, and comes to an end."""

from datetime import UTC, datetime

import pytest
import respx
import wump_provider_github as provider
from hypothesis import given, settings
from hypothesis import strategies as st
from wump_core import InvalidResponse, NotFound, RepositoryQuery
from wump_provider_github.search import FIRST_CREATED, MAX_RESULTS, PAGE_SIZE, Found, Walk, describe_query, plan_next

SEARCH = "https://api.github.com/search/repositories"
NOW = 1_800_000_000


class Upstream:
    """A GitHub of (id, stars, created): sorts by stars, shows pages, and the first thousand only."""

    def __init__(self, repositories):
        self.repositories = sorted(repositories, key=lambda item: (-item[1], item[0]))

    def ask(self, walk: Walk) -> Found:
        high = walk.high if walk.high is not None else 10**9
        low = high if walk.tied else walk.low
        since, until = walk.since or 0, walk.until if walk.until is not None else 10**12
        fitting = [item for item in self.repositories if low <= item[1] <= high and since <= item[2] <= until]
        start = (walk.page - 1) * PAGE_SIZE
        assert start < MAX_RESULTS
        return Found(len(fitting), [(key, stars) for key, stars, _ in fitting[start : start + PAGE_SIZE]])


def walk_over(upstream: Upstream, walk: Walk):
    """All ids that a walk shows, in order, and how many requests it took."""
    shown, cursors, complete = [], set(), True
    step: Walk | None = walk
    while step is not None:
        cursor = step.make_cursor()
        assert cursor not in cursors, "a cursor came twice"
        assert len(cursor) <= 2_000
        cursors.add(cursor)
        here = Walk.read_cursor(cursor)
        assert here == step
        found = upstream.ask(here)
        wanted, step, whole = plan_next(here, found, now=NOW)
        shown += [found.items[at] for at in wanted]
        complete = complete and whole
    return shown, len(cursors), complete


CROWDS = st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 3_000), st.integers(0, 900)), min_size=1, max_size=6)
"""(stars, how many repositories, seconds between their births)"""


@settings(max_examples=40, deadline=None)
@given(CROWDS, st.integers(0, 3), st.one_of(st.none(), st.integers(3, 6_000)))
def test_no_repository_is_missed_or_shown_twice(crowds, low, high):
    repositories, key = [], 1_000_000_000
    for stars, number, apart in crowds:
        for at in range(number):
            key += 1
            repositories.append((key, stars + (at % 3 if apart % 2 else 0), 1_300_000_000 + at * (apart + 1)))
    walk = Walk(l=low, h=high)
    shown, requests, complete = walk_over(Upstream(repositories), walk)
    expected = {item[0] for item in repositories if low <= item[1] <= (high if high is not None else 10**9)}
    assert complete
    assert len(shown) == len({item[0] for item in shown})
    assert {item[0] for item in shown} == expected
    assert [stars for _, stars in shown] == sorted((stars for _, stars in shown), reverse=True)
    assert requests < 60 + len(expected) / 20


def test_more_births_in_a_second_than_can_be_reached_are_not_complete():
    crowd = [(at, 5, 1_300_000_000) for at in range(1, 1_501)]
    shown, _, complete = walk_over(Upstream([*crowd, (9_999, 4, 1_300_000_000)]), Walk())
    assert not complete
    assert len(shown) == len(set(shown))
    assert (9_999, 4) in shown


@given(
    st.integers(0, 10**7),
    st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 2**50)), st.one_of(st.none(), st.integers(0, 10**6)))),
    st.integers(0, 50),
    st.one_of(st.none(), st.integers(0, 50)),
    st.booleans(),
    st.lists(st.integers(FIRST_CREATED, 2**33), min_size=2, max_size=2).map(sorted),
    st.tuples(st.booleans(), st.booleans()),
    st.integers(1, 10),
)
def test_whatever_is_answered_the_walk_goes_on_or_ends(total, items, low, high, tied, times, bounded, page):
    since, until = (moment if wanted else None for moment, wanted in zip(times, bounded, strict=True))
    walk = Walk(l=low, h=high, t=tied and high is not None, s=since, u=until, p=page)
    wanted, step, _ = plan_next(walk, Found(total, items), now=NOW)
    assert all(0 <= at < len(items) for at in wanted)
    assert step is None or (step != walk and Walk.read_cursor(step.make_cursor()) == step)
    assert step is None or 0 < len(step.make_cursor()) <= 2_000


@pytest.mark.parametrize(
    ("query", "walk", "expected"),
    [
        (RepositoryQuery(), Walk(), "stars:>=0"),
        (RepositoryQuery(text="tetris clone", language="assembly"), Walk(), "tetris clone language:assembly"),
        (RepositoryQuery(language="Jupyter Notebook"), Walk(), 'language:"Jupyter Notebook"'),
        (RepositoryQuery(text="user:me stars:>9"), Walk(), '"user:me" "stars:>9"'),
        (RepositoryQuery(owner="octo", topic="cli"), Walk(l=5), "user:octo topic:cli stars:>=5"),
        (
            RepositoryQuery(text="x", pushed_after=datetime(2024, 1, 2, tzinfo=UTC)),
            Walk(l=1, h=9),
            "x pushed:>=2024-01-02T00:00:00Z stars:1..9",
        ),
        (RepositoryQuery(text="x"), Walk(h=3, t=True, u=FIRST_CREATED), "x stars:3 created:<=2007-01-01T00:00:00Z"),
        (RepositoryQuery(text="x"), Walk(h=3, t=True, s=FIRST_CREATED + 1), "x stars:3 created:>=2007-01-01T00:00:01Z"),
        (
            RepositoryQuery(text="x"),
            Walk(h=3, t=True, s=FIRST_CREATED, u=FIRST_CREATED + 60),
            "x stars:3 created:2007-01-01T00:00:00Z..2007-01-01T00:01:00Z",
        ),
    ],
)
def test_a_query_in_githubs_syntax(query, walk, expected):
    assert describe_query(query, walk) == expected


def repository(key, stars):
    return {"id": key, "full_name": f"octo/r{key}", "owner": {"login": "octo", "id": 1}, "stargazers_count": stars}


@respx.mock
def test_pages_follow_each_other_to_the_end(call):
    pages = [
        {"total_count": 102, "incomplete_results": False, "items": [repository(at, 300 - at) for at in range(100)]},
        {"total_count": 102, "incomplete_results": True, "items": [repository(101, 5), {"id": 102}, "odd"]},
    ]
    route = respx.get(SEARCH).mock(side_effect=[respx.MockResponse(json=page) for page in pages])
    query = RepositoryQuery(text="app", max_stars=300)
    first = call(provider.search_repositories, query, None)
    assert (len(first.items), first.total, first.complete, first.items[0].stars) == (100, 102, True, 300)
    second = call(provider.search_repositories, query, first.next_cursor)
    assert (len(second.items), second.total, second.complete, second.next_cursor) == (1, 102, False, None)
    assert len(second.diagnostics) == 2
    asked = dict(route.calls.last.request.url.params)
    assert asked == {"q": "app stars:0..300", "sort": "stars", "order": "desc", "per_page": "100", "page": "2"}
    assert route.calls.last.request.extensions["wump_resource"] == "search"


@respx.mock
def test_past_the_cap_the_next_page_ends_at_the_fewest_stars(call):
    items = [*(repository(at, 500 - at) for at in range(98)), repository(98, 7), repository(99, 7)]
    route = respx.get(SEARCH).respond(json={"total_count": 5_000, "incomplete_results": False, "items": items})
    page = call(provider.search_repositories, RepositoryQuery(text="app"), None)
    assert (len(page.items), page.total) == (100, 5_000)
    below = {"total_count": 700, "items": [repository(98, 7), repository(99, 7), repository(100, 7)]}
    route.respond(json=below)
    following = call(provider.search_repositories, RepositoryQuery(text="app"), page.next_cursor)
    assert route.calls.last.request.url.params["q"] == "app stars:0..7"
    assert [item.host_id for item in following.items] == ["100"]
    assert following.total == 5_000


@respx.mock
def test_an_account_that_is_not_there_is_not_found(call):
    error = {"message": "The listed users and repositories cannot be searched either because …", "code": "invalid"}
    respx.get(SEARCH).respond(422, json={"message": "Validation Failed", "errors": [error]})
    with pytest.raises(NotFound, match="account"):
        call(provider.search_repositories, RepositoryQuery(owner="nobody"), None)


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        '{"t":true}',
        '{"s":1200000001,"u":1200000000}',
        "{}x",
        '{"p": 11}',
        '{"q": 1}',
        '{"x": [' + "1," * 200 + "1]}",
        "[]",
    ],
)
def test_a_foreign_cursor_is_refused(call, cursor):
    with pytest.raises(InvalidResponse, match="begin again"):
        call(provider.search_repositories, RepositoryQuery(), cursor)


@pytest.mark.parametrize("body", [{}, {"items": {}}, {"items": None, "total_count": 1}])
@respx.mock
def test_an_answer_without_items_is_invalid(call, body):
    respx.get(SEARCH).respond(json=body)
    with pytest.raises(InvalidResponse, match="items"):
        call(provider.search_repositories, RepositoryQuery(), None)
