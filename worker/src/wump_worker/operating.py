"""`wump jobs`: see the runs of jobs, and requeue, discard, pause and plan them."""

from typing import Annotated
from uuid import UUID

import typer
from wump_core.cli import EXIT_NO
from wump_core.errors import ConfigurationError
from wump_core.store.executions import QUEUES, STATES

from wump_worker.jobs import JOBS
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
jobs = typer.Typer(help="See the runs of jobs; requeue, discard, pause and plan them.", no_args_is_help=True)
app.add_typer(jobs, name="jobs")


def describe_outcome(row: Row) -> str:
    """What a run came to, in one line."""
    outcome = row["outcome"] or {}
    return str(outcome.get("message") or outcome.get("code") or "")[:100]


COLUMNS = {
    "id": lambda row: row["id"],
    "job": lambda row: row["job"],
    "subject": lambda row: row["subject"],
    "state": lambda row: row["state"],
    "queue": lambda row: row["queue"],
    "faults": lambda row: row["attempts"] or None,
    "lost": lambda row: row["lost_leases"] or None,
    "at": lambda row: row["finished_at"] or (row["started_at"] if row["state"] == "running" else row["due_at"]),
    "outcome": describe_outcome,
}

ALERT_COLUMNS = {
    "severity": lambda row: row["severity"],
    "alert": lambda row: row["name"],
    "message": lambda row: row["message"],
    "since": lambda row: row["since"],
    "over": lambda row: row["ended_at"],
}

Ids = Annotated[list[UUID] | None, typer.Argument(help="Ids of runs, as `wump jobs list` shows them.")]
Dead = Annotated[bool, typer.Option("--dead", help="All dead runs.")]
OfJob = Annotated[str | None, typer.Option("--job", help="Only of this job.")]


@jobs.callback()
def root() -> None:
    """See the runs of jobs; requeue, discard, pause and plan them."""


