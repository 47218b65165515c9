"""Options that many commands share."""

from typing import Annotated

import typer

from wump_api.output import Format

Url = Annotated[str | None, typer.Option("--url", envvar="WUMP_URL", help="Ask the API there instead of in-process.")]
Key = Annotated[
    str | None,
    typer.Option("--key", envvar="WUMP_KEY", help="The API key to ask with; only with --url.", show_envvar=True),
]
PurlArgument = Annotated[str, typer.Argument(help="A package URL, or ecosystem:name.", metavar="PURL")]
Output = Annotated[Format, typer.Option("--format", help="What to print.")]
Limit = Annotated[int, typer.Option(min=0, help="Rows at the most; 0 for all.")]
