"""The child process that one job runs in, alone: `python -m wump_worker.child`, started by `alone`."""

import asyncio
import os
import signal
import sys
import threading

import structlog
from sqlalchemy.exc import SQLAlchemyError
from wump_core.errors import ServerUnavailable
from wump_core.settings import load_settings
from wump_core.telemetry import configure_logging, continue_trace, open_telemetry

from wump_worker.actors import run_job
from wump_worker.alone import EXIT_OUTAGE, parse_execution
from wump_worker.resources import open_resources
from wump_worker.settings import load_worker_settings
from wump_worker.watchdog import watch_providers

log = structlog.get_logger("wump.jobs")


def main() -> None:
    """Read the execution, run it, and note on its row what became of it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the worker is told to stop as well, and ends us in time
    execution = parse_execution(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    core = load_settings()
    configure_logging(core.log_level, core.log_format)

    async def run() -> None:
        async with open_resources(core, load_worker_settings()) as resources:
            watchdog = watch_providers(core, resources.providers)
            watchdog.start()
            with continue_trace(execution.trace_context):
                await run_job(resources, execution)
            watchdog.stop()

    # Figures are the worker's to tell: nobody would ask a process that lives for one run.
    exporters = core.exporters - {"prometheus"}
    try:
        with open_telemetry("wump-worker-child", exporters, data_dir=core.data_dir):
            asyncio.run(run())
    except (ServerUnavailable, OSError, TimeoutError, SQLAlchemyError) as error:
        # What became of the job could not be noted, as in a worker: that is not its fault.
        log.warning("job.outage", execution=execution.id, error=f"{type(error).__name__}: {error}"[:300])
        sys.exit(EXIT_OUTAGE)


def _end_with_parent() -> None:
    # Not by way of `sys.stdin`: Python aborts when it ends while a thread holds the lock of its buffer.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
