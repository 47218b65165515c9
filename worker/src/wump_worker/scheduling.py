"""`wump schedule`: see when jobs are due by themselves, and change it."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from wump_core import cron
from wump_core.cli import EXIT_NO
from wump_core.errors import ConfigurationError

from wump_worker.ledger import (
    Format,
    FormatOption,
    Key,
    Row,
    Url,
    err,
    find_job,
    parse_arguments,
    print_json,
    print_rows,
)
from wump_worker.ledgers import Ledger, open_ledger

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
def show(context: typer.Context, output: FormatOption = Format.table, url: Url = None, key: Key = None) -> None:
    """Show the schedules: when each is due next, and what became of its last run."""
    if context.invoked_subcommand is not None:
        _refuse_early_options(context)
        return
    rows = open_ledger(url, key).list_schedules()
    if output is Format.json:
        print_json([dict(row) for row in rows])
    else:
        print_rows(rows, COLUMNS)
    if not rows:
        err.print("wump: no scheduler has run there so far")
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
    url: Url = None,
    key: Key = None,
) -> None:
    """Change when a schedule is due, or what its runs are given."""
    changes: dict[str, Any] = {}
    if arguments is not None:
        changes["arguments"] = parse_arguments(find_job(name), arguments)
    if expression is not None:
        cron.check_cron(expression)
    if expression is not None or arguments is None:
        changes["cron"] = expression
    row = _change(open_ledger(url, key), name, changes)
    err.print(f"wump: {name} is due at {row['cron']!r}", markup=False)


@schedule.command(epilog="Example: `wump schedule pause clean_up`")
def pause(name: Name, url: Url = None, key: Key = None) -> None:
    """Let a schedule make nothing due. Moments that pass meanwhile are not made up for."""
    _change(open_ledger(url, key), name, {"paused": True})
    err.print(f"wump: {name} is paused", markup=False)


@schedule.command(epilog="Example: `wump schedule resume clean_up`")
def resume(name: Name, url: Url = None, key: Key = None) -> None:
    """Go on with a schedule that was paused, from its next moment."""
    _change(open_ledger(url, key), name, {"paused": False})
    err.print(f"wump: {name} goes on", markup=False)


def _refuse_early_options(context: typer.Context) -> None:
    """What stands before `set` is of the list alone; not to say so would change the schedules of another wump."""
    for name in ("url", "key"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ConfigurationError(f"--{name}: write it after `{context.invoked_subcommand}`")


def _change(ledger: Ledger, name: str, changes: Mapping[str, Any]) -> Row:
    row = ledger.change_schedule(name, changes)
    if row is None:
        names = ", ".join(item["name"] for item in ledger.list_schedules()) or "none, as no scheduler has run"
        raise ConfigurationError(f"there is no schedule {name!r}: there is {names}; `wump jobs run` plans other jobs")
    return row
