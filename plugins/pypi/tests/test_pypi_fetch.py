"""fetch_package and health_check against a made-up index."""

import asyncio
from typing import Any

import httpx
import pluggy
import pytest
import respx
import structlog
import wump_provider_pypi as provider
from wump_core import Context, InvalidResponse, NotFound, PackageRecord, ProviderSettings, choose_format, make_purl
from wump_core.hookspecs import PROJECT_NAME, DataProvider
from wump_provider_pypi.manifests import FORMATS

BASE = "https://registry.example"
PROJECT: dict[str, Any] = {
    "info": {
        "name": "Sample.Project",
        "version": "2.0",
        "summary": "  A sample.  ",
        "license": "MIT",
        "license_expression": None,
        "classifiers": ["Development Status :: 5 - Production/Stable"],
        "home_page": "",
        "download_url": "UNKNOWN",
        "author_email": "someone@mail.example",
        "description": "the whole README",
        "project_urls": {
            "Home-Page!": "https://home.example",
            "Bug Tracker": "https://github.com/Other/tracker/issues",
            "Source Code": "https://github.com/Owner/Sample/tree/main/python",
            "Donate": "https://money.example/give",
            "Tidelift": "https://tidelift.com/subscription/pkg/sample",
        },
        "requires_dist": ["requests (>=2,<3)", "Foo_Bar[x]>=1 ; extra == 'Dev.Tools'"],
    },
    "urls": [{"packagetype": "bdist_wheel"}],
}


def run(routes: dict[str, httpx.Response], name: str = "Sample_Project") -> PackageRecord:
    """Ask the provider, with only these paths answered; anything else fails the test."""

    async def fetch() -> PackageRecord:
        async with httpx.AsyncClient() as http:
            context = Context(http=http, settings=ProviderSettings(base_url=BASE), log=structlog.get_logger())
            return await provider.fetch_package(context, make_purl("pypi", name))

    with respx.mock(assert_all_called=True) as router:
        for path, response in routes.items():
            router.get(f"{BASE}{path}").mock(return_value=response)
        return asyncio.run(fetch())


def fetch(payload: object) -> PackageRecord:
    return run({"/pypi/sample-project/json": httpx.Response(200, json=payload)})


def changed(**info: object) -> dict:
    return PROJECT | {"info": {**PROJECT["info"], **info}}


def test_a_whole_answer_becomes_a_whole_record() -> None:
    record = fetch(PROJECT)
    assert record.model_dump(exclude={"dependencies"}) == {
        "purl": "pkg:pypi/sample-project",
        "latest_version": "2.0",
        "description": "A sample.",
        "homepage": "https://home.example",
        "licences": ("MIT",),
        "deprecated": False,
        "repository": {
            "host": "github.com",
            "path": "owner/sample",
            "owner": "owner",
            "directory": "python",
            "verified": False,
        },
        "funding": (
            {"url": "https://money.example/give", "type": None},
            {"url": "https://tidelift.com/subscription/pkg/sample", "type": "tidelift"},
        ),
        "dependencies_unknown": None,
        "diagnostics": (),
    }
    assert record.dependencies is not None
    assert len(record.dependencies) == 2
    runtime, optional = record.dependencies
    assert (runtime.purl, runtime.name, runtime.requirement, runtime.scope, runtime.optional) == (
        "pkg:pypi/requests",
        "requests",
        ">=2,<3",
        "runtime",
        False,
    )
    assert (optional.purl, optional.name, optional.requirement, optional.scope, optional.groups) == (
        "pkg:pypi/foo-bar",
        "Foo_Bar",
        ">=1",
        "optional",
        ("dev-tools",),
    )
    assert optional.marker == "extra == 'Dev.Tools'"
    assert optional.field == "requires_dist"


@pytest.mark.parametrize("nothing", [None, "", "UNKNOWN"])
def test_three_spellings_of_not_given_are_equal(nothing: str | None) -> None:
    record = fetch(
        changed(
            summary=nothing,
            license=nothing,
            version=nothing,
            home_page=nothing,
            download_url=nothing,
            project_urls=None,
        )
    )
    assert (record.description, record.licences, record.latest_version) == (None, (), None)
    assert (record.homepage, record.repository, record.funding) == (None, None, ())
    assert record.diagnostics == ()


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"license_expression": "BSD-3-Clause", "license": "BSD"}, ("BSD-3-Clause",)),
        ({"license": "x" * 101}, ("MIT License",)),
        ({"license": "MIT\nPermission is hereby"}, ("MIT License",)),
        ({"license": "MIT, ask joe@mail.example"}, ("MIT License",)),
        ({"license": "Apache 2.0"}, ("Apache 2.0",)),
    ],
)
def test_licences_prefer_spdx_then_a_short_text_then_classifiers(info: dict, expected: tuple) -> None:
    classifiers = ["License :: OSI Approved", "License :: OSI Approved :: MIT License", 5]
    assert fetch(changed(classifiers=classifiers, **info)).licences == expected


