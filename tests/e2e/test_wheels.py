"""Wheels, not only editable installs, work: all are built, installed outside the repository, and used there."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from e2e.processes import environment_of

REPOSITORY = Path(__file__).parents[2]
INSPECT = """
import importlib, json, sys
from importlib.metadata import distributions
import wump_core, wump_api, wump_worker, wump_migrations
import wump_provider_cratesio, wump_provider_depsdev, wump_provider_ecosystems, wump_provider_github
import wump_provider_gitlab, wump_provider_librariesio, wump_provider_maven, wump_provider_npm, wump_provider_pypi

ours = {}
for found in distributions():
    if found.name.startswith("wump"):
        about = found.metadata.json
        files = [str(file) for file in found.files]
        ours[found.name] = {
            "version": found.version, "licence": about.get("license_expression"),
            "files": about.get("license_file"), "readme": about.get("description", ""),
            "python": about.get("requires_python"), "summary": about.get("summary"),
            "licence_text": any(name.endswith("licenses/LICENSE") for name in files),
            "tests": [name for name in files if "test" in name.split("/")[0]],
        }
modules = [wump_core, wump_api, wump_worker, wump_migrations]
modules += [module for name, module in sys.modules.items() if name.startswith("wump_provider_") and "." not in name]
print(json.dumps({"ours": ours, "path": sys.path, "modules": [module.__file__ for module in modules]}))
"""


def find_uv() -> str | None:
    """The uv that runs this, else the repository's own, else the one on the path."""
    for candidate in (os.environ.get("UV"), str(REPOSITORY / ".uv/bin/uv"), shutil.which("uv")):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    return None


def call(*command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=170, check=False
    )
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}\n{result.stderr}"
    return result


def test_wheels_work_in_an_empty_environment(data_dir: Path, tmp_path: Path) -> None:
    uv = find_uv()
    if uv is None:
        pytest.skip("uv is not installed")
    wheels, venv, elsewhere = tmp_path / "wheels", data_dir / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = environment_of(WUMP_DATA_DIR=str(data_dir / "wump"), WUMP_PROVIDERS="")
    for name in ("PYTHONPATH", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"):
        environment.pop(name, None)
    call(uv, "build", "--all-packages", "--wheel", "--out-dir", str(wheels), folder=REPOSITORY, environment=environment)
    built = sorted(path.name.partition("-")[0] for path in wheels.glob("*.whl"))
    assert built == sorted(distributions()), "one wheel for each distribution"

    call(uv, "venv", str(venv), "--python", sys.executable, folder=elsewhere, environment=environment)
    python = str(venv / "bin" / "python")
    # Ours by file, so that none of them can come from an index.
    ours = [str(path) for path in wheels.glob("*.whl") if not path.name.startswith("wump-")]
    (whole,) = wheels.glob("wump-*.whl")
    install = (uv, "pip", "install", "--python", python, *ours, f"wump[all] @ {whole.as_uri()}")
    call(*install, folder=elsewhere, environment=environment)

    found = json.loads(call(python, "-c", INSPECT, folder=elsewhere, environment=environment).stdout)
    assert len(found["ours"]) == len(built)
    for name, about in found["ours"].items():
        assert about["version"], name
        assert (about["licence"], about["licence_text"]) == ("Apache-2.0", True), name
        assert len(about["readme"]) > 100, name
        assert about["summary"], name
        assert about["python"] == ">=3.11", name
        assert about["tests"] == [], name
    for path in [*found["path"], *found["modules"]]:
        assert not Path(path or elsewhere).resolve().is_relative_to(REPOSITORY), path
    for module in found["modules"]:
        assert Path(module).is_relative_to(venv)

    wump = str(venv / "bin" / "wump")
    shown = call(wump, "--help", folder=elsewhere, environment=environment).stdout
    for command in (
        "track",
        "orgs",
        "explain",
        "export",
        "demo",
        "up",
        "down",
        "doctor",
        "db",
        "worker",
        "scheduler",
        "api",
    ):
        assert f" {command} " in shown
    providers = call(wump, "providers", "--format", "json", folder=elsewhere, environment=environment)
    states = {row["name"]: row["state"] for row in json.loads(providers.stdout)}
    assert states == dict.fromkeys(
        ("cratesio", "depsdev", "ecosystems", "github", "gitlab", "librariesio", "maven", "npm", "pypi", "sbom"),
        "active",
    )
    upgraded = call(wump, "db", "upgrade", folder=elsewhere, environment=environment)
    assert "the database is at revision" in upgraded.stderr
    verified = call(wump, "db", "verify", folder=elsewhere, environment=environment)
    assert "0 fault(s) found" in verified.stderr
    call(wump, "down", "--purge", "-y", folder=elsewhere, environment=environment)


def distributions() -> list[str]:
    """The distributions of the workspace, written as in the names of their wheels."""
    projects = [REPOSITORY, *(REPOSITORY / name for name in ("core", "migrations", "api", "worker"))]
    projects += [path for path in (REPOSITORY / "plugins").iterdir() if (path / "pyproject.toml").is_file()]
    names = [tomllib.loads((path / "pyproject.toml").read_text())["project"]["name"] for path in projects]
    return [name.replace("-", "_") for name in names]
