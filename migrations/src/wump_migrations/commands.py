"""`wump db`: migrate, verify, rebuild, partition, and make roles."""

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import typer
from rich.console import Console
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.cli import EXIT_NO
from wump_core.errors import ConfigurationError
from wump_core.servers import open_servers
from wump_core.settings import load_settings
from wump_core.store import make_engine
from wump_core.store.audit import list_faults, rebuild
from wump_core.telemetry import configure_logging

from wump_migrations import partitions, roles, runner
from wump_migrations.revisions import head_revision

app = typer.Typer()
db = typer.Typer(help="The database: migrate, verify, rebuild, partition, roles.", no_args_is_help=True)
app.add_typer(db, name="db")
err = Console(stderr=True, highlight=False, soft_wrap=True)
# Deriving or partitioning much takes hours; whoever waits can stop it.
_LONGEST_STATEMENT_MS = 7 * 24 * 3_600_000


def _with_engine(use: Callable[[AsyncEngine], Coroutine[Any, Any, Any]], *, migrate: bool) -> Any:
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)

    async def run(engine: AsyncEngine) -> Any:
        try:
            return await use(engine)
        finally:
            await engine.dispose()

    with open_servers(settings, migrate=migrate, notify=err.print) as ready:
        if ready.database_url is None:
            raise ConfigurationError("WUMP_DATABASE_URL is not set")
        return asyncio.run(
            run(make_engine(ready.database_url, application_name="wump-db", statement_timeout_ms=_LONGEST_STATEMENT_MS))
        )


@db.command(epilog="Example: `wump db upgrade`")
def upgrade() -> None:
    """Bring the database to the newest revision. Harmless where it is there already."""
    _with_engine(runner.upgrade, migrate=False)
    err.print(f"wump: the database is at revision {head_revision()}")


@db.command(epilog="Example: `wump db downgrade base`")
def downgrade(
    revision: Annotated[str, typer.Argument(help="The revision to go back to; `base` removes all tables.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Go back to an older revision. What newer tables hold is lost."""
    if not yes:
        typer.confirm("This deletes what newer tables hold. Go on?", abort=True, err=True)
    _with_engine(lambda engine: runner.downgrade(engine, revision), migrate=False)
    err.print(f"wump: the database is at revision {revision}")


@db.command(epilog="Example: `wump db verify`")
def verify() -> None:
    """Compare everything derived with the statements; exit code 1 if something differs."""

    async def check(engine: AsyncEngine) -> Any:
        async with engine.connect() as connection:
            return await list_faults(connection)

    faults = _with_engine(check, migrate=True)
    for fault in faults:
        typer.echo(f"{fault.table} {fault.key}: {fault.message}")
    err.print(f"wump: {len(faults)} fault(s) found" + (", repair with `wump db rebuild`" if faults else ""))
    if faults:
        raise typer.Exit(EXIT_NO)


@db.command("rebuild", epilog="Example: `wump db rebuild`")
def rebuild_derived() -> None:
    """Derive dependencies, answers and totals anew from the statements."""
    _with_engine(rebuild, migrate=True)
    err.print("wump: rebuilt")


@db.command("roles", epilog="Example: `wump db roles`")
def make_roles(
    renew: Annotated[bool, typer.Option("--renew", help="Also give roles that are there new passwords.")] = False,
) -> None:
    """Make roles with no more rights than migrating, working and answering need; prints an address for each.

    Connect as a superuser for it. Run it again after an upgrade: nothing is lost by that.
    """
    settings = load_settings()
    if settings.database_url is None:
        raise ConfigurationError("WUMP_DATABASE_URL is not set: embedded servers have one role, which is yours")
    passwords = _with_engine(lambda engine: roles.make_roles(engine, renew=renew), migrate=False)
    url = make_url(settings.database_url.get_secret_value())
    for role, meaning in roles.ROLES.items():
        err.print(f"wump: {role} {meaning}", markup=False)
        typer.echo(roles.role_url(url, role, passwords[role]))
    if any(password is None for password in passwords.values()):
        err.print("wump: roles that were there keep their passwords; --renew gives them new ones")


@db.command("partition", epilog="Example: `wump db partition --partitions 16`")
def partition_tables(
    number: Annotated[
        int,
        typer.Option(
            "--partitions", metavar="N", min=0, max=128, help="2 to 128 for each big table; 0 makes plain tables again."
        ),
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Partition the big tables by package, or undo it. Stop everything that uses the database before.

    Tables are copied one by one, each in a transaction; a run that ended early can be run again.
    """

    async def look(engine: AsyncEngine) -> Any:
        await partitions.require_stopped(engine)
        return await partitions.list_layouts(engine)

    layouts = _with_engine(look, migrate=True)
    for layout in layouts:
        err.print(f"{layout.table}: {layout.partitions or 'no'} partitions, {layout.bytes / partitions.GB:,.1f} GB")
    settings = load_settings()
    if settings.database_url is None:
        folder = (settings.data_dir / "postgres").resolve()
        partitions.require_space(layouts, number, free_bytes=shutil.disk_usage(folder).free)
    elif (needed := partitions.count_needed_bytes(layouts, number)) and not yes:
        needed_gb = needed / partitions.GB
        err.print(f"Postgres needs up to {needed_gb:,.1f} GB of free disk; how much its server has, only you can see.")
        typer.confirm("Go on?", abort=True, err=True)
    _with_engine(lambda engine: partitions.partition_tables(engine, number, notify=err.print), migrate=True)
