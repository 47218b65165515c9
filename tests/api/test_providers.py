"""Providers: who tells wump its facts, the broken ones with their reason."""

from typing import Any

from wump_api.models import ProviderList


async def test_providers_as_loaded_last(api: Any, counting: Any) -> None:
    async with counting(api) as statements:
        listed = ProviderList.model_validate(await api.page("/providers")).data
    assert len(statements) == 1
    assert [(item.name, item.state) for item in listed] == [("npm", "active"), ("odd", "broken"), ("pypi", "active")]
    broken = listed[1]
    assert broken.reason == "ImportError: no"
    assert broken.title is broken.licence is broken.provider_type is None


async def test_before_a_worker_ran_nobody_is_known(empty_api: Any) -> None:
    assert await empty_api.page("/providers") == {"data": []}
