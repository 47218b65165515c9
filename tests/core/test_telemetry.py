"""Logs hide secrets, by name and by shape; set-up errors are clear."""

import json
import subprocess
import sys

import pytest
from wump_core.errors import ConfigurationError
from wump_core.settings import CoreSettings, load_settings
from wump_core.telemetry import configure_tracing

PROGRAM = """
import logging, structlog
from wump_core.telemetry import configure_logging
configure_logging("info", "json")
structlog.get_logger("wump.test").info("said", api_key="canary-1", url="https://u:canary-2@host.example/x", n=1)
logging.getLogger("other").warning("to postgresql://u:canary-3@host.example/db")
logging.getLogger("httpx").info("GET https://host.example/?api_key=canary-4")
try:
    raise ValueError("at https://u:canary-5@host.example/")
except ValueError:
    structlog.get_logger("wump.test").exception("failed")
"""


def test_no_canary_reaches_the_log() -> None:
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert lines[0]["event"] == "said"
    assert lines[0]["n"] == 1
    assert lines[0]["api_key"] == "[redacted]"
    assert "canary" not in result.stderr
    assert "host.example" in result.stderr


def test_otlp_without_its_exporter_says_what_to_install() -> None:
    with pytest.raises(ConfigurationError, match="wump-core\\[otlp\\]"):
        configure_tracing("test", "otlp")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WUMP_DATABASE_URL", "mysql://u:canary@host.example/x"),
        ("WUMP_VALKEY_URL", "http://u:canary@host.example"),
        ("WUMP_FOLLOW_DEPTH", "eleven"),
        ("WUMP_TELEMETRY", "loud"),
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
