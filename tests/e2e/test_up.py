"""`wump up` as people run it: one process with its own servers, from the first request to the end."""

import json
import os
import re
import signal
import socket
import time
from pathlib import Path

import httpx
import psutil
import pytest
from e2e.processes import Process, environment_of, run_wump, running, wait_until
from local_registry import LocalRegistry
from wump_core.embedded import describe_embedded

STOP_SECONDS = 25


def api(port: int) -> httpx.Client:
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10)


def wait_for_api(up: Process, client: httpx.Client) -> None:
    def answers() -> bool:
        assert up.process.poll() is None, up.output
        try:
            return client.get("/health").is_success
        except httpx.TransportError:
            return False

    wait_until(answers, 60)


def track(client: httpx.Client, purl: str, seconds: float = 40) -> dict[str, object]:
    """Track over HTTP and wait for the end."""
    execution = client.post("/api/v1/packages", json={"purl": purl}).raise_for_status().json()
    deadline = time.monotonic() + seconds
    while execution["state"] not in ("completed", "dead"):
        assert time.monotonic() < deadline, execution
        time.sleep(0.2)
        execution = client.get(execution["url"]).raise_for_status().json()
    return execution


def command_of(process: psutil.Process) -> str:
    return process.cmdline()[-1]


def servers_run(data_dir: Path) -> list[bool]:
    description = describe_embedded(data_dir)
    return [bool(description[name]["running"]) for name in ("postgres", "valkey")]  # ty: ignore[not-subscriptable]


def test_the_whole_life_of_an_instance(data_dir: Path, free_port: int, registry: LocalRegistry, tmp_path: Path) -> None:
    registry.add_npm("app", repository="acme/app", dependencies={"lib": "^1"})
    registry.add_npm("lib", repository="maker/lib")
    environment = environment_of(WUMP_DATA_DIR=str(data_dir), WUMP_API_PORT=str(free_port), **registry.environment)
    with running("up", environment=environment, log=tmp_path / "up") as up, api(free_port) as client:
        wait_for_api(up, client)
        assert track(client, "npm:app")["outcome"] == {"code": "saved", "provider": "npm", "version": "1.0.0"}

        # A worker that dies is started again, and goes on with what is due.
        (worker,) = [child for child in up.children() if command_of(child) == "worker"]
        worker.kill()
        up.wait_for("service.restarted")
        assert track(client, "npm:lib")["state"] == "completed"

        # A second process shares the servers, and its end leaves them to the first.
        shared = run_wump("orgs", "npm:lib", "--format", "json", environment=environment)
        assert shared.returncode == 0, shared.stderr
        (row,) = json.loads(shared.stdout)["data"]
        assert (row["login"], row["evidence"]["package"]) == ("acme", "pkg:npm/app")
        assert client.get("/health").is_success
        in_use = run_wump("down", environment=environment)
        assert in_use.returncode == 3
        assert re.search(rf"pid (?:\d+, )*{up.process.pid}\b", in_use.stderr)

        children = up.children()
        assert sorted(command_of(child) for child in children) == ["api", "scheduler", "worker"]
        assert up.stop(signal.SIGTERM, STOP_SECONDS) == 0, up.output
        assert not [child for child in children if child.is_running()]
    assert servers_run(data_dir) == [False, False]
    assert "wump: stopped" in up.output
    assert "Traceback" not in up.output
    assert "service.killed" not in up.output

    # The data survives.
    kept = run_wump("orgs", "npm:lib", "--format", "json", environment=environment)
    assert json.loads(kept.stdout)["data"][0]["login"] == "acme"
    purged = run_wump("down", "--purge", "-y", environment=environment)
    assert purged.returncode == 0, purged.stderr
    assert not (data_dir / "postgres").exists()
    assert not (data_dir / "valkey").exists()


@pytest.mark.parametrize("moment", ["while it starts", "while it runs"])
def test_ctrl_c_reaches_every_process_and_ends_them_cleanly(
    data_dir: Path, free_port: int, tmp_path: Path, moment: str
) -> None:
    """A terminal sends the signal to all processes of its group at once."""
    environment = environment_of(WUMP_DATA_DIR=str(data_dir), WUMP_API_PORT=str(free_port))
    with running("up", environment=environment, log=tmp_path / "up") as up, api(free_port) as client:
        up.wait_for("wump: running api, scheduler, worker")
        if moment == "while it runs":
            wait_for_api(up, client)
            up.wait_for("worker.started")
        children = up.children()
        os.killpg(up.process.pid, signal.SIGINT)
        assert up.process.wait(STOP_SECONDS) == 0, up.output
        assert not [child for child in children if child.is_running()]
    assert servers_run(data_dir) == [False, False]
    if moment == "while it runs":
        assert "Traceback" not in up.output


def test_a_port_that_is_taken_is_named_and_ends_it(data_dir: Path, registry: LocalRegistry, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        environment = environment_of(WUMP_DATA_DIR=str(data_dir), WUMP_API_PORT=port, **registry.environment)
        result = run_wump("up", environment=environment)
    assert result.returncode == 3, result.stderr
    assert f"port {port} is taken: set WUMP_API_PORT to a free one" in result.stderr
    assert result.stderr.count("is taken") == 1
    assert "Traceback" not in result.stderr
    assert servers_run(data_dir) == [False, False]
