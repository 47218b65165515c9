"""Tracking from the command line: plan packages, and wait until their registries have answered."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from os.path import isfile

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from wump_core.errors import ConfigurationError, InvalidPurl, ServerUnavailable
from wump_core.purl import Purl, parse_purl
from wump_core.services import running_services
from wump_core.settings import CoreSettings

from wump_api.client import Client, Document

MAX_FILE_BYTES = 10_000_000
_POLL_SECONDS = 0.3
_LIVENESS_POLL_SECONDS = 2.0
_POLLED_AT_ONCE = 20
_DONE = ("completed", "dead")


@dataclass
class Tracked:
    """Packages and their executions as they stand; `dependents` are the runs that ask who depends on them."""

    executions: dict[str, Document] = field(default_factory=dict)
    dependents: dict[str, Document] = field(default_factory=dict)

    @property
    def done(self) -> list[Document]:
        """Those that came to an end."""
        return [item for item in self.executions.values() if item["state"] in _DONE]

    @property
    def open(self) -> list[Document]:
        """Those that did not yet."""
        return [item for item in self.executions.values() if item["state"] not in _DONE]

    @property
    def unanswered(self) -> list[Document]:
        """The runs about dependents that have not come to anything yet. One that failed will be tried again."""
        return [item for item in self.dependents.values() if item["state"] not in _DONE and not item["outcome"]]

    @property
    def saved(self) -> list[Document]:
        """Those whose package was fetched and saved."""
        return [item for item in self.done if (item["outcome"] or {}).get("code") == "saved"]


def read_arguments(arguments: Sequence[str]) -> list[Purl]:
    """Packages from package URLs, short forms, and files with one of either a line (`-`: standard input).

    Everything is read before anything is done, so a mistake in the last line leaves nothing half-done.

    Raises:
        InvalidPurl: A line or argument can't be read; the text names it.
        ConfigurationError: A file is too large or no text.
    """
    purls: dict[Purl, None] = {}
    for argument in arguments:
        if argument == "-":
            found = _read_lines("standard input", sys.stdin.buffer.read(MAX_FILE_BYTES + 1))
        elif isfile(argument):
            with open(argument, "rb") as file:
                found = _read_lines(argument, file.read(MAX_FILE_BYTES + 1))
        else:
            found = [parse_purl(argument)]
        purls.update(dict.fromkeys(found))
    return list(purls)


def _read_lines(name: str, content: bytes) -> list[Purl]:
    if len(content) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{name} is larger than {MAX_FILE_BYTES} bytes: split it")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name} is no UTF-8 text: expected one package URL a line") from None
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition(" #")[0].strip()
        if entry and not entry.startswith("#"):
            try:
                found.append(parse_purl(entry))
            except InvalidPurl as error:
                raise InvalidPurl(f"{name}, line {number}: {error}") from None
    return found


async def track(client: Client, purls: Sequence[Purl]) -> Tracked:
    """Plan all of them."""
    tracked = Tracked()
    for purl in purls:
        tracked.executions[str(purl)] = await client.post("/api/v1/packages", {"purl": str(purl)})
    return tracked


async def wait(
    client: Client, tracked: Tracked, *, seconds: float, give_up: Callable[[Tracked], bool] = lambda _: False
) -> None:
    """Watch until all have ended, the time is over, or `give_up` says so; shows a progress bar in a terminal."""
    deadline = time.monotonic() + seconds
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("fetching packages", total=len(tracked.executions))
        turn = 0
        while (open_ := tracked.open) and time.monotonic() < deadline and not give_up(tracked):
            await asyncio.sleep(_POLL_SECONDS)
            # Each gets its turn: some may wait long for a registry while the others end.
            for item in (open_ * 2)[turn % len(open_) :][: min(_POLLED_AT_ONCE, len(open_))]:
                tracked.executions[item["subject"]] = await client.get(item["url"])
            turn += _POLLED_AT_ONCE
            progress.update(task, completed=len(tracked.done))
        for item in tracked.saved:
            if following := item["outcome"].get("dependents"):
                tracked.dependents[item["subject"]] = await client.get(f"/api/v1/executions/{following}")
        progress.update(task, description="asking who depends on them")
        while (open_ := tracked.unanswered) and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
            for item in open_[:_POLLED_AT_ONCE]:
                tracked.dependents[item["subject"]] = await client.get(item["url"])


@asynccontextmanager
async def somebody_working(
    client: Client, settings: CoreSettings | None, environment: dict[str, str] | None = None
) -> AsyncGenerator[None]:
    """Make sure that a scheduler and a worker run: those that do, else child processes of our own.

    It looks again and again: what a killed process said of itself stands for a while after its death.

    Args:
        settings: Which servers to work on; null where the API is elsewhere, and so is its work.
    """
    if settings is None:
        yield
        return
    if (await client.health()).get("worker_alive") is None:
        raise ServerUnavailable("Valkey does not answer, so nobody can be told to work: see WUMP_VALKEY_URL")
    with ExitStack() as started:
        watch = asyncio.create_task(_start_missing(client, settings, environment or {}, started))
        try:
            yield
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            await asyncio.to_thread(started.close)


async def _start_missing(
    client: Client, settings: CoreSettings, environment: dict[str, str], started: ExitStack
) -> None:
    wanted = {"scheduler", "worker"}
    while wanted:
        health = await client.health()
        missing = sorted(name for name in wanted if not health.get(f"{name}_alive"))
        if missing:
            started.enter_context(running_services(missing, settings, quiet=True, environment=environment))
            wanted -= set(missing)
        await asyncio.sleep(_LIVENESS_POLL_SECONDS)


def describe_outcome(execution: Document) -> str:
    """One line about how an execution went."""
    outcome = execution["outcome"] or {}
    text = outcome.get("message") or outcome.get("code") or ""
    if execution["state"] == "completed" and "found" in outcome:
        asked = ", ".join(outcome.get("asked") or ())
        return f"{outcome['found']} found by {asked}" + (f" ({outcome['message']})" if outcome.get("message") else "")
    if execution["state"] == "completed" and outcome.get("code") == "saved":
        return f"saved {outcome.get('version') or ''}".strip() + (f" ({text})" if outcome.get("message") else "")
    if outcome.get("code") == "not_found":
        return f"not found: {text}"
    if execution["state"] == "failed":
        return f"tried again at {execution['due_at']}: {text}"
    if execution["state"] == "running" and text:
        return f"tried again now: {text}"
    return f"{execution['state']}{': ' + text if text else ''}"
