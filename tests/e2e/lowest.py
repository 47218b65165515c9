"""Each plugin's own tests on its wheel alone, with the lowest versions that it declares: a documented, longer run.

`uv run python tests/e2e/lowest.py` for all plugins, or with the names of some. Outside the gate, since it installs
an environment for each of them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SETTINGS = """[pytest]
addopts = --import-mode=importlib
anyio_mode = auto
filterwarnings =
    error
    ignore::pytest.PytestUnraisableExceptionWarning
"""


def call(*command: str | Path, folder: Path) -> None:
    """Run a command there, seeing nothing of the repository's environment."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    subprocess.run([str(part) for part in command], cwd=folder, env=environment, check=True)


def check(uv: str, plugin: str, folder: Path) -> None:
    """Build, install and test one plugin in a folder outside the repository.

    Raises:
        CalledProcessError: It can't be built or installed, or a test fails.
    """
    wheels, python = folder / "wheels", folder / "venv" / "bin" / "python"
    for package in ("wump-core", f"wump-provider-{plugin}"):
        call(uv, "build", "-q", "--package", package, "--wheel", "--out-dir", wheels, folder=REPOSITORY)
    call(uv, "venv", "-q", folder / "venv", "--python", sys.executable, folder=folder)
    (wheel,) = wheels.glob("wump_provider_*.whl")
    (core,) = wheels.glob("wump_core-*.whl")
    wanted = (f"wump-provider-{plugin}[testing] @ {wheel.as_uri()}", f"wump-core @ {core.as_uri()}")
    call(uv, "pip", "install", "-q", "--python", python, "--resolution", "lowest-direct", *wanted, folder=folder)
    shutil.copytree(REPOSITORY / "plugins" / plugin / "tests", folder / "tests")
    (folder / "pytest.ini").write_text(SETTINGS)
    call(python, "-m", "pytest", "-q", "-x", "tests", folder=folder)


def main() -> int:
    """Check the named plugins, else all; the exit code is 1 if one fails."""
    uv = os.environ.get("UV") or shutil.which("uv") or str(REPOSITORY / ".uv/bin/uv")
    plugins = sys.argv[1:] or sorted(path.name for path in (REPOSITORY / "plugins").iterdir())
    failed = []
    for plugin in plugins:
        print(f"== {plugin}", flush=True)
        with tempfile.TemporaryDirectory(prefix="wump-lowest-") as folder:
            try:
                check(uv, plugin, Path(folder))
            except subprocess.CalledProcessError as error:
                failed.append(plugin)
                print(f"{plugin}: {error}", file=sys.stderr)
    print(f"{len(plugins) - len(failed)} of {len(plugins)} pass with their lowest versions")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
