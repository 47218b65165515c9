"""`wump jobs`: put work into the ledger by hand."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from wump_core import schedule
from wump_core.errors import ConfigurationError
from wump_core.hosts import parse_repository_url
from wump_core.purl import parse_purl
from wump_core.schedule import READ_REPOSITORY, REFRESH_PACKAGE
from wump_core.servers import open_servers
from wump_core.settings import CoreSettings, load_settings
from wump_core.store import make_engine
from wump_core.telemetry import configure_logging

app = typer.Typer()
jobs = typer.Typer(help="Put work into the ledger by hand.")
app.add_typer(jobs, name="jobs")
err = Console(stderr=True, highlight=False, soft_wrap=True)


@jobs.callback()
def root() -> None:
    """Put work into the ledger by hand."""


@jobs.command(epilog="Example: `wump jobs run read_repository https://github.com/expressjs/express`")
def run(
    job: Annotated[str, typer.Argument(help=f"`{REFRESH_PACKAGE}` or `{READ_REPOSITORY}`.")],
    subject: Annotated[str, typer.Argument(help="A package as `ecosystem:name`, or a repository's web address.")],
) -> None:
    """Make one run due now; a worker takes it. Prints the execution's id."""
    settings = load_settings()
    configure_logging("error", settings.log_format)
    with open_servers(settings) as ready:
        typer.echo(asyncio.run(_plan(ready, job, subject)))


async def _plan(settings: CoreSettings, job: str, subject: str) -> UUID:
    if job not in (REFRESH_PACKAGE, READ_REPOSITORY):
        raise ConfigurationError(f"there is no job {job!r}: expected {REFRESH_PACKAGE} or {READ_REPOSITORY}")
    if settings.database_url is None:
        raise ConfigurationError("WUMP_DATABASE_URL is not set")
    engine = make_engine(settings.database_url, application_name="wump-jobs", pool_size=1)
    try:
        async with engine.begin() as connection:
            if job == REFRESH_PACKAGE:
                return await schedule.plan_tracked_package(connection, parse_purl(subject), depth=0)
            url = parse_repository_url(subject)
            if url is None:
                raise ConfigurationError(f"{subject!r} names no repository: expected https://host/owner/name")
            return await schedule.plan_repository(connection, url.url, queue="high")
    finally:
        await engine.dispose()
