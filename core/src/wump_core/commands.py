"""Commands of the core: `up`, `down` and `doctor`."""

import asyncio
import json
from enum import StrEnum
from typing import Annotated, Any

import asyncpg
import typer
from rich.console import Console
from valkey import Valkey
from valkey.exceptions import ValkeyError

from wump_core.cli import EXIT_NO, EXIT_UNAVAILABLE
from wump_core.embedded import describe_embedded, stop_embedded
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.loading import load_providers
from wump_core.servers import open_servers, read_schema_state
from wump_core.services import list_services, run_services, stop_on_signals
from wump_core.settings import CoreSettings, load_settings
from wump_core.telemetry import configure_logging

app = typer.Typer()
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Format(StrEnum):
    """What to print."""

    table = "table"
    json = "json"


@app.command(epilog="Example: `wump up`")
def up() -> None:
    """Run the API, the scheduler and a worker in the foreground until Ctrl-C.

    Uses the embedded Postgres and Valkey unless WUMP_DATABASE_URL and WUMP_VALKEY_URL are set.
    """
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    stopping = stop_on_signals()
    services = list_services()
    if not services:
        raise ConfigurationError("nothing to run: install wump-api and wump-worker")
    with open_servers(settings, notify=err.print):
        err.print(f"wump: running {', '.join(services)}; stop with Ctrl-C", markup=False)
        run_services(services, settings, stopping)
    err.print("wump: stopped")


@app.command(epilog="Example: `wump down --purge`")
def down(
    purge: Annotated[bool, typer.Option(help="Also delete the embedded servers' data.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before deleting.")] = False,
) -> None:
    """Stop embedded servers that were left running, and optionally delete their data."""
    settings = load_settings()
    if purge and not yes:
        typer.confirm(f"Delete all of wump's data in {settings.data_dir}?", abort=True, err=True)
    changed = stop_embedded(settings.data_dir, purge=purge)
    err.print(f"wump: {'done' if changed else 'there was nothing to stop'}")


@app.command(epilog="Example: `wump doctor --format json`")
def doctor(
    output: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.table,
) -> None:
    """Say what is configured, reachable, migrated and broken. Starts nothing."""
    settings = load_settings()
    report = asyncio.run(_examine(settings))
    if output is Format.json:
        typer.echo(json.dumps(report, indent=2, default=str))
    else:
        for part, finding in report.items():
            mark = "ok " if finding["ok"] else "BAD"
            typer.echo(f"{mark}  {part}: {finding['detail']}")
    if not all(finding["ok"] for finding in report.values()):
        servers = report["database"]["ok"] and report["valkey"]["ok"]
        raise typer.Exit(EXIT_NO if servers else EXIT_UNAVAILABLE)


async def _examine(settings: CoreSettings) -> dict[str, dict[str, Any]]:
    report: dict[str, dict[str, Any]] = {}
    if settings.database_url is None and settings.valkey_url is None:
        embedded = describe_embedded(settings.data_dir)
        report["embedded servers"] = _finding(
            embedded["supported"],
            embedded["reason"]
            or f"Postgres {_state(embedded['postgres'])}, Valkey {_state(embedded['valkey'])}, in {settings.data_dir}",
        )
        report["database"] = report["valkey"] = _finding(
            embedded["supported"], "embedded, started when a command needs it"
        )
    else:
        report["database"] = await _examine_database(settings)
        report["valkey"] = _examine_valkey(settings)
    for row in load_providers(settings.provider_names).describe():
        detail = f"{row['distribution']} {row['version']}"
        report[f"provider {row['name']}"] = _finding(
            row["state"] == "active", f"{detail}, active" if row["state"] == "active" else f"broken: {row['reason']}"
        )
    services = list_services()
    report["services"] = _finding(bool(services), ", ".join(services) or "none: install wump-api and wump-worker")
    return report


async def _examine_database(settings: CoreSettings) -> dict[str, Any]:
    if settings.database_url is None:
        return _finding(False, "WUMP_DATABASE_URL is not set: set both URLs, or neither")
    try:
        connection = await asyncpg.connect(settings.database_url.get_secret_value(), timeout=3)
        try:
            version = await connection.fetchval("SHOW server_version")
        finally:
            await connection.close()
        current, head = await read_schema_state(settings)
    except (OSError, ValueError, ServerUnavailable, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        return _finding(False, f"can't be reached ({type(error).__name__}): see WUMP_DATABASE_URL")
    if int(version.partition(".")[0]) < 18:
        return _finding(False, f"Postgres {version}, and wump needs 18 or later")
    if current != head:
        return _finding(False, f"Postgres {version}, at revision {current} of {head}: run `wump db upgrade`")
    return _finding(True, f"Postgres {version}, migrated ({head})")


def _examine_valkey(settings: CoreSettings) -> dict[str, Any]:
    if settings.valkey_url is None:
        return _finding(False, "WUMP_VALKEY_URL is not set: set both URLs, or neither")
    url = settings.valkey_url.get_secret_value()
    try:
        with Valkey.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            info: dict[str, Any] = client.info("server")
    except (ValkeyError, OSError, ValueError) as error:
        return _finding(False, f"can't be reached ({type(error).__name__}): see WUMP_VALKEY_URL")
    return _finding(True, f"Valkey {info.get('valkey_version', info.get('redis_version', 'of unknown version'))}")


def _finding(ok: object, detail: object) -> dict[str, Any]:
    return {"ok": bool(ok), "detail": str(detail)}


def _state(server: Any) -> str:
    return f"runs on port {server['port']}" if server["running"] else "is not running"
