"""Sources and the statements they make: the evidence beneath every answer.

A source is one thing that says something: the latest version of a package in its registry, or a file of a
repository. A statement is one line of it: this needs that. A statement that a source no longer makes is marked, not
deleted.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Row,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.records import DependencyRecord, Diagnostic, PackageRecord, Scope
from wump_core.store.base import fill_temporary_table, key_column, metadata, raw_connection, time_column

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
    Column(
        "repository_verified", Boolean, nullable=False, server_default=text("false"), comment="It is the repository's."
    ),
    Column("refuted", Boolean, nullable=False, server_default=text("false"), comment="The repository's files deny it."),
    Column("revision", Text, comment="The version of the package, or the commit."),
    Column("path", Text, comment="Of a file, from its repository's root."),
    Column("url", Text, comment="Where a file can be read at that commit."),
    Column("project", Text, comment="The purl that a file calls itself."),
    Column("mark", Text, comment="Why a file does not count: vendored or example; null: it counts."),
    Column("content", Text, comment="The host's id of a file's content: the same content, the same id."),
    Column(
        "copied",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="Many owners have a file of this content, so it says nothing about any.",
    ),
    Column("parse_key", Uuid, comment="Hash of all that reading a file depends on; null: it must be read."),
    Column("reads", ARRAY(Text), comment="Files beside it that were read with a file."),
    Column("error", Text, comment="Why a file could not be read; its statements are those of the time before."),
    Column("funding", JSONB, comment="Where a file asks for money."),
    time_column("gone_at", comment="When a file was missing first."),
    Column("diagnostics", JSONB, nullable=False, server_default=text("'[]'")),
    time_column("checked_at", nullable=False, default_now=True),
    UniqueConstraint("package_id", "provider", "kind"),
    Index("ix_sources_repository_id", "repository_id"),
    Index(
        "uq_sources_file",
        "repository_id",
        "path",
        "provider",
        unique=True,
        postgresql_where=text("package_id IS NULL"),
    ),
    Index("ix_sources_content", "content", postgresql_where=text("content IS NOT NULL")),
    CheckConstraint("kind IN ('registry_version', 'manifest', 'lockfile', 'aggregator')", name="kind"),
    CheckConstraint("mark IN ('vendored', 'example')", name="mark"),
)

statements = Table(
    "statements",
    metadata,
    Column("id", BigInteger, Identity(always=True), nullable=False),
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
    # The package is in all keys of the big tables: it is what they can be partitioned by.
    PrimaryKeyConstraint("package_id", "id"),
    Index(
        "uq_statements_current",
        "source_id",
        "package_id",
        "fingerprint",
        unique=True,
        postgresql_where=text("removed_at IS NULL"),
    ),
    Index("ix_statements_removed_at", "removed_at", "id", postgresql_where=text("removed_at IS NOT NULL")),
    Index("ix_statements_removed_source", "source_id", "removed_at", postgresql_where=text("removed_at IS NOT NULL")),
)


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What saving a source changed: the packages whose statements differ, and whether its revision does."""

    changed: frozenset[int] = frozenset()
    revised: bool = False


async def save_package_sources(
    connection: AsyncConnection, provider: str, records: Mapping[int, PackageRecord], package_ids: Mapping[str, int]
) -> dict[int, SourceChange]:
    """Make what packages' latest versions say exactly this; statements that already say it are left alone.

    The caller holds the locks on the publishing packages, so nobody else writes these sources meanwhile.

    Args:
        records: By the key of the package, each with known dependencies.
        package_ids: Keys of the packages that they name.

    Returns:
        What changed, by the key of the package; packages without a change are left out.
    """
    if not records:
        return {}
    ordered = sorted(records)
    saved = await _save_sources(connection, provider, records)
    rows = [
        (source.id, *row)
        for source in saved
        for row in make_statement_rows(records[source.package_id].dependencies or (), package_ids)
    ]
    changed = await replace_statements(connection, rows, known=[source.id for source in saved if source.known])
    outdone: dict[int, set[int]] = {}
    for row in await connection.execute(_OUTDO_AGGREGATORS, {"package_ids": ordered}):
        outdone.setdefault(row.dependent_id, set()).add(row.package_id)
    return {
        source.package_id: SourceChange(
            frozenset({*changed.get(source.id, ()), *outdone.get(source.package_id, ())}), source.revised
        )
        for source in saved
        if source.revised or source.id in changed or source.package_id in outdone
    }


