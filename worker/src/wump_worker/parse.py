"""The command `parse`: reads manifests of this machine, without any server."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from wump_core.cli import EXIT_NO
from wump_core.errors import ConfigurationError, ProviderFailed, WumpError
from wump_core.hookspecs import ENTRY_POINT_GROUP
from wump_core.manifests import make_printable
from wump_core.noise import mark_path
from wump_core.settings import load_settings

from wump_worker.parsing.pool import ParserPool
from wump_worker.parsing.reading import MAX_CHILDREN, list_candidates, read_all
from wump_worker.parsing.report import Document, make_bill

app = typer.Typer()
err = Console(stderr=True, highlight=False, soft_wrap=True)


class Format(StrEnum):
    """What to print."""

    table = "table"
    json = "json"
    ndjson = "ndjson"
    cyclonedx = "cyclonedx"


@app.command(epilog="Example: `wump parse . --format json`")
def parse(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders that are walked.", metavar="PATH...")],
    output: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.table,
) -> None:
    """Read manifests and lockfiles: what they need, and the line that says so. Needs no server and no network.

    Exit code 1: a file was refused.
    """
    settings = load_settings()
    for path in paths:
        if not os.path.lexists(path):
            raise ConfigurationError(f"{path}: there is no such file or folder")
    refused: list[Document] = []
    with ParserPool(MAX_CHILDREN) as pool:
        candidates = list_candidates(paths, _list_globs(pool, settings.provider_names))
        documents = _note_refused(read_all(pool, candidates), refused)
        try:
            _print(documents, output)
            sys.stdout.flush()
        except BrokenPipeError:  # the reader has seen enough
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if refused:
        raise typer.Exit(EXIT_NO)


def _list_globs(pool: ParserPool, wanted: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """What each provider reads. One that is broken is named on standard error."""
    globs = {}
    for provider in wanted or sorted(entry_points(group=ENTRY_POINT_GROUP).names):
        try:
            globs[provider] = pool.list_globs(provider)
        except ProviderFailed as error:
            err.print(f"wump: {provider} is broken, its formats are not read: {error}", markup=False)
    if not globs:
        raise WumpError("no provider can read manifests: pip install wump-provider-npm wump-provider-pypi")
    return globs


def _note_refused(documents: Iterable[Document], refused: list[Document]) -> Iterator[Document]:
    for document in documents:
        if document["status"] == "refused":
            refused.append(document)
        yield document


def _print(documents: Iterator[Document], output: Format) -> None:
    if output is Format.table:
        _print_tables(documents)
    elif output is Format.cyclonedx:
        sys.stdout.write(_dump(make_bill(documents)) + "\n")
    elif output is Format.ndjson:
        for document in documents:
            sys.stdout.write(_dump(document) + "\n")
    else:
        separator = "[\n"
        for document in documents:
            sys.stdout.write(separator + _dump(document))
            separator = ",\n"
        sys.stdout.write("\n]\n" if separator == ",\n" else "[]\n")


def _dump(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _print_tables(documents: Iterator[Document]) -> None:
    """A table per file, which rich would need seconds for; what could not be read goes to standard error."""
    files = dependencies = 0
    for document in documents:
        files += 1
        dependencies += len(document["dependencies"])
        for item in document["diagnostics"]:
            place = f"{document['path']}:{item['line']}" if item["line"] else document["path"]
            err.print(f"{place}: {_refused(document)}{make_printable(item['message'], 2_000)}", markup=False)
        if document["status"] != "refused":
            sys.stdout.write("\n".join((_heading(document), *_align(map(_cells, document["dependencies"])))) + "\n\n")
    err.print(f"wump: {files:,} files, {dependencies:,} dependencies", markup=False)


def _refused(document: Document) -> str:
    return "refused: " if document["status"] == "refused" else ""


def _heading(document: Document) -> str:
    project = document["project"] or {}
    told = (project.get("name"), project.get("version"), document["format"], mark_path(document["path"]))
    return f"{document['path']}: " + ", ".join(make_printable(text, 100) for text in told if text)


def _cells(item: Document) -> list[str]:
    name = item["purl"] or f"{item['name']} ({item['source']})"
    scope = item["scope"] if item["direct"] else f"{item['scope']}, transitive"
    cells = (str(item["line"] or ""), name, item["requirement"] or "", item["resolved_version"] or "", scope)
    return [make_printable(cell, 100) for cell in cells]


def _align(rows: Iterable[list[str]]) -> Iterator[str]:
    """Columns as wide as their widest cell; the first, a number, to the right."""
    known = list(rows)
    widths = [max(map(len, column)) for column in zip(*known, strict=True)]
    for line, *cells in known:
        aligned = (cell.ljust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join((line.rjust(widths[0] + 2), *aligned)).rstrip()
