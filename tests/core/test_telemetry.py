"""Logs hide secrets by name, by value and by shape; traces are carried; exporters hold up nothing."""

import json
import os
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wump_core.errors import ConfigurationError
from wump_core.settings import CoreSettings, load_settings
from wump_core.telemetry import continue_trace, get_trace_context, open_telemetry
from wump_core.telemetry.logs import Redactor, list_secrets

PROGRAM = """
import logging, structlog
from wump_core.telemetry import configure_logging
configure_logging("info", "json")
log = structlog.get_logger("wump.test")
log.info("said", api_key="canary-1", url="https://u:canary-2@host.example/x", n=1, tokens=3)
logging.getLogger("other").warning("to postgresql://u:canary-3@host.example/db")
logging.getLogger("httpx").info("GET https://host.example/?api_key=canary-4")
try:
    raise ValueError("at https://u:canary-5@host.example/")
except ValueError:
    log.exception("failed")
log.info("deep", answers=[{"Authorization": "canary-6"}, ("?private_token=canary-7&x=1",)], it=ValueError("canary-8-a"))
log.info("in passing: canary-8-b and canary-9/x", found={"canary-10-in-a-url": 1})
log.info("header Authorization: Bearer canary-11, and wump_live_canary12_canary12canary12")
"""
ENVIRONMENT = {
    "WUMP_PROVIDER_GITHUB_TOKEN": '["canary-8-a", "canary-8-b"]',
    "OTEL_EXPORTER_OTLP_HEADERS": "x-key=canary-9%2Fx",
    "WUMP_DATABASE_URL": "postgresql://u:canary-10-in-a-url@host.example/db",
}


def test_no_canary_reaches_the_log() -> None:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [line["event"] for line in lines[:1]] == ["said"]
    assert (lines[0]["n"], lines[0]["tokens"], lines[0]["api_key"]) == (1, 3, "[redacted]")
    assert len(lines) == 6
    assert "canary" not in result.stderr
    assert "host.example" in result.stderr


def test_secrets_of_a_container_are_known_by_value(tmp_path: Path) -> None:
    (tmp_path / "wump_valkey_url").write_text("valkey://:s3cret-of-a-file@host.example/0\n")
    (tmp_path / "other").write_text("another-secret\n")
    (tmp_path / "short").write_text("short")
    redactor = Redactor(list_secrets({"PGPASSWORD": "p%40ss-word-1", "EDITOR": "vim"}, tmp_path))
    assert redactor.hide(
        "s3cret-of-a-file another-secret short vim p%40ss-word-1 WUMP_WORKER_JOB_DEADLINE_SECONDS"
    ) == ("[redacted] [redacted] short vim [redacted] WUMP_WORKER_JOB_DEADLINE_SECONDS")


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.text(max_size=20) | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_secret_is_hidden_wherever_it_stands(value: Any) -> None:
    event = {"event": "x", "found": [value, {"deep": f"<{value}s3cret-value>"}], "s3cret-value": value}
    assert "s3cret-value" not in json.dumps(Redactor(["s3cret-value"])(None, "info", event)["found"])


def test_an_endless_line_is_cut() -> None:
    assert len(Redactor().hide("a=" * 1_000_000)) < 50_000


HOSTILE = (
    st.none()
    | st.text()
    | st.lists(st.text())
    | st.dictionaries(
        st.sampled_from(["traceparent", "tracestate", "baggage", "x"]),
        st.none() | st.text(max_size=3_000) | st.integers(),
    )
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(HOSTILE)
def test_whatever_a_message_carries_is_no_error_and_stays_small(carried: Any) -> None:
    with continue_trace(carried):
        again = get_trace_context() or {}
    assert sum(map(len, again.values())) < 2_000
    assert set(again) <= {"traceparent", "tracestate", "baggage"}


def test_a_trace_is_carried_with_its_baggage() -> None:
    carried = {
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "tracestate": "vendor=1",
        "baggage": "tenant=north,user=a%20b",
    }
    assert get_trace_context() is None
    with continue_trace(carried) as span:
        assert span.is_remote
        assert get_trace_context() == carried | {"baggage": "tenant=north,user=a+b"}
    with continue_trace(carried | {"baggage": "tenant=" + "x" * 5_000}):
        assert set(get_trace_context() or {}) == {"traceparent", "tracestate"}
    assert get_trace_context() is None


EXPORTING = """
import logging, sys, time
from pathlib import Path
from opentelemetry import trace
from wump_core.telemetry import configure_logging, count_cache, open_telemetry
configure_logging("info", "json")
with open_telemetry("test", {"otlp"}, data_dir=Path(sys.argv[1])):
    for number in range(5_000):
        with trace.get_tracer("test").start_as_current_span("work"):
            count_cache("x", hit=True)
    print("worked", flush=True)
print("ended", flush=True)
"""


@pytest.mark.parametrize("kind", ["silent", "endless"])
def test_a_hostile_collector_holds_up_neither_work_nor_the_end(tmp_path: Path, kind: str) -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000_000 if kind == "endless" else b""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as opened:

        def answer_all() -> None:
            while True:
                try:
                    connection = opened.enter_context(listener.accept()[0])
                    connection.sendall(answer)
                except OSError:
                    return

        threading.Thread(target=answer_all, daemon=True).start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        result = subprocess.run(
            [sys.executable, "-c", EXPORTING, str(tmp_path)],
            env=os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": address, "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        listener.shutdown(socket.SHUT_RDWR)
    assert result.stdout.split() == ["worked", "ended"], result.stderr
    assert result.returncode == 0
    assert "Traceback" not in result.stderr


def test_telemetry_without_its_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wump_core.telemetry.exporters", None)
    with (
        pytest.raises(ConfigurationError, match="wump-core\\[telemetry\\]"),
        open_telemetry("test", {"otlp"}, data_dir=tmp_path),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WUMP_DATABASE_URL", "mysql://u:canary@host.example/x"),
        ("WUMP_VALKEY_URL", "http://u:canary@host.example"),
        ("WUMP_FOLLOW_DEPTH", "eleven"),
        ("WUMP_TELEMETRY", "loud"),
        ("WUMP_TELEMETRY", "otlp,off"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as caught:
        load_settings()
    assert "canary" not in str(caught.value)


def test_secrets_do_not_show_in_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WUMP_DATABASE_URL", "postgresql://u:canary@host.example/x")
    monkeypatch.setenv("WUMP_VALKEY_URL", "")
    settings = load_settings()
    assert "canary" not in repr(settings) + settings.model_dump_json()
    assert settings.valkey_url is None
    assert CoreSettings(providers=" npm, pypi ,").provider_names == ("npm", "pypi")
