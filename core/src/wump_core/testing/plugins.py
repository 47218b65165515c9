"""Folders of plugins: the kit is run on one, or one is written.

A folder needs no installation to be checked: it is announced beside the environment, as an installer would do it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from wump_core.errors import ConfigurationError
from wump_core.hookspecs import ENTRY_POINT_GROUP

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TEMPLATE_NAME = "starter"
"""What stands in the template where the new plugin's name goes."""


def check_plugin(folder: Path, *, record: bool = False) -> bool:
    """Run the kit on a plugin's folder, printing what pytest prints.

    Args:
        folder: Where the plugin's `pyproject.toml` is.
        record: Also ask the upstream for recordings that are missing.

    Returns:
        Whether all standard tests ran, and held.

    Raises:
        ConfigurationError: The folder holds no plugin, or none of its tests uses the kit.
    """
    folder = folder.resolve()
    project = _read_project(folder)
    tests = [path for path in sorted(folder.glob("tests/**/test_*.py")) if b"ProviderConformance" in path.read_bytes()]
    if not tests:
        raise ConfigurationError(
            f"no test below {folder / 'tests'} subclasses wump_core.testing.ProviderConformance:"
            " `wump providers new` writes a plugin that has one"
        )
    command = [sys.executable, "-m", "pytest", "-p", "wump_core.testing.checking", "-p", "no:cacheprovider"]
    command += ["--import-mode=importlib", "-q", "-rfE", *(["--wump-record"] if record else [])]
    with tempfile.TemporaryDirectory() as site:
        _announce(project, Path(site))
        paths = [site, str(folder / "src"), str(folder), os.environ.get("PYTHONPATH", "")]
        environment = dict(os.environ) | {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return subprocess.run([*command, *map(str, tests)], cwd=folder, env=environment, check=False).returncode == 0  # noqa: S603


def _read_project(folder: Path) -> dict[str, Any]:
    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
        project["entry-points"][ENTRY_POINT_GROUP].items()
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{folder} is no plugin: its pyproject.toml can't be read: {error}") from None
    except (KeyError, AttributeError, TypeError):
        expected = f'[project.entry-points."{ENTRY_POINT_GROUP}"]'
        raise ConfigurationError(f"{folder} is no plugin: its pyproject.toml has no {expected}") from None
    return project


def _announce(project: dict[str, Any], site: Path) -> None:
    """Write a distribution's metadata into a folder of the import path."""
    name, version = project["name"], project.get("version", "0")
    licence = project.get("license")
    headers = [
        "Metadata-Version: 2.4",
        f"Name: {name}",
        f"Version: {version}",
        *([f"License-Expression: {licence}"] if isinstance(licence, str) else ["License: stated"] if licence else []),
        *([f"Requires-Python: {project['requires-python']}"] if "requires-python" in project else []),
        *(f"Requires-Dist: {item}" for item in project.get("dependencies", ())),
    ]
    about = site / f"{re.sub(r'[-_.]+', '_', name)}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("\n".join(headers) + "\n", "utf-8")
    lines = [f"{key} = {value}" for key, value in project["entry-points"][ENTRY_POINT_GROUP].items()]
    (about / "entry_points.txt").write_text("\n".join([f"[{ENTRY_POINT_GROUP}]", *lines]) + "\n", "utf-8")


def write_plugin(name: str, folder: Path) -> Path:
    """Write a complete plugin that passes the kit, into a folder that isn't there yet.

    Raises:
        ConfigurationError: The name can't be a provider's, or the folder is there.
    """
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise ConfigurationError(f"{name!r} can't name a provider: expected small letters, digits and single hyphens")
    if folder.exists():
        raise ConfigurationError(f"{folder} is there already: remove it, or choose another folder with --into")
    template = resources.files("wump_core.testing") / "template"
    try:
        _copy(template, folder, name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _copy(source: Traversable, target: Path, name: str) -> None:
    target.mkdir(parents=True)
    for item in source.iterdir():
        destination = target / item.name.replace(_TEMPLATE_NAME, name.replace("-", "_"))
        if item.is_dir():
            if item.name != "__pycache__":
                _copy(item, destination, name)
            continue
        text = item.read_text("utf-8")
        text = text.replace(f"wump_provider_{_TEMPLATE_NAME}", f"wump_provider_{name.replace('-', '_')}")
        text = text.replace(_TEMPLATE_NAME.upper(), name.replace("-", "_").upper()).replace(_TEMPLATE_NAME, name)
        text = text.replace(_TEMPLATE_NAME.title(), name.replace("-", " ").title().replace(" ", ""))
        destination.write_text(text, "utf-8")
