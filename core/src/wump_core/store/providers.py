"""What is known of the providers, and what each was asked: when, and with which success."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import metadata, time_column

providers = Table(
    "providers",
    metadata,
    Column("name", Text, primary_key=True),
    Column("distribution", Text),
    Column("version", Text),
    Column("state", Text, nullable=False, comment="active, or broken with its reason."),
    Column("reason", Text),
    Column("title", Text),
    Column("provider_type", Text),
    Column("ecosystems", ARRAY(Text), nullable=False),
    Column("capabilities", ARRAY(Text), nullable=False),
    Column("rate_limit", Text),
    Column("licence", Text),
    Column("attribution", Text),
    Column("terms", Text),
    Column("healthy", Boolean, comment="Whether the workers ask its upstream; null: not reported yet."),
    Column("health", Text, comment="Why they don't."),
    Column(
        "limits", JSONB, comment="What its upstream says is left: a list of {resource, limit, remaining, reset_at}."
    ),
    time_column("last_ok_at"),
    time_column("last_error_at"),
    Column("last_error", Text),
    time_column("seen_at", nullable=False, default_now=True),
    time_column("blocked_at", comment="When it last blocked a worker; such a version is left out for an hour."),
)

provider_subjects = Table(
    "provider_subjects",
    metadata,
    Column("provider", Text, nullable=False),
    Column("capability", Text, nullable=False, comment="The hook that was called."),
    Column("subject", Text, nullable=False, comment="What it was asked about, such as a purl."),
    time_column("last_attempt_at", nullable=False),
    time_column("last_ok_at"),
    Column("error", Text, comment="Why the last attempt failed; null: it did not."),
    Column("cursor", Text, comment="Where a list goes on that takes more than one call; null: at its beginning."),
    Column(
        "complete",
        Boolean,
        comment="Whether the upstream left out nothing of what was walked over; null: it is no list.",
    ),
    Column("upstream_count", BigInteger, comment="How many there are, as the upstream counts; null: it does not."),
    time_column("walked_at", comment="When its end was reached last."),
    PrimaryKeyConstraint("subject", "capability", "provider"),
)

_FIELDS = (
    *("distribution", "version", "state", "reason", "title", "provider_type", "ecosystems", "capabilities"),
    *("rate_limit", "licence", "attribution", "terms"),
)


async def save_providers(connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Note what a worker has loaded; providers that it does not name any more are forgotten."""
    names = [row["name"] for row in rows]
    await connection.execute(
        text("DELETE FROM providers WHERE NOT name = ANY(CAST(:names AS text[]))"), {"names": names}
    )
    for row in sorted(rows, key=lambda row: row["name"]):
        await connection.execute(
            text(
                f"INSERT INTO providers (name, {', '.join(_FIELDS)})"
                f" VALUES (:name, {', '.join(':' + field for field in _FIELDS)}) ON CONFLICT (name) DO UPDATE SET "
                + ", ".join(f"{field} = excluded.{field}" for field in _FIELDS)
                + ", seen_at = now()"
            ),
            dict(row),
        )


async def save_blocking_provider(connection: AsyncConnection, name: str, reason: str) -> None:
    """Note that a provider blocked a worker."""
    await connection.execute(
        text("UPDATE providers SET state = 'broken', reason = :reason, blocked_at = now() WHERE name = :name"),
        {"name": name, "reason": reason},
    )


async def list_blocking_providers(connection: AsyncConnection) -> list[tuple[str, str, str]]:
    """(name, version, reason) of those that blocked a worker within the last hour."""
    rows = await connection.execute(
        text(
            "SELECT name, coalesce(version, ''), coalesce(reason, '') FROM providers"
            " WHERE blocked_at > now() - interval '1 hour' AND state = 'broken'"
        )
    )
    return [(name, version, reason) for name, version, reason in rows]


async def save_provider_status(connection: AsyncConnection, row: Mapping[str, Any]) -> None:
    """Note what a worker saw of a provider's upstream; of what several saw, the newest stands.

    Args:
        row: `name`, `healthy`, `health`, `limits` as JSON, `last_ok_at`, `last_error_at`, `last_error`.
    """
    await connection.execute(
        text(
            "UPDATE providers SET healthy = :healthy, health = :health, limits = CAST(:limits AS jsonb),"
            " last_ok_at = greatest(last_ok_at, CAST(:last_ok_at AS timestamptz)),"
            " last_error = CASE WHEN CAST(:last_error_at AS timestamptz) > last_error_at OR last_error_at IS NULL"
            "   THEN :last_error ELSE last_error END,"
            " last_error_at = greatest(last_error_at, CAST(:last_error_at AS timestamptz)), seen_at = now()"
            " WHERE name = :name"
        ),
        dict(row),
    )


