"""compose.yaml: what it publishes, what it lets its containers do, and that its checks are there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "compose.yaml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {"migrate", "api", "worker", "scheduler"}
ONE_SHOT = {"migrate"}


def test_the_services_are_those_that_wump_has() -> None:
    assert set(SERVICES) == OURS | {"postgres", "valkey"}


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_a_service_is_checked_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["stop_grace_period"] == "30s"


def test_the_migration_runs_once_and_is_not_checked_as_an_api() -> None:
    migrate = SERVICES["migrate"]
    assert migrate["restart"] == "no"
    assert migrate["healthcheck"] == {"disable": True}
    assert migrate["command"] == ["db", "upgrade"]
    assert migrate["depends_on"] == {"postgres": {"condition": "service_healthy"}}


@pytest.mark.parametrize("name", sorted(OURS - ONE_SHOT))
def test_a_service_waits_for_servers_and_migration(name: str) -> None:
    assert SERVICES[name]["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "valkey": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }


def test_only_the_api_is_published_and_only_on_the_loopback_interface() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api": ["127.0.0.1:8000:8000"]}
    assert not [name for name, service in SERVICES.items() if "network_mode" in service]


def test_only_what_must_has_a_way_out() -> None:
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if service["networks"] != ["data"]} == {"api", "worker"}


@pytest.mark.parametrize("name", sorted(OURS))
def test_our_containers_may_do_little(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert "volumes" not in service


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_container_gains_privileges(name: str) -> None:
    assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in SERVICES[name]


def test_exactly_one_service_builds_our_image_and_none_fetches_it() -> None:
    """Services that build one tag in parallel fail on a machine that has no such image yet."""
    assert [name for name in SERVICES if "build" in SERVICES[name]] == ["migrate"]
    assert {SERVICES[name]["image"] for name in OURS} == {"wump:local"}
    assert {name: SERVICES[name]["pull_policy"] for name in OURS} == {
        "migrate": "build",
        "api": "never",
        "worker": "never",
        "scheduler": "never",
    }
    assert (ROOT / SERVICES["migrate"]["build"]["dockerfile"]).is_file()


def test_passwords_come_from_the_environment_and_are_required() -> None:
    """Whatever is called a password, and the password's place in each URL, is a variable that must be set."""
    required = re.compile(r"\$\{WUMP_(POSTGRES|VALKEY)_PASSWORD:\?[^}]+\}")
    found = 0
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if value is None:
                continue
            secrets = [value] if re.search("PASSWORD|AUTH|SECRET|TOKEN", name) else re.findall(r"://\w*:(.*)@", value)
            for secret in secrets:
                assert required.fullmatch(secret), name
                found += 1
    assert found == 3 + 2 * len(OURS)
    assert "requirepass $$VALKEY_PASSWORD" in TEXT


def test_servers_are_those_that_wump_needs() -> None:
    assert SERVICES["postgres"]["image"] == "postgres:18"
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql"]
    assert SERVICES["valkey"]["image"] == "valkey/valkey:9"
    configuration = SERVICES["valkey"]["command"][2].splitlines()
    assert {"appendonly yes", "maxmemory-policy noeviction", "dir /data"} <= set(configuration)
    assert SERVICES["valkey"]["volumes"] == ["valkey:/data"]


def test_the_schema_of_compose_files_is_kept() -> None:
    program = _find("check-jsonschema")
    if program is None:
        pytest.skip("check-jsonschema is not installed")
    files = [str(ROOT / "compose.yaml"), str(ROOT / "infrastructure/telemetry/compose.yaml")]
    command = [program, "--builtin-schema", "vendor.compose-spec", *files]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def docker_compose() -> list[str]:
    docker = shutil.which("docker")
    if docker is None:
        pytest.skip("docker is not installed")
    command = [docker, "compose"]
    if subprocess.run([*command, "version"], check=False, capture_output=True, timeout=60).returncode != 0:
        pytest.skip("docker has no compose plugin")
    return command


def test_compose_itself_reads_the_file(docker_compose: list[str], tmp_path: Path) -> None:
    passwords = tmp_path / "env"
    passwords.write_text("WUMP_POSTGRES_PASSWORD=one\nWUMP_VALKEY_PASSWORD=two\n")
    done = _config(docker_compose, passwords)
    assert done.returncode == 0, done.stderr


def test_compose_refuses_to_start_without_a_password(docker_compose: list[str], tmp_path: Path) -> None:
    passwords = tmp_path / "env"
    passwords.write_text("WUMP_POSTGRES_PASSWORD=\nWUMP_VALKEY_PASSWORD=two\n")
    done = _config(docker_compose, passwords)
    assert done.returncode != 0
    assert "WUMP_POSTGRES_PASSWORD" in done.stderr
    assert ".env.example" in done.stderr


def _config(command: list[str], env_file: Path) -> subprocess.CompletedProcess[str]:
    arguments = ["--file", str(ROOT / "compose.yaml"), "--env-file", str(env_file), "config", "--quiet"]
    return subprocess.run(
        [*command, *arguments], check=False, capture_output=True, text=True, timeout=60, env=_environment()
    )


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("WUMP_")}


def _find(program: str) -> str | None:
    return shutil.which(program, path=Path(sys.executable).parent) or shutil.which(program)
