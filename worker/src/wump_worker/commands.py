"""Commands that work: `worker` and `scheduler`."""

import asyncio
import signal
import sys

import typer
from wump_core.servers import open_servers
from wump_core.settings import CoreSettings, load_settings
from wump_core.telemetry import configure_logging, configure_tracing

from wump_worker.main import serve_scheduler, serve_worker
from wump_worker.settings import load_worker_settings

app = typer.Typer()


def _prepare(service: str) -> CoreSettings:
    # Until the service itself listens for it: unwind, so that embedded servers are left in order.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    configure_tracing(f"wump-{service}", settings.telemetry)
    return settings


@app.command(epilog="Example: `wump worker`")
def worker() -> None:
    """Run jobs until SIGTERM or Ctrl-C. Start as many as you like; `wump up` runs one."""
    settings = _prepare("worker")
    with open_servers(settings) as ready:
        asyncio.run(serve_worker(ready, load_worker_settings()))


@app.command(epilog="Example: `wump scheduler`")
def scheduler() -> None:
    """Send work that is due to the workers until SIGTERM or Ctrl-C. Any number may run."""
    settings = _prepare("scheduler")
    with open_servers(settings) as ready:
        asyncio.run(serve_scheduler(ready))
