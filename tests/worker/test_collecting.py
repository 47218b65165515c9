"""The jobs that collect by themselves, from a server that answers as GitHub and npm do; each goes on where it ended."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from local_registry import LocalRegistry
from sqlalchemy.ext.asyncio import AsyncEngine
from worker.conftest import Ledger
from worker.test_read_repository import Host
from wump_core.errors import ConfigurationError, LeaseLost
from wump_core.purl import parse_purl
from wump_core.settings import CoreSettings
from wump_core.store.audit import list_faults
from wump_core.store.executions import Execution, add_execution
from wump_core.store.packages import track_package
from wump_core.store.providers import save_attempt
from wump_worker.actors import run_execution
from wump_worker.jobs import JOBS, cleanup
from wump_worker.jobs.discovery import list_queries
from wump_worker.resources import Resources, open_resources
from wump_worker.settings import WorkerSettings

JSON = {"Content-Type": "application/json"}


class Answers(dict[str, Any]):
    """Answers by path, however a query is written."""

    def get(self, key: str, default: Any = None, /) -> Any:  # ty: ignore[incompatible-method-override]
        """The answer of the same path and query."""
        wanted = _parts(key)
        return next((value for path, value in self.items() if _parts(path) == wanted), default)


def _parts(path: str) -> tuple[str, dict[str, list[str]]]:
    split = urlsplit(path)
    return split.path, parse_qs(split.query)


@pytest.fixture
async def resources(
    settings: CoreSettings, registry: LocalRegistry, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Resources]:
    registry.answers = Answers()
    monkeypatch.setenv("WUMP_PROVIDER_GITHUB_BASE_URL", f"{registry.address}/gh")
    monkeypatch.setenv("WUMP_PROVIDER_GITHUB_TOKEN", "secret")
    monkeypatch.setenv("WUMP_PROVIDER_NPM_CHANGES_URL", f"{registry.address}/feed")
    wanted = settings.model_copy(update={"providers": "npm,github"})
    worker = WorkerSettings(discover_pages=2, discover_owners="acme", discover_languages="tracked")
    async with open_resources(wanted, worker) as opened:
        yield opened


async def run(
    resources: Resources, engine: AsyncEngine, ledger: Ledger, job: str, subject: str = "all"
) -> dict[str, Any]:
    """Run a job at once; returns the execution. Nothing may be at fault behind it."""
    async with engine.begin() as connection:
        public_id = await add_execution(connection, job, subject, queue="high")
    (row,) = await ledger.rows("SELECT id FROM job_executions WHERE public_id = :id", id=public_id)
    await run_execution(resources, row["id"])
    async with engine.connect() as connection:
        assert await list_faults(connection) == []
    return await ledger.get(row["id"])


async def track(engine: AsyncEngine, *packages: str) -> None:
    async with engine.begin() as connection:
        for package in packages:
            await track_package(connection, parse_purl(package))


async def list_due(ledger: Ledger, job: str) -> list[str]:
    rows = await ledger.rows(
        "SELECT subject FROM job_executions WHERE job = :job AND state = 'pending' ORDER BY subject", job=job
    )
    return [row["subject"] for row in rows]


def repository(number: int, path: str, **facts: Any) -> dict[str, Any]:
    owner = path.partition("/")[0]
    return {
        "id": number,
        "full_name": path,
        "private": False,
        "fork": False,
        "archived": False,
        "owner": {"login": owner, "id": sum(map(ord, owner)), "type": "Organization"},
        "stargazers_count": 1_000 - number,
        "pushed_at": "2026-11-01T00:00:00Z",
        **facts,
    }


def test_each_job_says_what_a_subject_given_by_hand_must_be() -> None:
    assert JOBS["search_repositories"].subject("github?min_stars=5&owner=acme") == "github?owner=acme&min_stars=5"
    assert JOBS["restamp_organization"].subject("github.com/Acme") == "github.com/acme"
    for job, given in (
        ("search_repositories", "github"),
        ("search_repositories", "github?color=red"),
        ("restamp_organization", "acme"),
        ("follow_feed", ""),
        ("clean_up", "npm:x"),
    ):
        with pytest.raises(ConfigurationError):
            JOBS[job].subject(given)


async def test_the_policy_becomes_searches(resources: Resources, engine: AsyncEngine, ledger: Ledger) -> None:
    await track(engine, "npm:base")
    execution = await run(resources, engine, ledger, "discover_repositories")
    assert execution["outcome"]["searches"] == 3
    assert await list_due(ledger, "search_repositories") == [
        "github?language=JavaScript&min_stars=500",
        "github?language=TypeScript&min_stars=500",
        "github?owner=acme",
    ]
    resources.settings.discover_owners = "github.com/acme, gitlab.com/other, acme"
    resources.settings.discover_languages = "none"
    assert [query.owner for query in list_queries(resources, "github.com", [])] == ["acme"]


async def test_a_search_goes_on_where_it_was_cut_off(
    resources: Resources, registry: LocalRegistry, engine: AsyncEngine, ledger: Ledger
) -> None:
    found = [repository(number, f"Acme/r{number}") for number in range(3)]
    base = "/gh/search/repositories?q=user:acme&sort=stars&order=desc&per_page=100"
    subject = "github?owner=acme"

    def page(number: int, *items: dict[str, Any]) -> None:
        registry.answers[f"{base}&page={number}"] = {"total_count": 250, "items": items}

    page(1, found[0], repository(9, "Acme/secret", private=True), {"id": "no repository"})
    registry.answers[f"{base}&page=2"] = (500, {}, b"")
    execution = await run(resources, engine, ledger, "search_repositories", subject)
    assert execution["state"] == "failed"
    assert await list_due(ledger, "read_repository") == ["https://github.com/acme/r0"]
    (walk,) = await ledger.rows("SELECT cursor, error, upstream_count FROM provider_subjects")
    assert walk["cursor"]
    assert walk["error"]
    assert walk["upstream_count"] == 250
    page(2, found[1])
    page(3, found[2])
    registry.requests.clear()
    await ledger.make_due()
    await run_execution(resources, execution["id"])
    assert (await ledger.get(execution["id"]))["outcome"] == {
        "code": "saved",
        "found": 2,
        "to_read": 2,
        "complete": True,
    }
    assert not [path for path in registry.requests if path.endswith("page=1")]
    (walk,) = await ledger.rows("SELECT cursor, error, walked_at IS NULL AS walking FROM provider_subjects")
    assert (walk["cursor"], walk["error"], walk["walking"]) == (None, None, False)
    assert await ledger.rows("SELECT login, kind, host_id FROM accounts") == [
        {"login": "acme", "kind": "organization", "host_id": str(sum(map(ord, "Acme")))}
    ]
    rows = await ledger.rows("SELECT path, stars, current_path FROM repositories ORDER BY path")
    assert [tuple(row.values()) for row in rows] == [(f"acme/r{n}", 1_000 - n, f"Acme/r{n}") for n in range(3)]


async def test_a_renamed_repository_is_read_under_its_new_name_and_its_owner_has_a_kind(
    resources: Resources, registry: LocalRegistry, engine: AsyncEngine, ledger: Ledger
) -> None:
    host = Host(registry)
    host.push({"package.json": b'{"name": "lib", "dependencies": {"base": "1"}}'})
    await run(resources, engine, ledger, "read_repository", "https://github.com/acme/app")
    answers = registry.answers
    (facts,) = (value for key, value in answers.items() if key == "/gh/repos/acme/app")
    renamed = facts | {"full_name": "Acme/Web"}
    moved = {key.replace("/acme/app", "/acme/web"): value for key, value in answers.items()}
    registry.answers = {**moved, "/gh/repos/acme/app": renamed, "/gh/repos/acme/web": renamed}
    for _ in range(2):
        await run(resources, engine, ledger, "read_repository", "https://github.com/acme/app")
        rows = await ledger.rows(
            "SELECT r.path, home.path AS home FROM repositories r"
            " LEFT JOIN repositories home ON home.id = r.renamed_to ORDER BY 1"
        )
        assert [tuple(row.values()) for row in rows] == [("acme/app", "acme/web"), ("acme/web", None)]
        (answer,) = await ledger.rows(
            "SELECT kind, repositories, evidence::json->>'repository' AS repository FROM package_organizations"
        )
        assert tuple(answer.values()) == ("organization", 1, "https://github.com/acme/web")


def feed(registry: LocalRegistry, since: int, last: int, *names: str) -> None:
    results = [{"seq": since + 1, "id": name, "changes": []} for name in names]
    registry.answers[f"/feed/_changes?since={since}&limit=1000"] = {"results": results, "last_seq": last}


async def test_a_feed_makes_known_packages_due_and_never_skips(
    resources: Resources, registry: LocalRegistry, engine: AsyncEngine, ledger: Ledger
) -> None:
    registry.answers["/feed/"] = {"update_seq": 10}
    await track(engine, "npm:base")
    await run(resources, engine, ledger, "follow_changes")
    assert await list_due(ledger, "follow_feed") == ["npm"]
    execution = await run(resources, engine, ledger, "follow_feed", "npm")
    assert execution["outcome"]["changed"] == 0
    feed(registry, 10, 20, "base", "stranger")
    registry.answers["/feed/_changes?since=20&limit=1000"] = (200, JSON, b"{")
    execution = await run(resources, engine, ledger, "follow_feed", "npm")
    assert execution["state"] == "failed"
    assert await list_due(ledger, "refresh_package") == ["pkg:npm/base"]
    (walk,) = await ledger.rows("SELECT cursor, error FROM provider_subjects WHERE capability = 'fetch_changes'")
    assert walk["cursor"] == "20"
    assert walk["error"]
    feed(registry, 20, 20)
    await ledger.make_due()
    await run_execution(resources, execution["id"])
    assert (await ledger.get(execution["id"]))["outcome"]["complete"]
    assert await ledger.value("SELECT walked_at IS NOT NULL FROM provider_subjects WHERE capability = 'fetch_changes'")


async def test_a_run_that_was_taken_over_saves_nothing(
    resources: Resources, registry: LocalRegistry, engine: AsyncEngine, ledger: Ledger
) -> None:
    registry.answers["/feed/"] = {"update_seq": 10}
    registry.answers["/gh/search/repositories?q=user:acme&sort=stars&order=desc&per_page=100&page=1"] = {
        "total_count": 1,
        "items": [repository(1, "acme/app")],
    }
    registry.answers['/gh/search/code?q="base"+filename:package.json&per_page=100&page=1'] = {
        "total_count": 0,
        "items": [],
    }
    await track(engine, "npm:base")
    for job, subject in (
        ("follow_feed", "npm"),
        ("search_repositories", "github?owner=acme"),
        ("discover_dependents", "pkg:npm/base"),
        ("plan_refreshes", "all"),
        ("clean_up", "all"),
        ("enrich_organizations", "all"),
    ):
        with pytest.raises(LeaseLost):
            await JOBS[job].run(resources, Execution(1, job, subject, {}, "low", uuid4(), 0))
    for table in ("provider_subjects", "job_executions", "repositories"):
        assert await ledger.rows(f"SELECT * FROM {table}") == []


async def test_what_a_code_search_finds_is_read(
    resources: Resources, registry: LocalRegistry, engine: AsyncEngine, ledger: Ledger
) -> None:
    item = {
        "path": "package.json",
        "url": "https://x.example/?ref=c0ffee",
        "repository": {"full_name": "Acme/Web", "private": False},
    }
    registry.answers['/gh/search/code?q="base"+filename:package.json&per_page=100&page=1'] = {
        "total_count": 1,
        "items": [item],
    }
    await track(engine, "npm:base")
    execution = await run(resources, engine, ledger, "plan_refreshes")
    assert execution["outcome"]["planned"]["discover_dependents"] == 1
    assert execution["outcome"]["planned"]["refresh_package"] == 1
    execution = await run(resources, engine, ledger, "discover_dependents", "pkg:npm/base")
    assert execution["outcome"]["found"] == 1, execution
    assert await list_due(ledger, "read_repository") == ["https://github.com/acme/web"]
    (walk,) = await ledger.rows("SELECT * FROM provider_subjects WHERE capability = 'fetch_dependents'")
    assert (walk["complete"], walk["upstream_count"], walk["cursor"]) == (True, 1, None)
    # What was planned today is not planned again, nor is what was walked over this week.
    execution = await run(resources, engine, ledger, "plan_refreshes")
    assert execution["records_processed"] == 0
    registry.requests.clear()
    await run(resources, engine, ledger, "discover_dependents", "pkg:npm/base")
    assert registry.requests == []


async def test_old_things_are_looked_at_again_the_seldomer_the_longer_they_stayed_the_same(
    resources: Resources, registry: LocalRegistry, engine: AsyncEngine, ledger: Ledger
) -> None:
    host = Host(registry)
    host.push({"package.json": b'{"dependencies": {"base": "1"}}'})
    await run(resources, engine, ledger, "read_repository", "https://github.com/acme/app")
    for name in ("old", "new", "gone", "dead"):
        await track(engine, f"npm:{name}")
    async with engine.begin() as connection:
        await add_execution(connection, "refresh_package", "pkg:npm/dead", queue="low")
        await save_attempt(connection, "npm", "fetch_package", "pkg:npm/gone", error="not there")
    await ledger.run("UPDATE job_executions SET state = 'dead' WHERE subject = 'pkg:npm/dead'")
    await ledger.run(
        "UPDATE packages SET fetched_at = now() - interval '2 days', changed_at = CASE name"
        " WHEN 'old' THEN now() - interval '90 days' WHEN 'new' THEN now() - interval '2 days' END,"
        " missing = CASE name WHEN 'gone' THEN 'not there' END WHERE tracked"
    )
    await ledger.run("UPDATE repositories SET fetched_at = now() - interval '40 days'")
    await ledger.run("UPDATE job_executions SET created_at = now() - interval '40 days'")
    execution = await run(resources, engine, ledger, "plan_refreshes")
    assert await list_due(ledger, "refresh_package") == ["pkg:npm/new"]
    assert await list_due(ledger, "read_repository") == ["https://github.com/acme/app"]
    assert execution["outcome"]["planned"]["restamp_organization"] == 0


def profile(registry: LocalRegistry, login: str, number: int, **facts: Any) -> None:
    registry.answers[f"/gh/orgs/{login.lower()}"] = {
        "login": login,
        "id": number,
        "type": "Organization",
        "name": f"{login} Inc.",
        "blog": "https://acme.example",
        "is_verified": True,
        "public_repos": 4,
        "followers": 2,
        **facts,
    }


def answer_graphql(registry: LocalRegistry) -> None:
    """One answer for what is counted and for what is paid, as GitHub's has more than was asked for."""
    paid = {"__typename": "User", "login": "Maintainer"}
    registry.answers["/gh/graphql"] = {
        "data": {
            "organization": {
                "__typename": "Organization",
                "login": "Acme",
                "hasSponsorsListing": False,
                "sponsors": {"totalCount": 0},
                "sponsoring": {"totalCount": 1},
                "sponsorshipsAsSponsor": {
                    "totalCount": 1,
                    "pageInfo": {"hasNextPage": False},
                    "nodes": [{"isActive": True, "privacyLevel": "PUBLIC", "sponsorable": paid}],
                },
                "sponsorshipsAsMaintainer": {"totalCount": 0, "pageInfo": {"hasNextPage": False}, "nodes": []},
            },
            "repository": {"fundingLinks": [{"platform": "CUSTOM", "url": "https://fund.example/acme"}]},
        }
    }


