"""`wump providers`: show the providers, call one, check a plugin, write a new one."""

import asyncio
import json
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from wump_core.calls import call_hook, dump_result, list_arguments, parse_arguments, parse_file
from wump_core.cli import EXIT_NO
from wump_core.errors import ConfigurationError, WumpError
from wump_core.hookspecs import Context
from wump_core.loading import load_providers
from wump_core.providers import Provider, Providers
from wump_core.records import ProviderHealth
from wump_core.servers import open_servers
from wump_core.settings import CoreSettings, load_settings
from wump_core.store import make_engine
from wump_core.store.providers import list_provider_reports
from wump_core.telemetry import configure_logging

from wump_worker.http.client import make_client
from wump_worker.settings import load_worker_settings

app = typer.Typer()
providers = typer.Typer(help="Show the providers, call one, check a plugin, write a new one.")
app.add_typer(providers, name="providers")
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Format(StrEnum):
    """What to print."""

    table = "table"
    json = "json"


@providers.callback(invoke_without_command=True, epilog="Example: `wump providers --check`")
def show(
    context: typer.Context,
    output: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.table,
    check: Annotated[bool, typer.Option("--check", help="Also ask each upstream whether it answers.")] = False,
    seen: Annotated[
        bool, typer.Option("--seen", help="Also show what the workers saw of each upstream. Needs the servers.")
    ] = False,
) -> None:
    """Show the providers: what each can do, where it asks, and why one is broken."""
    if context.invoked_subcommand is not None:
        return
    settings = load_settings()
    configure_logging("error", settings.log_format)
    loaded = load_providers(settings.provider_names, probed=True)
    rows = loaded.describe()
    origins = {provider.name: provider.base_url_origin for provider in loaded.active}
    health = asyncio.run(_check_health(loaded, settings.contact)) if check else {}
    for row in rows:
        row["base_url_from"] = origins.get(row["name"])
        if row["name"] in health:
            row["health"] = health[row["name"]].model_dump()
    if seen:
        with open_servers(settings) as ready:
            reports = asyncio.run(_list_reports(ready))
        for row in rows:
            row["seen"] = reports.get(row["name"])
    if output is Format.json:
        typer.echo(json.dumps(rows, indent=2, default=str))
    else:
        _print_table(rows)
    if any(row["state"] != "active" for row in rows) or not all(finding.ok for finding in health.values()):
        raise typer.Exit(EXIT_NO)


