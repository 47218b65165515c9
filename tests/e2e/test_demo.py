"""`wump demo`: live where a registry answers, else from the recorded sample, and right in both cases."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from e2e.processes import environment_of, run_wump
from local_registry import LocalRegistry

SAMPLE: dict[str, Any] = json.loads((files("wump_api") / "sample.json").read_text("utf-8"))["answers"]
FIELDS = ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies")


def owner_of(name: str, answers: dict[str, Any]) -> str | None:
    """The owner on GitHub that an npm document names in the short form."""
    document = answers.get(f"/npm/{name}")
    if document is None:
        return None
    repository = document["versions"][document["dist-tags"]["latest"]].get("repository")
    url = repository.get("url", "") if isinstance(repository, dict) else repository or ""
    return url.removesuffix(".git").replace("github:", "github.com/").split("/")[-2].split(":")[-1].lower() or None


def npm_edges(answers: dict[str, Any]) -> set[tuple[str, str, str, str]]:
    """What the npm documents state, read without wump: (package, what it needs, field, range)."""
    edges = set()
    for path, document in answers.items():
        if path.startswith("/npm/"):
            manifest = document["versions"][document["dist-tags"]["latest"]]
            for field in FIELDS:
                for name, requirement in (manifest.get(field) or {}).items():
                    if not requirement.startswith("npm:"):
                        edges.add((document["name"], name, field, requirement))
    return edges


def edges_of(result: dict[str, Any]) -> set[tuple[str, str, str, str]]:
    """The npm edges of a demo's result, in the same words."""
    return {
        (
            edge["package"].removeprefix("pkg:npm/"),
            edge["dependency"].removeprefix("pkg:npm/").replace("%40", "@"),
            edge["field"],
            edge["requirement"],
        )
        for edge in result["edges"]
        if edge["package"].startswith("pkg:npm/")
    }


def demo(environment: dict[str, str]) -> dict[str, Any]:
    result = run_wump("demo", "--format", "json", environment=environment, timeout=150)
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_without_registries_it_shows_the_sample_and_stores_nothing(data_dir: Path) -> None:
    if not SAMPLE:
        pytest.fail("sample.json is empty")
    address = "http://127.0.0.1:9"
    environment = environment_of(
        WUMP_DATA_DIR=str(data_dir), WUMP_PROVIDER_NPM_BASE_URL=address, WUMP_PROVIDER_PYPI_BASE_URL=address
    )
    result = demo(environment)
    assert result["live"] is False
    assert edges_of(result) == npm_edges(SAMPLE)
    assert result["organizations"]
    assert not result["not_fetched"]
    stored = run_wump("orgs", "npm:debug", "--format", "json", environment=environment)
    assert json.loads(stored.stdout or '{"data": []}')["data"] == [], "the sample is not in the user's database"


def test_with_a_registry_it_is_live_and_its_edges_are_what_was_served(data_dir: Path, registry: LocalRegistry) -> None:
    registry.add_npm("debug", "4.4.0", repository="debug-js/debug", dependencies={"ms": "^2.1.3"})
    registry.add_npm(
        "express", "5.0.0", repository="expressjs/express", dependencies={"debug": "^4", "send": "^1"},
        devDependencies={"mocha": "^10"},
    )  # fmt: skip
    registry.add_npm("send", repository="pillarjs/send", dependencies={"debug": "^4"})
    result = demo(environment_of(WUMP_DATA_DIR=str(data_dir), **registry.environment))
    assert result["live"] is True
    assert edges_of(result) == npm_edges(registry.answers)
    assert len(result["not_fetched"]) == 17
    listed = {(row["package"], row["login"]) for row in result["organizations"]}
    assert listed == {
        (f"pkg:npm/{needs}", str(owner_of(name, registry.answers)))
        for name, needs, _, _ in npm_edges(registry.answers)
        if f"/npm/{needs}" in registry.answers and owner_of(needs, registry.answers) != owner_of(name, registry.answers)
    }