async def add_package_sources(
    connection: AsyncConnection, provider: str, records: Mapping[int, PackageRecord], package_ids: Mapping[str, int]
) -> None:
    """Save what packages' latest versions say, where nobody has said anything of them yet: nothing is compared.

    Args:
        provider: Who tells it.
        records: By the key of the package, each with known dependencies.
        package_ids: Keys of the packages that they name.
    """
    saved = await _save_sources(connection, provider, records)
    # Made while they are sent: the database takes the first ones meanwhile.
    rows = (
        (source.id, *row)
        for source in saved
        for row in make_statement_rows(records[source.package_id].dependencies or (), package_ids)
    )
    await _copy_statements(connection, rows)


async def _save_sources(
    connection: AsyncConnection, provider: str, records: Mapping[int, PackageRecord]
) -> Sequence[Row[Any]]:
    ordered = sorted(records)
    values = {
        "provider": provider,
        "package_ids": ordered,
        "revisions": [records[key].latest_version for key in ordered],
        "diagnostics": [dump_diagnostics(records[key].diagnostics) for key in ordered],
    }
    return (await connection.execute(_SAVE_SOURCES, values)).all()


async def replace_statements(
    connection: AsyncConnection, rows: Iterable[Sequence[Any]], *, known: Collection[int]
) -> dict[int, set[int]]:
    """Make what sources say exactly these rows; returns the packages whose statements differ, by source.

    Args:
        rows: The source's key, then what `make_statement_rows` makes.
        known: Keys of the sources that may have statements already; what new ones say need not be compared.
    """
    compared, incoming, fresh = set(known), list[Sequence[Any]](), list[Sequence[Any]]()
    for row in rows:
        (incoming if row[0] in compared else fresh).append(row)
    changed: dict[int, set[int]] = {}
    for source_id, package_id, *_ in fresh:
        changed.setdefault(source_id, set()).add(package_id)
    if fresh:
        await _copy_statements(connection, fresh)
    if known:
        await fill_temporary_table(
            connection, "incoming_statements", INCOMING_STATEMENTS, ("source_id", *STATEMENT_COLUMNS), incoming
        )
        values = {"source_ids": list(known)}
        removed = (await connection.execute(_REMOVE, values)).all()
        for row in (*removed, *(await connection.execute(_ADD, values)).all()):
            changed.setdefault(row.source_id, set()).add(row.package_id)
    return changed


async def _copy_statements(connection: AsyncConnection, rows: Iterable[Sequence[object]]) -> None:
    raw = await raw_connection(connection)
    await raw.copy_records_to_table("statements", columns=["source_id", *STATEMENT_COLUMNS], records=rows)


def dump_diagnostics(diagnostics: Iterable[Diagnostic]) -> str:
    """As the table keeps them."""
    return json.dumps([item.model_dump(exclude_none=True) for item in diagnostics])


async def move_sources(connection: AsyncConnection, package_ids: Collection[int]) -> None:
    """Let everything that these packages say be said of the repositories that they name now."""
    await connection.execute(_MOVE, {"package_ids": list(package_ids)})


async def judge_claims(connection: AsyncConnection, repository_id: int) -> frozenset[int]:
    """Compare packages' claims on a repository with what its files call themselves; returns whose judgement changed."""
    return frozenset((await connection.execute(_JUDGE, {"repository_id": repository_id})).scalars())


async def list_stated_packages(connection: AsyncConnection, package_ids: Collection[int]) -> dict[int, frozenset[int]]:
    """The packages that each of these packages' current statements name; those that say nothing are left out."""
    rows = await connection.execute(
        text(
            "SELECT so.package_id, array_agg(DISTINCT s.package_id) AS stated FROM sources so"
            " JOIN LATERAL (SELECT package_id FROM statements WHERE source_id = so.id AND removed_at IS NULL) s ON true"
            " WHERE so.package_id = ANY(CAST(:package_ids AS bigint[])) GROUP BY so.package_id"
        ),
        {"package_ids": list(package_ids)},
    )
    return {row.package_id: frozenset(row.stated) for row in rows}


def make_statement_rows(
    dependencies: Iterable[DependencyRecord], package_ids: Mapping[str, int]
) -> Iterable[tuple[object, ...]]:
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
        # As text, which the driver takes for a uuid: making one costs more than all else here.
        digest = hashlib.blake2b(repr(row[1:]).encode(), digest_size=16).hexdigest()
        rows.setdefault((row[0], digest), (*row, item.line, digest))
    return rows.values()