async def test_organizations_are_asked_about_the_most_wanted_first(
    resources: Resources, registry: LocalRegistry, engine: AsyncEngine, ledger: Ledger
) -> None:
    host = Host(registry)
    host.push({"package.json": b'{"dependencies": {"base": "1"}}'})
    await run(resources, engine, ledger, "read_repository", "https://github.com/acme/app")
    await ledger.run("INSERT INTO organizations (host, login) VALUES ('git.example', 'acme')")
    await ledger.run(
        "INSERT INTO accounts (host, login, organization_id, kind, verified_domain)"
        " SELECT host, login, id, 'organization', 'acme.example' FROM organizations WHERE host = 'git.example'"
    )
    await track(engine, "npm:base")
    profile(registry, "Acme", 1)
    answer_graphql(registry)
    execution = await run(resources, engine, ledger, "enrich_organizations")
    assert execution["outcome"] == {"code": "saved", "asked": 1, "refused": 0, "merged": 1}, execution
    (account,) = await ledger.rows("SELECT * FROM accounts WHERE login = 'acme' AND host = 'github.com'")
    shown = ("name", "website", "verified_domain", "public_repositories", "kind", "host_id")
    wanted = ["Acme Inc.", "https://acme.example", "acme.example", 4, "organization", "1"]
    assert [account[key] for key in shown] == wanted
    (organization,) = await ledger.rows("SELECT * FROM organizations WHERE login = 'acme' AND host = 'github.com'")
    assert (organization["stars"], organization["repositories"]) == (12, 4)
    (merge,) = await ledger.rows("SELECT evidence, detail FROM organization_merges")
    assert tuple(merge.values()) == (
        "verified_domain",
        "github.com/acme and git.example/acme both have the checked domain acme.example",
    )
    assert [link["url"] for link in account["funding"]] == ["https://fund.example/acme"]
    assert await ledger.rows(
        "SELECT s.login AS sponsor, m.login AS maintainer, active FROM sponsorships"
        " JOIN accounts s ON s.id = sponsor_id JOIN accounts m ON m.id = maintainer_id"
    ) == [{"sponsor": "acme", "maintainer": "maintainer", "active": True}]
    assert (await run(resources, engine, ledger, "enrich_organizations"))["outcome"]["asked"] == 0
    # Renamed since: found by the host's id.
    await ledger.run("UPDATE accounts SET fetched_at = now() - interval '10 days'")
    profile(registry, "Acme", 1)
    registry.answers["/gh/orgs/acme"]["login"] = "Newacme"
    await run(resources, engine, ledger, "enrich_organizations")
    rows = await ledger.rows("SELECT login, repositories FROM package_organizations ORDER BY repositories, login")
    assert {"login": "newacme", "repositories": 1} in rows
    assert sum(row["repositories"] for row in rows) == 1


