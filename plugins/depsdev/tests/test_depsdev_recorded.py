"""Recorded answers, where the checkout has them beside it; and what the kit doesn't ask."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wump_core import Context, NotFound, Unavailable, make_purl
from wump_provider_depsdev import packages, parse
from wump_provider_depsdev.requirements import parse_requirements
from wump_provider_depsdev.settings import DepsDevSettings

RECORDED = next(
    (folder for parent in Path(__file__).parents if (folder := parent / "shared" / "payloads" / "depsdev").is_dir()),
    Path("nowhere"),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def load(name: str) -> Any:
    path = RECORDED / f"{name}.json"
    if not path.exists():
        pytest.skip("the recorded answers aren't here")
    return json.loads(path.read_text())


def test_recorded_requirements() -> None:
    stated = load("v3-requirements-npm-pino-6.14.0")
    found, diagnostics = parse_requirements("npm", stated)
    expected = {
        (item["name"], item["requirement"], scope)
        for field, scope in (("dependencies", "runtime"), ("devDependencies", "development"))
        for item in stated["npm"]["dependencies"][field]
    }
    assert {(item.name, item.requirement, item.scope) for item in found or ()} == expected
    assert not diagnostics


def test_recorded_versions() -> None:
    purl = make_purl("npm", "defangjs")
    assert parse.choose_version(purl, load("v3-package-npm-defangjs")) == "1.0.7"
    record = parse.parse_package(purl, load("v3-version-npm-defangjs-1.0.7"), None)
    assert record.latest_version == "1.0.7"
    assert record.repository is not None
    assert (record.dependencies, bool(record.dependencies_unknown)) == (None, True)
    log4j = parse.parse_package(make_purl("maven", "org.apache.logging.log4j:log4j-core"), load(
        "v3-version-maven-log4j-core-2.14.1"), None)  # fmt: skip
    assert (log4j.licences, log4j.homepage) == (("Apache-2.0",), "https://logging.apache.org/log4j/2.x/")


def test_a_recorded_project_whose_numbers_are_texts() -> None:
    record = parse.parse_project(load("v3alpha-project-github-2023-string-numbers"), "github.com")
    assert (record.path, record.stars, record.forks) == ("pnuckowski/aioresponses", 444, 83)


async def test_what_is_switched_off_is_unknown_and_asks_nobody() -> None:
    context = Context(http=httpx.AsyncClient(), settings=DepsDevSettings(experimental=False), log=None)
    with pytest.raises(Unavailable, match="WUMP_PROVIDER_DEPSDEV_EXPERIMENTAL"):
        await packages.fetch_dependents(context, make_purl("npm", "x"))
    with pytest.raises(NotFound):
        await packages.fetch_repository(context, "https://gitlab.com/a/b")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(("npm", "pypi", "cargo", "maven")), VALUES, VALUES)
def test_requirements_of_any_kind_are_kept_or_named(ecosystem: str, one: Any, two: Any) -> None:
    entries = [{"name": one, "projectName": one, "requirement": two, "kind": two, "environmentMarker": two}, two]
    lists = {"dependencies": entries} if ecosystem == "npm" else entries
    found, diagnostics = parse_requirements(ecosystem, {ecosystem: {"dependencies": lists}})
    assert found is None or found
    assert len(found or ()) + len(diagnostics) == 2
