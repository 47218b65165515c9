"""The image's health checks, run as the image runs them, against a real Valkey and a real HTTP server."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from valkey import Valkey
from valkey.exceptions import ValkeyError
from wump_core.embedded.machine import free_port
from wump_core.embedded.valkey import find_program
from wump_core.errors import ServerUnavailable
from wump_core.schedule import ALIVE_KEY

HEALTH = Path(__file__).parents[2] / "infrastructure" / "docker" / "health.py"
PASSWORD = "correct-horse"


def check(service: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WUMP_")} | variables
    command = [sys.executable, str(HEALTH), service]
    return subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=30)


@pytest.fixture(scope="module")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    try:
        program = find_program()
    except ServerUnavailable as error:
        pytest.skip(str(error))
    port = free_port()
    folder = tmp_path_factory.mktemp("valkey")
    command = [str(program), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--requirepass", PASSWORD]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as server:
        url = f"valkey://:{PASSWORD}@127.0.0.1:{port}/0"
        try:
            _wait_for(url)
            yield url
        finally:
            server.terminate()


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 20
    with Valkey.from_url(url) as client:
        while True:
            try:
                client.ping()
                return
            except ValkeyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


@pytest.mark.parametrize("service", ["worker", "scheduler"])
def test_a_service_is_healthy_while_its_key_is_there(valkey_url: str, service: str) -> None:
    assert check(service, WUMP_VALKEY_URL=valkey_url).returncode == 1
    key = ALIVE_KEY.format(service=service)
    with Valkey.from_url(valkey_url) as client:
        client.set(key, "1", ex=60)
        assert check(service, WUMP_VALKEY_URL=valkey_url).returncode == 0
        client.delete(key)
    assert check(service, WUMP_VALKEY_URL=valkey_url).returncode == 1


def test_the_broker_s_spelling_of_the_address_works_too(valkey_url: str) -> None:
    with Valkey.from_url(valkey_url) as client:
        client.set(ALIVE_KEY.format(service="worker"), "1", ex=60)
    assert check("worker", WUMP_VALKEY_URL=valkey_url.replace("valkey", "redis", 1)).returncode == 0


def test_no_valkey_is_unhealthy_and_the_password_stays_out_of_the_output() -> None:
    done = check("worker", WUMP_VALKEY_URL=f"valkey://:{PASSWORD}@127.0.0.1:{free_port()}/0")
    assert done.returncode == 1
    assert done.stderr.startswith("worker is unhealthy: ")
    assert PASSWORD not in done.stderr + done.stdout


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_api_is_healthy_if_it_says_so(status: int, code: int) -> None:
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            """Quiet."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            # A proxy of the container's environment must not be asked.
            done = check("api", WUMP_API_PORT=str(server.server_port), http_proxy="http://127.0.0.1:9")
        finally:
            server.shutdown()
            thread.join()
    assert done.returncode == code, done.stderr
    assert asked == ["/health"]


def test_no_api_is_unhealthy() -> None:
    done = check("api", WUMP_API_PORT=str(free_port()))
    assert done.returncode == 1
    assert done.stderr == "api is unhealthy: ConnectionRefusedError\n"
