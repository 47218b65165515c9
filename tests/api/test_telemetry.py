"""The figures of a real API process: what was asked is no label, and without the setting there are none."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from api.conftest import V1, Api
from e2e.processes import environment_of, running, wait_until
from wump_core.settings import CoreSettings


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the process logs."""
    return tmp_path / "log"


@pytest.fixture
def measured(facts: CoreSettings, log: Path) -> Iterator[httpx.Client]:
    """A client of a process that has figures for Prometheus."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = environment_of(facts, WUMP_TELEMETRY="prometheus", WUMP_API_PORT=str(port))
    with (
        running("api", environment=environment, log=log) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client,
    ):

        def answers() -> bool:
            try:
                return client.get("/health").is_success
            except httpx.TransportError:
                return False

        wait_until(answers, 40)
        yield client
        assert process.stop(signal.SIGTERM) == 0, process.output
        assert "Traceback" not in process.output


def _labels(text: str, name: str) -> set[str]:
    return set(re.findall(rf'\b{name}="([^"]*)"', text))


def test_labels_are_few_whatever_is_asked(measured: httpx.Client, log: Path) -> None:
    traced = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "x-api-key": "canary-of-a-key"}
    assert measured.get(f"{V1}/packages/npm/core", headers=traced).status_code == 401
    for number in range(30):
        measured.get(f"{V1}/packages/npm/canary{number}/dependents")
        measured.get(f"{V1}/packages/canary-eco{number}/x")
        measured.get(f"/canary{number}")
        measured.request("PROPFIND", f"{V1}/packages/npm/canary{number}")
        measured.get(f"{V1}/packages/npm/core?canary{number}=1", headers={"host": f"canary{number}.example"})
        measured.get(
            f"{V1}/packages/npm/core/dependents", headers={"traceparent": f"00-canary{number}", "baggage": "="}
        )
    text = measured.get("/metrics").text
    assert "canary" not in text.lower()
    assert len(text.splitlines()) < 700
    assert _labels(text, "http_request_method") == {"GET", "_OTHER"}
    routes = _labels(text, "http_route")
    assert f"{V1}/packages/{{ecosystem}}/{{name}}/dependents" in {re.sub(r":\w+}", "}", route) for route in routes}
    assert all("{" in route or route.count("/") <= 4 for route in routes), routes
    assert not any(route.startswith(("/health", "/metrics")) for route in routes)
    assert _labels(text, "ecosystem") <= {"npm", "any"}
    assert 'api_package_lookup_duration_seconds_count{ecosystem="npm",outcome="unknown"} 30.0' in text
    assert 'db_client_connection_wait_time_seconds_count{db_client_connection_pool_name="read"}' in text
    assert re.search(r'db_client_operation_duration_seconds_count\{db_operation_name="(SELECT|WITH)"', text)
    assert 'http_server_active_requests{http_request_method="GET",url_scheme="http"} 0.0' in text
    assert re.search(r'^target_info\{.*service_name="wump-api"', text, re.MULTILINE)
    assert 'api_authentication_attempts_total{outcome="rejected"} 1.0' in text
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    (attempt,) = [line for line in lines if (line["event"], line.get("outcome")) == ("auth.attempt", "rejected")]
    assert attempt["trace_id"] == "ab" * 16
    assert "canary-of-a-key" not in log.read_text()
    open_metrics = measured.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert open_metrics.text.endswith("# EOF\n")


async def test_without_the_setting_there_are_none(api: Api) -> None:
    assert (await api.get("/metrics")).status_code == 404
