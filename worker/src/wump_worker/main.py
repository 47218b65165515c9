"""The two long-running processes, the worker and the scheduler. Both build all they need from settings.

Each is one event loop. The worker's loop runs the jobs; Dramatiq's threads fetch messages and wait for them.
"""

import asyncio
import dataclasses
import signal
import threading
from concurrent.futures import CancelledError
from contextlib import suppress

import dramatiq
import structlog
from dramatiq import Worker
from dramatiq.brokers.redis import RedisBroker
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.garbage import collect_seldom
from wump_core.settings import CoreSettings
from wump_core.store import make_engine
from wump_core.telemetry import continue_trace, count_server_failure
from wump_core.telemetry.database import observe_engine

from wump_worker.actors import HAND_BACK_SECONDS, run_execution
from wump_worker.alerts import alert_forever
from wump_worker.broker import (
    ACTOR,
    FIRST,
    FIRST_ACTOR,
    get_carried_trace,
    make_broker,
    note_alive,
    note_stopped,
    stop_fetching,
)
from wump_worker.observing import watch_queues
from wump_worker.outdating import outdate_forever
from wump_worker.reporting import report_forever
from wump_worker.resources import Resources, open_resources
from wump_worker.scheduler import run_scheduler
from wump_worker.session import holding_session
from wump_worker.settings import AlertSettings, WorkerSettings
from wump_worker.watchdog import watch_providers

ALIVE_EVERY_SECONDS = 4.0
ALIVE_RETRY_SECONDS = 1.0
FETCH_PAUSE_MILLISECONDS = 500
"""The longest between two looks for messages."""
SHUTDOWN_SECONDS = 17.0
"""For what runs to end; what doesn't is given back."""
log = structlog.get_logger("wump.worker")


async def serve_worker(core: CoreSettings, settings: WorkerSettings) -> None:
    """Run jobs until SIGTERM or Ctrl-C; then finish what runs within `SHUTDOWN_SECONDS`, and give back the rest.

    Raises:
        ConfigurationError: A setting is missing or wrong.
        ServerUnavailable: The database can't be reached at the start; later outages are waited out.
    """
    if core.valkey_url is None:
        raise ConfigurationError("WUMP_VALKEY_URL is not set")
    stopping = _stop_on_signals()
    broker = make_broker(core.valkey_url)
    async with open_resources(core, settings) as opened, holding_session(opened.engine) as session:
        resources = dataclasses.replace(opened, session=session)
        if core.exporters:
            observe_engine("worker", resources.engine)
        watchdog = watch_providers(core, resources.providers)
        watchdog.start()
        running: set[asyncio.Task[None]] = set()
        worker = _start_fetching(broker, resources, settings.threads, running)
        reporting = asyncio.create_task(report_forever(resources))
        collect_seldom()
        log.info("worker.started", threads=settings.threads)
        while not stopping.is_set():
            alive = await asyncio.to_thread(_say_alive, broker)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), ALIVE_EVERY_SECONDS if alive else ALIVE_RETRY_SECONDS)
        log.info("worker.stopping")
        reporting.cancel()
        await _stop(worker, broker, running)
        watchdog.stop()
    broker.close()
    log.info("worker.stopped")


def _start_fetching(
    broker: RedisBroker, resources: Resources, threads: int, running: set[asyncio.Task[None]]
) -> Worker:
    """Fetch messages and run what they name; `running` holds the tasks of what runs."""
    loop = asyncio.get_running_loop()

    async def run_on_loop(execution_id: int) -> None:
        task = asyncio.create_task(run_execution(resources, execution_id))
        running.add(task)
        task.add_done_callback(running.discard)
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()):
            log.error("job.crashed", execution=execution_id, exc_info=error)

    def run(execution_id: int) -> None:
        # Cancelled: the process is ending; the run's lease will end, too.
        with suppress(CancelledError), continue_trace(get_carried_trace()):
            asyncio.run_coroutine_threadsafe(run_on_loop(execution_id), loop).result()

    dramatiq.actor(actor_name=ACTOR, queue_name="high", broker=broker)(run)
    dramatiq.actor(actor_name=FIRST_ACTOR, queue_name=FIRST, priority=-1, broker=broker)(run)
    worker = Worker(broker, worker_threads=threads, worker_timeout=FETCH_PAUSE_MILLISECONDS)
    worker.start()
    return worker


async def _stop(worker: Worker, broker: RedisBroker, running: set[asyncio.Task[None]]) -> None:
    """Let jobs end and give back the rest, also what was only fetched. Who takes too long, as Valkey may, is left."""

    def stop() -> None:
        note_stopped(broker, "worker")
        stop_fetching(worker, seconds=SHUTDOWN_SECONDS + HAND_BACK_SECONDS)

    # A daemon, so that it can't hold up the end of the process.
    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    await asyncio.to_thread(thread.join, SHUTDOWN_SECONDS)
    if late := list(running):
        log.warning("worker.gives_back", runs=len(late))
        for task in late:
            task.cancel()
        await asyncio.wait(late, timeout=HAND_BACK_SECONDS)
        await asyncio.to_thread(thread.join, 1.0)


def _say_alive(broker: RedisBroker) -> bool:
    try:
        note_alive(broker, "worker")
    except ServerUnavailable as error:
        log.warning("worker.outage", error=str(error))
        count_server_failure("valkey")
        return False
    return True


async def serve_scheduler(core: CoreSettings, alerts: AlertSettings) -> None:
    """Schedule until SIGTERM or Ctrl-C.

    Raises:
        ConfigurationError: A server's URL is missing or can't be read.
    """
    if core.database_url is None or core.valkey_url is None:
        raise ConfigurationError("WUMP_DATABASE_URL and WUMP_VALKEY_URL must both be set")
    stopping = _stop_on_signals()
    engine = make_engine(core.database_url, application_name="wump-scheduler", pool_size=3)
    broker = make_broker(core.valkey_url)
    watching = None
    if core.exporters:
        observe_engine("scheduler", engine)
        watching = asyncio.create_task(watch_queues(engine))
    alerting = asyncio.create_task(alert_forever(engine, alerts))
    outdating = asyncio.create_task(outdate_forever(engine, core.answers_url or core.valkey_url))
    log.info("scheduler.started")
    try:
        await run_scheduler(engine, broker, stopping)
    finally:
        alerting.cancel()
        outdating.cancel()
        if watching is not None:
            watching.cancel()
        note_stopped(broker, "scheduler")
        broker.close()
        await engine.dispose()
        log.info("scheduler.stopped")


def _stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and Ctrl-C set."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    return stopping
