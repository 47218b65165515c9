"""Commands that ask: `track`, `orgs`, `export`, `explain`, `demo`; and `api`, which answers. They all speak REST."""

from contextlib import aclosing
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console
from wump_core.cli import EXIT_NO, EXIT_UNAVAILABLE
from wump_core.errors import ConfigurationError
from wump_core.purl import Purl, parse_purl
from wump_core.servers import open_servers
from wump_core.settings import CoreSettings, load_settings
from wump_core.telemetry import configure_logging, open_telemetry

from wump_api import demo as demonstration
from wump_api import lookup_commands, operator_commands
from wump_api.client import Client, ask, package_path
from wump_api.documents import DEPENDENT_COLUMNS
from wump_api.main import serve
from wump_api.options import Key, Limit, Output, PurlArgument, Url
from wump_api.output import Document, Format, print_json, print_rows, print_table, writing_to
from wump_api.settings import load_api_settings
from wump_api.tracking import Tracked, describe_outcome, read_arguments, somebody_working, track, wait

app = typer.Typer()
app.add_typer(lookup_commands.app)
app.add_typer(operator_commands.app)
err = Console(stderr=True, highlight=False, soft_wrap=True)

Sort = Annotated[str, typer.Option(help="repositories, stars or last_activity; descending.")]
Scope = Annotated[str | None, typer.Option(help="runtime, development, test, build, peer, optional or unknown.")]
State = Annotated[str, typer.Option(help="current, or past: those that depended on it once and do no more.")]
Kind = Annotated[str | None, typer.Option(help="Only accounts that are an organization, a user, or unknown.")]
MinRepositories = Annotated[int, typer.Option(min=1, help="At least so many dependent repositories.")]
MinStars = Annotated[int | None, typer.Option(min=0, help="At least so many stars of dependent repositories in all.")]
ActiveSince = Annotated[str | None, typer.Option(help="Activity in a dependent repository then or later, with a zone.")]
FirstSeenAfter = Annotated[str | None, typer.Option(help="wump saw it depend first after this time, with a zone.")]
FromProvider = Annotated[str | None, typer.Option("--provider", help="Only what this provider told of too.")]
Login = Annotated[str | None, typer.Option(help="Only logins that begin so.")]


class ExportFormat(StrEnum):
    """What `wump export` writes."""

    ndjson = "ndjson"
    csv = "csv"


class DemoFormat(StrEnum):
    """What `wump demo` prints."""

    table = "table"
    json = "json"


@app.command("api", epilog="Example: `WUMP_API_PORT=9000 wump api`")
def api() -> None:
    """Serve the REST API until SIGTERM or Ctrl-C. `wump up` runs it together with the rest."""
    settings = load_settings()
    configure_logging(settings.log_level, settings.log_format)
    with (
        open_telemetry("wump-api", settings.exporters, data_dir=settings.data_dir) as telemetry,
        open_servers(settings) as ready,
    ):
        serve(ready, load_api_settings(), telemetry)


@app.command("track", epilog="Example: `wump track npm:express pkg:pypi/requests --wait`")
def track_packages(
    packages: Annotated[
        list[str], typer.Argument(help="Package URLs, ecosystem:name, files with one of them a line, or -.")
    ],
    wait_: Annotated[bool, typer.Option("--wait", help="Wait until registries and aggregators have answered.")] = False,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait at the most.")] = 300,
    output: Output = Format.table,
    url: Url = None,
    key: Key = None,
) -> None:
    """Fetch packages from their registries, now and again whenever this is called.

    Without --wait the work is left to a running `wump up`. Exit code 1: a registry has no such package, or the
    work was given up; 3: not all was done in time.
    """
    purls = read_arguments(packages)
    if not purls:
        raise ConfigurationError("there is no package in what was given")

    async def run(client: Client, settings: CoreSettings | None) -> Tracked:
        if not wait_:
            return await track(client, purls)
        async with somebody_working(client, settings):
            tracked = await track(client, purls)
            await wait(client, tracked, seconds=timeout)
            return tracked

    configure_logging("error", "console")
    _report(ask(url, run, key=key), output, waited=wait_)


def _report(tracked: Tracked, output: Format, *, waited: bool) -> None:
    rows: list[Document] = [item | {"result": describe_outcome(item)} for item in tracked.executions.values()]
    rows += [
        item | {"subject": f"dependents of {item['subject']}", "result": describe_outcome(item)}
        for item in tracked.dependents.values()
    ]
    print_rows(rows, {}, output, columns=(("package", "subject"), ("result", "result"), ("execution", "url")))
    if not waited:
        err.print("wump: planned; a running `wump up` does it, or add --wait")
    elif tracked.open:
        raise typer.Exit(EXIT_UNAVAILABLE)
    elif len(tracked.saved) < len(tracked.executions):
        raise typer.Exit(EXIT_NO)


