"""Recording a case: the hook is called with a client that asks the real upstream."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import structlog

from wump_core.errors import ConfigurationError, ProviderError
from wump_core.hookspecs import Context
from wump_core.loading import load_providers
from wump_core.providers import Provider
from wump_core.testing.cases import Case, call_all
from wump_core.testing.recording import RecordingTransport, Scrubber
from wump_core.testing.replay import dump_exchanges, make_replay_client


def record_case(replayed: Provider, case: Case, path: Path) -> None:
    """Ask the upstream as a case says, with the settings of the environment, and write what it answered.

    Args:
        replayed: The provider with the settings that the recording will be played with.
        case: What to ask.
        path: Where the recording goes.

    Raises:
        ConfigurationError: The provider can't be loaded with the settings of the environment.
        ProviderError: The hook ended in an error that the case does not name; nothing is written.
    """
    providers = load_providers([replayed.name])
    if providers.broken:
        raise ConfigurationError(providers.broken[0].reason)
    provider = providers.active[0]
    transport = RecordingTransport(provider.settings, provider.info.credential)
    try:
        asyncio.run(_ask(provider, case, transport))
    except ProviderError as error:
        if case.raises is None or not isinstance(error, case.raises):
            raise
    scrubber = Scrubber(provider.settings, replayed.settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dump_exchanges([scrubber.scrub_exchange(item) for item in transport.exchanges]), "utf-8")


async def _ask(provider: Provider, case: Case, transport: httpx.AsyncBaseTransport) -> None:
    pages: list[Any] = []
    async with make_replay_client(transport) as client:
        log = structlog.get_logger("wump.testing")
        await call_all(provider, case, Context(http=client, settings=provider.settings, log=log), pages)
