"""`wump merges`: which organizations were found to be one, and the operator's word on it."""

from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncConnection
from wump_core.errors import ConfigurationError
from wump_core.store.organizations import get_organization_id, list_merges, merge_organizations, undo_merge

from wump_worker.ledger import Format, FormatOption, Row, print_json, print_rows, run_on_ledger

app = typer.Typer()
merges = typer.Typer(help="See which organizations were found to be one, merge more, and undo it.")
app.add_typer(merges, name="merges")

COLUMNS = {
    "merge": lambda row: row["id"],
    "absorbed": lambda row: f"{row['absorbed_host']}/{row['absorbed_login']}",
    "into": lambda row: f"{row['into_host']}/{row['into_login']}",
    "evidence": lambda row: row["detail"],
    "merged": lambda row: row["merged_at"],
    "undone": lambda row: row["undone_because"],
}
Account = Annotated[str, typer.Argument(help="An account of the organization, as `host/login`.")]


@merges.callback(invoke_without_command=True, epilog="Example: `wump merges`")
def show(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many, the newest first.")] = 100,
    output: FormatOption = Format.table,
) -> None:
    """List merges with what shows that both are one, and those that were undone."""
    if context.invoked_subcommand is not None:
        return

    async def work(connection: AsyncConnection) -> list[Row]:
        return await list_merges(connection, limit=limit)

    rows = run_on_ledger(work)
    if output is Format.json:
        print_json([dict(row) for row in rows])
    else:
        print_rows(rows, COLUMNS)


@merges.command(epilog="Example: `wump merges add github.com/acme-labs github.com/acme`")
def add(
    absorbed: Account,
    into: Account,
    because: Annotated[str, typer.Option("--because", help="What shows that both are one.")] = "an operator says so",
) -> None:
    """Let all accounts of one organization belong to another, with all that is counted. Prints the merge's id."""

    async def work(connection: AsyncConnection) -> UUID | None:
        ids = [await _find(connection, account) for account in (absorbed, into)]
        return await merge_organizations(connection, ids[0], ids[1], "operator", because[:1_000])

    merge_id = run_on_ledger(work)
    if merge_id is None:
        raise ConfigurationError(f"{absorbed} and {into} belong to one organization already")
    typer.echo(merge_id)


@merges.command(epilog="Example: `wump merges undo 0195f3a2-7f66-7d9c-9d2c-6a54d3f3d1b0`")
def undo(
    merge: Annotated[UUID, typer.Argument(help="As `wump merges` lists it.")],
    because: Annotated[str, typer.Option("--because", help="Why.")] = "an operator says so",
) -> None:
    """Give the absorbed organization its accounts back. Evidence alone does not merge the two again."""

    async def work(connection: AsyncConnection) -> None:
        await undo_merge(connection, merge, because=because[:1_000])

    run_on_ledger(work)


async def _find(connection: AsyncConnection, account: str) -> int:
    host, _, login = account.lower().partition("/")
    found = await get_organization_id(connection, host, login)
    if found is None:
        raise ConfigurationError(f"no account {account!r} is known: expected host/login, such as github.com/acme")
    return found
