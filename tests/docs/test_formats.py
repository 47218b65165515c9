"""The table of formats says what the plugins read."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from wump_core import choose_format
from wump_worker.parsing.tree import MAX_FILE_BYTES

SCRIPT = Path(__file__).with_name("formats.py")


@pytest.fixture(scope="module")
def formats() -> ModuleType:
    """The script that makes the table."""
    spec = importlib.util.spec_from_file_location("formats_of_docs", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_is_up_to_date(formats: ModuleType) -> None:
    page = formats.PAGE.read_text("utf-8")
    assert page == formats.put_in(page), f"run {SCRIPT.relative_to(formats.ROOT)}"


def test_a_stale_table_is_seen(formats: ModuleType) -> None:
    right = formats.put_in(formats.PAGE.read_text("utf-8"))
    stale = right.replace("| package.json |", "| package.jsn |", 1)
    assert stale != right
    assert formats.put_in(stale) == right


def test_each_format_is_told_apart_by_its_names(formats: ModuleType) -> None:
    for known in formats.list_shipped_formats().values():
        for item in known:
            assert item.globs
            assert item.yields.endswith(".")
            assert 0 < item.max_bytes <= MAX_FILE_BYTES
            names = [glob.replace("**/", "").replace("*", "x").replace("?", "x") for glob in item.globs]
            chosen = [choose_format(known, name) for name in names]
            assert item in chosen, f"{item.name} is hidden by a format before it"


def test_the_documented_command_is_the_script(formats: ModuleType) -> None:
    assert f"uv run python {SCRIPT.relative_to(formats.ROOT)}" in formats.PAGE.read_text("utf-8")
    result = subprocess.run([sys.executable, "-m", "py_compile", str(SCRIPT)], capture_output=True, check=False)
    assert result.returncode == 0
