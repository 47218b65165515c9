"""One trace from a request over the ledger and a message to the upstream, seen by a collector; and the figures.

Those that the rules for Prometheus ask for are among them.
"""

import json
import re
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import httpx
from e2e.processes import environment_of, running, wait_until
from infrastructure.test_alert_rules import OF_PROMETHEUS, RULES, list_asked
from local_registry import LocalRegistry
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from otlp_receiver import OtlpReceiver, ReceivedSpan, receive_otlp
from worker.conftest import Ledger
from wump_core.settings import CoreSettings

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADERS = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "baggage": "tenant=north"}


def _free_ports(count: int) -> list[int]:
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [item.getsockname()[1] for item in sockets]


def _find(receiver: OtlpReceiver, service: str, name: str) -> ReceivedSpan:
    found = [span for span in receiver.spans if (span.service, span.name, span.trace) == (service, name, TRACE)]
    assert found, sorted({(span.service, span.name) for span in receiver.spans})
    return found[0]


def _above(receiver: OtlpReceiver, span: ReceivedSpan) -> list[str]:
    by_id = {item.id: item for item in receiver.spans}
    names = []
    while span.parent in by_id:
        span = by_id[span.parent]
        names.append(span.name)
    return names


async def test_one_trace_leads_from_a_request_to_the_upstream(
    settings: CoreSettings, tmp_path: Path, registry: LocalRegistry, ledger: Ledger
) -> None:
    registry.add_npm("traced", dependencies={"debug": "1"})
    registry.answers["/npm/broken"] = (200, {"Content-Type": "application/json"}, b"no document")
    ports = dict(zip(("api", "worker", "scheduler"), _free_ports(3), strict=True))
    api = f"http://127.0.0.1:{ports['api']}"
    with receive_otlp() as receiver, ExitStack() as opened:
        environment = environment_of(
            settings,
            WUMP_PROVIDERS="npm",
            WUMP_TELEMETRY="otlp,prometheus",
            WUMP_LOG_FORMAT="json",
            WUMP_LOG_LEVEL="debug",
            WUMP_API_PORT=str(ports["api"]),
            WUMP_WORKER_METRICS_PORT=str(ports["worker"]),
            WUMP_SCHEDULER_METRICS_PORT=str(ports["scheduler"]),
            WUMP_PROVIDER_GITHUB_TOKEN="canary-token-of-ours",
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.address,
            OTEL_EXPORTER_OTLP_HEADERS="x-key=canary-header-value",
        )
        # A database for reading that never answers: that has figures, too.
        silent = opened.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        variables = {"api": environment | {"WUMP_READ_DATABASE_URL": f"postgresql://nobody@127.0.0.1:{silent}/none"}}
        services = {
            name: opened.enter_context(running(name, environment=variables.get(name, environment), log=tmp_path / name))
            for name in ports
        }
        services["worker"].wait_for("worker.started")
        wait_until(lambda: _answers(f"{api}/health"), 40)
        client = opened.enter_context(httpx.Client())
        planned = client.post(
            f"{api}/api/v1/packages?api_key=canary-of-a-client", json={"purl": "pkg:npm/traced"}, headers=HEADERS
        )
        assert planned.status_code == 202, planned.text
        services["worker"].wait_for("job.completed")
        (row,) = await ledger.rows("SELECT id, trace_context FROM job_executions WHERE subject = 'pkg:npm/traced'")
        assert client.post(f"{api}/api/v1/packages", json={"purl": "pkg:npm/broken"}, headers=HEADERS).is_success
        for attempt in (1, 2):
            wait_until(lambda count=attempt: services["worker"].output.count('"job.failed"') == count, 30)
            await ledger.make_due()
        assert client.get(f"{api}/api/v1/packages/npm/traced").status_code == 503
        figures = {name: client.get(f"http://127.0.0.1:{port}/metrics").text for name, port in ports.items()}
        for name, service in services.items():
            assert service.stop(signal.SIGTERM) == 0, f"{name}: {service.output}"

        assert row["trace_context"]["traceparent"].split("-")[1] == TRACE
        assert row["trace_context"]["baggage"] == "tenant=north"
        run = _find(receiver, "wump-worker", "run refresh_package")
        assert run.kind == Span.SPAN_KIND_CONSUMER
        assert (run.attributes["wump.outcome"], run.attributes["wump.execution"]) == ("completed", row["id"])
        assert _above(receiver, run) == ["send high", "POST /api/v1/packages"]
        failed = [span for span in receiver.spans if span.attributes.get("wump.outcome") == "failed"]
        assert (failed[0].trace, failed[0].links) == (TRACE, [])
        # Trying again is a trace of its own, which says where it comes from.
        assert failed[1].trace != TRACE
        assert failed[1].links == [TRACE]
        asked = [span for span in receiver.spans if span.attributes.get("wump.provider") == "npm"]
        assert asked[0].trace == TRACE
        assert _above(receiver, asked[0])[0] == "run refresh_package"
        for service, operation in (("wump-api", "INSERT"), ("wump-worker", "INSERT")):
            statement = _find(receiver, service, operation)
            assert statement.attributes["db.system.name"] == "postgresql"
            assert "INTO" in statement.attributes["db.query.text"]
        # Loops that ask all day belong to no request, and would be endless.
        assert all(span.parent for span in receiver.spans if "db.system.name" in span.attributes)

        outputs = [service.output for service in services.values()]
        lines = [json.loads(line) for line in services["worker"].output.splitlines()]
        (completed,) = [line for line in lines if line["event"] == "job.completed"]
        assert (completed["trace_id"], completed["span_id"]) == (TRACE, run.id)
        assert any(line["event"] == "provider.call" and line["trace_id"] == TRACE for line in lines)
        for text in [*outputs, *figures.values(), *(body.decode("latin-1") for body in receiver.raw)]:
            assert "canary" not in text
    _check_figures(figures)
    _check_rules(figures)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.TransportError:
        return False


