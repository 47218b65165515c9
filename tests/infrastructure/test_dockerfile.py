"""The Dockerfile: who runs in the image, what is in it, and that all that it copies is there."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "infrastructure" / "docker" / "Dockerfile"


def read_instructions() -> list[tuple[str, str]]:
    """The instructions in order, with continued lines joined and comments left out."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines())]


INSTRUCTIONS = read_instructions()
LAST_FROM = max(index for index, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM")
FINAL = INSTRUCTIONS[LAST_FROM:]


def last(word: str) -> str:
    """What the final stage says last with this word."""
    return [rest for name, rest in FINAL if name == word][-1]


def test_base_and_providers_are_arguments_with_defaults() -> None:
    assert INSTRUCTIONS[0] == ("ARG", "BASE=python:3.14-slim")
    assert {rest.partition(" ")[0] for word, rest in INSTRUCTIONS if word == "FROM"} == {"${BASE}"}
    default = next(rest for word, rest in INSTRUCTIONS if word == "ARG" and rest.startswith("PROVIDERS="))
    names = shlex.split(default)[0].partition("=")[2].split()
    assert names == ["cratesio", "depsdev", "ecosystems", "github", "gitlab", "librariesio", "maven", "npm", "pypi"]
    assert all((ROOT / "plugins" / name / "pyproject.toml").is_file() for name in names)


def test_the_process_is_not_root_and_can_not_change_its_code() -> None:
    user, _, group = last("USER").partition(":")
    assert int(user) >= 1000
    assert int(group) >= 1000
    assert FINAL.index(("USER", last("USER"))) > max(
        index for index, (word, _) in enumerate(FINAL) if word in ("RUN", "COPY")
    )
    assert not [rest for word, rest in FINAL if word == "COPY" and "--chown" in rest]


def test_the_default_is_to_serve_the_api() -> None:
    assert json.loads(last("ENTRYPOINT")) == ["wump"]
    assert json.loads(last("CMD")) == ["api"]
    environment = dict(item.split("=", 1) for item in shlex.split(last("ENV")))
    assert environment["WUMP_API_HOST"] == "0.0.0.0"
    assert environment["WUMP_LOG_FORMAT"] == "json"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"


def test_the_health_check_needs_nothing_but_python() -> None:
    command = json.loads(last("HEALTHCHECK").partition(" CMD ")[2])
    assert command == ["python3", "/opt/wump/health.py", "api"]
    assert ("COPY", "infrastructure/docker/health.py /opt/wump/health.py") in FINAL


def test_nothing_is_installed_that_is_not_pinned() -> None:
    steps = [step for word, rest in INSTRUCTIONS if word == "RUN" for step in re.split(r"&&|;", rest)]
    installing = [step for step in steps if re.search(r"\bpip\b.*\b(install|wheel|download)\b", step)]
    assert len(installing) == 4
    assert all("--require-hashes" in step or "--no-index" in step for step in installing)
    assert not [step for step in steps if re.search(r"\b(apt|apt-get|curl|wget|apk)\b", step)]


def test_no_extra_is_installed() -> None:
    """The embedded servers come with an extra; the image uses servers of their own."""
    assert "embedded" not in " ".join(rest for _, rest in INSTRUCTIONS)
    assert not re.search(r"\./?\w*\[", " ".join(rest for word, rest in INSTRUCTIONS if word == "RUN"))


def test_no_argument_or_variable_is_a_secret() -> None:
    named = " ".join(rest for word, rest in INSTRUCTIONS if word in ("ARG", "ENV", "LABEL"))
    assert not re.search(r"(?i)passw|secret|token|credential", named)


def test_all_that_is_copied_is_there_and_let_through() -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    assert "*" in lines
    let_through = {line[1:] for line in lines if line.startswith("!")}
    copied = [rest.split() for word, rest in INSTRUCTIONS if word == "COPY" and "--from" not in rest]
    sources = [source for *names, _target in copied for source in names]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source.partition("/")[0] in let_through, source


def test_hadolint_has_nothing_to_say() -> None:
    program = shutil.which("hadolint", path=Path(sys.executable).parent) or shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([program, str(DOCKERFILE)], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