def test_one_bad_value_costs_only_its_field() -> None:
    record = fetch(
        changed(
            summary="bad \x00 text",
            home_page="ask joe@mail.example",
            version=["2"],
            classifiers="none",
            project_urls={"Donate": "not a link", "Code": "https://github.com/o/r", "Docs": 7},
        )
    )
    assert record.description is None
    assert (record.homepage, record.latest_version, record.funding) == (None, None, ())
    assert record.repository is not None
    assert record.repository.owner == "o"
    assert len(record.dependencies or ()) == 2
    fields = {diagnostic.field for diagnostic in record.diagnostics}
    assert fields == {*("summary", "home_page", "version", "classifiers", "project_urls.Donate", "project_urls.Docs")}
    assert "joe@" not in record.model_dump_json()


def test_descriptions_are_cut_and_hold_no_mail_address() -> None:
    record = fetch(changed(summary="by joe@mail.example " + "x" * 5_000))
    assert record.description is not None
    assert len(record.description) == 2_000
    assert record.description.startswith("by [e-mail] xxx")


@pytest.mark.parametrize(
    ("payload", "deprecated"),
    [
        (changed(classifiers=["Development Status :: 7 - Inactive"]), True),
        (PROJECT | {"project-status": {"status": "archived"}}, True),
        (PROJECT | {"project-status": {"status": "deprecated"}}, True),
        (PROJECT | {"project-status": {"status": "active"}}, False),
        (PROJECT | {"project-status": 7}, False),
    ],
)
def test_inactive_and_archived_projects_are_deprecated(payload: dict, deprecated: bool) -> None:
    assert fetch(payload).deprecated is deprecated


@pytest.mark.parametrize("entries", [None, []])
def test_no_requirements_told_is_unknown_not_none(entries: list | None) -> None:
    payload = changed(requires_dist=entries)
    record = fetch(payload)
    assert record.dependencies is None
    assert record.dependencies_unknown is not None
    only_sdist = fetch(payload | {"urls": [{"packagetype": "sdist"}]})
    assert only_sdist.dependencies_unknown is not None
    assert "no wheel" in only_sdist.dependencies_unknown
    assert "no wheel" not in record.dependencies_unknown


def test_only_self_references_means_known_to_have_none() -> None:
    record = fetch(changed(requires_dist=["sample.project[a]; extra == 'all'", "SAMPLE_PROJECT[b]"]))
    assert (record.dependencies, record.dependencies_unknown, record.diagnostics) == ((), None, ())


def test_bad_entries_are_diagnosed_and_duplicates_dropped() -> None:
    record = fetch(changed(requires_dist=["a>=1", "a>=1", 5, "-bad-", "b>=1.0.*"]))
    assert [(item.name, item.requirement) for item in record.dependencies or ()] == [
        ("a", ">=1"),
        ("b", ">=1.0.*"),
    ]
    assert len(record.diagnostics) == 3
    assert {diagnostic.field for diagnostic in record.diagnostics} == {"requires_dist"}


def test_hostile_lists_stay_within_the_records_bounds() -> None:
    record = fetch(changed(requires_dist=[f"p{number}" for number in range(20_100)]))
    assert len(record.dependencies or ()) == 20_000
    assert "reading stopped" in record.diagnostics[-1].message
    record = fetch(changed(requires_dist=[f"-{number}" for number in range(600)]))
    assert len(record.diagnostics) == 500


@pytest.mark.parametrize(
    ("response", "part"),
    [
        (httpx.Response(200, text="<html>"), "not JSON"),
        (httpx.Response(200, text="[" * 100_000), "not JSON"),
        (httpx.Response(200, json=[]), "must be an object"),
        (httpx.Response(200, json={"info": None}), "`info`"),
        (httpx.Response(200, json={"info": {}}), "`info.name`"),
        (httpx.Response(200, json={"info": {"name": "other"}}), "`info.name`"),
    ],
)
def test_what_is_no_answer_for_this_project_is_refused(response: httpx.Response, part: str) -> None:
    with pytest.raises(InvalidResponse, match=part):
        run({"/pypi/sample-project/json": response})