STATEMENT_COLUMNS = (
    *("package_id", "scope", "optional", "direct", "requirement", "resolved_version", "alias", "groups", "marker"),
    *("field", "line", "fingerprint"),
)
INCOMING_STATEMENTS = (
    "source_id bigint, package_id bigint, scope smallint, optional boolean, direct boolean, requirement text,"
    " resolved_version text, alias text, groups text[], marker text, field text, line integer, fingerprint uuid"
)
# A package's claim on its repository is confirmed by a file there that calls itself that package, and refuted where
# files there call themselves other packages of its ecosystem only. Copies and examples confirm, but refute nothing.
JUDGED = (
    "CROSS JOIN LATERAL (SELECT p.repository_verified OR coalesce(bool_or(f.project = p.purl), false) AS verified,"
    " NOT p.repository_verified AND coalesce(NOT bool_or(f.project = p.purl)"
    "   AND bool_or(f.mark IS NULL AND split_part(f.project, '/', 1) = 'pkg:' || p.ecosystem), false) AS refuted"
    " FROM sources f WHERE f.repository_id = p.repository_id AND f.package_id IS NULL AND f.gone_at IS NULL"
    "   AND f.project IS NOT NULL) judged"
)
_SAVE_SOURCES = text(
    "INSERT INTO sources (kind, provider, package_id, repository_id, repository_verified, refuted, revision,"
    " diagnostics) SELECT 'registry_version', :provider, p.id, p.repository_id, judged.verified, judged.refuted,"
    " given.revision, CAST(given.diagnostics AS jsonb) FROM unnest(CAST(:package_ids AS bigint[]),"
    " CAST(:revisions AS text[]), CAST(:diagnostics AS text[])) AS given(package_id, revision, diagnostics)"
    f" JOIN packages p ON p.id = given.package_id {JUDGED} ORDER BY p.id"
    " ON CONFLICT (package_id, provider, kind) DO UPDATE SET revision = excluded.revision,"
    " diagnostics = excluded.diagnostics, checked_at = now()"
    " RETURNING new.id, new.package_id, old.id IS NOT NULL AS known,"
    " old.id IS NOT NULL AND old.revision IS DISTINCT FROM new.revision AS revised"
)
# Who asked a registry what a package needs has no use for hearsay.
_OUTDO_AGGREGATORS = text(
    "UPDATE statements s SET removed_at = now() FROM sources so WHERE so.id = s.source_id AND s.removed_at IS NULL"
    " AND so.kind = 'aggregator' AND so.package_id = ANY(CAST(:package_ids AS bigint[]))"
    " RETURNING so.package_id AS dependent_id, s.package_id"
)
_MOVE = text(
    "UPDATE sources s SET repository_id = p.repository_id, repository_verified = judged.verified,"
    f" refuted = judged.refuted FROM packages p {JUDGED}"
    " WHERE p.id = s.package_id AND s.package_id = ANY(CAST(:package_ids AS bigint[]))"
    " AND (s.repository_id, s.repository_verified, s.refuted)"
    " IS DISTINCT FROM (p.repository_id, judged.verified, judged.refuted)"
)
_JUDGE = text(
    f"UPDATE sources s SET repository_verified = judged.verified, refuted = judged.refuted FROM packages p {JUDGED}"
    " WHERE p.id = s.package_id AND s.repository_id = :repository_id AND s.package_id IS NOT NULL"
    " AND (s.repository_verified, s.refuted) IS DISTINCT FROM (judged.verified, judged.refuted) RETURNING s.package_id"
)
# The array keeps the planner on the index, whatever it believes about the tables.
_CURRENT = (
    "(SELECT source_id, package_id, fingerprint FROM statements"
    " WHERE removed_at IS NULL AND source_id = ANY(CAST(:source_ids AS bigint[])))"
)
_REMOVE = text(
    "UPDATE statements s SET removed_at = now() WHERE s.removed_at IS NULL"
    " AND s.source_id = ANY(CAST(:source_ids AS bigint[])) AND NOT EXISTS (SELECT FROM incoming_statements i"
    "   WHERE i.source_id = s.source_id AND i.package_id = s.package_id AND i.fingerprint = s.fingerprint)"
    " RETURNING s.source_id, s.package_id"
)
_ADD = text(
    f"INSERT INTO statements (source_id, {', '.join(STATEMENT_COLUMNS)})"
    f" SELECT i.source_id, {', '.join('i.' + column for column in STATEMENT_COLUMNS)} FROM incoming_statements i"
    f" WHERE NOT EXISTS (SELECT FROM {_CURRENT} s WHERE s.source_id = i.source_id"
    "   AND s.package_id = i.package_id AND s.fingerprint = i.fingerprint)"
    " ORDER BY i.source_id, i.package_id, i.fingerprint RETURNING source_id, package_id"
)
