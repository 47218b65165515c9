"""Answers of upstreams that are kept, so that asking again costs an upstream little (RFC 9111).

A cache and nothing more: the table is unlogged, bounded, and may be emptied at any moment.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import metadata, time_column

_PRUNE_LOCK = 0x77756D70_04

responses = Table(
    "responses",
    metadata,
    Column(
        "key", LargeBinary, primary_key=True, comment="Hash of provider, credential, address and what was asked for."
    ),
    Column("provider", Text, nullable=False),
    Column("headers", Text, nullable=False, comment="JSON: the answer's headers, and what it varied by."),
    Column("body", LargeBinary, nullable=False, comment="Compressed by zlib."),
    Column("body_bytes", Integer, nullable=False, comment="Uncompressed."),
    time_column("fresh_until"),
    time_column("stored_at", nullable=False, default_now=True),
    time_column("used_at", nullable=False, default_now=True),
    Index("ix_responses_used_at", "used_at"),
    prefixes=["UNLOGGED"],
)


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """A kept answer. `vary` are the request's headers that it was given for."""

    headers: Mapping[str, str]
    vary: Mapping[str, str]
    body: bytes
    body_bytes: int
    age_seconds: float
    is_fresh: bool


async def get_response(connection: AsyncConnection, key: bytes) -> StoredResponse | None:
    """The answer that is kept under this key."""
    row = (
        await connection.execute(
            text(
                "SELECT headers, body, body_bytes, coalesce(fresh_until > now(), false) AS is_fresh,"
                " extract(epoch FROM now() - stored_at)::float8 AS age FROM responses WHERE key = :key"
            ),
            {"key": key},
        )
    ).first()
    if row is None:
        return None
    kept = json.loads(row.headers)
    return StoredResponse(kept["headers"], kept["vary"], row.body, row.body_bytes, row.age, row.is_fresh)


async def save_response(
    connection: AsyncConnection, key: bytes, provider: str, response: StoredResponse, *, fresh_seconds: float
) -> None:
    """Keep an answer, in place of the one before."""
    await connection.execute(
        text(
            "INSERT INTO responses (key, provider, headers, body, body_bytes, fresh_until)"
            " VALUES (:key, :provider, :headers, :body, :bytes, now() + make_interval(secs => :fresh))"
            " ON CONFLICT (key) DO UPDATE SET headers = excluded.headers, body = excluded.body,"
            " body_bytes = excluded.body_bytes, fresh_until = excluded.fresh_until, stored_at = now(), used_at = now()"
        ),
        {
            "key": key,
            "provider": provider,
            "headers": _pack(response),
            "body": response.body,
            "bytes": response.body_bytes,
            "fresh": fresh_seconds,
        },
    )


async def save_revalidated(
    connection: AsyncConnection, key: bytes, response: StoredResponse, *, fresh_seconds: float
) -> None:
    """Note that the upstream says it is still so: with new headers, the body as it was."""
    await connection.execute(
        text(
            "UPDATE responses SET headers = :headers, fresh_until = now() + make_interval(secs => :fresh),"
            " stored_at = now(), used_at = now() WHERE key = :key"
        ),
        {"key": key, "headers": _pack(response), "fresh": fresh_seconds},
    )


async def remove_old_responses(connection: AsyncConnection, *, max_bytes: int, max_age_days: int) -> int:
    """Forget what nobody asked for lately, and the least lately used beyond so many bytes. Returns how many.

    One process does it at a time; the others get 0.
    """
    if not (
        await connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _PRUNE_LOCK})
    ).scalar_one():
        return 0
    result = await connection.execute(
        text(
            "DELETE FROM responses WHERE used_at < now() - make_interval(days => :days) OR key IN ("
            " SELECT key FROM (SELECT key, sum(length(body) + length(headers)) OVER (ORDER BY used_at DESC, key)"
            "   AS total FROM responses) r WHERE total > :bytes)"
        ),
        {"days": max_age_days, "bytes": max_bytes},
    )
    return result.rowcount


def _pack(response: StoredResponse) -> str:
    return json.dumps({"headers": dict(response.headers), "vary": dict(response.vary)})