@app.command(epilog="Example: `wump orgs npm:express --scope runtime --format csv`")
def orgs(
    purl: PurlArgument,
    sort: Sort = "repositories",
    state: State = "current",
    scope: Scope = None,
    kind: Kind = None,
    min_repositories: MinRepositories = 1,
    min_stars: MinStars = None,
    active_since: ActiveSince = None,
    first_seen_after: FirstSeenAfter = None,
    provider: FromProvider = None,
    login: Login = None,
    limit: Limit = 50,
    output: Output = Format.table,
    url: Url = None,
    key: Key = None,
) -> None:
    """List the organizations that depend on a package, with the strongest evidence for each."""
    package = parse_purl(purl)
    path = f"{package_path(package)}/dependents"
    parameters: Document = {
        "sort": sort,
        "state": state,
        "scope": scope,
        "kind": kind,
        "min_repositories": min_repositories,
        "min_stars": min_stars,
        "active_since": active_since,
        "first_seen_after": first_seen_after,
        "provider": provider,
        "q": login,
    }
    rows, meta = ask(url, lambda client, _: client.collect(path, limit, parameters), key=key)
    columns = (
        ("organization", "profile_url"),
        ("kind", "kind"),
        ("repositories", "repositories"),
        ("usage", "usage"),
        ("evidence", "proof"),
    )
    if output is Format.table:
        rows = [row | {"proof": proof(row["evidence"])} for row in rows]
    if rows or output is not Format.table:
        print_rows(rows, meta, output, columns=columns, csv_columns=DEPENDENT_COLUMNS)
    _print_left_out(package, meta)


@app.command(epilog="Example: `wump export npm:express --format csv --output dependents.csv`")
def export(
    purl: PurlArgument,
    sort: Sort = "repositories",
    state: State = "current",
    scope: Scope = None,
    kind: Kind = None,
    min_repositories: MinRepositories = 1,
    min_stars: MinStars = None,
    active_since: ActiveSince = None,
    first_seen_after: FirstSeenAfter = None,
    provider: FromProvider = None,
    login: Login = None,
    output: Annotated[ExportFormat, typer.Option("--format", help="What to write.")] = ExportFormat.ndjson,
    file: Annotated[
        str | None, typer.Option("--output", help="Write to this file, which appears when all is there.")
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Write all organizations that depend on a package, however many, as they are at one moment.

    Exit code 3: the export broke off; what was written to standard output by then is not all.
    """
    package = parse_purl(purl)
    path = f"{package_path(package)}/dependents"
    parameters: Document = {
        "sort": sort,
        "state": state,
        "scope": scope,
        "kind": kind,
        "min_repositories": min_repositories,
        "min_stars": min_stars,
        "active_since": active_since,
        "first_seen_after": first_seen_after,
        "provider": provider,
        "q": login,
    }
    media_type = {"ndjson": "application/x-ndjson", "csv": "text/csv"}[output]

    async def run(client: Client, _: CoreSettings | None) -> Document:
        meta: Document = (await client.get(path, limit=1))["meta"]
        async with aclosing(client.stream(path, media_type, format=output.value, **parameters)) as chunks:
            async for chunk in chunks:
                sink.write(chunk)
                sink.flush()
        return meta

    meta: Document | None = None
    with writing_to(file) as sink:
        meta = ask(url, run, key=key)
    if meta is not None:
        _print_left_out(package, meta)


def proof(evidence: Document) -> str:
    """The evidence in a line."""
    requirement = f": {evidence['requirement']}" if evidence["requirement"] else ""
    if evidence["package"] is None:
        return f"{evidence['url'] or evidence['path']}{requirement}"
    version = f" {evidence['version']}" if evidence["version"] else ""
    return f"{evidence['package']}{version}, {evidence['field']}{requirement}"


def _print_left_out(package: Purl, meta: Document) -> None:
    if meta["hint"]:
        err.print(f"wump: {meta['hint']}", markup=False)
    left_out = [f"{count} {reason.replace('_', ' ')}" for reason, count in meta["excluded"].items() if count]
    if left_out:
        err.print(f"wump: left out of the list for {package}: {', '.join(left_out)}", markup=False)


@app.command(epilog="Example: `wump explain npm:debug github.com/expressjs`")
def explain(
    purl: PurlArgument,
    organization: Annotated[str, typer.Argument(help="An organization's login, host/login, or id.")],
    output: Output = Format.table,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show every statement by which an organization depends on a package, with its evidence.

    Exit code 1: no statement shows it.
    """
    path = f"{package_path(parse_purl(purl))}/dependents/evidence"
    rows, meta = ask(url, lambda client, _: client.collect(path, 0, {"organization": organization}), key=key)
    columns = (
        ("repository", "repository"),
        ("package", "package"),
        ("version", "version"),
        ("file", "url"),
        ("field", "field"),
        ("requirement", "requirement"),
        ("scope", "scope"),
        ("provider", "provider"),
        ("checked", "checked_at"),
        ("left out", "excluded"),
    )
    if output is Format.table:
        rows = [row | {"excluded": row["excluded"] or ""} for row in rows]
    if rows or output is not Format.table:
        print_rows(rows, meta, output, columns=columns)
    if not rows:
        err.print(f"wump: {meta['hint']}", markup=False)
        raise typer.Exit(EXIT_NO)


@app.command(epilog="Example: `wump demo --format json`")
def demo(
    output: Annotated[DemoFormat, typer.Option("--format", help="What to print.")] = DemoFormat.table,
) -> None:
    """Show the whole way with twenty real packages from npm and PyPI, live where the registries can be reached."""
    configure_logging("error", "console")
    result = demonstration.run(notify=err.print)
    if output is DemoFormat.json:
        print_json(result)
        return
    if not result["live"]:
        err.print("wump: SAMPLE DATA, recorded earlier: the registries can't be reached from here", style="yellow")
    rows = [row | {"proof": proof(row["evidence"])} for row in result["organizations"]]
    columns = (("package", "package"), ("depends on it", "profile_url"), ("usage", "usage"), ("evidence", "proof"))
    print_table(rows, columns)
    err.print(demonstration.describe(result), markup=False)
