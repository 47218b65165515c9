"""Schedules: which job is due by itself, and when. The database's clock counts, and a moment gets one run.

The rows are made from the jobs that the schedulers know; an operator may change when one is due, or pause it.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, Column, Integer, SmallInteger, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.errors import ConfigurationError
from wump_core.store.base import metadata, time_column

schedules = Table(
    "schedules",
    metadata,
    Column("name", Text, primary_key=True),
    Column("job", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("arguments", JSONB, nullable=False, server_default=text("'{}'")),
    Column("arguments_version", SmallInteger, nullable=False, server_default=text("1")),
    Column("queue", Text, nullable=False, server_default="low"),
    Column("cron", Text, nullable=False, comment="Minute, hour, day of month, month, day of week; in UTC."),
    Column("custom", Boolean, nullable=False, server_default=text("false"), comment="An operator has set cron."),
    Column("own_cron", Text, comment="What the job's code says; null: no scheduler has so far."),
    time_column("next_at", comment="Null: to be worked out, or it can't be, see error."),
    time_column("last_fire_at", comment="The moment that its last run stands for."),
    Column("skipped", Integer, nullable=False, server_default=text("0"), comment="Moments without a run before that."),
    time_column("paused_at"),
    Column("error", Text, comment="Why it is never due; null: it is."),
    CheckConstraint("queue IN ('high', 'normal', 'low')", name="queue"),
)

_SHOWN = (
    "name, job, subject, arguments, queue, cron, custom, own_cron, next_at, last_fire_at, skipped, paused_at, error"
)
_SHOWN_WITH_LAST_RUN = (
    f"SELECT {', '.join('s.' + column for column in _SHOWN.split(', '))}, last.id AS last_execution,"
    " last.state AS last_state, last.outcome AS last_outcome, last.finished_at AS last_finished_at"
    " FROM schedules s LEFT JOIN LATERAL (SELECT public_id AS id, state, outcome, finished_at"
    "   FROM job_executions e WHERE e.schedule = s.name ORDER BY e.fire_at DESC LIMIT 1) last ON true"
)
_OWN_CRON = "coalesce(own_cron, CASE WHEN NOT custom THEN cron END)"
"""A scheduler that doesn't know the column has left it empty."""


async def save_schedule(
    connection: AsyncConnection, name: str, *, job: str, subject: str, cron: str, queue: str, version: int
) -> None:
    """Make a schedule as the job's code states it, or bring it up to date; what an operator set stays."""
    await connection.execute(
        text(
            "INSERT INTO schedules AS s (name, job, subject, cron, own_cron, queue, arguments_version)"
            " VALUES (:name, :job, :subject, :cron, :cron, :queue, :version) ON CONFLICT (name) DO UPDATE SET"
            " own_cron = excluded.own_cron, job = excluded.job, subject = excluded.subject, queue = excluded.queue,"
            " arguments_version = excluded.arguments_version,"
            " cron = CASE WHEN s.custom THEN s.cron ELSE excluded.cron END,"
            " error = CASE WHEN s.custom OR s.cron = excluded.cron THEN s.error END,"
            " next_at = CASE WHEN s.custom OR s.cron = excluded.cron THEN s.next_at END"
            " WHERE (s.own_cron, s.job, s.subject, s.queue, s.arguments_version) IS DISTINCT FROM"
            "   (excluded.own_cron, excluded.job, excluded.subject, excluded.queue, excluded.arguments_version)"
            "   OR (NOT s.custom AND s.cron <> excluded.cron)"
        ),
        {"name": name, "job": job, "subject": subject, "cron": cron, "queue": queue, "version": version},
    )


async def claim_due_schedules(connection: AsyncConnection) -> list[Mapping[str, Any]]:
    """Lock the schedules that are due or whose next moment is to be worked out; those that others hold are theirs.

    Each has `now`, the database's time.
    """
    rows = await connection.execute(
        text(
            f"SELECT {_SHOWN}, arguments_version, now() AS now FROM schedules WHERE paused_at IS NULL AND error IS NULL"
            " AND (next_at IS NULL OR next_at <= now()) ORDER BY name FOR UPDATE SKIP LOCKED"
        )
    )
    return [row._mapping for row in rows]


