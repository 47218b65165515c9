"""The hooks that ask the registry."""

import asyncio

import httpx
import pytest
import respx
import structlog
import wump_provider_npm as provider
from wump_core import Context, InvalidResponse, NotFound, ProviderHealth, ProviderSettings, make_purl

BASE_URL = "https://registry.example"
REMAINS = {"_id": "gone", "name": "gone", "time": {"unpublished": {"name": "x", "time": "2016-12-07T16:28:02.949Z"}}}


def run(hook, *arguments, base_url=BASE_URL):
    async def call():
        async with httpx.AsyncClient() as http:
            settings = ProviderSettings(base_url=base_url)
            return await hook(Context(http=http, settings=settings, log=structlog.get_logger()), *arguments)

    return asyncio.run(call())


def packument(name: str, **manifest) -> dict:
    return {"name": name, "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": manifest}}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("express", b"/express"),
        ("@babel/core", b"/@babel%2Fcore"),
        ("JSONStream", b"/JSONStream"),
        ("-", b"/-"),
        ("2112", b"/2112"),
        ("@a/..", b"/@a%2F.."),
        ("it's(odd)!*", b"/it%27s%28odd%29%21%2A"),
    ],
)
@respx.mock
def test_a_name_is_one_segment_of_the_path(name, path):
    route = respx.get(url__startswith=BASE_URL).respond(json=packument(name, description="d"))
    record = run(provider.fetch_package, make_purl("npm", name))
    assert route.calls.last.request.url.raw_path == path
    assert "install-v1" not in route.calls.last.request.headers["accept"]
    assert (record.purl, record.description) == (str(make_purl("npm", name)), "d")


@respx.mock
def test_a_base_url_may_have_a_path():
    route = respx.get(f"{BASE_URL}/npm/all/x").respond(json=packument("x"))
    assert run(provider.fetch_package, make_purl("npm", "x"), base_url=f"{BASE_URL}/npm/all/").dependencies == ()
    assert route.called


@pytest.mark.parametrize("status", [200, 404])
@respx.mock
def test_an_unpublished_package_is_not_found_whatever_the_status(status):
    respx.get(f"{BASE_URL}/gone").respond(status, json=REMAINS)
    with pytest.raises(NotFound, match=r"^unpublished on 2016-12-07T16:28:02\.949Z$"):
        run(provider.fetch_package, make_purl("npm", "gone"))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"{}"),
        (404, b'{"error":"Not found"}'),
        (404, b"<html>nothing here</html>"),
        (404, b'{"versions":[],"time":{"unpublished":7}}'),
        (403, b"no"),
        (405, b""),
        (429, b"<html>Access denied</html>"),
        (451, b""),
        (503, b""),
    ],
)
@respx.mock
def test_other_statuses_are_left_to_the_caller(status, body):
    respx.get(f"{BASE_URL}/x").respond(status, content=body)
    with pytest.raises(httpx.HTTPStatusError) as caught:
        run(provider.fetch_package, make_purl("npm", "x"))
    assert caught.value.response.status_code == status


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"name":"X","versions":{"1.0.0":{}}}'])
@respx.mock
def test_an_answer_that_is_no_packument_of_the_package_is_invalid(body):
    respx.get(f"{BASE_URL}/x").respond(200, content=body)
    with pytest.raises(InvalidResponse):
        run(provider.fetch_package, make_purl("npm", "x"))


@pytest.mark.parametrize(("status", "ok"), [(200, True), (404, True), (429, True), (500, False), (503, False)])
@respx.mock
def test_any_answer_below_500_is_healthy(status, ok):
    respx.get(f"{BASE_URL}/").respond(status)
    assert run(provider.health_check) == ProviderHealth(ok=ok, detail=f"answered {status}")


@respx.mock
def test_no_answer_is_unhealthy():
    respx.get(f"{BASE_URL}/").mock(side_effect=httpx.ConnectTimeout("late"))
    assert run(provider.health_check) == ProviderHealth(ok=False, detail="no answer: ConnectTimeout")


def test_the_provider_describes_itself():
    info = provider.describe_provider()
    assert (info.title, info.provider_type, info.ecosystems) == ("npm", "registry", ("npm",))
    assert info.manifests[:2] == ("package.json", "package-lock.json")
