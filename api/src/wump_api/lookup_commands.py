"""Commands that look through what wump knows: `search`, `packages`, `organization`, `stats`."""

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console
from wump_core.cli import EXIT_NO
from wump_core.purl import ECOSYSTEMS

from wump_api.client import Client, Document, ask
from wump_api.options import Key, Limit, Output, Url
from wump_api.output import Format, print_json, print_rows

app = typer.Typer()
err = Console(stderr=True, highlight=False, soft_wrap=True)

Ecosystem = StrEnum("Ecosystem", {name: name for name in ECOSYSTEMS})
EcosystemOption = Annotated[Ecosystem | None, typer.Option(help="Only packages of this one.")]


class Kind(StrEnum):
    """What a search finds."""

    all = "all"
    package = "package"
    organization = "organization"


class Part(StrEnum):
    """What is shown of an organization."""

    packages = "packages"
    repositories = "repositories"
    accounts = "accounts"


_COLUMNS = {
    Part.packages: (
        *(("package", "purl"), ("repositories", "repositories"), ("usage", "usage"), ("asks for money", "ways")),
    ),
    Part.repositories: (("repository", "url"), ("stars", "stars"), ("last activity", "last_activity_at")),
    Part.accounts: (
        *(("host", "host"), ("login", "login"), ("kind", "kind"), ("name", "name"), ("website", "website")),
    ),
}


@app.command("search", epilog="Example: `wump search expres --ecosystem npm`")
def search(
    query: Annotated[str, typer.Argument(help="A name, how it begins, or nearly so.")],
    type_: Annotated[Kind, typer.Option("--type", help="What to find.")] = Kind.all,
    ecosystem: EcosystemOption = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Rows at the most.")] = 20,
    output: Output = Format.table,
    url: Url = None,
    key: Key = None,
) -> None:
    """Find packages and organizations by name, the best first.

    Exit code 1: nothing is called so.
    """
    wanted: Document = {"q": query, "type": type_.value, "ecosystem": ecosystem and ecosystem.value}
    rows, meta = ask(url, lambda client, _: client.collect("/api/v1/search", limit, wanted), key=key)
    if output is Format.table:
        rows = [_as_line(row) for row in rows]
    columns = (("type", "type"), ("name", "name"), ("used by", "used_by"), ("what it is", "text"))
    if rows or output is not Format.table:
        print_rows(rows, meta, output, columns=columns)
    if not rows:
        err.print(f"wump: {meta['hint']}", markup=False)
        raise typer.Exit(EXIT_NO)


def _as_line(hit: Document) -> Document:
    if package := hit["package"]:
        used_by = f"{package['dependents']['organizations']} organizations"
        return {"type": "package", "name": package["purl"], "used_by": used_by, "text": package["description"] or ""}
    organization = hit["organization"]
    return {"type": organization["kind"], "name": organization["profile_url"], "used_by": "", "text": ""}


@app.command("packages", epilog="Example: `wump packages --ecosystem npm --tracked`")
def packages(
    ecosystem: EcosystemOption = None,
    tracked: Annotated[bool, typer.Option("--tracked", help="Only packages that are tracked.")] = False,
    limit: Limit = 50,
    output: Output = Format.table,
    url: Url = None,
    key: Key = None,
) -> None:
    """List the packages that wump knows, by ecosystem and name."""
    wanted: Document = {"ecosystem": ecosystem and ecosystem.value, "tracked": tracked or None}
    rows, meta = ask(url, lambda client, _: client.collect("/api/v1/packages", limit, wanted), key=key)
    columns = (("package", "purl"), ("version", "latest_version"), ("used by", "dependents"), ("fetched", "fetched_at"))
    print_rows(rows, meta, output, columns=columns)


@app.command("organization", epilog="Example: `wump organization expressjs --show packages`")
def organization(
    name: Annotated[str, typer.Argument(help="Its login, or its id as `wump orgs` and `wump search` show it.")],
    show: Annotated[
        Part, typer.Option(help="packages it depends on, its repositories, or its accounts.")
    ] = Part.packages,
    limit: Limit = 50,
    output: Output = Format.table,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show what an organization depends on and how each of that can be funded, or who it is."""
    path = f"/api/v1/organizations/{quote(name, safe='')}"

    async def run(client: Client, _: object) -> tuple[list[Document], Document]:
        if show is Part.accounts:
            found = await client.get(path)
            return found["accounts"], {name: value for name, value in found.items() if name != "accounts"}
        return await client.collect(f"{path}/{show.value}", limit, {})

    rows, meta = ask(url, run, key=key)
    if show is Part.packages and output is Format.table:
        rows = [row | {"ways": _describe_funding(row)} for row in rows]
    print_rows(rows, meta, output, columns=_COLUMNS[show])


def _describe_funding(row: Document) -> str:
    if row["fundable"] is None:
        return "unknown"
    return ", ".join(dict.fromkeys(way["url"] for way in row["funding"])) or "nobody"


@app.command("stats", epilog="Example: `wump stats --format json`")
def stats(output: Output = Format.table, url: Url = None, key: Key = None) -> None:
    """Show how much wump knows, as counted within the last quarter of an hour."""
    found = ask(url, lambda client, _: client.get("/api/v1/stats"), key=key)
    if output is Format.json:
        print_json(found)
        return
    rows = [found | {"ecosystem": "all"}, *found["ecosystems"]]
    for row in rows:
        row.pop("ecosystems", None)
    names = ("ecosystem", "packages", "tracked", "depended_on", "uses", "dependencies")
    print_rows(rows, {}, output, columns=tuple((name.replace("_", " "), name) for name in names))
    if found["as_of"] is None:
        err.print("wump: nothing was counted yet: a running `wump up` counts every quarter of an hour")
