"""`wump keys`: make, list, rotate and revoke keys of the API. In this process none is needed: so the first is made."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, get_args

import typer
from rich.console import Console
from wump_core.store.keys import TIERS

from wump_api.client import Client, Document, ask
from wump_api.options import Key, Output, Url
from wump_api.output import Format, print_rows
from wump_api.routes.keys import MAX_OVERLAP_SECONDS
from wump_api.tiers import Area as AreaName

app = typer.Typer()
keys = typer.Typer(help="Keys of the API: who may call, and how often.", no_args_is_help=True)
app.add_typer(keys, name="keys")
err = Console(stderr=True, highlight=False, soft_wrap=True)

Tier = StrEnum("Tier", {name: name for name in TIERS})
Area = StrEnum("Area", {name: name for name in get_args(AreaName)})
KeyArgument = Annotated[str, typer.Argument(help="The key's id, as `wump keys list` shows it.", metavar="ID")]
_COLUMNS = (
    *(("id", "id"), ("name", "name"), ("tier", "tier"), ("prefixes", "prefixes"), ("hour", "requests_per_hour")),
    *(("last used", "last_used_at"), ("expires", "expires_at"), ("revoked", "revoked_at")),
)


@keys.command("create", epilog="Example: `wump keys create dashboard --tier standard --days 365`")
def create(
    name: Annotated[str, typer.Argument(help="Whose it is, or what for.")],
    tier: Annotated[Tier, typer.Option(help="free, standard, premium or operator.")] = Tier["standard"],
    days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="How long it is valid; for ever, if not given.")
    ] = None,
    per_hour: Annotated[int | None, typer.Option(min=1, help="Requests an hour, instead of the tier's.")] = None,
    per_burst: Annotated[
        int | None, typer.Option(min=1, help="Requests in ten seconds, instead of the tier's.")
    ] = None,
    areas: Annotated[
        list[Area] | None,
        typer.Option("--may", help="Instead of what its tier may; may be given several times."),
    ] = None,
    url: Url = None,
    api_key: Key = None,
) -> None:
    """Make a key and print it: the only time that it is shown."""
    body: Document = {
        "name": name,
        "tier": str(tier),
        "requests_per_hour": per_hour,
        "requests_per_burst": per_burst,
        "areas": areas and [str(area) for area in areas],
        "expires_at": days and (datetime.now(UTC) + timedelta(days=days)).isoformat(),
    }
    _show(ask(url, lambda client, _: client.post("/api/v1/keys", body), key=api_key))


@keys.command("list", epilog="Example: `wump keys list`")
def list_keys(output: Output = Format.table, url: Url = None, api_key: Key = None) -> None:
    """List all keys, revoked and expired ones too. Secrets are shown nowhere."""

    async def collect(client: Client, _: object) -> list[Document]:
        return [row async for row in client.rows("/api/v1/keys")]

    rows = ask(url, collect, key=api_key)
    if rows or output is not Format.table:
        print_rows(rows, {}, output, columns=_COLUMNS)
    else:
        err.print("wump: there are no keys; make one with `wump keys create`")


@keys.command("rotate", epilog="Example: `wump keys rotate 01890a5d-ac96-774b-bcce-b302099a8057 --overlap 3600`")
def rotate(
    key: KeyArgument,
    overlap: Annotated[
        int, typer.Option(min=0, max=MAX_OVERLAP_SECONDS, help="Seconds that the secret before works on.")
    ] = 24 * 3600,
    url: Url = None,
    api_key: Key = None,
) -> None:
    """Give a key another secret and print it: the only time that it is shown. The one before works on for a while."""
    body = {"overlap_seconds": overlap}
    _show(ask(url, lambda client, _: client.post(f"/api/v1/keys/{key}/rotate", body), key=api_key))


@keys.command("revoke", epilog="Example: `wump keys revoke 01890a5d-ac96-774b-bcce-b302099a8057`")
def revoke(key: KeyArgument, url: Url = None, api_key: Key = None) -> None:
    """Revoke a key, for good. Every API process refuses it within a second."""
    document = ask(url, lambda client, _: client.delete(f"/api/v1/keys/{key}"), key=api_key)
    err.print(f"wump: {document['name']} is revoked", markup=False)


def _show(document: Document) -> None:
    err.print(
        f"wump: key {document['id']}, {document['name']}, tier {document['tier']}; keep it, it is shown once:",
        markup=False,
    )
    typer.echo(document["key"])
