"""Providers: who tells wump its facts, the broken ones with their reason."""

from typing import Any

from wump_api.models import Page, Provider


async def test_providers_as_loaded_last(api: Any, counting: Any) -> None:
    async with counting(api) as statements:
        listed = Page[Provider].model_validate(await api.page("/providers")).data
    assert len(statements) == 1
    assert [(item.name, item.state) for item in listed] == [("npm", "active"), ("odd", "broken"), ("pypi", "active")]
    broken = listed[1]
    assert broken.reason == "ImportError: no"
    assert broken.title is broken.licence is broken.provider_type is None


async def test_before_a_worker_ran_nobody_is_known(empty_api: Any) -> None:
    page = await empty_api.page("/providers")
    assert page["data"] == []
    assert "Start one" in page["meta"]["hint"]


async def test_one_provider(api: Any, problem: Any) -> None:
    listed = (await api.page("/providers"))["data"]
    for row in listed:
        assert (await api.get(row["url"])).json() == row
    problem(await api.get("/api/v1/providers/nobody"), 404, "unknown-provider")
    first = await api.page("/providers", limit=2)
    assert first["data"] + (await api.page("/providers", cursor=first["next_cursor"]))["data"] == listed
