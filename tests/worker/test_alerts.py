"""Alerts on a real database, told to a receiver on the loopback address."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs
from worker.conftest import Ledger
from wump_core.errors import ConfigurationError
from wump_worker import webhook
from wump_worker.alerts import alert, find_alerts
from wump_worker.settings import AlertSettings, load_alert_settings


@dataclass
class Receiver:
    """What was posted: headers and body."""

    url: str = ""
    status: int = 200
    posts: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.posts.append((dict(self.headers), json.loads(body)))
            self.send_response(receiver.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/services/geheim"
    yield receiver
    server.shutdown()
    server.server_close()


ADD = "INSERT INTO job_executions (job, subject, queue, state, due_at, started_at, finished_at, lost_leases)"
LIMITS = '[{"resource": "core", "limit": 5000, "remaining": %d, "reset_at": "%s"}]'
PROVIDER = (
    "INSERT INTO providers (name, state, ecosystems, capabilities, limits, last_ok_at, last_error_at, last_error)"
)

# What each alert takes, and what nearly is one.
CAUSES = {
    "no_progress P1": f"{ADD} VALUES ('a', 'x', 'low', 'pending', now() - interval '20 minutes', NULL, NULL, 0)",
    "lag P2": f"{ADD} VALUES ('a', 'x', 'low', 'pending', now() - interval '20 minutes', NULL, NULL, 0),"
    " ('a', 'y', 'low', 'completed', now(), now(), now(), 0)",
    "failure_rate:a P2": f"{ADD} SELECT 'a', n, 'low', CASE n WHEN 1 THEN 'completed' ELSE 'failed' END,"
    " now() + interval '1 h', now(), CASE n WHEN 1 THEN now() END, 0 FROM generate_series(1, 10) n",
    "dead_jobs:a P2": f"{ADD} VALUES ('a', 'x', 'low', 'dead', now(), now(), now(), 0)",
    "lost_workers:a P3": f"{ADD} VALUES ('a', 'x', 'low', 'pending', now() + interval '1 h', now(), NULL, 5)",
    "credentials_rejected:github P2": f"{PROVIDER} VALUES ('github', 'active', '{{}}', '{{}}', NULL,"
    " now() - interval '1 h', now(), 'github rejects every token in WUMP_PROVIDER_GITHUB_TOKEN (1)')",
    "budget_low:github:core P4": f"{PROVIDER} VALUES ('github', 'active', '{{}}', '{{}}',"
    f" '{LIMITS % (499, '2999-01-01T00:00:00Z')}', now(), NULL, NULL)",
    "schedule_unusable:s P3": "INSERT INTO schedules (name, job, subject, cron, error)"
    " VALUES ('s', 'a', 'all', 'x', 'x')",
}
NEARLY = [
    f"{ADD} VALUES ('a', 'x', 'low', 'pending', now() - interval '14 minutes', NULL, NULL, 4)",
    f"{ADD} VALUES ('a', 'p', 'low', 'pending', now() + interval '1 h', NULL, NULL, 4)",
    f"{ADD} SELECT 'b', n, 'low', CASE n WHEN 1 THEN 'failed' ELSE 'completed' END,"
    " now() + interval '1 h', now(), CASE n WHEN 1 THEN NULL ELSE now() END, 0 FROM generate_series(1, 10) n",
    f"{ADD} SELECT 'c', n, 'low', 'failed', now() + interval '1 h', now(), NULL, 0 FROM generate_series(1, 9) n",
    f"{PROVIDER} VALUES ('github', 'active', '{{}}', '{{}}', '{LIMITS % (500, '2999-01-01T00:00:00Z')}',"
    " now(), now() - interval '1 h', 'HTTP 401')",
    f"{PROVIDER} VALUES ('npm', 'active', '{{}}', '{{}}', '{LIMITS % (1, '2020-01-01T00:00:00Z')}',"
    " now() - interval '1 h', now(), 'HTTP 503')",
]


async def test_each_cause_is_found_and_what_is_nearly_one_is_not(engine: AsyncEngine, ledger: Ledger) -> None:
    async def find() -> list[str]:
        async with engine.connect() as connection:
            return [f"{item.name} {item.severity}" for item in await find_alerts(connection, lag_seconds=900)]

    for name, cause in CAUSES.items():
        await ledger.run(cause)
        assert name in await find(), name
        for table in ("job_executions", "providers", "schedules"):
            await ledger.run(f"DELETE FROM {table}")
    for statement in NEARLY:
        await ledger.run(statement)
    assert await find() == []


async def test_it_is_told_once_then_again_when_it_lasts_and_when_it_is_over(
    engine: AsyncEngine, ledger: Ledger, receiver: Receiver
) -> None:
    settings = AlertSettings(webhook_url=SecretStr(receiver.url))
    await ledger.run(CAUSES["dead_jobs:a P2"])

    async def round_() -> list[str]:
        before = len(receiver.posts)
        with capture_logs() as logs:
            await alert(engine, settings)
        assert "geheim" not in str(logs)
        return [line["event"] for line in logs] + [post[1]["text"][:5] for post in receiver.posts[before:]]

    assert await round_() == ["alert", "[P2] "]
    assert "1 run(s) of a are given up" in receiver.posts[0][1]["blocks"][0]["text"]["text"]
    assert await round_() == []
    await ledger.run("UPDATE alerts SET told_at = told_at - interval '4 hours 1 second', delivered_at = now()")
    assert await round_() == ["alert", "[P2] "]
    # The receiver is down: posted again until it takes it, and said in the log once.
    await ledger.run("UPDATE alerts SET told_at = NULL")
    receiver.status = 500
    assert await round_() == ["alert", "alert.not_delivered", "[P2] "]
    assert await round_() == []
    await ledger.run("UPDATE alerts SET told_at = told_at - interval '61 seconds', delivered_at = NULL")
    receiver.status = 200
    assert await round_() == ["[P2] "]
    # Over.
    await ledger.run("DELETE FROM job_executions")
    assert await round_() == []
    await ledger.run("UPDATE alerts SET seen_at = seen_at - interval '6 minutes'")
    assert await round_() == ["alert.over", "[over"]
    assert await round_() == []
    await ledger.run(CAUSES["dead_jobs:a P2"])
    assert await round_() == ["alert", "[P2] "]


async def test_pagerduty_gets_events_without_secrets(
    engine: AsyncEngine, ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WUMP_PROVIDER_GITHUB_TOKEN", "ghp_verysecrettoken")
    settings = AlertSettings(
        webhook_url=SecretStr(receiver.url),
        webhook_format="pagerduty",
        pagerduty_key=SecretStr("routing-key"),
        severity="P3",
    )
    error = "the cron expression ghp_verysecrettoken <!channel> postgresql://me:pass@host/x"
    await ledger.run(
        f"INSERT INTO schedules (name, job, subject, cron, error) VALUES ('s', 'a', 'all', 'x', '{error}')"
    )
    await ledger.run(CAUSES["budget_low:github:core P4"])
    await alert(engine, settings)
    ((headers, body),) = receiver.posts
    assert headers["X-Routing-Key"] == "routing-key"
    assert (body["event_action"], body["dedup_key"]) == ("trigger", "wump/schedule_unusable:s")
    assert body["payload"]["severity"] == "warning"
    assert body["payload"]["summary"].startswith("wump: the schedule s is never due")
    for secret in ("ghp_verysecrettoken", "me:pass", "routing-key", "geheim"):
        assert secret not in json.dumps(body)
    await ledger.run("DELETE FROM schedules")
    await ledger.run("UPDATE alerts SET seen_at = seen_at - interval '6 minutes'")
    await alert(engine, settings)
    assert receiver.posts[1][1]["event_action"] == "resolve"


async def test_a_receiver_that_hangs_is_given_up_and_holds_nothing(
    engine: AsyncEngine, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "DEADLINE_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = AlertSettings(webhook_url=SecretStr(f"http://127.0.0.1:{silent.getsockname()[1]}/"))
        await ledger.run(CAUSES["dead_jobs:a P2"])
        with capture_logs() as logs:
            async with asyncio.timeout(10):
                await alert(engine, settings)
    assert [line["event"] for line in logs] == ["alert", "alert.not_delivered"]
    assert await ledger.value("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'") == 0
    assert await ledger.value("SELECT delivered_at FROM alerts") is None


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WEBHOOK_URL": "hooks.example/geheim"}, "WUMP_ALERT_WEBHOOK_URL must be an http or https address"),
        ({"WEBHOOK_URL": "https://geheim", "WEBHOOK_FORMAT": "pagerduty"}, "needs WUMP_ALERT_PAGERDUTY_KEY"),
        ({"WEBHOOK_FORMAT": "teams"}, "WUMP_ALERT_WEBHOOK_FORMAT"),
    ],
)
def test_a_wrong_setting_is_named(variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"WUMP_ALERT_{name}", value)
    with pytest.raises(ConfigurationError, match=message) as error:
        load_alert_settings()
    assert "geheim" not in str(error.value)
