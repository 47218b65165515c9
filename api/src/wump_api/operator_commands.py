"""Commands for operators: `takedowns` and `cache`. Over the wire they need an operator's key."""

from typing import Annotated

import typer
from rich.console import Console
from wump_core.purl import parse_purl

from wump_api.client import Document, ask
from wump_api.options import Key, Output, Url
from wump_api.output import Format, print_rows

app = typer.Typer()
takedowns = typer.Typer(help="Accounts that asked to be named nowhere.", no_args_is_help=True)
cache = typer.Typer(help="Finished answers that the API keeps.", no_args_is_help=True)
app.add_typer(takedowns, name="takedowns")
app.add_typer(cache, name="cache")
err = Console(stderr=True, highlight=False, soft_wrap=True)
_COLUMNS = (
    *(("id", "id"), ("host", "host"), ("login", "login"), ("reason", "reason"), ("since", "created_at")),
    ("by", "created_by"),
)


@takedowns.command("add", epilog="Example: `wump takedowns add github.com/example --reason 'mail of 1 May'`")
def add_takedown(
    account: Annotated[str, typer.Argument(help="As host/login.")],
    reason: Annotated[str | None, typer.Option(help="For your own record; shown to operators only.")] = None,
    output: Output = Format.table,
    url: Url = None,
    key: Key = None,
) -> None:
    """Name an account, and all others of its organization, nowhere any more.

    A running `wump up` takes it out of all lists within seconds.
    """
    body: Document = {"account": account, "reason": reason}
    made = ask(url, lambda client, _: client.post("/api/v1/takedowns", body), key=key)
    print_rows(made["data"], {"executions": made["executions"]}, output, columns=_COLUMNS)


@takedowns.command("list", epilog="Example: `wump takedowns list`")
def list_takedowns(output: Output = Format.table, url: Url = None, key: Key = None) -> None:
    """List the accounts that are named nowhere."""
    rows, meta = ask(url, lambda client, _: client.collect("/api/v1/takedowns", 0, {}), key=key)
    print_rows(rows, meta, output, columns=_COLUMNS)


@takedowns.command("remove", epilog="Example: `wump takedowns remove 01890a5d-ac96-774b-bcce-b302099a8057`")
def remove_takedown(
    takedown: Annotated[str, typer.Argument(help="The id, as `wump takedowns list` shows it.", metavar="ID")],
    output: Output = Format.table,
    url: Url = None,
    key: Key = None,
) -> None:
    """Let an account be named again."""
    gone = ask(url, lambda client, _: client.delete(f"/api/v1/takedowns/{takedown}"), key=key)
    print_rows(gone["data"], {"executions": gone["executions"]}, output, columns=_COLUMNS)


@cache.command("drop", epilog="Example: `wump cache drop npm:express`")
def drop(
    purl: Annotated[str | None, typer.Argument(help="Only what is about this package.", metavar="[PURL]")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Forget finished answers, of one package or all. They are made anew when they are asked for."""
    wanted = str(parse_purl(purl)) if purl else None
    done = ask(url, lambda client, _: client.delete("/api/v1/cache", purl=wanted), key=key)
    err.print(f"wump: {done['keys']} key(s) dropped, of {done['subject']}", markup=False)
