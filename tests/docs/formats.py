"""The table of manifest formats in docs/manifests.md: `uv run python tests/docs/formats.py` writes it anew."""

import importlib
import re
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from wump_core import Format
from wump_core.hookspecs import ENTRY_POINT_GROUP

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "manifests.md"
_HEAD = ("| format | files | kind | up to | what is read |", "|---|---|---|---|---|")
_SECTION = re.compile(r"(?<=<!-- formats -->\n).*?(?=<!-- /formats -->)", re.DOTALL)


def list_shipped_formats() -> dict[str, tuple[Format, ...]]:
    """The formats of each provider of this repository that reads manifests, in its module or `manifests` beside it."""
    modules = {entry.name: entry.module for entry in entry_points(group=ENTRY_POINT_GROUP)}
    shipped = {
        name: importlib.import_module(module)
        for name, module in sorted(modules.items())
        if (ROOT / "plugins" / name).is_dir() or module.startswith("wump_core.")
    }
    readers = {name: module for name, module in shipped.items() if hasattr(module, "parse_manifest")}
    return {name: _formats_of(module) for name, module in readers.items()}


def _formats_of(module: ModuleType) -> tuple[Format, ...]:
    found = getattr(module, "FORMATS", None)
    return found or importlib.import_module(f"{module.__name__}.manifests").FORMATS


def make_tables() -> str:
    """A table for each plugin."""
    lines = []
    for plugin, formats in list_shipped_formats().items():
        lines += [
            f"### Read by {plugin}",
            "",
            "| format | files | kind | up to | what is read |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {item.name} | {', '.join(f'`{glob}`' for glob in item.globs)} | {item.kind} | {_size(item.max_bytes)}"
            f" | {item.yields} |"
            for item in formats
        ]
        lines.append("")
    return "\n".join(lines)


def put_in(page: str) -> str:
    """The page with the tables as they should be."""
    return _SECTION.sub(lambda _: make_tables(), page)


def _size(most: int) -> str:
    return f"{most / 1_000_000:g} MB"


if __name__ == "__main__":
    PAGE.write_text(put_in(PAGE.read_text("utf-8")), "utf-8")
