"""Watches the worker's event loop. A plugin that blocks it stops every job of the process, and can't be cancelled.

So the process ends, and its leases with it: the runs start again elsewhere. The plugin at fault is marked, so that
the next worker leaves it out.
"""

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from types import FrameType

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.providers import Providers
from wump_core.settings import CoreSettings
from wump_core.store import make_engine
from wump_core.store.providers import save_blocking_provider

STALL_SECONDS = 5.0
EXIT_STALLED = 70
_MARK_SECONDS = 3.0
# On a machine that has no time for us, a loop stands still without being blocked.
_PATIENCE = 4
log = structlog.get_logger("wump.watchdog")


class Watchdog:
    """A thread that expects a sign of life from an event loop every second."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        modules: Mapping[str, str],
        bite: Callable[[str, str], None],
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        """Watch the loop that runs in the thread that calls this.

        Args:
            modules: Name of a plugin's top-level package, to its provider's name.
            bite: Called with the provider and what it was doing. It ends the process, or the loop goes on.
            stall_seconds: Of processor time, or four times as long of waiting, without a sign of life.
        """
        self._loop = loop
        self._thread_id = threading.get_ident()
        self._clock = _find_clock(self._thread_id)
        self._modules = modules
        self._bite = bite
        self._stall_seconds = stall_seconds
        self._stopping = threading.Event()
        self._seen = (0.0, 0.0)
        self._note_alive()
        self._thread = threading.Thread(target=self._watch, name="wump-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._stopping.set()

    def _note_alive(self) -> None:
        self._seen = (time.monotonic(), self._clock())

    def _watch(self) -> None:
        while not self._stopping.wait(self._stall_seconds / 5):
            waited, used = time.monotonic() - self._seen[0], self._clock() - self._seen[1]
            if used > self._stall_seconds or waited > self._stall_seconds * _PATIENCE:
                self._blame(waited)
                self._note_alive()
            else:
                self._loop.call_soon_threadsafe(self._note_alive)

    def _blame(self, waited: float) -> None:
        frame = sys._current_frames().get(self._thread_id)
        provider, where = find_provider(frame, self._modules)
        if provider is None:
            stack = "".join(traceback.format_stack(frame)[-8:]) if frame else ""
            log.warning("loop.stalled", seconds=round(waited, 1), stack=stack)
            return
        self._bite(provider, f"blocked the worker for {waited:.0f} s in {where}")


def find_provider(frame: FrameType | None, modules: Mapping[str, str]) -> tuple[str | None, str]:
    """Whose code a thread is in: the provider's name, and the function nearest to where it stands."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        provider = modules.get(module.partition(".")[0])
        if provider is not None:
            return provider, f"{module}.{frame.f_code.co_name}"
        frame = frame.f_back
    return None, ""


def watch_providers(core: CoreSettings, providers: Providers) -> Watchdog:
    """A watchdog for the running loop; started, it marks a provider that blocks it and ends the process."""
    modules = {provider.module.partition(".")[0]: provider.name for provider in providers.active}

    def bite(provider: str, reason: str) -> None:
        log.critical("provider.blocks", provider=provider, reason=reason)
        try:
            asyncio.run(asyncio.wait_for(_mark(core, provider, reason), _MARK_SECONDS))
        except Exception as error:  # the database may be away; the process must end all the same
            log.warning("provider.not_marked", provider=provider, error=f"{type(error).__name__}: {error}"[:300])
        os._exit(EXIT_STALLED)

    return Watchdog(asyncio.get_running_loop(), modules, bite)


async def _mark(core: CoreSettings, provider: str, reason: str) -> None:
    if core.database_url is None:
        return
    engine: AsyncEngine = make_engine(core.database_url, application_name="wump-watchdog", pool_size=1)
    try:
        async with engine.begin() as connection:
            await save_blocking_provider(connection, provider, reason)
    finally:
        await engine.dispose()


def _find_clock(thread_id: int) -> Callable[[], float]:
    """Seconds of processor time that a thread has used; where the system doesn't tell, seconds gone by."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.monotonic
    clock = time.pthread_getcpuclockid(thread_id)
    return lambda: time.clock_gettime(clock)