def _check_figures(figures: dict[str, str]) -> None:
    api, worker, scheduler = figures["api"], figures["worker"], figures["scheduler"]
    created = 'http_request_method="POST",http_response_status_code="202",http_route="/api/v1/packages"'
    assert re.search(rf"http_server_request_duration_seconds_count\{{[^}}]*{created}", api)
    assert 'db_client_connection_max{db_client_connection_pool_name="read"} 10.0' in api
    assert 'db_client_operation_duration_seconds_count{db_operation_name="INSERT",db_system_name="postgresql"}' in api
    finished = 'job_execution_duration_seconds_count{job_name="refresh_package",outcome="completed",queue="high"} 1.0'
    assert finished in worker
    assert (
        'job_execution_duration_seconds_count{job_name="refresh_package",outcome="failed",queue="high"} 2.0' in worker
    )
    assert re.search(r'provider_api_calls_total\{outcome="ok",provider="npm",resource="\w+"\} [1-9]', worker)
    assert "http_client_request_duration_seconds_count{" in worker
    assert 'job_queue_depth{queue="low"}' in scheduler
    assert re.search(r"^database_size_bytes [1-9]", scheduler, re.MULTILINE)
    for text in figures.values():
        assert re.search(r"^process_memory_usage_bytes [1-9]", text, re.MULTILINE)
        assert 'process_cpu_time_seconds_total{cpu_mode="user"}' in text
        assert 'system_filesystem_utilization{system_filesystem_mountpoint="data"} 0.' in text
        assert not re.search("traced|broken", text)
        assert "/health" not in text


def _check_rules(figures: dict[str, str]) -> None:
    """Each figure that a rule asks for is exported, with the labels that it is chosen and grouped by."""
    samples = re.findall(r"^(\w+)(?:\{(.*)\})? ", "\n".join(figures.values()), re.MULTILINE)
    exported = {(name, *re.findall(r'(\w+)="(?!")', labels)) for name, labels in samples}
    for rule in RULES.values():
        for figure, labels in list_asked(rule["expr"]):
            wanted = labels - (OF_PROMETHEUS - {"le"})
            assert figure == "up" or any(name == figure and wanted <= set(found) for name, *found in exported), figure