def test_server_errors_are_left_to_the_caller() -> None:
    with pytest.raises(httpx.HTTPStatusError):
        run({"/pypi/sample-project/json": httpx.Response(503)})


def without_json_api(simple: httpx.Response) -> dict[str, httpx.Response]:
    return {"/pypi/sample-project/json": httpx.Response(404), "/simple/sample-project/": simple}


@pytest.mark.parametrize(
    ("simple", "part"),
    [
        (httpx.Response(404), "knows no project"),
        (
            httpx.Response(
                200,
                json={"name": "sample-project", "files": [], "project-status": {"status": "quarantined"}},
            ),
            "quarantined",
        ),
        (
            httpx.Response(200, json={"name": "sample-project", "files": [], "versions": []}),
            "without any release",
        ),
    ],
)
def test_unknown_quarantined_and_empty_projects_are_not_found(simple: httpx.Response, part: str) -> None:
    with pytest.raises(NotFound, match=part):
        run(without_json_api(simple))


def test_a_quarantined_project_in_the_json_api_is_not_found() -> None:
    with pytest.raises(NotFound, match="quarantined"):
        fetch(PROJECT | {"project-status": {"status": "quarantined"}})


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        (
            {"versions": ["1.9", "1.10", "2.0rc1", "2004d"], "files": [{"filename": "sample_project-1.9.zip"}]},
            "1.10",
        ),
        ({"files": [{"filename": "sample_project-0.1.tar.gz"}, {"filename": 5}, 7]}, "0.1"),
        (
            {
                "files": [
                    {"filename": "sample_project-1.0-py3-none-any.whl", "yanked": False},
                    {"filename": "sample_project-2.0-py3-none-any.whl", "yanked": ""},
                    {"filename": "sample_project-1.1a1.tar.gz"},
                ]
            },
            "1.0",
        ),
        ({"files": [{"filename": "odd.exe"}]}, None),
    ],
)
def test_an_index_without_the_json_api_tells_the_version_only(answer: dict, version: str | None) -> None:
    record = run(without_json_api(httpx.Response(200, json={"name": "Sample.Project", **answer})))
    assert record.latest_version == version
    assert (record.dependencies, record.funding, record.description, record.deprecated) == (None,) * 4
    assert record.dependencies_unknown is not None
    assert "no JSON API" in record.dependencies_unknown
    assert len(record.diagnostics) == 1


def test_the_simple_index_is_asked_for_json_and_refused_otherwise() -> None:
    simple = httpx.Response(200, text="<!DOCTYPE html>", headers={"content-type": "text/html"})
    with pytest.raises(InvalidResponse, match="text/html"):
        run(without_json_api(simple))
    with respx.mock() as router:
        router.get(f"{BASE}/pypi/a/json").respond(404)
        asked = router.get(f"{BASE}/simple/a/").respond(200, json={"name": "a", "versions": ["1"]})

        async def ask() -> PackageRecord:
            async with httpx.AsyncClient() as http:
                context = Context(http, ProviderSettings(base_url=BASE), structlog.get_logger())
                return await provider.fetch_package(context, make_purl("pypi", "A"))

        assert asyncio.run(ask()).latest_version == "1"
        assert asked.calls.last.request.headers["accept"] == "application/vnd.pypi.simple.v1+json"


@pytest.mark.parametrize(("status", "ok"), [(200, True), (404, True), (429, True), (500, False), (503, False)])
def test_any_answer_but_a_server_error_is_healthy(status: int, ok: bool) -> None:
    async def check() -> bool:
        async with httpx.AsyncClient() as http:
            context = Context(http, ProviderSettings(base_url=BASE), structlog.get_logger())
            return (await provider.health_check(context)).ok

    with respx.mock() as router:
        router.get(url__startswith=f"{BASE}/pypi/pip/").respond(status)
        assert asyncio.run(check()) is ok


def test_every_hook_is_one_that_the_core_calls() -> None:
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(DataProvider)
    manager.register(provider)
    manager.check_pending()
    called = {caller.name for caller in manager.get_hookcallers(provider) or ()}
    assert called == {"describe_provider", "fetch_package", "fetch_changes", "parse_manifest", "health_check"}


def test_the_description_names_every_file_the_parser_takes() -> None:
    info = provider.describe_provider()
    assert (info.provider_type, info.ecosystems) == ("registry", ("pypi",))
    for glob in info.manifests:
        # Empty files are no JSON and no setup.py; what counts here is that the name is known.
        assert choose_format(FORMATS, glob.replace("*", "-x")) is not None
    assert {"uv.lock", "setup.py", "Pipfile", "*.py"} <= set(info.manifests)
