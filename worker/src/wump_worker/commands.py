"""Commands that work: `worker` and `scheduler`."""

import asyncio
import signal
import sys
from contextlib import AbstractContextManager

import typer
from wump_core.servers import open_servers
from wump_core.settings import CoreSettings, load_settings
from wump_core.telemetry import Telemetry, configure_logging, open_telemetry

from wump_worker.main import serve_scheduler, serve_worker
from wump_worker.settings import load_alert_settings, load_worker_settings

app = typer.Typer()


def _prepare() -> CoreSettings:
    # Until the service itself listens for it: unwind, so that embedded servers are left in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    return settings


def _open_telemetry(service: str, settings: CoreSettings, port: int) -> AbstractContextManager[Telemetry]:
    return open_telemetry(
        f"wump-{service}", settings.exporters, data_dir=settings.data_dir, serve_at=(settings.metrics_host, port)
    )


@app.command(epilog="Example: `wump worker`")
def worker() -> None:
    """Run jobs until SIGTERM or Ctrl-C. Start as many as you like; `wump up` runs one."""
    settings = _prepare()
    with _open_telemetry("worker", settings, settings.worker_metrics_port), open_servers(settings) as ready:
        asyncio.run(serve_worker(ready, load_worker_settings()))


@app.command(epilog="Example: `wump scheduler`")
def scheduler() -> None:
    """Send work that is due to the workers until SIGTERM or Ctrl-C. Any number may run."""
    settings, alerts = _prepare(), load_alert_settings()
    with _open_telemetry("scheduler", settings, settings.scheduler_metrics_port), open_servers(settings) as ready:
        asyncio.run(serve_scheduler(ready, alerts))
