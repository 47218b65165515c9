"""Sources and the statements they make: the evidence beneath every answer.

A source is one thing that says something, here the latest version of a package in its registry. A statement
is one line of it: this needs that. A statement that a source no longer makes is marked, not deleted.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.records import DependencyRecord, Diagnostic, Scope
from wump_core.store.base import fill_temporary_table, key_column, metadata, time_column

SCOPE_BITS: dict[str, int] = {scope: 1 << position for position, scope in enumerate(get_args(Scope))}
"""A statement holds one scope's bit; a dependency holds the union of its statements' bits."""

sources = Table(
    "sources",
    metadata,
    key_column(),
    Column("kind", Text, nullable=False),
    Column("provider", Text, nullable=False, comment="Name of the provider that told it."),
    Column("package_id", BigInteger, ForeignKey("packages.id"), comment="The publishing package."),
    Column("repository_id", BigInteger, ForeignKey("repositories.id"), comment="Null: it names none."),
    Column("repository_verified", Boolean, nullable=False, server_default=text("false")),
    Column("revision", Text, comment="The version of the package."),
    Column("diagnostics", JSONB, nullable=False, server_default=text("'[]'")),
    time_column("checked_at", nullable=False, default_now=True),
    UniqueConstraint("package_id", "provider", "kind"),
    Index("ix_sources_repository_id", "repository_id"),
    CheckConstraint("kind IN ('registry_version')", name="kind"),
)

statements = Table(
    "statements",
    metadata,
    key_column(),
    Column("package_id", BigInteger, ForeignKey("packages.id"), nullable=False, comment="What is needed."),
    Column("source_id", BigInteger, ForeignKey("sources.id"), nullable=False, comment="Who says so."),
    Column("scope", SmallInteger, nullable=False, comment=f"One bit of {', '.join(SCOPE_BITS)}"),
    Column("optional", Boolean, nullable=False),
    Column("direct", Boolean, nullable=False),
    Column("requirement", Text, comment="The range as written."),
    Column("resolved_version", Text),
    Column("alias", Text),
    Column("groups", ARRAY(Text), nullable=False),
    Column("marker", Text),
    Column("field", Text, comment="The key of the document it stands under."),
    Column("line", Integer),
    Column("fingerprint", Uuid, nullable=False, comment="Hash of all that makes it this statement, but for its line."),
    time_column("first_seen_at", nullable=False, default_now=True),
    time_column("removed_at"),
    Index(
        "uq_statements_current",
        "source_id",
        "package_id",
        "fingerprint",
        unique=True,
        postgresql_where=text("removed_at IS NULL"),
    ),
    Index("ix_statements_package_id", "package_id", postgresql_where=text("removed_at IS NULL")),
)


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What saving a source changed: the packages whose statements differ, and whether its revision does."""

    changed: frozenset[int]
    revised: bool


async def save_package_source(
    connection: AsyncConnection,
    provider: str,
    package_id: int,
    revision: str | None,
    dependencies: Sequence[DependencyRecord],
    diagnostics: Sequence[Diagnostic],
    package_ids: Mapping[str, int],
) -> SourceChange:
    """Make what a package's latest version says exactly this; statements that already say it are left alone.

    The caller holds the lock on the publishing package, so nobody else writes this source meanwhile.
    """
    values = {
        "provider": provider,
        "package_id": package_id,
        "revision": revision,
        "diagnostics": json.dumps([item.model_dump(exclude_none=True) for item in diagnostics]),
    }
    source = (await connection.execute(_SAVE_SOURCE, values)).one()
    rows = _rows(dependencies, package_ids)
    await fill_temporary_table(connection, "incoming_statements", _INCOMING, _COLUMNS, rows)
    removed = (await connection.execute(_REMOVE, {"source_id": source.id})).scalars().all()
    added = (await connection.execute(_ADD, {"source_id": source.id})).scalars().all()
    return SourceChange(frozenset(removed) | frozenset(added), source.revised)


async def move_sources(
    connection: AsyncConnection, package_id: int, repository_id: int | None, *, verified: bool
) -> None:
    """Let everything that a package says be said of this repository from now on."""
    await connection.execute(
        text(
            "UPDATE sources SET repository_id = :repository_id, repository_verified = :verified"
            " WHERE package_id = :package_id"
        ),
        {"package_id": package_id, "repository_id": repository_id, "verified": verified},
    )


async def list_stated_packages(connection: AsyncConnection, package_id: int) -> frozenset[int]:
    """The packages that a package's current statements name."""
    rows = await connection.execute(
        text(
            # The array keeps the planner on the index whatever it believes about the tables.
            "SELECT DISTINCT package_id FROM statements WHERE removed_at IS NULL"
            " AND source_id = ANY(ARRAY(SELECT id FROM sources WHERE package_id = :package_id))"
        ),
        {"package_id": package_id},
    )
    return frozenset(rows.scalars())


def _rows(dependencies: Sequence[DependencyRecord], package_ids: Mapping[str, int]) -> list[tuple[object, ...]]:
    """One row per distinct statement about a registry package."""
    rows = {}
    for item in dependencies:
        if item.purl is None:
            continue
        row = (
            package_ids[item.purl],
            SCOPE_BITS[item.scope],
            item.optional,
            item.direct,
            item.requirement,
            item.resolved_version,
            item.alias,
            list(item.groups),
            item.marker,
            item.field,
        )
        digest = hashlib.blake2b(json.dumps(row[1:]).encode(), digest_size=16).hexdigest()
        rows.setdefault((row[0], digest), (*row, item.line, digest))
    return list(rows.values())


_COLUMNS = (
    *("package_id", "scope", "optional", "direct", "requirement", "resolved_version", "alias", "groups", "marker"),
    *("field", "line", "fingerprint"),
)
_INCOMING = (
    "package_id bigint, scope smallint, optional boolean, direct boolean, requirement text, resolved_version text,"
    " alias text, groups text[], marker text, field text, line integer, fingerprint uuid"
)
_SAVE_SOURCE = text(
    "INSERT INTO sources (kind, provider, package_id, repository_id, repository_verified, revision, diagnostics)"
    " SELECT 'registry_version', :provider, id, repository_id, repository_verified, :revision,"
    " CAST(:diagnostics AS jsonb) FROM packages WHERE id = :package_id"
    " ON CONFLICT (package_id, provider, kind) DO UPDATE SET revision = excluded.revision,"
    " diagnostics = excluded.diagnostics, checked_at = now()"
    " RETURNING new.id, old.id IS NOT NULL AND old.revision IS DISTINCT FROM new.revision AS revised"
)
_REMOVE = text(
    "UPDATE statements s SET removed_at = now() WHERE s.source_id = :source_id AND s.removed_at IS NULL"
    " AND NOT EXISTS (SELECT FROM incoming_statements i"
    "   WHERE i.package_id = s.package_id AND i.fingerprint = s.fingerprint) RETURNING s.package_id"
)
_ADD = text(
    f"INSERT INTO statements (source_id, {', '.join(_COLUMNS)})"
    f" SELECT :source_id, {', '.join('i.' + column for column in _COLUMNS)} FROM incoming_statements i"
    " WHERE NOT EXISTS (SELECT FROM statements s WHERE s.source_id = :source_id AND s.removed_at IS NULL"
    "   AND s.package_id = i.package_id AND s.fingerprint = i.fingerprint)"
    " ORDER BY i.package_id, i.fingerprint RETURNING package_id"
)
