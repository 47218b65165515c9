"""Alerts as Slack and PagerDuty understand them, and their way there. Nothing of it may hold up anybody else."""

import asyncio
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import structlog
from wump_core.telemetry.logs import make_redactor

from wump_worker.settings import AlertSettings

DEADLINE_SECONDS = 5.0
_PAGERDUTY_SEVERITIES = {"P1": "critical", "P2": "error", "P3": "warning", "P4": "info"}
_SIGNS = {"P1": ":rotating_light:", "P2": ":red_circle:", "P3": ":large_yellow_circle:", "P4": ":information_source:"}
log = structlog.get_logger("wump.alerts")


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that an operator should look at.

    severity: `P1`: nothing gets done; `P2`: work fails or is late; `P3`: look at it this week; `P4`: good to know.
    """

    name: str
    severity: str
    message: str


def make_slack_body(alert: Alert, *, ended: bool) -> dict[str, Any]:
    """The body of an incoming webhook; what has a meaning in Slack's markup is written as text."""
    message = alert.message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    sign, state = (":white_check_mark:", "over") if ended else (_SIGNS[alert.severity], alert.severity)
    line = f"{sign} *{state}* wump: {message}"
    return {
        "text": f"[{state}] wump: {message}",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": line}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": f"`{alert.name}` on {socket.gethostname()}"}]},
        ],
    }


def make_pagerduty_body(alert: Alert, *, ended: bool) -> dict[str, Any]:
    """An event of the Events API v2, without its key, which goes as a header. The same name is the same incident."""
    return {
        "event_action": "resolve" if ended else "trigger",
        "dedup_key": f"wump/{alert.name}"[:255],
        "payload": {
            "summary": f"wump: {alert.message}"[:1024],
            "source": socket.gethostname(),
            "severity": _PAGERDUTY_SEVERITIES[alert.severity],
            "component": "wump",
            "class": alert.name.partition(":")[0],
            "custom_details": {"severity": alert.severity, "name": alert.name},
        },
    }


async def send_alerts(settings: AlertSettings, alerts: Sequence[tuple[Alert, bool]]) -> list[str]:
    """Post alerts, each with whether it is over; returns the names of those that the receiver took."""
    if settings.webhook_url is None:
        return []
    taken = []
    redactor = make_redactor()
    async with httpx.AsyncClient(timeout=DEADLINE_SECONDS) as client:
        for alert, ended in alerts:
            told = Alert(alert.name, alert.severity, redactor.hide(alert.message))
            if await _post(client, settings, told, ended=ended):
                taken.append(alert.name)
    return taken


async def _post(client: httpx.AsyncClient, settings: AlertSettings, alert: Alert, *, ended: bool) -> bool:
    is_pagerduty = settings.webhook_format == "pagerduty"
    body = (make_pagerduty_body if is_pagerduty else make_slack_body)(alert, ended=ended)
    headers: Mapping[str, str] = {}
    if is_pagerduty and settings.pagerduty_key is not None:
        headers = {"X-Routing-Key": settings.pagerduty_key.get_secret_value()}
    url = settings.webhook_url.get_secret_value() if settings.webhook_url else ""
    try:
        async with asyncio.timeout(DEADLINE_SECONDS), client.stream("POST", url, json=body, headers=headers) as answer:
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, ValueError) as error:
        # Only the kind: the address is a secret, and a message may quote it.
        log.warning("alert.not_delivered", alert=alert.name, error=type(error).__name__)
        return False
    if status >= 300:
        log.warning("alert.not_delivered", alert=alert.name, status=status)
    return status < 300
