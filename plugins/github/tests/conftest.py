"""What all tests of this plugin share: a way to call a hook as wump does, without a network."""

import asyncio
from datetime import UTC, datetime

import httpx
import pytest
import structlog
from wump_core import Context, RateLimited
from wump_provider_github.settings import GitHubSettings


def call_hook(hook, *arguments, **settings):
    """Call an async hook with a plain client; `settings` are those of the provider."""

    async def call():
        async with httpx.AsyncClient(verify=False) as http:  # no certificates to load
            context = Context(http=http, settings=GitHubSettings(**settings), log=structlog.get_logger())
            return await hook(context, *arguments)

    return asyncio.run(call())


@pytest.fixture
def seconds_left():
    """`seconds_left(error)`: how long a RateLimited says to wait."""

    def measure(error: RateLimited) -> float:
        assert error.retry_at is not None
        return (error.retry_at - datetime.now(UTC)).total_seconds()

    return measure


@pytest.fixture
def call():
    """`call(hook, argument, …)`."""
    return call_hook