async def test_an_account_that_vanished_or_cannot_be_read_holds_up_no_other(
    resources: Resources, registry: LocalRegistry, engine: AsyncEngine, ledger: Ledger
) -> None:
    host = Host(registry)
    host.push({"package.json": b'{"dependencies": {"base": "1"}}'})
    await run(resources, engine, ledger, "read_repository", "https://github.com/acme/app")
    await track(engine, "npm:base")
    execution = await run(resources, engine, ledger, "enrich_organizations")
    assert (execution["outcome"]["asked"], execution["outcome"]["refused"]) == (1, 0)
    assert await ledger.value("SELECT missing FROM accounts")
    await ledger.run("UPDATE accounts SET fetched_at = NULL, missing = NULL")
    registry.answers["/gh/orgs/acme"] = (200, JSON, b"[]")
    execution = await run(resources, engine, ledger, "enrich_organizations")
    assert (execution["outcome"]["asked"], execution["outcome"]["refused"]) == (1, 1)


async def test_the_past_is_marked_and_what_is_past_its_time_goes_but_never_the_newest(
    resources: Resources,
    registry: LocalRegistry,
    engine: AsyncEngine,
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cleanup, "STEP", 1)
    host = Host(registry)
    url = "https://github.com/acme/app"
    for needed in ("one", "two", "three"):
        host.push({"package.json": json.dumps({"dependencies": {needed: "1"}}).encode()})
        await run(resources, engine, ledger, "read_repository", url)
    await ledger.run("UPDATE statements SET removed_at = removed_at - interval '800 days'")
    await ledger.run("UPDATE job_executions SET finished_at = now() - interval '40 days'")
    execution = await run(resources, engine, ledger, "clean_up")
    assert execution["outcome"] == {"code": "saved", "vanished": 0, "removed": 2, "archived": 2}
    assert await ledger.value("SELECT count(*) FROM statements") == 1
    (archived, _) = await ledger.rows("SELECT subject, state, execution FROM archived_executions")
    assert (archived["subject"], archived["execution"]["outcome"]["code"]) == (url, "saved")
    # The repository vanishes; after a month, what it said is of the past, and stays as long as nothing newer is said.
    registry.answers = {}
    await run(resources, engine, ledger, "read_repository", url)
    assert (await run(resources, engine, ledger, "clean_up"))["outcome"]["vanished"] == 0
    await ledger.run("UPDATE repositories SET missing_since = now() - interval '31 days'")
    assert (await run(resources, engine, ledger, "clean_up"))["outcome"]["vanished"] == 1
    assert await ledger.rows("SELECT login FROM package_organizations WHERE repositories > 0") == []
    await ledger.run("UPDATE statements SET removed_at = removed_at - interval '800 days'")
    assert (await run(resources, engine, ledger, "clean_up"))["outcome"]["removed"] == 0
    assert await ledger.value("SELECT missing_since < :now FROM repositories", now=datetime.now(UTC))
