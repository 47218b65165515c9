"""Packages: what one is, what it depends on, and tracking."""

from typing import Any

import pytest
from sqlalchemy import text
from wump_api.models import Execution, Package, Page, Statement
from wump_core.settings import CoreSettings
from wump_core.store.dependencies import EXCLUSIONS

PACKAGES = "/api/v1/packages"


async def written(api: Any) -> int:
    """How many rows a track leaves behind."""
    async with api.app.state.engine.connect() as connection:
        return (
            await connection.execute(
                text("SELECT (SELECT count(*) FROM packages) + (SELECT count(*) FROM job_executions)")
            )
        ).scalar_one()


async def test_a_package_says_all_that_is_known_of_it(api: Any) -> None:
    document = await api.page("/packages/npm/core")
    package = Package.model_validate(document)
    assert package.repository
    assert package.organization
    assert (package.purl, package.url, package.provider) == ("pkg:npm/core", f"{PACKAGES}/npm/core", "npm")
    assert (package.repository.url, package.repository.verified) == ("https://github.com/own/core", False)
    assert (package.organization.host, package.organization.login) == ("github.com", "own")
    assert package.description == "<script>alert(1)</script> \u202e[bold]x[/bold]"
    assert document["dependents"] == {
        # org00-org23, my.group/sub, tools, acme on two hosts, late; the last is not folded into the totals yet.
        "organizations": 29,
        "repositories": 35,
        "excluded": dict.fromkeys(EXCLUSIONS, 0) | {"own_organization": 1, "no_owner": 2},
    }


@pytest.mark.parametrize("name", ["npm/stub", "npm/ghost", "npm/unclear", "pypi/same", "npm/%40scope%2Ftool"])
async def test_what_is_unknown_is_null(api: Any, name: str) -> None:
    package = Package.model_validate(await api.page(f"/packages/{name}"))
    if name in ("npm/stub", "npm/ghost"):
        assert package.provider is package.fetched_at is package.repository is package.licences is None
    assert (package.dependencies_unknown is not None) == (name == "npm/unclear")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("core", None),
        ("unclear", "not known: no metadata"),
        ("stub", "Nobody was asked about pkg:npm/stub yet"),
        ("same", "npm was asked, and pkg:npm/same depends on no package"),
    ],
)
async def test_an_empty_list_of_dependencies_says_why(api: Any, name: str, hint: str | None) -> None:
    page = Page[Statement].model_validate(await api.page(f"/packages/npm/{name}/dependencies"))
    assert bool(page.data) == (hint is None)
    assert (hint or "") in (page.meta.hint or "")


async def test_dependencies_come_page_by_page(api: Any) -> None:
    path = "/packages/npm/%40scope%2Ftool/dependencies"
    whole = Page[Statement].model_validate(await api.page(path))
    assert {(item.dependency, item.scope) for item in whole.data} == {
        ("pkg:npm/core", "runtime"),
        ("pkg:npm/core", "development"),
    }
    first = await api.page(path, limit=1)
    second = await api.page(path, limit=1, cursor=first["next_cursor"])
    assert second["next_cursor"] is None
    assert [*first["data"], *second["data"]] == [item.model_dump(mode="json") for item in whole.data]


async def test_the_number_of_statements_is_fixed(api: Any, counting: Any) -> None:
    for path, expected in (("", 1), ("/dependencies", 2)):
        async with counting(api) as statements:
            await api.page(f"/packages/npm/core{path}")
        assert len(statements) == expected, statements


async def test_tracking_answers_with_the_address_of_the_run(empty_api: Any) -> None:
    first = await empty_api.post(PACKAGES, json={"purl": "pkg:npm/%40scope/name@1.0"})
    assert first.status_code == 202
    execution = Execution.model_validate(first.json())
    assert (execution.subject, execution.state, execution.queue) == ("pkg:npm/%40scope/name", "pending", "high")
    assert first.headers["location"] == execution.url
    assert (await empty_api.get(execution.url)).json() == first.json()
    assert (await empty_api.get(f"{PACKAGES}/npm/@scope/name")).json()["tracked"] is True
    again = await empty_api.post(PACKAGES, json={"purl": "npm:@scope/name"})
    assert again.json()["id"] == first.json()["id"]
    assert await written(empty_api) == 2


