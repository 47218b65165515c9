"""`wump providers new`, `check` and `call`, as an author uses them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import structlog
from local_registry import LocalRegistry, serve_registry
from wump_core.cli import main

ROOT = Path(__file__).parents[3]


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ended]
ENVIRONMENT = {
    "WUMP_PROVIDER_NPM_BASE_URL": "https://registry.example",
    "WUMP_PROVIDER_PYPI_BASE_URL": "https://registry.example",
    "NO_PROXY": "127.0.0.1",
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run `wump providers` in a folder of its own, with no configuration of a person."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    configured = structlog.get_config()

    def run(*arguments: str, **environment: str) -> Ended:
        for name, value in (ENVIRONMENT | environment).items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["providers", *arguments])
        return Ended(int(ended.value.code or 0), *capfd.readouterr())

    yield run
    structlog.configure(**configured)


def test_a_new_plugin_passes_at_once(run: Run, tmp_path: Path) -> None:
    assert run("new", "left-index").returncode == 0
    folder = tmp_path / "wump-provider-left-index"
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "tests/test_conformance.py"} <= written
    assert "src/wump_provider_left_index/__init__.py" in written
    assert "starter" not in "".join(path.read_text().lower() for path in folder.rglob("*") if path.is_file())
    checked = run("check", str(folder))
    assert checked.returncode == 0, checked.stdout
    # It is checked as it is, and nothing is left behind.
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == written


def test_a_spoiled_plugin_does_not_pass(run: Run, tmp_path: Path) -> None:
    run("new", "left", "--into", "here")
    source = tmp_path / "here" / "src" / "wump_provider_left" / "__init__.py"
    source.write_text(source.read_text().replace("    response.raise_for_status()\n", ""))
    checked = run("check", "here")
    assert checked.returncode == 1
    assert "test_fault_ends_in_its_error[fetch_package-500]" in checked.stdout


@pytest.mark.parametrize("name", ["Left", "left_pad", "-left", "left--pad", "1left", "", "a" * 41])
def test_a_name_that_is_none_is_refused(run: Run, name: str) -> None:
    refused = run("new", "--", name)
    assert refused.returncode == 2
    assert "can't name a provider" in refused.stderr


def test_a_folder_that_is_there_is_kept(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert run("new", "left", "--into", "mine").returncode == 2
    assert list((tmp_path / "mine").iterdir()) == []


@pytest.mark.parametrize(
    ("project", "said"),
    [
        (None, "can't be read"),
        ("[project", "can't be read"),
        ('[project]\nname = "x"\n', "has no [project.entry-points"),
        ('[project]\nname = "x"\n[project.entry-points."wump.providers.v1"]\nx = "x"\n', "wump providers new"),
    ],
)
def test_a_folder_without_a_plugin_is_refused(run: Run, tmp_path: Path, project: str | None, said: str) -> None:
    if project is not None:
        (tmp_path / "pyproject.toml").write_text(project)
    refused = run("check", ".")
    assert refused.returncode == 2
    assert said in refused.stderr


def test_without_pytest_the_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "pytest.py").write_text("raise ModuleNotFoundError(\"No module named 'pytest'\", name='pytest')\n")
    command = [sys.executable, "-m", "wump_core", "providers", "new", "left"]
    environment = dict(os.environ) | {"PYTHONPATH": str(tmp_path)}
    refused = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "pip install 'wump-core[testing]'" in refused.stderr


@pytest.fixture(scope="module")
def registry() -> Iterator[LocalRegistry]:
    """A registry that answers."""
    with serve_registry() as running:
        yield running


def test_a_hook_is_called(run: Run, registry: LocalRegistry) -> None:
    registry.add_npm("left")
    environment = registry.environment
    called = run("call", "npm", "fetch_package", "npm:left", **environment)
    assert called.returncode == 0, called.stderr
    record = json.loads(called.stdout)
    assert (record["purl"], record["latest_version"], record["dependencies"]) == ("pkg:npm/left", "1.0.0", [])
    missing = run("call", "npm", "fetch_package", "npm:right", **environment)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "has no such thing" in missing.stderr


def test_a_manifest_is_parsed_with_what_it_needs(run: Run) -> None:
    path = ROOT / "plugins" / "pypi" / "tests" / "recordings" / "manifests" / "app" / "requirements.txt"
    record = json.loads(run("call", "pypi", "parse_manifest", str(path)).stdout)
    assert record["needs"] == ["requirements/base.txt"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("npm", "fetch_weather"), "there is no hook 'fetch_weather'"),
        (("npm", "fetch_package"), "fetch_package: purl: is missing"),
        (("npm", "fetch_package", "left"), "names no ecosystem"),
        (("npm", "fetch_package", "npm:left", "x"), "takes purl: 2 were given"),
        (("npm", "fetch_tree", "https://github.com/a/b"), "the provider npm has no fetch_tree"),
        (("npm", "fetch_changes"), "needs the setting WUMP_PROVIDER_NPM_CHANGES_URL"),
        (("npm", "parse_manifest", "nowhere.json"), "there is no file 'nowhere.json'"),
        (("nobody", "fetch_package", "npm:left"), "not installed"),
    ],
)
def test_a_call_that_can_not_be_made_says_why(run: Run, arguments: tuple[str, ...], said: str) -> None:
    refused = run("call", *arguments)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_a_missing_setting_is_shown_and_takes_the_capability_away(run: Run) -> None:
    def npm(**environment: str) -> dict:
        rows = json.loads(run("--format", "json", WUMP_PROVIDERS="npm", **environment).stdout)
        return rows[0]

    row = npm()
    assert row["state"] == "active"
    assert row["reason"] == "fetch_changes needs the setting WUMP_PROVIDER_NPM_CHANGES_URL"
    assert "fetch_changes" not in row["capabilities"]
    row = npm(WUMP_PROVIDER_NPM_CHANGES_URL="https://changes.registry.example")
    assert row["reason"] is None
    assert "fetch_changes" in row["capabilities"]


def test_a_plugin_for_other_hooks_is_named_and_not_imported(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "wump_provider_later-2.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: wump-provider-later\nVersion: 2.0\n")
    (about / "entry_points.txt").write_text("[wump.providers.v2]\nlater = a_module_that_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    for wanted in ("", "npm,later"):
        shown = run("--format", "json", WUMP_PROVIDERS=wanted)
        assert shown.returncode == 1
        rows = {row["name"]: row for row in json.loads(shown.stdout)}
        assert rows["npm"]["state"] == "active"
        assert (rows["later"]["state"], rows["later"]["version"]) == ("broken", "2.0")
        assert rows["later"]["reason"].startswith("built for the hooks wump.providers.v2, and this wump has")
