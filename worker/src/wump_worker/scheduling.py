"""`wump schedule`: see when jobs are due by themselves, and change it."""

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncConnection
from wump_core import cron
from wump_core.cli import EXIT_NO
from wump_core.errors import ConfigurationError
from wump_core.store import schedules

from wump_worker.jobs import JOBS
from wump_worker.ledger import (
    Format,
    FormatOption,
    Row,
    err,
    find_job,
    parse_arguments,
    print_json,
    print_rows,
    run_on_ledger,
)
from wump_worker.scheduler import add_schedules

app = typer.Typer()
schedule = typer.Typer(help="See when jobs are due by themselves, and change it.")
app.add_typer(schedule, name="schedule")

COLUMNS = {
    "schedule": lambda row: row["name"],
    "cron (UTC)": lambda row: row["cron"] + (" (set)" if row["custom"] else ""),
    "next": lambda row: "paused" if row["paused_at"] else row["error"] or row["next_at"] or "soon",
    "last": lambda row: row["last_fire_at"],
    "skipped before": lambda row: row["skipped"] or None,
    "last run": lambda row: row["last_state"],
    "arguments": lambda row: row["arguments"] or None,
}

Name = Annotated[str, typer.Argument(help="As `wump schedule` lists it.")]


@schedule.callback(invoke_without_command=True, epilog="Example: `wump schedule`")
def show(context: typer.Context, output: FormatOption = Format.table) -> None:
    """Show the schedules: when each is due next, and what became of its last run."""
    if context.invoked_subcommand is not None:
        return

    async def work(connection: AsyncConnection) -> list[Row]:
        await add_schedules(connection)
        return await schedules.list_schedules(connection)

    rows = run_on_ledger(work)
    if output is Format.json:
        print_json([dict(row) for row in rows])
    else:
        print_rows(rows, COLUMNS)
    if any(row["error"] for row in rows):
        raise typer.Exit(EXIT_NO)


@schedule.command("set", epilog="Example: `wump schedule set clean_up '0 4 1 * *'`")
def set_(
    name: Name,
    expression: Annotated[
        str | None,
        typer.Argument(
            metavar="CRON", help="Minute, hour, day of month, month, day of week; UTC. None: the job's own."
        ),
    ] = None,
    arguments: Annotated[
        str | None, typer.Option("--arguments", help="What its runs are given from now on, as JSON.")
    ] = None,
) -> None:
    """Change when a schedule is due, or what its runs are given."""
    job = find_job(name)
    given = None if arguments is None else parse_arguments(job, arguments)
    wanted = expression or job.cron
    if wanted is None:
        raise ConfigurationError(f"{name} has no schedule: plan it with `wump jobs run {name}`")
    cron.check_cron(wanted)

    async def work(connection: AsyncConnection) -> None:
        await add_schedules(connection)
        if expression is not None or given is None:
            await schedules.set_schedule_cron(connection, name, wanted, custom=expression is not None)
        if given is not None:
            await schedules.set_schedule_arguments(connection, name, given)

    run_on_ledger(work)
    err.print(f"wump: {name} is due at {wanted!r}", markup=False)


@schedule.command(epilog="Example: `wump schedule pause clean_up`")
def pause(name: Name) -> None:
    """Let a schedule make nothing due. Moments that pass meanwhile are not made up for."""
    _set_paused(name, True)


@schedule.command(epilog="Example: `wump schedule resume clean_up`")
def resume(name: Name) -> None:
    """Go on with a schedule that was paused, from its next moment."""
    _set_paused(name, False)


def _set_paused(name: str, paused: bool) -> None:
    async def work(connection: AsyncConnection) -> bool:
        await add_schedules(connection)
        return await schedules.set_schedule_paused(connection, name, paused)

    if not run_on_ledger(work):
        names = ", ".join(sorted(name for name, job in JOBS.items() if job.cron)) or "none"
        raise ConfigurationError(f"there is no schedule {name!r}: there is {names}")
    err.print(f"wump: {name} {'is paused' if paused else 'goes on'}", markup=False)