@pytest.mark.parametrize(
    ("content", "status", "kind", "named"),
    [
        (b'{"purl": "express"}', 422, "invalid-purl", "purl: 'express' names no ecosystem"),
        (b'{"purl": "pkg:cobol/x"}', 422, "invalid-purl", "purl: unknown ecosystem 'cobol'"),
        (b'{"purl": "pkg:npm/"}', 422, "invalid-purl", "purl: "),
        (b'{"purl": "pkg:npm/a?b=c"}', 422, "invalid-purl", "qualifiers"),
        (b'{"purl": "npm:a\\u0000b"}', 422, "invalid-purl", "purl: "),
        (b'{"purl": "npm:\\ud800"}', 422, "invalid-request", "body.purl"),
        (b'{"purl": "npm:\\u202egnp"}', 422, "invalid-purl", "purl: "),
        (b'{"purl": "npm:' + b"a" * 2_000 + b'"}', 422, "invalid-request", "body.purl"),
        (b'{"purl": "npm:a", "depth": 9}', 422, "invalid-request", "body.depth"),
        (b'{"' + b"k" * 1_000_000 + b'": 1}', 422, "invalid-request", "body.purl"),
        (b"{}", 422, "invalid-request", "body.purl"),
        (b"", 422, "invalid-request", "body"),
        (b"[]", 422, "invalid-request", "body"),
        (b"{", 422, "invalid-request", "body"),
        (b"\xff\xfe{", 422, "invalid-request", "body"),
        (b"[" * 100_000, 422, "invalid-request", "body"),
    ],
)
async def test_a_bad_body_is_refused_and_leaves_nothing(
    empty_api: Any, problem: Any, content: bytes, status: int, kind: str, named: str
) -> None:
    response = await empty_api.post(PACKAGES, content=content, headers={"content-type": "application/json"})
    assert named in problem(response, status, kind)["detail"]
    assert len(response.content) < 10_000
    assert await written(empty_api) == 0


@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("10.0.0.1", {}),
        ("::ffff:10.0.0.1", {}),
        ("127.0.0.1", {"host": "wump.example"}),
        ("127.0.0.1", {"host": "[::1"}),
        ("127.0.0.1", {"host": "evil_name.example"}),
        ("127.0.0.1", {"host": "127.0.0.1.example"}),
        ("127.0.0.1", {"x-forwarded-for": "127.0.0.1"}),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}),
        ("127.0.0.1", {"x-real-ip": "127.0.0.1"}),
    ],
)
async def test_only_this_machine_may_track(
    settings: CoreSettings, serving: Any, problem: Any, client: str, headers: dict[str, str]
) -> None:
    async with serving(settings, (client, 1)) as api:
        problem(await api.post(PACKAGES, json={"purl": "npm:a"}, headers=headers), 401, "key-required")
        assert await written(api) == 0


@pytest.mark.parametrize(("client", "host"), [("::1", "[::1]:8000"), ("127.0.0.9", "localhost:8000")])
async def test_every_loopback_address_may_track(settings: CoreSettings, serving: Any, client: str, host: str) -> None:
    async with serving(settings, (client, 1)) as api:
        response = await api.post(PACKAGES, json={"purl": "npm:a"}, headers={"host": host})
        assert response.status_code == 202


async def test_a_web_page_elsewhere_can_not_track_without_asking_first(empty_api: Any, problem: Any) -> None:
    """A form's content types need no leave from the server, so they must not be read as JSON."""
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        response = await empty_api.post(PACKAGES, content=b'{"purl": "npm:a"}', headers={"content-type": kind})
        problem(response, 422, "invalid-request")
    preflight = await empty_api.options(PACKAGES, headers={"origin": "https://evil.example"})
    assert preflight.status_code == 204
    assert "access-control-allow-origin" not in preflight.headers
    assert await written(empty_api) == 0


async def test_a_body_of_more_than_it_could_ever_need_is_refused(settings: CoreSettings, serving: Any) -> None:
    async with serving(settings) as api:
        response = await api.post("/api/v1/packages", json={"purl": "a" * 3_000_000})
    assert response.status_code == 413