async def list_provider_reports(connection: AsyncConnection) -> list[Mapping[str, Any]]:
    """What workers saw of each provider's upstream, by name."""
    rows = await connection.execute(
        text(
            "SELECT name, healthy, health, limits, last_ok_at, last_error_at, last_error, seen_at FROM providers"
            " ORDER BY name"
        )
    )
    return [row._mapping for row in rows]


async def list_feed_lags(connection: AsyncConnection) -> dict[str, float]:
    """By provider, the seconds since its feed of changes was last read to its end or as far as it went."""
    rows = await connection.execute(
        text(
            "SELECT provider, extract(epoch FROM now() - max(last_ok_at))::float8 AS lag FROM provider_subjects"
            " WHERE capability = 'fetch_changes' AND last_ok_at IS NOT NULL GROUP BY provider"
        )
    )
    return {row.provider: row.lag for row in rows}


async def save_attempt(
    connection: AsyncConnection, provider: str, capability: str, subject: str, *, error: str | None
) -> None:
    """Note that a provider was asked about a subject."""
    await connection.execute(
        text(
            "INSERT INTO provider_subjects AS s (provider, capability, subject, last_attempt_at, last_ok_at, error)"
            " VALUES (:provider, :capability, :subject, now(), CASE WHEN CAST(:error AS text) IS NULL THEN now() END,"
            " :error) ON CONFLICT (subject, capability, provider) DO UPDATE SET last_attempt_at = now(),"
            " last_ok_at = coalesce(excluded.last_ok_at, s.last_ok_at), error = excluded.error"
        ),
        {"provider": provider, "capability": capability, "subject": subject, "error": error},
    )


@dataclass(frozen=True, slots=True)
class Walk:
    """How far a list was walked that takes more than one call. Without a cursor it is at its beginning."""

    cursor: str | None = None
    complete: bool | None = None
    walked_at: datetime | None = None


async def get_walk(connection: AsyncConnection, provider: str, capability: str, subject: str) -> Walk:
    """Where a list goes on."""
    row = (
        await connection.execute(
            text(
                "SELECT cursor, complete, walked_at FROM provider_subjects"
                " WHERE provider = :provider AND capability = :capability AND subject = :subject"
            ),
            {"provider": provider, "capability": capability, "subject": subject},
        )
    ).first()
    return Walk(row.cursor, row.complete, row.walked_at) if row else Walk()


async def save_page(
    connection: AsyncConnection,
    provider: str,
    capability: str,
    subject: str,
    *,
    cursor: str | None,
    at_end: bool,
    complete: bool,
    upstream_count: int | None = None,
) -> None:
    """Note that a page of a list was saved, in the transaction that saves it.

    Args:
        cursor: Where the next call goes on; null: at the beginning.
        at_end: Whether this was the last page for now.
        complete: Whether the upstream left nothing out of it.
        upstream_count: How many there are in all, where the upstream tells.
    """
    await connection.execute(
        _SAVE_PAGE,
        {
            "provider": provider,
            "capability": capability,
            "subject": subject,
            "cursor": cursor,
            "at_end": at_end,
            "complete": complete,
            "upstream_count": upstream_count,
        },
    )


async def begin_anew(connection: AsyncConnection, provider: str, capability: str, subject: str) -> None:
    """Forget where a list goes on, as its upstream can't tell what the cursor means any more."""
    await connection.execute(
        text(
            "UPDATE provider_subjects SET cursor = NULL"
            " WHERE provider = :provider AND capability = :capability AND subject = :subject"
        ),
        {"provider": provider, "capability": capability, "subject": subject},
    )


_SAVE_PAGE = text(
    "INSERT INTO provider_subjects AS s (provider, capability, subject, last_attempt_at, last_ok_at, cursor, complete,"
    " upstream_count, walked_at) VALUES (:provider, :capability, :subject, now(), now(), :cursor, :complete,"
    " CAST(:upstream_count AS bigint), CASE WHEN CAST(:at_end AS boolean) THEN now() END)"
    " ON CONFLICT (subject, capability, provider) DO UPDATE SET last_attempt_at = now(), last_ok_at = now(),"
    " error = NULL, cursor = excluded.cursor,"
    # A walk is as complete as all of its pages.
    " complete = excluded.complete AND (s.cursor IS NULL OR s.complete IS NOT FALSE),"
    " upstream_count = coalesce(excluded.upstream_count, s.upstream_count),"
    " walked_at = coalesce(excluded.walked_at, s.walked_at)"
)
