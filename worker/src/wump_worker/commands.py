"""Commands that work: `worker`, `scheduler` and `providers`."""

import asyncio
import json
import signal
import sys
from enum import StrEnum
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from wump_core.cli import EXIT_NO
from wump_core.errors import WumpError
from wump_core.hookspecs import Context
from wump_core.providers import Providers, load_providers
from wump_core.records import ProviderHealth
from wump_core.servers import open_servers
from wump_core.settings import CoreSettings, load_settings
from wump_core.telemetry import configure_logging, configure_tracing

from wump_worker.http.client import make_client
from wump_worker.main import serve_scheduler, serve_worker
from wump_worker.settings import load_worker_settings

app = typer.Typer()
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Format(StrEnum):
    """What to print."""

    table = "table"
    json = "json"


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


@app.command(epilog="Example: `wump providers --check`")
def providers(
    output: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.table,
    check: Annotated[bool, typer.Option("--check", help="Also ask each upstream whether it answers.")] = False,
) -> None:
    """Show the providers: what each can do, where it asks, and why one is broken. Needs no server."""
    settings = load_settings()
    configure_logging("error", settings.log_format)
    loaded = load_providers(settings.provider_names)
    rows = loaded.describe()
    origins = {provider.name: provider.base_url_origin for provider in loaded.active}
    health = asyncio.run(_check_health(loaded, settings.contact)) if check else {}
    for row in rows:
        row["base_url_from"] = origins.get(row["name"])
        if row["name"] in health:
            row["health"] = health[row["name"]].model_dump()
    if output is Format.json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        _print_table(rows)
    if any(row["state"] != "active" for row in rows) or not all(finding.ok for finding in health.values()):
        raise typer.Exit(EXIT_NO)


def _print_table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        raise WumpError("no providers are installed: pip install wump-provider-npm wump-provider-pypi")
    table = Table("name", "version", "state", "ecosystems", "capabilities", "base URL from", box=None)
    if any("health" in row for row in rows):
        table.add_column("health")
    for row in rows:
        cells = [
            str(row["name"]),
            str(row["version"]),
            "active" if row["state"] == "active" else f"broken: {row['reason']}",
            ", ".join(row["ecosystems"]),
            ", ".join(row["capabilities"]),
            str(row["base_url_from"] or ""),
        ]
        if "health" in row:
            cells.append(str(row["health"]["detail"] or "ok"))
        table.add_row(*(escape(cell) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


async def _check_health(loaded: Providers, contact: str) -> dict[str, ProviderHealth]:
    worker_settings = load_worker_settings()
    health = {}
    for provider in loaded.active:
        async with make_client(provider.name, provider.settings, worker_settings, contact=contact) as client:
            context = Context(http=client, settings=provider.settings, log=structlog.get_logger("wump.providers"))
            health[provider.name] = await provider.health_check(context)
    return health
