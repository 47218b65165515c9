"""The seam between core and plugins: what a plugin returns or does is checked, bounded, and ends in a named error."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pluggy
import pytest
import structlog
from wump_core import Page, Purl, RepositoryRecord, parse_purl
from wump_core import providers as seam
from wump_core.errors import InvalidResponse, NotFound, ProviderFailed, Unavailable
from wump_core.hookspecs import PROJECT_NAME, Context, DataProvider, ProviderInfo, hookimpl
from wump_core.providers import Provider
from wump_core.records import PackageRecord
from wump_core.settings import ProviderSettings

MANY = 10_000_000
LEFT = parse_purl("npm:left")


def make_provider(**hooks: Callable[..., Any]) -> Provider:
    """A provider with these hooks, that knows github.com."""

    class Plugin:
        pass

    for name, hook in hooks.items():
        setattr(Plugin, name, staticmethod(hookimpl(hook)))
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(DataProvider)
    manager.register(Plugin)
    info = ProviderInfo(title="x", provider_type="registry", ecosystems=("npm",), licence="none", attribution="us")
    settings = ProviderSettings(base_url="https://registry.example", code_host="github.com")
    return Provider("rude", "wump-provider-rude", "1", info, settings, "test", frozenset(hooks), manager.hook, "rude")


@pytest.fixture
def context() -> Context:
    """A context whose client nobody uses."""
    return Context(httpx.AsyncClient(), ProviderSettings(), structlog.get_logger())


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (None, ProviderFailed, "returned NoneType instead of PackageRecord"),
        ({"purl": "pkg:npm/left"}, ProviderFailed, "returned dict instead of PackageRecord"),
        (PackageRecord(purl="pkg:npm/right"), InvalidResponse, "was asked for pkg:npm/left and answered with"),
        (
            PackageRecord.model_construct(purl="pkg:npm/left", dependencies=(None,) * MANY),
            ProviderFailed,
            "returned 10,000,000 dependencies, at most 20,000 are taken",
        ),
    ],
    ids=["nothing", "a dictionary", "another package", "ten million dependencies"],
)
async def test_a_wrong_answer_is_the_plugins_fault(
    context: Context, answer: Any, error: type[Exception], message: str
) -> None:
    async def fetch_package(purl: Purl) -> Any:
        return answer

    with pytest.raises(error, match=message):
        await make_provider(fetch_package=fetch_package).fetch_package(context, LEFT)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (Page.model_construct(items=("x",) * MANY), "returned 10,000,000 items, at most 10,000 are taken"),
        (Page[Any](items=("x",)), "returned str instead of PackageRecord"),
    ],
    ids=["ten million items", "items of another kind"],
)
async def test_a_wrong_page_is_the_plugins_fault(context: Context, page: Any, message: str) -> None:
    async def search_packages(query: str) -> Any:
        return page

    with pytest.raises(ProviderFailed, match=message):
        await make_provider(search_packages=search_packages).search_packages(context, "left", None)


async def test_a_hook_that_never_returns_is_given_up(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch_package(purl: Purl) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(seam, "CALL_DEADLINE_SECONDS", 0.05)
    with pytest.raises(Unavailable, match="did not answer in time"):
        await make_provider(fetch_package=fetch_package).fetch_package(context, LEFT)


@pytest.mark.parametrize("raised", [RuntimeError("no"), SystemExit(3), RecursionError(), KeyError("x")], ids=repr)
async def test_whatever_a_hook_raises_leaves_as_an_error_of_wump(context: Context, raised: BaseException) -> None:
    async def fetch_package(purl: Purl) -> Any:
        raise raised

    with pytest.raises((ProviderFailed, InvalidResponse)):
        await make_provider(fetch_package=fetch_package).fetch_package(context, LEFT)


async def test_a_host_that_a_provider_does_not_know_is_not_asked(context: Context) -> None:
    asked: list[str] = []

    async def fetch_repository(url: str) -> Any:
        asked.append(url)
        return RepositoryRecord(host="github.com", path="a/b")

    provider = make_provider(fetch_repository=fetch_repository)
    with pytest.raises(NotFound, match=r"knows only github.com, not git.example"):
        await provider.fetch_repository(context, "https://git.example/a/b")
    assert not asked
    await provider.fetch_repository(context, "https://github.com/a/b")
    assert asked == ["https://github.com/a/b"]
