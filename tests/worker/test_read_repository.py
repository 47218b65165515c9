"""The job that reads a repository, with the GitHub, npm and PyPI plugins, from a server that answers as GitHub does."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from e2e.processes import environment_of, run_wump
from local_registry import LocalRegistry
from sqlalchemy.ext.asyncio import AsyncEngine
from worker.conftest import Ledger
from wump_core import schedule
from wump_core.settings import CoreSettings
from wump_core.store.audit import list_faults
from wump_worker.actors import run_execution
from wump_worker.resources import Resources, open_resources
from wump_worker.settings import WorkerSettings

URL = "https://github.com/acme/app"
PACKAGE_JSON = b"""{
  "name": "app",
  "dependencies": {
    "left": "^1.0.0",
    "base": "~2.1.0"
  }
}
"""
REQUIREMENTS = b"-r more.txt\nflask>=3\n"


class Host:
    """One repository as GitHub's API shows it."""

    def __init__(self, registry: LocalRegistry) -> None:
        self._registry = registry
        self._commits = 0

    def push(self, files: dict[str, bytes], *, truncated: bool = False, **facts: Any) -> str:
        """Show these files and facts from now on; returns the commit."""
        self._commits += 1
        commit = f"{self._commits:040x}"
        answers = {key: value for key, value in self._registry.answers.items() if "/repos/acme/app" not in key.lower()}
        answers["/gh/repos/acme/app"] = {
            "id": 7,
            "full_name": "Acme/App",
            "name": "App",
            "private": False,
            "fork": False,
            "archived": False,
            "owner": {"login": "Acme", "id": 1, "type": "Organization"},
            "default_branch": "main",
            "stargazers_count": 12,
            "pushed_at": "2026-11-01T00:00:00Z",
            "is_template": False,
            **facts,
        }
        tree = [
            {"path": path, "mode": "100644", "type": "blob", "sha": _blob(content), "size": len(content)}
            for path, content in files.items()
        ]
        answers["/gh/repos/acme/app/git/trees/main?recursive=1"] = {
            "sha": commit,
            "tree": tree,
            "truncated": truncated,
        }
        for path, content in files.items():
            answers[f"/gh/repos/acme/app/contents/{path}?ref={commit}"] = {
                "type": "file",
                "encoding": "base64",
                "size": len(content),
                "name": path,
                "path": path,
                "sha": _blob(content),
                "content": base64.b64encode(content).decode(),
            }
        self._registry.answers = answers
        self._registry.requests.clear()
        return commit

    @property
    def fetched(self) -> list[str]:
        """The files that were asked for since the last push."""
        return sorted(
            path.partition("/contents/")[2].partition("?")[0]
            for path in self._registry.requests
            if "/contents/" in path
        )


