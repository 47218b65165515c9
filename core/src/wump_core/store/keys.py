"""Keys of the API: who may call, how much, and until when. A secret itself is never kept.

A key has one secret, or two while it is rotated. Each secret has a public prefix, by which its row is found, and a
bcrypt hash; `precheck` is a small part of its SHA-256, which tells wrong secrets before bcrypt is asked.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import key_column, metadata, public_id_column, time_column

TIERS = ("free", "standard", "premium", "operator")
"""What a key may be; the API's table says what each may do."""

api_keys = Table(
    "api_keys",
    metadata,
    key_column(),
    public_id_column(),
    Column("name", Text, nullable=False, comment="Whose it is, or what for."),
    Column("tier", Text, nullable=False),
    Column("requests_per_hour", Integer, comment="Instead of the tier's; null: the tier's."),
    Column("requests_per_burst", Integer, comment="Instead of the tier's; null: the tier's."),
    Column("areas", ARRAY(Text), comment="What it may do, instead of the tier's; null: the tier's."),
    Column("created_by", Text, nullable=False, comment="`command line`, or the name of the key that made it."),
    time_column("created_at", nullable=False, default_now=True),
    time_column("expires_at"),
    time_column("revoked_at"),
    time_column("last_used_at", comment="To the minute."),
    CheckConstraint(f"tier IN ({', '.join(repr(tier) for tier in TIERS)})", name="tier"),
)

api_key_secrets = Table(
    "api_key_secrets",
    metadata,
    Column("prefix", Text, primary_key=True, comment="Its public part."),
    Column("key_id", BigInteger, ForeignKey("api_keys.id", ondelete="CASCADE"), nullable=False),
    Column("precheck", LargeBinary, nullable=False),
    Column("hash", Text, nullable=False, comment="bcrypt."),
    time_column("created_at", nullable=False, default_now=True),
    time_column("expires_at", comment="Set when another secret replaces it."),
    Index("ix_api_key_secrets_key_id", "key_id"),
)

_SHOWN = (
    "k.public_id AS id, k.name, k.tier, k.requests_per_hour, k.requests_per_burst, k.areas, k.created_by, k.created_at,"
    " k.expires_at, k.revoked_at, k.last_used_at,"
    " ARRAY(SELECT prefix FROM api_key_secrets s WHERE s.key_id = k.id AND (s.expires_at IS NULL OR"
    " s.expires_at > now()) ORDER BY s.created_at DESC, prefix) AS prefixes"
)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What is kept of a secret that was just made."""

    prefix: str
    precheck: bytes
    hash: str


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be made. Null limits and areas are those of the tier; null `expires_at`: it doesn't expire."""

    name: str
    tier: str
    requests_per_hour: int | None = None
    requests_per_burst: int | None = None
    areas: list[str] | None = None
    expires_at: datetime | None = None


async def add_key(connection: AsyncConnection, key: NewKey, secret: NewSecret, *, created_by: str) -> UUID:
    """A new key with its first secret. Returns its public id."""
    row = (
        await connection.execute(
            text(
                "INSERT INTO api_keys (name, tier, requests_per_hour, requests_per_burst, areas, expires_at,"
                " created_by) VALUES (:name, :tier, :hour, :burst, CAST(:areas AS text[]), :expires_at, :created_by)"
                " RETURNING id, public_id"
            ),
            {
                "name": key.name,
                "tier": key.tier,
                "hour": key.requests_per_hour,
                "burst": key.requests_per_burst,
                "areas": key.areas,
                "expires_at": key.expires_at,
                "created_by": created_by,
            },
        )
    ).one()
    await _add_secret(connection, row.id, secret)
    public_id: UUID = row.public_id
    return public_id


async def list_secrets(connection: AsyncConnection, prefixes: Iterable[str]) -> dict[str, Row]:
    """The secrets of these prefixes with their keys, by prefix; `is_live`: neither is revoked or expired."""
    found = await connection.execute(
        text(
            "SELECT s.prefix, k.id AS key, k.public_id AS id, k.name, k.tier, k.requests_per_hour,"
            " k.requests_per_burst, k.areas, s.precheck, s.hash, k.revoked_at IS NULL"
            " AND coalesce(k.expires_at > now(), true) AND coalesce(s.expires_at > now(), true) AS is_live"
            " FROM api_key_secrets s JOIN api_keys k ON k.id = s.key_id"
            " WHERE s.prefix = ANY(CAST(:prefixes AS text[]))"
        ),
        {"prefixes": list(prefixes)},
    )
    return {row["prefix"]: row for row in found.mappings()}


async def get_key(connection: AsyncConnection, public_id: UUID) -> Row | None:
    """A key as operators see it, with the prefixes of its live secrets, newest first."""
    found = await connection.execute(text(f"SELECT {_SHOWN} FROM api_keys k WHERE public_id = :id"), {"id": public_id})
    return found.mappings().first()


async def list_keys(connection: AsyncConnection, *, after: UUID | None, limit: int) -> Sequence[Row]:
    """Keys as operators see them, oldest first."""
    found = await connection.execute(
        text(
            f"SELECT {_SHOWN} FROM api_keys k WHERE CAST(:after AS uuid) IS NULL OR public_id > :after"
            " ORDER BY public_id LIMIT :limit"
        ),
        {"after": after, "limit": limit},
    )
    return found.mappings().all()


async def replace_secret(
    connection: AsyncConnection, public_id: UUID, secret: NewSecret, *, overlap_seconds: int
) -> bool:
    """Give a live key another secret; its earlier ones end after the overlap, if not sooner. False: no such key."""
    key = (
        await connection.execute(
            text(
                "SELECT id FROM api_keys WHERE public_id = :id AND revoked_at IS NULL"
                " AND coalesce(expires_at > now(), true) FOR UPDATE"
            ),
            {"id": public_id},
        )
    ).scalar()
    if key is None:
        return False
    await connection.execute(
        text(
            "UPDATE api_key_secrets SET expires_at = least(expires_at, now() + make_interval(secs => :overlap))"
            " WHERE key_id = :key"
        ),
        {"key": key, "overlap": overlap_seconds},
    )
    await _add_secret(connection, key, secret)
    return True


async def save_revoked(connection: AsyncConnection, public_id: UUID) -> bool:
    """Revoke a key, once and for all; one that is revoked stays so. False: no such key."""
    found = await connection.execute(
        text("UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE public_id = :id"), {"id": public_id}
    )
    return found.rowcount > 0


async def save_key_use(connection: AsyncConnection, keys: Iterable[int]) -> None:
    """Note that these keys were used just now, to the minute."""
    await connection.execute(
        text(
            "UPDATE api_keys SET last_used_at = now() WHERE id = ANY(:keys)"
            " AND coalesce(last_used_at < now() - interval '1 minute', true)"
        ),
        {"keys": sorted(keys)},
    )


async def _add_secret(connection: AsyncConnection, key: int, secret: NewSecret) -> None:
    await connection.execute(
        text("INSERT INTO api_key_secrets (prefix, key_id, precheck, hash) VALUES (:prefix, :key, :precheck, :hash)"),
        {"prefix": secret.prefix, "key": key, "precheck": secret.precheck, "hash": secret.hash},
    )
