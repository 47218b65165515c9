"""`wump`: the command line. Commands come from the entry-point group `wump.commands`, services from `wump.services`.

Exit codes: 0 done; 1 the answer is no (not found, faults found, unhealthy); 2 the command was used wrongly or
a setting is wrong; 3 a server or an upstream can't be reached; 130 interrupted.
"""

import importlib.metadata
import sys
from collections.abc import Sequence

import typer
from rich.console import Console

from wump_core.errors import ConfigurationError, InvalidPurl, ServerUnavailable, Unavailable, WumpError

COMMANDS_GROUP = "wump.commands"

EXIT_NO = 1
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3


def make_app() -> typer.Typer:
    """The command line with every command that the installed distributions announce.

    A distribution whose commands can't be imported is named on standard error, and the others work.
    """
    app = typer.Typer(
        name="wump",
        help="Which organizations depend on my package, and which of them could sponsor me?",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        epilog="Exit codes: 0 done, 1 the answer is no, 2 used wrongly, 3 a server or upstream can't be reached.",
    )

    @app.callback()
    def root() -> None:
        """Keeps the group a group, however few commands are installed."""

    for entry in sorted(importlib.metadata.entry_points(group=COMMANDS_GROUP), key=lambda entry: entry.name):
        try:
            commands: typer.Typer = entry.load()
        except Exception as error:
            Console(stderr=True).print(f"wump: the commands of {entry.value} can't be loaded: {error}", markup=False)
            continue
        app.add_typer(commands, name=None if commands.info.name is None else commands.info.name)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code; errors of wump are printed as one line."""
    try:
        make_app()(args=None if arguments is None else list(arguments))
    except WumpError as error:
        Console(stderr=True, soft_wrap=True).print(f"wump: {error}", style="red", markup=False, highlight=False)
        sys.exit(_exit_code(error))


def _exit_code(error: WumpError) -> int:
    if isinstance(error, ConfigurationError | InvalidPurl):
        return EXIT_USAGE
    return EXIT_UNAVAILABLE if isinstance(error, ServerUnavailable | Unavailable) else EXIT_NO


if __name__ == "__main__":
    main()