def _blob(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


@pytest.fixture
async def resources(
    settings: CoreSettings, registry: LocalRegistry, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Resources]:
    monkeypatch.setenv("WUMP_PROVIDER_GITHUB_BASE_URL", f"{registry.address}/gh")
    wanted = settings.model_copy(update={"providers": "npm,pypi,github"})
    async with open_resources(wanted, WorkerSettings()) as opened:
        yield opened


@pytest.fixture
def host(registry: LocalRegistry) -> Host:
    return Host(registry)


async def read(resources: Resources, engine: AsyncEngine, ledger: Ledger, url: str = URL) -> dict[str, Any]:
    """Read it at once; returns the execution."""
    async with engine.begin() as connection:
        public_id = await schedule.plan_repository(connection, url, queue="high")
    (row,) = await ledger.rows("SELECT id FROM job_executions WHERE public_id = :id", id=public_id)
    await run_execution(resources, row["id"])
    async with engine.connect() as connection:
        assert await list_faults(connection) == []
    return await ledger.get(row["id"])


STATED = (
    "SELECT p.purl, s.requirement, s.line, so.path, so.url, so.provider FROM statements s JOIN sources so"
    " ON so.id = s.source_id JOIN packages p ON p.id = s.package_id WHERE s.removed_at IS NULL ORDER BY p.purl"
)


async def test_files_become_statements_with_permalinks(
    resources: Resources, engine: AsyncEngine, ledger: Ledger, host: Host
) -> None:
    commit = host.push(
        {
            "package.json": PACKAGE_JSON,
            "py/requirements.txt": REQUIREMENTS,
            "py/more.txt": b"requests==2.0\n",
            "README.md": b"hello",
            "src/a.py": b"import os",
        }
    )
    execution = await read(resources, engine, ledger)
    assert (execution["state"], execution["outcome"]["code"]) == ("completed", "saved"), execution
    rows = await ledger.rows(STATED)
    base = f"https://github.com/acme/app/blob/{commit}"
    assert ("pkg:npm/base", "~2.1.0", 5, "package.json", f"{base}/package.json", "npm") in [
        tuple(row.values()) for row in rows
    ]
    assert ("pkg:pypi/flask", ">=3", 2, "py/requirements.txt", f"{base}/py/requirements.txt", "pypi") in [
        tuple(row.values()) for row in rows
    ]
    assert "src/a.py" not in host.fetched
    (repository,) = await ledger.rows("SELECT * FROM repositories")
    assert (repository["stars"], repository["host_id"], repository["current_path"]) == (12, "7", "Acme/App")
    (answer,) = await ledger.rows(
        "SELECT a.login, CAST(a.evidence AS json) AS evidence FROM package_organizations a"
        " JOIN packages p ON p.id = a.package_id WHERE p.purl = 'pkg:npm/base'"
    )
    assert (answer["login"], answer["evidence"]["url"]) == ("acme", f"{base}/package.json#L5")


async def test_only_what_changed_is_fetched_again_and_what_vanished_is_gone(
    resources: Resources, engine: AsyncEngine, ledger: Ledger, host: Host
) -> None:
    files = {"package.json": PACKAGE_JSON, "requirements.txt": REQUIREMENTS, "web/package.json": PACKAGE_JSON}
    host.push(files)
    await read(resources, engine, ledger)
    assert {"package.json", "requirements.txt", "web/package.json"} <= set(host.fetched)
    host.push(files)
    execution = await read(resources, engine, ledger)
    assert host.fetched == []
    assert (execution["outcome"]["read"], execution["outcome"]["kept"]) == (0, 3)
    # A file that was wanted and missing is there now: who wanted it is read again.
    host.push({"package.json": PACKAGE_JSON, "requirements.txt": REQUIREMENTS, "more.txt": b"requests==2.0\n"})
    execution = await read(resources, engine, ledger)
    assert "requirements.txt" in host.fetched
    assert "package.json" not in host.fetched
    assert "web/package.json" not in {row["path"] for row in await ledger.rows(STATED)}


async def test_funding_files_are_read_on_the_way_and_stay_while_they_are_there(
    resources: Resources, engine: AsyncEngine, ledger: Ledger, host: Host
) -> None:
    channel = {"guid": "x", "type": "payment-provider", "address": "https://pay.example/acme"}
    files = {
        ".github/FUNDING.yml": b"github: [acme]\ncustom: https://fund.example/acme\n",
        "examples/FUNDING.yml": b"github: stranger\n",
        "funding.json": json.dumps({"version": "v1.0.0", "funding": {"channels": [channel]}}).encode(),
    }
    wanted = ["https://github.com/sponsors/acme", "https://fund.example/acme", "https://pay.example/acme"]
    for _ in range(2):
        host.push(files)
        await read(resources, engine, ledger)
        (repository,) = await ledger.rows("SELECT funding FROM repositories")
        assert [link["url"] for link in repository["funding"]] == wanted
    host.push({"README.md": b""})
    await read(resources, engine, ledger)
    assert (await ledger.rows("SELECT funding FROM repositories"))[0]["funding"] == []


async def test_a_file_that_cannot_be_read_keeps_what_it_said_and_says_why(
    resources: Resources, engine: AsyncEngine, ledger: Ledger, host: Host
) -> None:
    host.push({"package.json": PACKAGE_JSON})
    await read(resources, engine, ledger)
    host.push({"package.json": b"{ not json"})
    execution = await read(resources, engine, ledger)
    assert execution["state"] == "completed"
    assert [row["purl"] for row in await ledger.rows(STATED)] == ["pkg:npm/base", "pkg:npm/left"]
    (source,) = await ledger.rows("SELECT error FROM sources")
    assert source["error"]


async def test_copies_and_examples_are_marked(
    resources: Resources, engine: AsyncEngine, ledger: Ledger, host: Host
) -> None:
    host.push({"vendor/x/package.json": PACKAGE_JSON, "examples/y/package.json": PACKAGE_JSON})
    await read(resources, engine, ledger)
    rows = await ledger.rows("SELECT path, mark FROM sources ORDER BY path")
    assert [tuple(row.values()) for row in rows] == [
        ("examples/y/package.json", "example"),
        ("vendor/x/package.json", "vendored"),
    ]
    assert await ledger.rows("SELECT * FROM package_organizations WHERE repositories > 0") == []


async def test_a_missing_repository_is_noted_and_an_unknown_host_says_what_to_do(
    resources: Resources, engine: AsyncEngine, ledger: Ledger, host: Host
) -> None:
    execution = await read(resources, engine, ledger)
    assert (execution["state"], execution["outcome"]["code"]) == ("completed", "not_found")
    (repository,) = await ledger.rows("SELECT missing FROM repositories")
    assert repository["missing"]
    execution = await read(resources, engine, ledger, "https://git.example/acme/app")
    assert "no provider can fetch_tree for git.example" in execution["outcome"]["message"]


async def test_with_a_token_the_repository_of_a_tracked_package_is_read_unasked(
    settings: CoreSettings, registry: LocalRegistry, ledger: Ledger, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.push({"package.json": PACKAGE_JSON})
    registry.add_npm("app", repository="github:acme/app", dependencies={"left": "1"})
    monkeypatch.setenv("WUMP_PROVIDER_GITHUB_BASE_URL", f"{registry.address}/gh")
    for token, planned in ((None, []), ("secret", [URL])):
        if token:
            monkeypatch.setenv("WUMP_PROVIDER_GITHUB_TOKEN", token)
        wanted = settings.model_copy(update={"providers": "npm,pypi,github"})
        async with open_resources(wanted, WorkerSettings()) as opened:
            await run_execution(opened, await ledger.plan("npm:app"))
        rows = await ledger.rows("SELECT subject FROM job_executions WHERE job = 'read_repository'")
        assert [row["subject"] for row in rows] == planned


def test_a_run_is_put_into_the_ledger_by_hand(settings: CoreSettings) -> None:
    environment = environment_of(settings)
    done = run_wump("jobs", "run", "read_repository", "git@github.com:Acme/App.git", environment=environment)
    assert (done.returncode, len(done.stdout.strip())) == (0, 36), done.stderr
    for arguments, message in (
        (("read_repository", "nowhere"), "names no repository: expected https://host/owner/name"),
        (("dance", "npm:x"), "there is no job 'dance': expected one of "),
    ):
        refused = run_wump("jobs", "run", *arguments, environment=environment)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