@jobs.command("list", epilog="Example: `wump jobs list --state dead`")
def list_(
    state: Annotated[
        list[str] | None, typer.Option("--state", help=f"Only in this state: {', '.join(STATES)}.")
    ] = None,
    job: OfJob = None,
    queue: Annotated[str | None, typer.Option("--queue", help=f"Only in this queue: {', '.join(QUEUES)}.")] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Only about this, as `pkg:npm/debug`.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Rows at the most.")] = 50,
    output: FormatOption = Format.table,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show runs, the newest first; and what is paused."""
    if wrong := set(state or ()) - set(STATES):
        raise ConfigurationError(f"--state {sorted(wrong)[0]}: expected one of {', '.join(STATES)}")

    ledger = open_ledger(url, key)
    rows = ledger.list_runs(state or (), limit, job=job, queue=queue, subject=subject)
    paused = ledger.list_pauses()
    if output is Format.json:
        print_json([dict(row) for row in rows])
    else:
        print_rows(rows, COLUMNS)
    for pause in paused:
        reason = f": {pause['reason']}" if pause["reason"] else ""
        err.print(f"wump: the {pause['kind']} {pause['name']} is paused{reason}", markup=False)


@jobs.command(epilog="Example: `wump jobs show 019abcde-0000-7000-8000-000000000000`")
def show(
    id: Annotated[UUID, typer.Argument(help="Of a run.")],  # noqa: A002 - its public name
    output: FormatOption = Format.table,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show all that is known of one run."""
    row = open_ledger(url, key).get_run(id)
    if row is None:
        err.print(f"wump: no run has the id {id}")
        raise typer.Exit(EXIT_NO)
    if output is Format.json:
        print_json(dict(row))
    else:
        print_rows(
            [{"name": name, "value": value} for name, value in row.items()],
            {"field": lambda item: item["name"], "value": lambda item: item["value"]},
        )


@jobs.command(epilog="Example: `wump jobs retry --dead --job refresh_package`")
def retry(ids: Ids = None, dead: Dead = False, job: OfJob = None, url: Url = None, key: Key = None) -> None:
    """Make dead or failed runs due now, as if they were new."""
    ledger = open_ledger(url, key)
    wanted = _choose(ledger, ids, dead, job)
    _report("requeued", wanted, ledger.retry(wanted), "is neither dead nor failed, or the same is due already")


@jobs.command(epilog="Example: `wump jobs discard 019abcde-0000-7000-8000-000000000000 --yes`")
def discard(
    ids: Ids = None,
    dead: Dead = False,
    job: OfJob = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Remove runs from the ledger that are not to be done: dead, failed or pending ones."""
    if not yes:
        what = "all dead runs" if dead else f"{len(ids or ())} run(s)"
        typer.confirm(f"Remove {what} for good?", abort=True, err=True)

    ledger = open_ledger(url, key)
    wanted = _choose(ledger, ids, dead, job)
    rows = ledger.discard(wanted)
    for row in rows:
        typer.echo(f"{row['id']} {row['job']} {row['subject']}")
    _report("discarded", wanted, [row["id"] for row in rows], "is running or completed, or isn't there")


Paused = Annotated[str | None, typer.Argument(help=f"A job: {', '.join(sorted(JOBS))}.")]
OfProvider = Annotated[str | None, typer.Option("--provider", help="A provider in the place of a job.")]


@jobs.command(epilog="Example: `wump jobs pause --provider github --reason 'new token on Monday'`")
def pause(
    job: Paused = None,
    provider: OfProvider = None,
    reason: Annotated[str | None, typer.Option("--reason", help="For whoever wonders later.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Start no more runs of a job, or ask a provider nothing more. What needs it waits, and uses no attempts."""
    kind, name = _choose_pause(job, provider)
    done = open_ledger(url, key).add_pause(kind, name, reason)
    err.print(f"wump: the {kind} {name} is paused" + ("" if done else " already"), markup=False)


@jobs.command(epilog="Example: `wump jobs resume --provider github`")
def resume(job: Paused = None, provider: OfProvider = None, url: Url = None, key: Key = None) -> None:
    """Go on with a job or a provider that was paused; what waited is due now."""
    kind, name = _choose_pause(job, provider)
    if not open_ledger(url, key).remove_pause(kind, name):
        err.print(f"wump: the {kind} {name} was not paused", markup=False)
        raise typer.Exit(EXIT_NO)
    err.print(f"wump: the {kind} {name} goes on", markup=False)


@jobs.command(epilog="Example: `wump jobs run read_repository https://github.com/expressjs/express`")
def run(
    job: Annotated[str, typer.Argument(help=f"One of {', '.join(sorted(JOBS))}.")],
    subject: Annotated[
        str, typer.Argument(help="A package as `ecosystem:name`, a repository's web address; nothing if it needs none.")
    ] = "",
    arguments: Annotated[str | None, typer.Option("--arguments", help="As JSON, such as '{\"depth\": 1}'.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make one run due now; a worker takes it. Prints the run's id."""
    found = find_job(job)
    about, given = found.subject(subject), parse_arguments(found, arguments)
    typer.echo(open_ledger(url, key).add_run(job, about, given, found.version))


@jobs.command("alerts", epilog="Example: `wump jobs alerts`")
def alerts_(output: FormatOption = Format.table, url: Url = None, key: Key = None) -> None:
    """Show what is wrong, the worst first, and what was lately."""
    rows = open_ledger(url, key).list_alerts()
    if output is Format.json:
        print_json([dict(row) for row in rows])
    else:
        print_rows(rows, ALERT_COLUMNS)
    if any(row["ended_at"] is None for row in rows):
        raise typer.Exit(EXIT_NO)


def _choose(ledger: Ledger, ids: list[UUID] | None, dead: bool, job: str | None) -> list[UUID]:
    if bool(ids) == dead or (job and not dead):
        raise ConfigurationError("give the ids of runs, or --dead for all dead ones, which --job may narrow")
    if job:
        find_job(job)
    return ledger.list_dead(job) if dead else list(ids or ())


def _report(what: str, wanted: list[UUID], done: list[UUID], why_not: str) -> None:
    err.print(f"wump: {len(done)} run(s) {what}")
    missed = [id_ for id_ in wanted if id_ not in set(done)]
    for id_ in missed[:20]:
        err.print(f"wump: {id_} {why_not}")
    if missed:
        raise typer.Exit(EXIT_NO)


def _choose_pause(job: str | None, provider: str | None) -> tuple[str, str]:
    if (job is None) == (provider is None):
        raise ConfigurationError("give a job, or --provider")
    if job is not None:
        find_job(job)
        return "job", job
    return "provider", str(provider)
