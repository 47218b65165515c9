"""What an operator has paused: jobs, whose runs aren't started, and providers, that aren't asked."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CheckConstraint, Column, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import metadata, time_column

KINDS = ("job", "provider")

pauses = Table(
    "pauses",
    metadata,
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False, comment="Of the job or the provider."),
    Column("reason", Text, comment="The operator's words."),
    time_column("paused_at", nullable=False, default_now=True),
    PrimaryKeyConstraint("kind", "name"),
    CheckConstraint(f"kind IN {KINDS}", name="kind"),
)


async def add_pause(connection: AsyncConnection, kind: str, name: str, *, reason: str | None = None) -> bool:
    """Pause a job or a provider; false if it was paused already. What runs goes on to its end.

    Args:
        kind: `job` or `provider`.
        name: Of one; nothing checks that it exists.
        reason: For whoever wonders later.
    """
    result = await connection.execute(
        text("INSERT INTO pauses (kind, name, reason) VALUES (:kind, :name, :reason) ON CONFLICT DO NOTHING"),
        {"kind": kind, "name": name, "reason": reason},
    )
    return result.rowcount == 1


async def remove_pause(connection: AsyncConnection, kind: str, name: str) -> bool:
    """Resume a job or a provider; false if it was not paused. What waited for it is due now."""
    result = await connection.execute(
        text("DELETE FROM pauses WHERE kind = :kind AND name = :name"), {"kind": kind, "name": name}
    )
    if kind == "provider":
        await connection.execute(
            text(
                "UPDATE job_executions SET due_at = now() WHERE state = 'pending' AND due_at > now()"
                " AND outcome->>'code' = 'paused' AND outcome->>'provider' = :name"
            ),
            {"name": name},
        )
    return result.rowcount == 1


async def list_pauses(connection: AsyncConnection) -> list[Mapping[str, Any]]:
    """All pauses: kind, name, reason, paused_at."""
    rows = await connection.execute(text("SELECT kind, name, reason, paused_at FROM pauses ORDER BY kind, name"))
    return [row._mapping for row in rows]
