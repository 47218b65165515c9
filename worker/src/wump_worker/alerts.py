"""Looks for what an operator should know, and tells it once: in the log, and to a webhook where one is set.

Every scheduler looks, one at a time; the database remembers what was told, so that nothing is told twice.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from wump_core.store import alerts, operations, schedules

from wump_worker.settings import AlertSettings
from wump_worker.webhook import Alert, send_alerts

EVERY_SECONDS = 15.0
REPEAT_SECONDS = 4 * 3600
AGAIN_SECONDS = 60
"""After which one that the webhook did not take is posted again."""
OVER_AFTER_SECONDS = 300
"""After which one that isn't seen any more is over: what comes and goes is told of once."""
WINDOW_MINUTES = 15
MOST_FAILED = 0.1
FEWEST_RUNS = 10
"""Of fewer, a share says nothing."""
LEAST_LEFT = 0.1
MANY_LOST_LEASES = 5
_LEVELS = {"P1": "critical", "P2": "error", "P3": "warning", "P4": "info"}
log = structlog.get_logger("wump.alerts")


async def alert_forever(engine: AsyncEngine, settings: AlertSettings) -> None:
    """Look and tell every few seconds until cancelled. An outage is logged, and the next round tells all."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await alert(engine, settings)
        except Exception as error:
            log.warning("alerts.outage", error=f"{type(error).__name__}: {error}"[:300])


async def alert(engine: AsyncEngine, settings: AlertSettings) -> None:
    """One round. The webhook is asked with no transaction open."""
    async with engine.begin() as connection:
        if not await alerts.try_to_lead(connection):
            return
        found = await find_alerts(connection, lag_seconds=settings.lag_seconds)
        for item in found:
            await alerts.save_alert(connection, item.name, item.severity, item.message)
        await alerts.end_alerts(connection, after_seconds=OVER_AFTER_SECONDS)
        again = AGAIN_SECONDS if settings.webhook_url else None
        rows = await alerts.claim_untold(connection, repeat_seconds=REPEAT_SECONDS, again_seconds=again)
    for row in rows:
        if not row["undelivered"]:
            _log(row)
    wanted = [(_read(row), row["ended_at"] is not None) for row in rows if row["severity"] <= settings.severity]
    taken = await send_alerts(settings, wanted)
    unwanted = [row["name"] for row in rows if row["severity"] > settings.severity]
    async with engine.begin() as connection:
        await alerts.save_delivery(connection, [*taken, *unwanted])


def _read(row: Mapping[str, Any]) -> Alert:
    return Alert(row["name"], row["severity"], row["message"])


def _log(row: Mapping[str, Any]) -> None:
    ended = row["ended_at"] is not None
    level = "info" if ended else _LEVELS[row["severity"]]
    getattr(log, level)(
        "alert.over" if ended else "alert",
        alert=row["name"],
        severity=row["severity"],
        message=row["message"],
        since=row["since"].isoformat(),
    )


async def find_alerts(connection: AsyncConnection, *, lag_seconds: int) -> list[Alert]:
    """What is wrong now.

    Args:
        connection: To the database.
        lag_seconds: So long due work may wait.
    """
    return [
        *await _find_lag(connection, lag_seconds),
        *await _find_failures(connection),
        *await _find_dead(connection),
        *await _find_lost(connection),
        *await _find_upstreams(connection),
        *await _find_schedules(connection),
    ]


async def _find_lag(connection: AsyncConnection, most: int) -> list[Alert]:
    backlog = await operations.describe_backlog(connection)
    oldest, idle = backlog["oldest_due_seconds"], backlog["idle_seconds"]
    if oldest <= most:
        return []
    waits = f"work has been due for {oldest:.0f} s ({backlog['due']} runs)"
    if idle is None or idle > most:
        return [Alert("no_progress", "P1", f"nothing gets done: {waits}, and no run starts or ends; see /health/jobs")]
    return [Alert("lag", "P2", f"{waits}: start more workers, or see `wump jobs list --state pending`")]


async def _find_failures(connection: AsyncConnection) -> list[Alert]:
    found = []
    for row in await operations.describe_recent(connection, minutes=WINDOW_MINUTES):
        failed = row["failed"] + row["dead"]
        ended = failed + row["completed"]
        if ended >= FEWEST_RUNS and failed / ended > MOST_FAILED:
            share = f"{failed} of {ended} runs of {row['job']} failed in {WINDOW_MINUTES} minutes"
            hint = f"see `wump jobs list --job {row['job']} --state failed`"
            found.append(Alert(f"failure_rate:{row['job']}", "P2", f"{share}: {hint}"))
    return found


async def _find_dead(connection: AsyncConnection) -> list[Alert]:
    rows = await connection.execute(
        text("SELECT job, count(*) AS number FROM job_executions WHERE state = 'dead' GROUP BY job ORDER BY job")
    )
    return [
        Alert(
            f"dead_jobs:{job}",
            "P2",
            f"{number} run(s) of {job} are given up: see `wump jobs list --state dead --job {job}`; retry or discard",
        )
        for job, number in rows
    ]


async def _find_lost(connection: AsyncConnection) -> list[Alert]:
    rows = await connection.execute(
        text(
            "SELECT job, count(*) AS number FROM job_executions WHERE state IN ('pending', 'running', 'failed')"
            " AND lost_leases >= :many GROUP BY job ORDER BY job"
        ),
        {"many": MANY_LOST_LEASES},
    )
    return [
        Alert(
            f"lost_workers:{job}",
            "P3",
            f"{number} run(s) of {job} have lost {MANY_LOST_LEASES} workers or more: are the workers short of memory?",
        )
        for job, number in rows
    ]


async def _find_upstreams(connection: AsyncConnection) -> list[Alert]:
    """Rejected credentials, and budgets that are nearly spent, as the workers reported them lately."""
    rows = await connection.execute(
        text(
            "SELECT now() AS now, name, limits, coalesce(last_error_at > coalesce(last_ok_at, '-infinity')"
            "   AND (last_error ~ '^HTTP (401|403)$' OR last_error ILIKE '%rejects%'), false) AS rejected"
            " FROM providers WHERE seen_at > now() - interval '5 minutes' ORDER BY name"
        )
    )
    found = []
    for now, name, limits, rejected in rows:
        if rejected:
            setting = f"WUMP_PROVIDER_{name.upper().replace('-', '_')}_TOKEN"
            message = f"{name} rejects wump or its credentials: see {setting}, and `wump providers --seen`"
            found.append(Alert(f"credentials_rejected:{name}", "P2", message))
        for item in limits or ():
            limit, left = item.get("limit"), item.get("remaining")
            is_over = item.get("reset_at") and datetime.fromisoformat(item["reset_at"]) < now
            if limit and left is not None and left < LEAST_LEFT * limit and not is_over:
                message = f"{name} has {left} of {limit} requests ({item['resource']}) left until {item['reset_at']}"
                found.append(Alert(f"budget_low:{name}:{item['resource']}", "P4", message))
    return found


async def _find_schedules(connection: AsyncConnection) -> list[Alert]:
    rows = await schedules.list_schedules(connection)
    return [
        Alert(f"schedule_unusable:{row['name']}", "P3", f"the schedule {row['name']} is never due: {row['error']}")
        for row in rows
        if row["error"]
    ]
