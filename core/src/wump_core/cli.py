"""`wump`: the command line. Commands come from the entry-point group `wump.commands`.

An entry point's name is a command, its value the typer app that holds it. Only the app of the command that is
asked for is imported, so that none pays for the others.

Exit codes: 0 done; 1 the answer is no (not found, faults found, unhealthy); 2 the command was used wrongly or
a setting is wrong; 3 a server or an upstream can't be reached; 130 interrupted.
"""

import gc
import importlib.metadata
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint

import typer
from rich.console import Console

from wump_core.errors import ConfigurationError, InvalidPurl, ServerUnavailable, Unavailable, WumpError

COMMANDS_GROUP = "wump.commands"

EXIT_NO = 1
EXIT_USAGE = 2
EXIT_UNAVAILABLE = 3


def make_app(command: str | None = None) -> typer.Typer:
    """The command line.

    Args:
        command: Load only the commands that come with this one; null or unknown loads all, as for `--help`.

    A distribution whose commands can't be imported is named on standard error, and the others work.
    """
    app = typer.Typer(
        name="wump",
        help="Which organizations depend on my package, and which of them could sponsor me?",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        epilog="Exit codes: 0 done, 1 the answer is no, 2 used wrongly, 3 a server or upstream can't be reached.",
    )

    @app.callback()
    def root() -> None:
        """Keeps the group a group, however few commands are installed."""

    for entry in _entries(command):
        try:
            app.add_typer(entry.load())
        except Exception as error:
            Console(stderr=True).print(f"wump: the commands of {entry.value} can't be loaded: {error}", markup=False)
    return app


def _entries(command: str | None) -> list[EntryPoint]:
    """One entry per set of commands; several names may share a set."""
    entries = importlib.metadata.entry_points(group=COMMANDS_GROUP)
    wanted = [entry for entry in entries if entry.name == command] or entries
    by_value = {entry.value: entry for entry in wanted}
    return [by_value[value] for value in sorted(by_value)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit code; errors of wump are printed as one line."""
    try:
        given = sys.argv[1:] if arguments is None else list(arguments)
        # What is imported stays: to look for garbage among it takes a tenth of the time, and again so much at the end.
        gc.disable()
        app = make_app(given[0] if given else None)
        gc.freeze()
        gc.enable()
        app(args=given)
    except WumpError as error:
        Console(stderr=True, soft_wrap=True).print(f"wump: {error}", style="red", markup=False, highlight=False)
        sys.exit(_exit_code(error))


def _exit_code(error: WumpError) -> int:
    if isinstance(error, ConfigurationError | InvalidPurl):
        return EXIT_USAGE
    return EXIT_UNAVAILABLE if isinstance(error, ServerUnavailable | Unavailable) else EXIT_NO


if __name__ == "__main__":
    main()
