"""What the kit's recordings are too short for: many pages, other instances, other people's hosts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import wump_provider_gitlab as provider
from wump_core import Context, NotFound, OrganizationRecord, Page, RepositoryQuery, RepositoryRecord, TreeRecord
from wump_provider_gitlab import files
from wump_provider_gitlab.settings import LIMITS, GitLabSettings

WIDGET = "https://gitlab.com/acme/widget"
COMMIT = "5937ac0a7beb003549fc5fd26fc247adbce4a52e"
Answer = Callable[[httpx.Request], httpx.Response]


def ask(answer: Answer, hook: Callable[..., Awaitable[Any]], *arguments: Any, **fields: Any) -> tuple[Any, list[str]]:
    """What a hook makes of these answers, and what it asked for."""
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.raw_path.decode())
        return answer(request)

    async def call() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond), follow_redirects=True) as http:
            return await hook(Context(http=http, settings=GitLabSettings(**fields), log=None), *arguments)

    return asyncio.run(call()), asked


def refuse(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"{request.url} was asked for")


def make_tree(request: httpx.Request, **headers: str) -> httpx.Response:
    page = int(request.url.params.get("page", "1"))
    entries = [{"id": f"{page}-{n}", "type": "blob", "path": f"{page}/{n}", "mode": "100644"} for n in range(100)]
    return httpx.Response(200, json=entries, headers=headers)


def make_project(number: int, stars: int) -> dict[str, Any]:
    return {"id": number, "path_with_namespace": f"acme/w{number}", "star_count": stars}


def endless_tree(request: httpx.Request) -> httpx.Response:
    return make_tree(request, **{"x-next-page": str(int(request.url.params.get("page", "1")) + 1)})


def test_an_endless_tree_is_cut_and_says_so() -> None:
    record, asked = ask(endless_tree, provider.fetch_tree, WIDGET, COMMIT)
    assert isinstance(record, TreeRecord)
    assert (len(asked), len(record.entries), record.complete) == (250, 25_000, False)
    assert [item.message for item in record.diagnostics] == ["only the first 25,000 entries were read"]


def test_a_slow_tree_is_cut_before_the_call_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_TREE_SECONDS", -1.0)
    record, asked = ask(endless_tree, provider.fetch_tree, WIDGET, COMMIT)
    assert (len(asked), len(record.entries), record.complete) == (1, 100, False)


def test_a_tree_whose_pages_repeat_is_an_error() -> None:
    def repeat(request: httpx.Request) -> httpx.Response:
        return make_tree(request, link=f'<{request.url}>; rel="next"')

    with pytest.raises(ValueError, match="same page"):
        ask(repeat, provider.fetch_tree, WIDGET, COMMIT)


def test_the_pages_of_a_moved_project_are_asked_for_where_it_is_now() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if b"acme%2Fwidget" in request.url.raw_path:
            return httpx.Response(301, headers={"location": str(request.url).replace("acme%2Fwidget", "7")})
        page = int(request.url.params.get("page", "1"))
        return make_tree(request, **({"x-next-page": str(page + 1)} if page < 3 else {}))

    record, asked = ask(answer, provider.fetch_tree, WIDGET, COMMIT)
    assert (len(record.entries), record.complete) == (300, True)
    assert [path.partition("/repository")[0] for path in asked] == [
        "/api/v4/projects/acme%2Fwidget",
        *["/api/v4/projects/7"] * 3,
    ]


def test_a_search_ends_where_gitlab_shows_no_more() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        page = int(request.url.params["page"])
        return httpx.Response(200, json=[make_project(page, 5)], headers={"x-next-page": str(page + 1)})

    query = RepositoryQuery(text="widget")
    page, _ = ask(answer, provider.search_repositories, query, "projects:499")
    assert isinstance(page, Page)
    assert (page.next_cursor, page.complete) == ("projects:500", True)
    page, _ = ask(answer, provider.search_repositories, query, page.next_cursor)
    assert (page.next_cursor, page.complete, len(page.diagnostics)) == (None, False, 1)


def test_a_search_ends_below_the_lowest_stars() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        projects = [make_project(1, 90), make_project(2, 50), make_project(3, 9)]
        return httpx.Response(200, json=projects, headers={"x-next-page": "2", "x-total": "300"})

    page, _ = ask(answer, provider.search_repositories, RepositoryQuery(min_stars=10, max_stars=60), None)
    assert [item.path for item in page.items] == ["acme/w2"]
    assert (page.next_cursor, page.complete, page.total) == (None, True, None)
    page, _ = ask(answer, provider.search_repositories, RepositoryQuery(max_stars=60), None)
    assert ([item.stars for item in page.items], page.next_cursor) == ([50, 9], "projects:2")


def test_a_bad_item_costs_only_itself() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "dependencies" in request.url.path:
            rows = [
                None,
                {"name": 7},
                {"name": "x", "package_manager": "\0" * 300},
                {"name": "y", "package_manager": []},
            ]
            return httpx.Response(200, json=rows)
        good = {"id": "1", "type": "blob", "path": "a"} if "tree" in request.url.path else make_project(1, 5)
        return httpx.Response(200, json=[None, 7, good, {"id": []}])

    page, _ = ask(answer, provider.search_repositories, RepositoryQuery(text="widget"), None)
    assert ([item.path for item in page.items], len(page.diagnostics)) == (["acme/w1"], 3)
    record, _ = ask(answer, provider.fetch_tree, WIDGET, COMMIT)
    assert ([entry.path for entry in record.entries], len(record.diagnostics)) == (["a"], 3)
    page, _ = ask(answer, provider.fetch_dependency_graph, WIDGET, None)
    assert ([item.name for item in page.items], page.complete) == (["x", "y"], True)


@pytest.mark.parametrize("cursor", ["groups:2", "projects:0", "projects:-1", "projects:١", "../admin:1", "2", ""])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match="none of this search"):
        ask(refuse, provider.search_repositories, RepositoryQuery(text="widget"), cursor)


@pytest.mark.parametrize(
    ("hook", "arguments"),
    [
        (provider.fetch_repository, ("https://github.com/acme/widget",)),
        (provider.fetch_tree, ("https://gitlab.example/acme/widget", None)),
        (provider.fetch_file, ("https://github.com/acme/widget", "main", "setup.py")),
        (provider.fetch_dependency_graph, ("https://github.com/acme/widget", None)),
        (provider.fetch_organization, ("github.com", "acme")),
        (provider.fetch_organization, ("gitlab.com", "..")),
        (provider.fetch_file, (WIDGET, "main", "..")),
        (provider.fetch_file, (WIDGET, "main", "")),
        (provider.fetch_tree, (WIDGET, "..")),
    ],
)
def test_what_is_elsewhere_is_not_asked_for(hook: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...]) -> None:
    with pytest.raises(NotFound):
        ask(refuse, hook, *arguments)


def test_an_instance_of_ones_own() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        found = {"id": 3, "path_with_namespace": "Team/Sub/tool"} if "languages" not in request.url.path else {}
        return httpx.Response(200, json=found)

    record, asked = ask(
        answer,
        provider.fetch_repository,
        "https://git.example/Team/Sub/tool",
        base_url="https://git.example/gitlab/api/v4",
        code_host="git.example",
    )
    assert isinstance(record, RepositoryRecord)
    assert (record.host, record.path, record.owner) == ("git.example", "Team/Sub/tool", "Team/Sub")
    assert asked == [
        "/gitlab/api/v4/projects/Team%2FSub%2Ftool?license=true",
        "/gitlab/api/v4/projects/3/languages",
    ]


@pytest.mark.parametrize(("token", "visibility"), [("", "public"), ("glpat-x", None)])
def test_what_is_seen_without_a_token_is_public(token: str, visibility: str | None) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={} if "languages" in request.url.path else make_project(3, 4))

    record, _ = ask(answer, provider.fetch_repository, WIDGET, token=token)
    assert record.visibility == visibility


def test_a_person_is_asked_for_once_without_a_token() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "/groups/" in request.url.path:
            return httpx.Response(404, json={"message": "404 Group Not Found"})
        return httpx.Response(200, json=[{"id": 1, "username": "someone-else"}, {"id": 2, "username": "Someone"}])

    record, asked = ask(answer, provider.fetch_organization, "gitlab.com", "someone")
    assert record == OrganizationRecord(host="gitlab.com", login="Someone", host_id="2", kind="user")
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("resources", "in_all", "of_projects"), [(LIMITS.resources, 2_000, 2_000), (LIMITS.anonymous, 500, 400)]
)
def test_all_limits_together_are_within_that_of_all_traffic(resources: Any, in_all: int, of_projects: int) -> None:
    each_minute = {
        name: sum(limit.requests * 60 / limit.seconds for limit in limits) for name, limits in resources.items()
    }
    assert sum(each_minute.values()) <= in_all
    assert each_minute["projects"] * 10 <= of_projects
    assert each_minute["project"] <= 400
    assert each_minute["owners"] <= 300
    assert each_minute["files"] <= 300
