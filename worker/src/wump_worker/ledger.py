"""What the commands for operators share: a way to the ledger, and to print what it holds."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection
from wump_core.errors import ConfigurationError
from wump_core.servers import open_servers
from wump_core.settings import load_settings
from wump_core.store import make_engine
from wump_core.telemetry import configure_logging

from wump_worker.jobs import JOBS, Job

Result = TypeVar("Result")
Row = Mapping[str, Any]
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Format(StrEnum):
    """What to print."""

    table = "table"
    json = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="What to print.")]
Url = Annotated[str | None, typer.Option("--url", envvar="WUMP_URL", help="Ask the API there instead of the database.")]
Key = Annotated[
    str | None,
    typer.Option("--key", envvar="WUMP_KEY", help="An operator's API key; only with --url.", show_envvar=True),
]


def run_on_ledger(work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
    """Do this in one transaction on the database of the settings, and return what it returns."""
    settings = load_settings()
    configure_logging("error", settings.log_format)
    with open_servers(settings) as ready:
        url = ready.database_url
        if url is None:
            raise ConfigurationError("WUMP_DATABASE_URL is not set")

        async def run() -> Result:
            engine = make_engine(url, application_name="wump-jobs", pool_size=1)
            try:
                async with engine.begin() as connection:
                    return await work(connection)
            finally:
                await engine.dispose()

        return asyncio.run(run())


def find_job(name: str) -> Job:
    """The job of this name. Raises `ConfigurationError` naming those that there are."""
    if name not in JOBS:
        raise ConfigurationError(f"there is no job {name!r}: expected one of {', '.join(sorted(JOBS))}")
    return JOBS[name]


def parse_arguments(job: Job, given: str | None) -> dict[str, Any]:
    """Arguments given as JSON, checked. Raises `ConfigurationError` naming what is wrong."""
    try:
        arguments = json.loads(given or "{}")
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"--arguments is no JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise ConfigurationError('--arguments must be a JSON object, as {"depth": 1}')
    try:
        job.arguments.model_validate(arguments)
    except ValueError as error:
        faults = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in getattr(error, "errors", list)()]
        known = ", ".join(job.arguments.model_fields) or "none"
        raise ConfigurationError(f"--arguments: {'; '.join(faults)}; the job takes {known}") from None
    return arguments


def print_json(value: object) -> None:
    """One document."""
    typer.echo(json.dumps(value, indent=2, default=_dump))


def print_rows(rows: Sequence[Row], columns: Mapping[str, Callable[[Row], object]]) -> None:
    """A table; what a column makes of a row is printed as text, null as nothing."""
    table = Table(*columns, box=None)
    for row in rows:
        cells = (column(row) for column in columns.values())
        table.add_row(*("" if cell is None else escape(_dump(cell)) for cell in cells))
    Console(width=None if sys.stdout.isatty() else 250, highlight=False).print(table)


def _dump(value: object) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)
