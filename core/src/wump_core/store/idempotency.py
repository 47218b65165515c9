"""Answers of requests with an `Idempotency-Key`, so that a client that tries again gets the first answer again."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import metadata, time_column

KEPT_HOURS = 24
CLAIM_SECONDS = 120
"""After so long, a request without an answer counts as lost; it is longer than any request may take."""
_PRUNED_AT_ONCE = 100

idempotent_requests = Table(
    "idempotent_requests",
    metadata,
    Column("caller", Text, nullable=False, comment="Whose word it is: each caller has words of their own."),
    Column("word", Text, nullable=False, comment="The Idempotency-Key."),
    Column("fingerprint", LargeBinary, nullable=False, comment="Of method, path and body."),
    Column("status", Integer, comment="Null: not answered yet."),
    Column("headers", JSONB, comment="Null: not answered yet, or an answer that is not kept."),
    Column("body", LargeBinary, comment="Null: as headers."),
    time_column("created_at", nullable=False, default_now=True),
    PrimaryKeyConstraint("caller", "word"),
    Index("ix_idempotent_requests_created_at", "created_at"),
)


async def add_request(
    connection: AsyncConnection, caller: str, word: str, fingerprint: bytes
) -> Mapping[str, Any] | None:
    """Claim a word for a request. Returns what is there of an earlier one; null: it is claimed, go on."""
    await connection.execute(
        text(
            "DELETE FROM idempotent_requests WHERE (caller, word) IN (SELECT caller, word FROM idempotent_requests"
            " WHERE created_at < now() - make_interval(hours => :hours) ORDER BY created_at LIMIT :limit"
            " FOR UPDATE SKIP LOCKED)"
        ),
        {"hours": KEPT_HOURS, "limit": _PRUNED_AT_ONCE},
    )
    claimed = await connection.execute(
        text(
            "INSERT INTO idempotent_requests AS r (caller, word, fingerprint) VALUES (:caller, :word, :fingerprint)"
            " ON CONFLICT (caller, word) DO UPDATE SET fingerprint = excluded.fingerprint, created_at = now(),"
            " status = NULL, headers = NULL, body = NULL"
            " WHERE r.created_at < now() - make_interval(hours => :hours)"
            " OR (r.status IS NULL AND r.created_at < now() - make_interval(secs => :claim)) RETURNING 1"
        ),
        {
            "caller": caller,
            "word": word,
            "fingerprint": fingerprint,
            "hours": KEPT_HOURS,
            "claim": CLAIM_SECONDS,
        },
    )
    if claimed.first():
        return None
    found = await connection.execute(
        text(
            "SELECT fingerprint, status, headers, body FROM idempotent_requests WHERE caller = :caller AND word = :word"
        ),
        {"caller": caller, "word": word},
    )
    return found.mappings().first()


async def save_answer(
    connection: AsyncConnection,
    caller: str,
    word: str,
    *,
    status: int,
    headers: str | None,
    body: bytes | None,
) -> None:
    """Keep the answer of a claimed word. `headers` as JSON text; without headers and body, only that it was given."""
    await connection.execute(
        text(
            "UPDATE idempotent_requests SET status = :status, headers = CAST(:headers AS jsonb), body = :body"
            " WHERE caller = :caller AND word = :word"
        ),
        {"caller": caller, "word": word, "status": status, "headers": headers, "body": body},
    )


async def remove_request(connection: AsyncConnection, caller: str, word: str) -> None:
    """Forget a claim whose request came to nothing, so that it can be tried again."""
    await connection.execute(
        text("DELETE FROM idempotent_requests WHERE caller = :caller AND word = :word AND status IS NULL"),
        {"caller": caller, "word": word},
    )