def _print_table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        raise WumpError("no providers are installed: pip install wump-provider-npm wump-provider-pypi")
    table = Table("name", "version", "type", "state", "ecosystems", "capabilities", "base URL from", box=None)
    if any("health" in row for row in rows):
        table.add_column("health")
    if any("seen" in row for row in rows):
        for name in ("asked", "left", "last answer", "last error"):
            table.add_column(name)
    for row in rows:
        cells = [
            str(row["name"]),
            str(row["version"]),
            str(row["provider_type"] or ""),
            f"{row['state']}: {row['reason']}" if row["reason"] else str(row["state"]),
            ", ".join(row["ecosystems"]),
            ", ".join(row["capabilities"]),
            str(row["base_url_from"] or ""),
        ]
        if "health" in row:
            cells.append(str(row["health"]["detail"] or "ok"))
        if "seen" in row:
            cells += _describe_report(row["seen"])
        table.add_row(*(escape(cell) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _describe_report(report: Mapping[str, Any] | None) -> list[str]:
    """What workers saw of one upstream, as cells: whether it is asked, what is left, last answer, last error."""
    if report is None or report["healthy"] is None:
        return ["no worker has reported", "", "", ""]
    left = ", ".join(f"{item['resource']} {item['remaining']}" for item in report["limits"] or ())
    error = f"{report['last_error_at']} {report['last_error']}" if report["last_error_at"] else ""
    return ["yes" if report["healthy"] else f"no: {report['health']}", left, str(report["last_ok_at"] or ""), error]


async def _list_reports(settings: CoreSettings) -> dict[str, dict[str, Any]]:
    """What the workers told the database, by provider."""
    if settings.database_url is None:
        raise ConfigurationError("WUMP_DATABASE_URL is not set")
    engine = make_engine(settings.database_url, application_name="wump-providers", pool_size=1)
    try:
        async with engine.connect() as connection:
            rows = await list_provider_reports(connection)
    finally:
        await engine.dispose()
    return {row["name"]: {key: value for key, value in row.items() if key != "name"} for row in rows}


async def _check_health(loaded: Providers, contact: str) -> dict[str, ProviderHealth]:
    return {provider.name: await _with_context(provider, contact, provider.health_check) for provider in loaded.active}


async def _with_context(provider: Provider, contact: str, use: Any) -> Any:
    client = make_client(
        provider.name,
        provider.settings,
        load_worker_settings(),
        contact=contact,
        info=provider.info,
        base_url_origin=provider.base_url_origin,
    )
    async with client:
        return await use(Context(client, provider.settings, structlog.get_logger(f"wump.provider.{provider.name}")))


@providers.command(epilog="Example: `wump providers call npm fetch_package npm:express`")
def call(
    name: Annotated[str, typer.Argument(help="Name of the provider.")],
    hook: Annotated[str, typer.Argument(help="Name of the hook, such as fetch_package.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help="The hook's arguments in their order; what is left out is null.")
    ] = None,
) -> None:
    """Call one hook of a provider and print the validated records as JSON, a file as it is. Needs no server.

    A dump's records are printed one a line.
    """
    settings = load_settings()
    configure_logging("warning", settings.log_format)
    loaded = load_providers([name])
    if loaded.broken:
        raise ConfigurationError(f"the provider {name} can't be used: {loaded.broken[0].reason}")
    provider = loaded.active[0]
    given = _name_arguments(hook, arguments or [])
    if hook in provider.lacking:
        raise ConfigurationError(f"{hook} of {name} needs the setting {provider.lacking[hook]}")
    if hook not in provider.capabilities:
        able = ", ".join(sorted(provider.capabilities))
        raise ConfigurationError(f"the provider {name} has no {hook}: it has {able}")
    if hook == "read_dump":
        for record in provider.read_dump(parse_arguments(hook, given)["path"]):
            typer.echo(json.dumps(dump_result(record), ensure_ascii=False))
        return
    result = _call(provider, hook, given, settings.contact)
    if isinstance(result, bytes):
        sys.stdout.buffer.write(result)
    else:
        typer.echo(json.dumps(dump_result(result), indent=2, ensure_ascii=False))


def _call(provider: Provider, hook: str, given: Mapping[str, str], contact: str) -> Any:
    if hook == "parse_manifest":
        path = Path(given.get("path", ""))
        if not path.is_file():
            raise ConfigurationError(f"parse_manifest: path: there is no file {str(path)!r}")
        return parse_file(provider, path.parent, path.name)
    parsed = parse_arguments(hook, given)
    return asyncio.run(_with_context(provider, contact, lambda context: call_hook(provider, context, hook, parsed)))


def _name_arguments(hook: str, values: list[str]) -> dict[str, str]:
    names = list_arguments(hook)
    if len(values) > len(names):
        raise ConfigurationError(f"{hook} takes {', '.join(names) or 'no arguments'}: {len(values)} were given")
    return dict(zip(names, values, strict=False))


@providers.command(epilog="Example: `wump providers check ./wump-provider-example`")
def check(
    folder: Annotated[Path, typer.Argument(help="The plugin's folder, with its pyproject.toml.")] = Path(),
    record: Annotated[
        bool, typer.Option("--record", help="Ask the upstream for recordings that are missing, and keep its answers.")
    ] = False,
) -> None:
    """Run the conformance kit on a plugin's folder. It need not be installed; asks the network only to record."""
    if not _load_kit().check_plugin(folder, record=record):
        raise typer.Exit(EXIT_NO)


@providers.command(epilog="Example: `wump providers new example`")
def new(
    name: Annotated[str, typer.Argument(help="The provider's name: small letters, digits and hyphens.")],
    into: Annotated[Path | None, typer.Option("--into", help="The folder to write; else wump-provider-NAME.")] = None,
) -> None:
    """Write a complete plugin that passes the conformance kit, to be changed step by step."""
    folder = _load_kit().write_plugin(name, into or Path(f"wump-provider-{name}"))
    err.print(f"wump: {folder} is written; run `wump providers check {folder}`", markup=False)


def _load_kit() -> ModuleType:
    """The kit stands in an extra, since it needs pytest."""
    try:
        from wump_core.testing import plugins
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"the kit needs {error.name}: pip install 'wump-core[testing]'") from None
    return plugins
