"""`wump track --wait` where nobody works yet: it starts what it needs, and says how it went."""

import asyncio
import json
import re
import socket
from pathlib import Path

import asyncpg
import psutil
import pytest
from e2e.processes import environment_of, run_wump, running
from local_registry import LocalRegistry
from wump_api.tracking import describe_outcome
from wump_core.settings import CoreSettings


def services() -> list[int]:
    """Schedulers and workers that this test's process has started, through others or not."""
    return [child.pid for child in psutil.Process().children(recursive=True)]


def count_packages(settings: CoreSettings) -> int:
    async def count() -> int:
        assert settings.database_url is not None
        connection = await asyncpg.connect(settings.database_url.get_secret_value())
        number: int = await connection.fetchval("SELECT count(*) FROM packages")
        await connection.close()
        return number

    return asyncio.run(count())


def test_it_starts_the_services_and_waits_for_both_registries(settings: CoreSettings, registry: LocalRegistry) -> None:
    registry.add_npm("app", repository="acme/app", dependencies={"lib": "^1"})
    registry.add_pypi(
        "tool", "3.0", requires_dist=["click>=8"], project_urls={"Source": "https://github.com/acme/tool"}
    )
    environment = environment_of(settings, **registry.environment)
    before = services()
    result = run_wump("track", "npm:app", "pypi:Tool", "--wait", "--format", "json", environment=environment)
    assert result.returncode == 0, result.stderr
    results = {row["subject"]: row["result"] for row in json.loads(result.stdout)["data"]}
    assert results == {"pkg:npm/app": "saved 1.0.0", "pkg:pypi/tool": "saved 3.0"}
    assert services() == before, "what it started, it stopped"


def test_a_package_that_no_registry_has_is_exit_code_1(settings: CoreSettings, registry: LocalRegistry) -> None:
    registry.add_npm("there")
    environment = environment_of(settings, **registry.environment)
    result = run_wump("track", "npm:there", "npm:nowhere", "--wait", environment=environment)
    assert result.returncode == 1, result.stderr
    assert "HTTP 404" in result.stdout
    assert "saved 1.0.0" in result.stdout


def test_a_registry_that_is_away_is_exit_code_3_with_the_reason(settings: CoreSettings, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"
        environment = environment_of(settings, WUMP_PROVIDER_NPM_BASE_URL=address, WUMP_PROVIDER_PYPI_BASE_URL=address)
        with (
            running("worker", environment=environment, log=tmp_path / "worker"),
            running("scheduler", environment=environment, log=tmp_path / "scheduler"),
        ):
            for _ in range(12):  # a busy machine may need longer for the first try than one wait takes
                wait = ("--wait", "--timeout", "4", "--format", "json")
                result = run_wump("track", "npm:away", *wait, environment=environment)
                if "ConnectError" in result.stdout:
                    break
    assert result.returncode == 3, result.stdout + result.stderr
    # It waits for its next try, or is at it just now; and the breaker may have opened: what comes first is a matter
    # of the machine's speed.
    when = r"tried again (now|at \d{4}-\d\d-\d\d\S*)"
    why = r"npm (can't be reached|is left alone until [^,]*, since it failed again and again)"
    assert re.search(f"{when}: {why}: ConnectError", result.stdout), result.stdout


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("failed", "tried again at 2026-01-02T03:04:05Z: npm is away"),
        ("running", "tried again now: npm is away"),
        ("dead", "dead: npm is away"),
    ],
)
def test_what_became_of_a_run_is_said_in_a_line(state: str, said: str) -> None:
    outcome = {"code": "unavailable", "message": "npm is away"}
    assert describe_outcome({"state": state, "outcome": outcome, "due_at": "2026-01-02T03:04:05Z"}) == said


def test_a_first_run_under_way_has_nothing_to_say_yet() -> None:
    assert describe_outcome({"state": "running", "outcome": None, "due_at": "2026-01-02T03:04:05Z"}) == "running"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("# mine\nnpm:good\n\nno ecosystem\npypi:fine\n", "line 4: 'no ecosystem' names no ecosystem"),
        ("npm:good\npkg:nuget/a\n", "line 2: unknown ecosystem 'nuget'"),
        ("npm:good\nnpm:" + "x" * 300, "line 2: the package name must have 1 to 214 characters"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_tracked(
    settings: CoreSettings, tmp_path: Path, content: str, reason: str
) -> None:
    file = tmp_path / "packages.txt"
    file.write_text(content)
    environment = environment_of(settings)
    result = run_wump("track", "npm:first", str(file), environment=environment)
    assert result.returncode == 2
    assert f"{file}, {reason}" in result.stderr
    assert count_packages(settings) == 0


def test_without_a_token_an_aggregator_says_who_depends_on_a_package(
    settings: CoreSettings, registry: LocalRegistry
) -> None:
    registry.add_npm("base", repository="acme/base")
    packages, repositories = "/em/registries/registry.example/packages/base", "/er/usage/npm/base"
    registry.answers |= {
        "/em/registries?per_page=1000": [{"name": "registry.example", "purl_type": "npm", "default": True}],
        f"{packages}/dependent_packages?page=1&per_page=100&latest=true": [
            {"name": "app", "ecosystem": "npm", "repository_url": "https://github.com/megacorp/app"},
            {"name": "own", "ecosystem": "npm", "repository_url": "https://github.com/acme/own"},
        ],
        f"{repositories}/dependent_repositories?after_id=0&per_page=100&sort=id&order=asc": [],
    }
    environment = environment_of(
        settings,
        **registry.environment,
        WUMP_PROVIDERS="npm,ecosystems",
        WUMP_PROVIDER_ECOSYSTEMS_BASE_URL=f"{registry.address}/em",
        WUMP_PROVIDER_ECOSYSTEMS_REPOS_URL=f"{registry.address}/er",
        WUMP_PROVIDER_ECOSYSTEMS_HOSTS=f'["{registry.address}"]',
    )
    result = run_wump("track", "npm:base", "--wait", environment=environment)
    assert result.returncode == 0, result.stderr
    assert "2 found by ecosystems" in result.stdout
    shown = run_wump("orgs", "npm:base", "--format", "json", environment=environment)
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert [(row["login"], row["evidence"]["provider"]) for row in document["data"]] == [("megacorp", "ecosystems")]
    assert document["meta"]["excluded"]["own_organization"] == 1
    assert "CC-BY-SA-4.0" in json.dumps(document["meta"]["sources"])
    verified = run_wump("db", "verify", environment=environment)
    assert verified.returncode == 0, verified.stderr
