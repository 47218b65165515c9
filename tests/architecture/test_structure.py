"""The house keeps its shape: what the contracts of import-linter can't see."""

import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import wump_core
from wump_core import hookspecs, store
from wump_core.store import metadata

ROOT = Path(__file__).parents[2]
MEMBERS = [path.parent for path in ROOT.glob("*/pyproject.toml")] + [
    path.parent for path in ROOT.glob("plugins/*/pyproject.toml")
]
STORE = Path(inspect.getfile(store)).parent


def _read_statements() -> str:
    """The store's SQL, without the statements that only delete."""
    return "\n".join(path.read_text() for path in STORE.glob("*.py")).replace("DELETE FROM", "DELETE")


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_each_table_is_read_by_a_store_function(table: str) -> None:
    assert re.search(rf"(FROM|JOIN) \(?{table}\b", _read_statements()), f"nothing in the store reads {table}"


@pytest.mark.parametrize("name", ["describe_provider", *hookspecs.CAPABILITIES])
def test_each_hook_has_a_docstring_and_a_shipped_user(name: str) -> None:
    assert inspect.getdoc(getattr(hookspecs.DataProvider, name))
    users = [
        path
        for path in ROOT.glob("plugins/*/src/*/__init__.py")
        if re.search(rf"@hookimpl\n(async )?def {name}\(", path.read_text())
    ]
    assert users, f"no shipped provider implements {name}"


def test_the_front_door_is_light() -> None:
    """Importing it loads neither the store nor a driver, in a fresh interpreter."""
    heavy = "sqlalchemy asyncpg dramatiq fastapi redis valkey wump_core.store wump_core.providers".split()
    code = f"import sys, wump_core; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_front_door_exports_what_it_names() -> None:
    assert all(hasattr(wump_core, name) for name in wump_core.__all__)


@pytest.mark.parametrize("member", MEMBERS, ids=lambda path: path.name)
def test_each_distribution_has_what_it_needs(member: Path) -> None:
    project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert project["license"] == "Apache-2.0"
    for name in ("README.md", "LICENSE", "CHANGELOG.md"):
        assert (member / name).is_file()
    assert project["version"] in (member / "CHANGELOG.md").read_text()


def test_the_top_level_is_as_agreed() -> None:
    agreed = {
        *("api", "core", "docs", "infrastructure", "migrations", "plugins", "tests", "worker"),
        *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md", "compose.yaml", "pyproject.toml"),
    }
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    top = {line.partition("/")[0] for line in listed.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= agreed


@pytest.mark.parametrize(
    ("planted", "contract"),
    [
        ("core/src/wump_core/utils.py", "Inside the core"),
        ("core/src/wump_core/records.py:from wump_core import store", "Inside the core"),
        ("api/src/wump_api/inject.py:import wump_core.providers", "The API process runs no provider"),
        ("worker/src/wump_worker/resources.py:import redis", "Only the broker module"),
        ("plugins/npm/src/wump_provider_npm/parse.py:import wump_core.store", "front door"),
        ("worker/src/wump_worker/settings.py:import wump_api", "siblings"),
    ],
)
def test_a_planted_import_breaks_the_contracts(tmp_path: Path, planted: str, contract: str) -> None:
    """The contracts are checked on a copy of the sources with one bad line in it."""
    sources = [*ROOT.glob("*/src/*"), *ROOT.glob("plugins/*/src/*")]
    for source in sources:
        shutil.copytree(source, tmp_path / source.name, ignore=shutil.ignore_patterns("__pycache__", "static"))
    file, _, line = planted.partition(":")
    target = tmp_path / Path(*Path(file).parts[Path(file).parts.index("src") + 1 :])
    target.write_text((target.read_text() if target.exists() else '"""Planted."""\n') + f"\n{line}\n")
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    result = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    broken = [line for line in result.stdout.splitlines() if line.endswith("BROKEN")]
    assert any(contract in line for line in broken) or contract in result.stdout
