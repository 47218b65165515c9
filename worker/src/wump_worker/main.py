"""The two long-running processes: `run_worker` and `serve_scheduler`. Both build all they need from settings."""

import asyncio
import signal
import threading
from contextlib import AsyncExitStack
from typing import Any

import dramatiq
import structlog
from dramatiq import Broker, Middleware, Worker
from dramatiq.asyncio import get_event_loop_thread
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.settings import CoreSettings
from wump_core.store import make_engine

from wump_worker.actors import run_execution
from wump_worker.broker import ACTOR, make_broker, note_alive, note_stopped
from wump_worker.resources import Resources, open_resources
from wump_worker.scheduler import run_scheduler
from wump_worker.settings import WorkerSettings

ALIVE_EVERY_SECONDS = 4.0
SHUTDOWN_MILLISECONDS = 20_000
log = structlog.get_logger("wump.worker")


class JobResources(Middleware):
    """Opens the resources on the loop that runs the jobs, before the first message, and closes them after the last."""

    def __init__(self, core: CoreSettings, worker: WorkerSettings) -> None:
        self._core = core
        self._worker = worker
        self._stack = AsyncExitStack()
        self.resources: Resources | None = None

    def before_worker_boot(self, broker: Broker, worker: Worker) -> None:
        """Runs after AsyncIO has started the loop."""
        self.resources = _on_the_loop(self._stack.enter_async_context(open_resources(self._core, self._worker)))

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        """Runs before AsyncIO stops the loop."""
        _on_the_loop(self._stack.aclose())


def _on_the_loop(coroutine: Any) -> Any:
    thread = get_event_loop_thread()
    if thread is None:
        raise RuntimeError("the worker's event loop is not running")
    return thread.run_coroutine(coroutine)


def run_worker(core: CoreSettings, settings: WorkerSettings) -> None:
    """Run jobs until SIGTERM or Ctrl-C; then finish what runs, within 20 s.

    Raises:
        ConfigurationError: A server's URL is missing.
    """
    if core.valkey_url is None:
        raise ConfigurationError("WUMP_VALKEY_URL is not set")
    opened = JobResources(core, settings)
    broker = make_broker(core.valkey_url, [opened])

    async def run(execution_id: int) -> None:
        if opened.resources is None:
            raise RuntimeError("a message came before the worker was ready")
        await run_execution(opened.resources, execution_id)

    dramatiq.actor(actor_name=ACTOR, queue_name="high", broker=broker)(run)
    worker = Worker(broker, worker_threads=settings.threads, worker_timeout=500)
    worker.start()
    log.info("worker.started", threads=settings.threads)
    stopping = _stop_on_signals(threading.Event())
    while not stopping.wait(ALIVE_EVERY_SECONDS if _say_alive(broker) else 1.0):
        pass
    log.info("worker.stopping")
    note_stopped(broker, "worker")
    worker.stop(timeout=SHUTDOWN_MILLISECONDS)
    broker.close()
    log.info("worker.stopped")


def _say_alive(broker: Any) -> bool:
    try:
        note_alive(broker, "worker")
    except ServerUnavailable as error:
        log.warning("worker.outage", error=str(error))
        return False
    return True


def _stop_on_signals(stopping: threading.Event) -> threading.Event:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


async def serve_scheduler(core: CoreSettings) -> None:
    """Schedule until SIGTERM or Ctrl-C.

    Raises:
        ConfigurationError: A server's URL is missing.
    """
    if core.database_url is None or core.valkey_url is None:
        raise ConfigurationError("WUMP_DATABASE_URL and WUMP_VALKEY_URL must both be set")
    engine = make_engine(core.database_url, application_name="wump-scheduler", pool_size=2)
    broker = make_broker(core.valkey_url)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    log.info("scheduler.started")
    try:
        await run_scheduler(engine, broker, stopping)
    finally:
        note_stopped(broker, "scheduler")
        broker.close()
        await engine.dispose()
        log.info("scheduler.stopped")
