"""Alerts: what an operator should look at, since when, and whether they were told."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CheckConstraint, Column, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import metadata, time_column

SEVERITIES = ("P1", "P2", "P3", "P4")
_LOCK = 0x77756D70_04

alerts = Table(
    "alerts",
    metadata,
    Column("name", Text, primary_key=True, comment="Such as dead_jobs, or budget_low:github."),
    Column("severity", Text, nullable=False),
    Column("message", Text, nullable=False),
    time_column("since", nullable=False, default_now=True),
    time_column("seen_at", nullable=False, default_now=True),
    time_column("told_at", comment="When it was last handed out for telling."),
    time_column("delivered_at", comment="When the webhook last took it."),
    time_column("ended_at", comment="When it was over; null: it is not."),
    CheckConstraint(f"severity IN {SEVERITIES}", name="severity"),
)


async def save_alert(connection: AsyncConnection, name: str, severity: str, message: str) -> None:
    """Note that something is wrong; the same again within its time is the same alert."""
    await connection.execute(
        text(
            "INSERT INTO alerts AS a (name, severity, message) VALUES (:name, :severity, :message)"
            " ON CONFLICT (name) DO UPDATE SET severity = excluded.severity, message = excluded.message,"
            " seen_at = now(), since = CASE WHEN a.ended_at IS NULL THEN a.since ELSE now() END,"
            " told_at = CASE WHEN a.ended_at IS NULL AND a.severity <= excluded.severity THEN a.told_at END,"
            " ended_at = NULL"
        ),
        {"name": name, "severity": severity, "message": message[:1_000]},
    )


async def end_alerts(connection: AsyncConnection, *, after_seconds: int) -> None:
    """Note that those are over that have not been seen for so long; what was over a month ago is forgotten."""
    await connection.execute(
        text(
            "UPDATE alerts SET ended_at = now(), told_at = NULL"
            " WHERE ended_at IS NULL AND seen_at < now() - make_interval(secs => :after)"
        ),
        {"after": after_seconds},
    )
    await connection.execute(text("DELETE FROM alerts WHERE ended_at < now() - interval '30 days'"))


async def claim_untold(
    connection: AsyncConnection, *, repeat_seconds: int, again_seconds: int | None
) -> list[Mapping[str, Any]]:
    """Take the alerts to tell now: new ones, worse ones, those that ended, and those that last; each goes to one.

    Of those that the webhook has not taken, `undelivered` is true: they were told elsewhere already.

    Args:
        repeat_seconds: How often one that lasts is told again.
        again_seconds: After which one that was not delivered is tried again, for a day; null: there is no webhook.
    """
    rows = await connection.execute(
        text(
            "UPDATE alerts SET told_at = now() WHERE told_at IS NULL"
            " OR (ended_at IS NULL AND told_at < now() - make_interval(secs => :repeat))"
            " OR (told_at < now() - make_interval(secs => CAST(:again AS int))"
            "   AND coalesce(delivered_at < told_at, true) AND coalesce(ended_at, now()) > now() - interval '1 day')"
            " RETURNING name, severity, message, since, ended_at,"
            " coalesce(old.told_at >= now() - make_interval(secs => :repeat), false) AS undelivered"
        ),
        {"repeat": repeat_seconds, "again": again_seconds},
    )
    return [row._mapping for row in rows]


async def save_delivery(connection: AsyncConnection, names: list[str]) -> None:
    """Note that the webhook took these alerts."""
    await connection.execute(
        text("UPDATE alerts SET delivered_at = now() WHERE name = ANY(CAST(:names AS text[]))"), {"names": names}
    )


async def list_alerts(connection: AsyncConnection, *, limit: int = 100) -> list[Mapping[str, Any]]:
    """What is wrong now, the worst first, and then what was, the last first."""
    rows = await connection.execute(
        text(
            "SELECT name, severity, message, since, seen_at, delivered_at, ended_at FROM alerts"
            " ORDER BY ended_at DESC NULLS FIRST, severity, since LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [row._mapping for row in rows]


async def try_to_lead(connection: AsyncConnection) -> bool:
    """Whether this transaction is the only one of its kind; the others need not look."""
    return (await connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK})).scalar_one()
