"""The pages for plugin authors: the hooks as they are, the kit as it is, and a tutorial whose plugin passes."""

import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
from wump_core.hookspecs import CAPABILITIES, REQUIRED_HOOKS, DataProvider
from wump_core.testing import ProviderConformance
from wump_core.testing.checking import STANDARD_TESTS
from wump_core.testing.plugins import check_plugin, write_plugin

PAGES = Path(__file__).parents[2] / "docs" / "plugins"
HOOKS = (*sorted(REQUIRED_HOOKS), *CAPABILITIES)


def page(name: str) -> str:
    """A page of the docs for plugin authors."""
    return (PAGES / name).read_text("utf-8")


def describe_hook(hook: str) -> str:
    """The row that a hook must have."""
    specification = vars(DataProvider)[hook]
    names = [name for name in inspect.signature(specification).parameters if name != "self"]
    result = get_type_hints(specification)["return"]
    # `Page[Annotated[str, …]]` is a page of texts.
    shown = re.sub(r"Annotated\[(\w+), .*?\]", r"\1", result.__name__)
    return f"| `{hook}` | {', '.join(f'`{name}`' for name in names) or 'none'} | `{shown}` |"


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_is_described_as_it_is(hook: str) -> None:
    text = page("hooks.md")
    assert describe_hook(hook) in text
    assert f"### `{hook}`\n" in text


def test_no_other_hook_is_described() -> None:
    text = page("hooks.md")
    named = set(re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)) | set(re.findall(r"^### `(\w+)`", text, re.M))
    assert named == set(HOOKS)


def test_each_standard_test_is_described() -> None:
    assert set(re.findall(r"^\| `(test_\w+)` \|", page("kit.md"), flags=re.MULTILINE)) == STANDARD_TESTS


def test_each_attribute_of_the_kit_is_described() -> None:
    named = re.findall(r"^\| `(?!test_)(\w+)` \|", page("kit.md"), flags=re.MULTILINE)
    assert set(named) == set(ProviderConformance.__annotations__)


def list_files(text: str) -> dict[str, str]:
    """The code blocks of a page that say which file they are."""
    return dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', text, flags=re.MULTILINE | re.DOTALL))


def test_the_tutorials_plugin_passes_the_kit(tmp_path: Path) -> None:
    files = list_files(page("tutorial.md"))
    source = "\n".join(text for name, text in files.items() if name.startswith("src/"))
    assert len([line for line in source.splitlines() if line.strip()]) < 100
    folder = write_plugin("codeberg", tmp_path / "plugin")
    shutil.rmtree(folder / "tests" / "recordings")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    # Recording asks nobody where all recordings are there; it keeps the records.
    assert check_plugin(folder, record=True)
    assert len(list((folder / "tests" / "recordings").glob("*.record.json"))) == 4


def test_the_kits_page_shows_code_that_works(tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```python\n(from pathlib.*?)^```", page("kit.md"), flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "test_shown.py").write_text(shown)
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", str(tmp_path)]
    collected = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "test_record_is_valid[fetch_package-npm-left-pad]" in collected.stdout
