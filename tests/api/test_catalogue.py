"""Packages, organizations, searches and statistics: what there is to look through."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from api.conftest import record, save
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_api.catalogue import (
    DependentPackage,
    FoundPackage,
    Hit,
    OrganizationDetails,
    OrganizationSummary,
    OwnedRepository,
    PackageSummary,
    UsedPackage,
)
from wump_api.models import DependentRepository, Execution, Facets, Page
from wump_api.routes import search
from wump_api.routes.badges import Badge
from wump_api.routes.stats import EcosystemStatistics, Statistics
from wump_core import schedule
from wump_core.records import FundingLink
from wump_core.store import touches
from wump_core.store.dependents import fold_deltas
from wump_core.store.search import replace_search_names
from wump_worker.jobs.statistics import refresh_statistics

V1 = "/api/v1"


async def walk(api: Any, path: str, limit: int, **parameters: Any) -> list[Any]:
    """All rows of a list, page by page."""
    rows: list[Any] = []
    cursor = None
    while True:
        page = await api.page(path, limit=limit, cursor=cursor, **parameters)
        assert len(page["data"]) <= limit
        rows += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return rows


@pytest.mark.parametrize(
    ("path", "model", "parameters"),
    [
        ("/packages", PackageSummary, {}),
        ("/packages", PackageSummary, {"ecosystem": "npm"}),
        ("/packages/npm/core/dependents/packages", DependentPackage, {}),
        ("/organizations", OrganizationSummary, {}),
        ("/organizations", OrganizationSummary, {"host": "gitlab.example"}),
        ("/organizations/org00/packages", UsedPackage, {}),
        ("/organizations/org00/repositories", OwnedRepository, {}),
        ("/packages/npm/core/dependents/repositories", DependentRepository, {}),
        ("/search", Hit, {"q": "or"}),
    ],
    ids=str,
)
async def test_lists_join_to_the_whole_and_every_row_has_a_permalink(
    api: Any, path: str, model: Any, parameters: dict[str, Any]
) -> None:
    whole = await walk(api, path, 100, **parameters)
    assert whole
    for limit in (2, len(whole)):
        assert await walk(api, path, limit, **parameters) == whole
    page = Page[model].model_validate(await api.page(path, **parameters))
    assert {source.provider for source in page.meta.sources} >= {"npm"}
    assert len({json.dumps(row) for row in whole}) == len(whole)
    for row in whole[:3]:
        assert row["id"]
        address = row["url"]
        if address.startswith("/"):
            assert (await api.get(address)).json()["id"] == row["id"]


async def test_lists_and_their_filters(api: Any, problem: Any) -> None:
    names = [(row["ecosystem"], row["name"]) for row in await walk(api, "/packages", 100)]
    assert names == sorted(names)
    assert {ecosystem for ecosystem, _ in names} == {"npm", "pypi"}
    assert [row["name"] for row in await walk(api, "/packages", 5, ecosystem="pypi")] == ["same"]
    assert "track some" in (await api.page("/packages", tracked=True))["meta"]["hint"]
    dependents = [row["name"] for row in await walk(api, "/packages/npm/core/dependents/packages", 7)]
    assert set(dependents) == {"inner", "homeless", "ownerless", "nested", "@scope/tool", "formula", "late"} | {
        name for name in dependents if name[0] in "det" and name[1:].isdigit()
    } | {"twin-host"}
    assert dependents.count("@scope/tool") == 2, "one row for each scope"
    for path in ("/packages?ecosystem=nope", "/organizations?host=a%00b", "/organizations?host=%27"):
        problem(await api.get(V1 + path), 422, "invalid-request")


@pytest.mark.parametrize(
    "path", ["npm/core/dependents/evidence?organization=org00", "npm/%40scope%2Ftool/dependencies?"]
)
async def test_every_statement_has_a_permalink(api: Any, problem: Any, path: str) -> None:
    rows = (await api.page(f"/packages/{path}"))["data"]
    assert len(rows) == len({row["permalink"] for row in rows}) == 2
    for row in rows:
        assert (await api.get(row["permalink"])).json()["data"] == [row]
    gone = (await api.get(row["permalink"][:-36] + "0" * 32)).json()
    assert (gone["data"], gone["meta"]["hint"]) == ([], "Nobody says this any more, or nobody ever did.")
    problem(await api.get(f"{V1}/packages/{path}&statement=x"), 422, "invalid-request")


async def test_a_hundred_packages_at_once(api: Any, problem: Any) -> None:
    path = f"{V1}/packages/lookup"
    asked = ["npm:core", "pkg:npm/%40scope/tool@1.0.0", "npm:nowhere", "nonsense", "x:y"]
    response = await api.post(path, json={"purls": asked})
    page = Page[FoundPackage].model_validate(response.json())
    found = page.data
    assert (page.next_cursor, page.meta.total) == (None, len(asked))
    assert [item.asked for item in found] == asked
    assert [item.package and item.package.purl for item in found] == [
        "pkg:npm/core", "pkg:npm/%40scope/tool", None, None, None
    ]  # fmt: skip
    assert [bool(item.problem) for item in found] == [False, False, False, True, True]
    for purls in ([], ["npm:a"] * 101, [""], ["npm:" + "a" * 1_000], None):
        problem(await api.post(path, json={"purls": purls}), 422, "invalid-request")
    assert (await api.get("/api/v1/packages/lookup")).status_code == 404, "this names a package"


async def test_refresh_makes_a_run_of_a_known_package(empty_api: Any, problem: Any) -> None:
    engine = empty_api.app.state.engine
    await save(engine, record("pkg:npm/%40a/refresh", "a/b", ("needed", "runtime")))
    response = await empty_api.post(f"{V1}/packages/npm/@a/refresh/refresh")
    assert response.status_code == 202, response.text
    assert Execution.model_validate(response.json()).subject == "pkg:npm/%40a/refresh"
    assert response.headers["location"] == response.json()["url"]
    assert (await empty_api.page("/packages/npm/needed"))["tracked"] is False
    assert (await empty_api.post(f"{V1}/packages/needed/refresh")).json()["subject"] == "pkg:npm/needed"
    assert (await empty_api.page("/packages/npm/needed"))["tracked"] is False
    problem(await empty_api.post(f"{V1}/packages/npm/nowhere/refresh"), 404, "unknown-package")


async def test_organizations_and_what_they_use_can_be_funded(empty_api: Any, problem: Any) -> None:
    engine = empty_api.app.state.engine
    fund = (FundingLink(url="https://fund.example/lib", type="other"),)
    await save(engine, record("pkg:npm/lib", "maker/lib", funding=fund))
    await save(engine, record("pkg:npm/asked", "poor/asked", funding=()))
    edges = (("lib", "runtime"), ("asked", "runtime"), ("unasked", "development"))
    await save(engine, record("pkg:npm/app", "user/app", *cast(Any, edges)))
    await save(engine, record("pkg:npm/app2", "user/app2", ("lib", "development")))
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "UPDATE accounts SET name = 'The User', sponsorable = true, funding = '[]', fetched_at = now(),"
                " kind = 'organization', website = 'https://user.example/' WHERE login = 'user'"
            )
        )
        await connection.execute(
            text(
                "INSERT INTO accounts (host, login, organization_id) SELECT 'git.example', 'user', id"
                " FROM organizations WHERE login = 'user'"
            )
        )
    found = OrganizationDetails.model_validate(await empty_api.page("/organizations/user"))
    assert [(item.host, item.name, item.sponsorable) for item in found.accounts] == [
        ("git.example", None, None),
        ("github.com", "The User", True),
    ]
    assert await empty_api.page(f"/organizations/{found.id}") == await empty_api.page("/organizations/USER")
    used = Page[UsedPackage].model_validate(await empty_api.page(f"/organizations/{found.id}/packages")).data
    facts = {item.name: (item.repositories, item.fundable, [way.of for way in item.funding]) for item in used}
    assert facts == {"lib": (2, True, ["package"]), "asked": (1, False, []), "unasked": (1, None, [])}
    assert used[0].usage == {"runtime": 1, "development": 1}
    evidence = (await empty_api.get(used[0].evidence_url)).json()
    assert {row["repository"] for row in evidence["data"]} == {
        "https://github.com/user/app",
        "https://github.com/user/app2",
    }
    repositories = await empty_api.page(f"/organizations/{found.id}/repositories")
    assert [row["path"] for row in repositories["data"]] == ["user/app", "user/app2"]
    for name in ("nobody", "0" * 32, "%00", "a%2Fb"):
        response = await empty_api.get(f"{V1}/organizations/{name}")
        assert response.json()["type"] in ("/problems/unknown-organization", "/problems/http-error")
        assert response.status_code == 404


async def test_search_ranks_the_name_then_its_beginning_then_what_is_nearly_so(empty_api: Any, problem: Any) -> None:
    engine: AsyncEngine = empty_api.app.state.engine
    for name, owner in (("express", "expressjs"), ("express-session", "expressjs"), ("lodash", "lodash"), ("re", "x")):
        await save(engine, record(f"pkg:npm/{name}", f"{owner}/{name}", description=f"the {name} middleware"))
    await save(engine, record("pkg:npm/app", "user/app", ("express", "runtime"), ("lodash", "runtime")))
    await save(engine, record("pkg:pypi/express", "pythons/express"), "pypi")
    async with engine.begin() as connection:
        await fold_deltas(connection)
        await replace_search_names(connection)

    async def find(**asked: Any) -> list[str]:
        page = Page[Hit].model_validate(await empty_api.page("/search", **asked))
        assert (page.next_cursor is None) == ("limit" not in asked)
        return [
            item.package.purl if item.package else str(item.organization and item.organization.login)
            for item in page.data
        ]

    assert await find(q="Express ") == ["pkg:npm/express", "pkg:pypi/express", "pkg:npm/express-session", "expressjs"]
    assert await find(q="express", ecosystem="pypi") == ["pkg:pypi/express"]
    assert await find(q="express", type="organization") == ["expressjs"]
    assert await find(q="express", type="package", limit=1) == ["pkg:npm/express"]
    assert (await find(q="expres"))[:3] == ["pkg:npm/express", "pkg:pypi/express", "pkg:npm/express-session"]
    assert (await find(q="exprss"))[0] == "pkg:npm/express"
    assert await find(q="lodahs", type="package") == ["pkg:npm/lodash"]
    assert (await find(q="re"))[0] == "pkg:npm/re"
    assert await find(q="lodash middleware", type="package") == ["pkg:npm/lodash"]
    for bait in ("%", "_", "\\", "'", "a'; --", "(", "&", "!*:", "<->", "\u202e", "\U0010ffff", "x" * 100, "\t|"):
        assert await find(q=bait) == [], bait
    for wrong in ({"q": ""}, {"q": " "}, {"q": "a\0"}, {"q": "x" * 101}, {}, {"q": "a", "limit": 101}):
        problem(await empty_api.get(f"{V1}/search", params=wrong), 422, "invalid-request")


async def test_a_search_has_the_two_hundred_best(empty_api: Any, problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine: AsyncEngine = empty_api.app.state.engine
    needs: Any = [(f"tool-{number}", "runtime") for number in range(30)]
    await save(engine, record("pkg:npm/app", "tools/app", *needs))
    for most in (200, 20):
        monkeypatch.setattr(search, "MOST", most)
        whole = await walk(empty_api, "/search", 100, q="tool")
        assert len(whole) == min(31, most)
        assert await walk(empty_api, "/search", 7, q="tool") == whole
    page = await empty_api.page("/search", q="tool", limit=1)
    for change in ({"q": "tools"}, {"type": "package"}, {"ecosystem": "npm"}):
        asked = {"q": "tool", **change, "cursor": page["next_cursor"]}
        problem(await empty_api.get(f"{V1}/search", params=asked), 422, "invalid-cursor")


async def test_counts_are_stored_and_say_when_they_were_made(empty_api: Any, problem: Any) -> None:
    engine: AsyncEngine = empty_api.app.state.engine
    before = Statistics.model_validate(await empty_api.page("/stats"))
    assert before.packages is before.as_of is None
    assert (await empty_api.page("/stats/npm"))["packages"] is None
    await save(engine, record("pkg:npm/a", "one/a", ("b", "runtime"), ("c", "test")))
    await save(engine, record("pkg:npm/d", "two/d", ("b", "development")))
    await save(engine, record("pkg:pypi/e", "two/e"), "pypi")
    async with engine.begin() as connection:
        await schedule.executions.add_execution(connection, "refresh_statistics", "all", queue="low")
    async with engine.begin() as connection:
        key = (await connection.execute(text("SELECT id FROM job_executions"))).scalar_one()
        execution = await schedule.start(connection, key)
    assert execution
    await refresh_statistics(cast(Any, SimpleNamespace(engine=engine)), execution)
    found = Statistics.model_validate(await empty_api.page("/stats"))
    assert (found.packages, found.organizations, found.repositories, found.uses, found.depended_on) == (5, 2, 3, 3, 2)
    assert {item.ecosystem: item.packages for item in found.ecosystems} == {"npm": 4, "pypi": 1}
    for item in found.ecosystems:
        assert EcosystemStatistics.model_validate((await empty_api.get(item.url)).json()) == item
    none = EcosystemStatistics.model_validate(await empty_api.page("/stats/maven"))
    assert (none.packages, none.uses, none.as_of) == (0, 0, found.as_of)
    problem(await empty_api.get(f"{V1}/stats/nope"), 422, "invalid-request")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE package_organizations SET kind = 'user' WHERE login = 'two'"))
        ids = list((await connection.execute(text("SELECT id FROM packages"))).scalars())
        await touches.refresh_facets(connection, ids)
    facets = Facets.model_validate(await empty_api.page("/packages/npm/b/dependents/facets"))
    assert facets.organizations == 2
    assert facets.facets
    assert facets.facets.kind == {"unknown": 1, "user": 1}
    assert {name: count for name, count in facets.facets.scope.items() if count} == {"runtime": 1, "development": 1}
    assert facets.facets.host == {"github.com": 2}
    assert facets.facets.provider == {"npm": 2}


async def test_badges_count_no_user_accounts(empty_api: Any, problem: Any) -> None:
    engine: AsyncEngine = empty_api.app.state.engine
    for number in range(3):
        await save(engine, record(f"pkg:npm/a{number}", f"o{number}/a", ("used", "runtime")))
    await save(engine, record("pkg:npm/a9", "o0/second", ("used", "runtime")))
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE package_organizations SET kind = 'user' WHERE login <> 'o0'"))
    for _ in ("counted when asked", "stored"):
        badge = Badge.model_validate(await empty_api.page("/packages/npm/used/badge.json"))
        assert badge.message == "1 organization"
        assert (await empty_api.page("/packages/npm/used/badge.json", metric="repositories"))[
            "message"
        ] == "2 repositories"
        async with engine.begin() as connection:
            ids = list((await connection.execute(text("SELECT id FROM packages"))).scalars())
            await touches.refresh_facets(connection, ids)
    picture = await empty_api.get(f"{V1}/packages/npm/used/badge.svg", params={"label": '<b>&"'})
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "&lt;b&gt;&amp;&quot;" in picture.text
    assert "<b>" not in picture.text
    assert json.loads((await empty_api.get(f"{V1}/packages/used/badge.json")).text)["color"] == "blue"
    assert (await empty_api.page("/packages/npm/a1/badge.json"))["message"] == "0 organizations"
    problem(await empty_api.get(f"{V1}/packages/npm/nowhere/badge.svg"), 404, "unknown-package")
    problem(await empty_api.get(f"{V1}/packages/npm/used/badge.svg?label=a%0Ab"), 422, "invalid-request")


async def test_pages_cost_the_same_number_of_statements_whatever_there_is(api: Any, counting: Any) -> None:
    for path, expected in (
        ("/packages", 2),
        ("/organizations", 2),
        ("/search?q=core", 3),
        ("/stats", 1),
        ("/organizations/org00/packages", 3),
        ("/organizations/org00/repositories", 3),
        ("/packages/npm/core/dependents/packages", 2),
        ("/packages/npm/core/dependents/facets", 2),
    ):
        async with counting(api) as statements:
            await api.get(V1 + path)
        assert len(statements) == expected, path
