"""Cases: one call of a hook, and playing it from its recording or from the upstream."""

import asyncio
import contextlib
import io
import json
import logging
import os
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import structlog

from wump_core.calls import PAGED_HOOKS, call_hook, dump_result, parse_arguments, parse_file
from wump_core.errors import ConfigurationError, ProviderError
from wump_core.hookspecs import Context
from wump_core.loading import load_providers, settings_prefix
from wump_core.providers import Provider
from wump_core.testing.recording import holds_secrets
from wump_core.testing.replay import Exchange, ReplayTransport, closed_sockets, make_replay_client

MAX_PAGES = 20
MAX_RECORDS = 1_000
FEED_PAGES = 2
"""A feed of changes has no end: so many calls are played."""

PLACEHOLDER = "https://registry.example"
CANARY = "wump-canary-3b1f77d2"


class Case:
    """One call of a hook, such as `Case("fetch_package", purl="pkg:npm/left-pad")`.

    A purl may be written in either form, a `RepositoryQuery` as a dict or its text alone; what is left out is null.
    For `parse_manifest` give `path`, the file's path below the folder `manifests`; for `read_dump` that of a file or
    folder below the folder `dumps`.

    Args:
        hook: Name of the hook.
        name: What the recording and the test are called, where the arguments make no good name.
        raises: The error that this recording must end in, such as `NotFound`.
        arguments: The hook's arguments by name.
    """

    def __init__(
        self, hook: str, /, *, name: str = "", raises: type[ProviderError] | None = None, **arguments: Any
    ) -> None:
        self.hook = hook
        self.raises = raises
        self.is_manifest = hook == "parse_manifest"
        self.is_dump = hook == "read_dump"
        if self.is_manifest or self.is_dump:
            self.path = str(arguments.pop("path", ""))
            if not self.path or arguments:
                raise ConfigurationError(f"a case of {hook} has a path and nothing else")
            self.arguments: dict[str, Any] = {}
        else:
            self.arguments = parse_arguments(hook, arguments)
        words = name or "-".join(str(value) for value in (arguments or {"path": getattr(self, "path", "")}).values())
        slug = re.sub(r"[^\w.]+", "-", words).strip("-.")[:80]
        self.id = f"{hook}-{slug}" if slug else hook

    def __repr__(self) -> str:
        return f"<Case {self.id}>"


@dataclass
class Played:
    """What came of playing a case. `pages` are all pages of a paged hook, else the one result."""

    pages: list[Any] = field(default_factory=list)
    error: ProviderError | None = None
    asked: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    undeclared: list[str] = field(default_factory=list)
    sockets: list[str] = field(default_factory=list)
    printed: str = ""

    def dump(self, case: Case) -> Any:
        """The result as it is kept: without defaults, so that fields which a later core adds change nothing."""
        pages = [dump_result(page, defaults=False) for page in self.pages]
        return pages if case.hook in PAGED_HOOKS or case.is_dump else pages[0]


def load_provider(name: str, given: Mapping[str, Any]) -> Provider:
    """Load a provider with these settings and none of the environment's; secrets that aren't given get a canary.

    Raises:
        ConfigurationError: It can't be loaded; the text says why.
    """
    prefix = settings_prefix(name)
    with _environment(prefix, {f"{prefix}BASE_URL": PLACEHOLDER}):
        info = _load(name).info
    fields = info.settings_class.model_fields
    settings = {key: CANARY for key, value in fields.items() if holds_secrets(value.annotation)}
    if fields["base_url"].get_default() is None:
        settings["base_url"] = PLACEHOLDER
    settings |= dict(given)
    with _environment(prefix, {f"{prefix}{key.upper()}": _variable(value) for key, value in settings.items()}):
        return _load(name)


def _variable(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _load(name: str) -> Provider:
    providers = load_providers([name])
    if providers.broken:
        raise ConfigurationError(f"the provider {name} can't be loaded: {providers.broken[0].reason}")
    return providers.active[0]


@contextlib.contextmanager
def _environment(prefix: str, variables: Mapping[str, str]) -> Generator[None]:
    kept = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(prefix)]:
        del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def play(provider: Provider, case: Case, exchanges: Sequence[Exchange], **faults: Any) -> Played:
    """Call the hook with its recorded answers, all sockets closed, and collect all that comes out of it."""
    transport = ReplayTransport(exchanges, provider.settings, **faults)
    played = Played(asked=transport.asked, unrecorded=transport.unrecorded, undeclared=transport.undeclared)
    with closed_sockets() as attempts, _listening() as heard:
        log = structlog.wrap_logger(structlog.PrintLogger(heard), processors=[structlog.processors.KeyValueRenderer()])
        try:
            asyncio.run(_call(provider, case, transport, log, played))
        except ProviderError as error:
            played.error = error
    played.sockets = list(attempts)
    played.printed = heard.getvalue()
    return played


async def _call(provider: Provider, case: Case, transport: httpx.AsyncBaseTransport, log: Any, played: Played) -> None:
    async with make_replay_client(transport) as client:
        context = Context(http=client, settings=provider.settings, log=log)
        await call_all(provider, case, context, played.pages)


async def call_all(provider: Provider, case: Case, context: Context, pages: list[Any]) -> None:
    """Call the hook, and again for each next page, as far as a kit follows; results are added to `pages`."""
    arguments = dict(case.arguments)
    most = FEED_PAGES if case.hook == "fetch_changes" else MAX_PAGES if case.hook in PAGED_HOOKS else 1
    for _ in range(most):
        page = await call_hook(provider, context, case.hook, arguments)
        pages.append(page)
        if most == 1 or page.next_cursor is None:
            return
        arguments["cursor"] = page.next_cursor


def play_manifest(provider: Provider, case: Case, root: Path) -> Played:
    """Parse a file of the folder of manifests, all sockets closed."""
    played = Played()
    with closed_sockets() as attempts, _listening() as heard:
        try:
            played.pages.append(parse_file(provider, root, case.path))
        except ProviderError as error:
            played.error = error
    played.sockets = list(attempts)
    played.printed = heard.getvalue()
    return played


def play_dump(provider: Provider, path: Path) -> Played:
    """Read a dump, all sockets closed: its first records, as many as are looked at."""
    played = Played()
    with closed_sockets() as attempts, _listening() as heard:
        try:
            played.pages += islice(provider.read_dump(path), MAX_RECORDS)
        except ProviderError as error:
            played.error = error
    played.sockets = list(attempts)
    played.printed = heard.getvalue()
    return played


@contextlib.contextmanager
def _listening() -> Generator[io.StringIO]:
    """All that is printed or logged meanwhile."""
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(heard), contextlib.redirect_stderr(heard):
            yield heard
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