async def save_fire(
    connection: AsyncConnection, name: str, *, next_at: datetime, fire_at: datetime | None, skipped: int
) -> None:
    """Note when a schedule is due next, and the moment that got its run; null: none yet."""
    await connection.execute(
        text(
            "UPDATE schedules SET next_at = :next_at, last_fire_at = coalesce(:fire_at, last_fire_at),"
            " skipped = CASE WHEN CAST(:fire_at AS timestamptz) IS NULL THEN skipped ELSE :skipped END"
            " WHERE name = :name"
        ),
        {"name": name, "next_at": next_at, "fire_at": fire_at, "skipped": skipped},
    )


async def save_schedule_error(connection: AsyncConnection, name: str, error: str, *, cron: str) -> None:
    """Note why a schedule with this expression is never due; it is left alone until its cron is set."""
    await connection.execute(
        text("UPDATE schedules SET error = :error, next_at = NULL WHERE name = :name AND cron = :cron"),
        {"name": name, "error": error, "cron": cron},
    )


async def change_schedule(
    connection: AsyncConnection, name: str, changes: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Change what is given of `cron` (null: back to the job's own), `arguments` and `paused`; the caller checked them.

    Returns the schedule as it is then; null if there is none of this name.

    Raises:
        ConfigurationError: The job's own expression is not known.
    """
    if "arguments" in changes:
        await set_schedule_arguments(connection, name, changes["arguments"])
    if "paused" in changes:
        await set_schedule_paused(connection, name, changes["paused"])
    is_set = "cron" not in changes or await set_schedule_cron(connection, name, changes["cron"])
    row = await get_schedule(connection, name)
    if row is not None and not is_set:
        raise ConfigurationError(
            "the job's own expression is not known: give one, or start a scheduler of this version first"
        )
    return row


async def set_schedule_cron(connection: AsyncConnection, name: str, cron: str | None) -> bool:
    """Set when a schedule is due; false if there is none of this name. The caller has checked the expression.

    Args:
        cron: An operator's wish, which stays when the job's own changes. Null: the job's own; false if it isn't known.
    """
    result = await connection.execute(
        text(
            f"UPDATE schedules SET cron = coalesce(CAST(:cron AS text), {_OWN_CRON}), own_cron = {_OWN_CRON},"
            " custom = CAST(:cron AS text) IS NOT NULL, next_at = NULL, error = NULL"
            f" WHERE name = :name AND coalesce(CAST(:cron AS text), {_OWN_CRON}) IS NOT NULL"
        ),
        {"name": name, "cron": cron},
    )
    return result.rowcount == 1


async def set_schedule_paused(connection: AsyncConnection, name: str, paused: bool) -> bool:
    """Pause or resume a schedule; false if there is none of this name. What passes meanwhile is not made up for."""
    result = await connection.execute(
        text(
            "UPDATE schedules SET paused_at = CASE WHEN :paused THEN coalesce(paused_at, now()) END,"
            " next_at = CASE WHEN NOT :paused AND paused_at IS NOT NULL THEN NULL ELSE next_at END WHERE name = :name"
        ),
        {"name": name, "paused": paused},
    )
    return result.rowcount == 1


async def set_schedule_arguments(connection: AsyncConnection, name: str, arguments: Mapping[str, Any]) -> bool:
    """Set what a schedule's runs are given; false if there is none of this name. The caller has checked them."""
    result = await connection.execute(
        text("UPDATE schedules SET arguments = CAST(:arguments AS jsonb) WHERE name = :name"),
        {"name": name, "arguments": json.dumps(dict(arguments))},
    )
    return result.rowcount == 1


async def list_schedules(connection: AsyncConnection) -> list[Mapping[str, Any]]:
    """All schedules by name, each with its last run: last_state, last_outcome, last_finished_at."""
    rows = await connection.execute(text(f"{_SHOWN_WITH_LAST_RUN} ORDER BY s.name"))
    return [row._mapping for row in rows]


async def get_schedule(connection: AsyncConnection, name: str) -> Mapping[str, Any] | None:
    """One schedule, as `list_schedules` has it."""
    rows = await connection.execute(text(f"{_SHOWN_WITH_LAST_RUN} WHERE s.name = :name"), {"name": name})
    row = rows.one_or_none()
    return None if row is None else row._mapping
