"""Dependencies: which repository uses which package. Derived from statements, one row per pair.

Derived tables have no foreign keys: what they name is read from the tables that have them, and is never deleted;
checking it again for each row takes a third of the time of writing. `wump db verify` compares all of it.

A pair that no statement supports any more keeps its row with no scopes: the row is what concurrent writers lock.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import metadata, time_column

EXCLUSIONS = (
    *("suppressed", "own_organization", "refuted", "fork", "archived", "template", "vendored", "example", "no_owner"),
)
"""Why a pair is not counted, in order of precedence.

`suppressed`: the owner asked to be named nowhere, and is listed by no choice. `refuted`: only packages say so that are
not this repository's, as its own files show. `vendored` and `example`: only files say so that are copies of others'
code, by where they lie or since many have them, or examples. The other reasons are the repository's own.
"""

dependencies = Table(
    "dependencies",
    metadata,
    Column("package_id", BigInteger, nullable=False),
    Column("repository_id", BigInteger, nullable=False),
    Column("organization_id", BigInteger, comment="Null: the owner is unknown."),
    Column(
        "scopes", SmallInteger, nullable=False, server_default=text("0"), comment="Union of scope bits; 0: no more."
    ),
    Column("direct", Boolean, nullable=False, server_default=text("false")),
    Column("claimed", Boolean, nullable=False, server_default=text("true"), comment="Only the package says it is its."),
    Column("exclusion", Text, comment="Why the pair is not counted; null: it is."),
    Column("statement_id", BigInteger, comment="The strongest evidence, of the same package."),
    Column("providers", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    time_column("first_seen_at"),
    # Of a batch, what a repository or an organization needs lies together. By the package first it is all over the
    # place, and each page is read, and written to the log: that is only for the list of a package's repositories.
    PrimaryKeyConstraint("repository_id", "package_id"),
    CheckConstraint(f"exclusion IN {EXCLUSIONS}", name="exclusion"),
    Index("ix_dependencies_organization_id_package_id", "organization_id", "package_id"),
    Index("ix_dependencies_package_id_repository_id", "package_id", "repository_id"),
)

Pair = tuple[int, int]
"""(package_id, repository_id)"""
Counts = Counter[tuple[int, str | None]]
"""What packages' totals change by: (package_id, total) → how much. Under no total is what no total counts."""

VALUE_COLUMNS = (
    *("organization_id", "scopes", "direct", "claimed", "exclusion", "statement_id", "providers", "first_seen_at"),
)

GIVEN_PAIRS = (
    "(SELECT * FROM unnest(CAST(:package_ids AS bigint[]), CAST(:repository_ids AS bigint[]))"
    " AS pair(package_id, repository_id))"
)
# The one definition of what a dependency row says of its statements. The strongest is chosen by facts alone, never
# by keys, so that the order of jobs does not show. What a lockfile says of indirect dependencies does not count.
_STATED = """
    SELECT s.package_id, so.repository_id, bit_or(s.scope) AS scopes, bool_or(s.direct) AS direct,
           bool_or(so.repository_verified) AS verified, bool_and(so.refuted) AS refuted,
           CASE WHEN bool_and(so.copied OR so.mark IS NOT NULL)
                THEN max(CASE WHEN so.copied THEN 'vendored' ELSE so.mark END) END AS mark,
           (array_agg(s.id ORDER BY so.refuted, so.copied OR so.mark IS NOT NULL, so.repository_verified DESC, s.scope,
                      so.kind DESC, so.purl, so.path, so.provider, s.field, s.fingerprint))[1] AS statement_id,
           min(so.provider) AS first_provider, max(so.provider) AS last_provider,
           array_agg(so.provider) AS all_providers, min(s.first_seen_at) AS first_seen_at
      FROM {statements} GROUP BY s.package_id, so.repository_id"""
_SOURCES = "SELECT so.*, x.purl FROM {sources} LEFT JOIN packages x ON x.id = so.package_id"
_HOMES = """
    SELECT r.id, r.fork, r.archived, r.template, a.organization_id, td.id IS NOT NULL AS suppressed
      FROM {repositories} LEFT JOIN accounts a ON a.id = r.account_id
      LEFT JOIN takedowns td ON td.host = a.host AND td.login = a.login"""
_ROWS = """
    SELECT pair.package_id, pair.repository_id, home.organization_id, coalesce(scopes, 0::smallint) AS scopes,
           coalesce(direct, false) AS direct, NOT coalesce(verified, false) AS claimed, statement_id,
           CASE WHEN statement_id IS NULL THEN '{{}}'
                WHEN first_provider = last_provider THEN ARRAY[first_provider]
                ELSE ARRAY(SELECT DISTINCT name FROM unnest(all_providers) name ORDER BY name) END AS providers,
           first_seen_at,
           CASE WHEN statement_id IS NULL THEN NULL
                WHEN suppressed THEN 'suppressed'
                WHEN home.organization_id = p.organization_id THEN 'own_organization'
                WHEN refuted THEN 'refuted'
                WHEN fork THEN 'fork'
                WHEN archived THEN 'archived'
                WHEN template THEN 'template'
                WHEN mark IS NOT NULL THEN mark
                WHEN home.organization_id IS NULL THEN 'no_owner' END AS exclusion
      FROM (SELECT * FROM {pairs} stated USING (package_id, repository_id)) pair
      JOIN packages p ON p.id = pair.package_id JOIN home ON home.id = pair.repository_id"""


def derived_dependencies(pairs: str) -> str:
    """What these rows say, as SQL over a subquery of some (package_id, repository_id).

    What their repositories say is read once for all pairs of a repository.
    """
    homes = _HOMES.format(
        repositories="(SELECT DISTINCT repository_id FROM pair) given JOIN repositories r ON r.id = given.repository_id"
    )
    sources = _SOURCES.format(sources="home JOIN sources so ON so.repository_id = home.id")
    # Each is looked up, of which a source may have thousands. The planner would rather read all of them for each pair.
    stated = _STATED.format(
        statements="pair JOIN source so USING (repository_id) CROSS JOIN LATERAL (SELECT * FROM statements"
        " WHERE source_id = so.id AND package_id = pair.package_id AND removed_at IS NULL AND direct OFFSET 0) s"
    )
    return (
        f"WITH pair AS MATERIALIZED {pairs}, home AS MATERIALIZED ({homes}), source AS MATERIALIZED ({sources}),"
        f" stated AS ({stated}) {_ROWS.format(pairs='pair LEFT JOIN')}"
    )


def all_derived_dependencies() -> str:
    """What all rows say, as SQL that reads every statement once; also those that nothing states any more."""
    homes = _HOMES.format(repositories="repositories r")
    sources = _SOURCES.format(sources="sources so") + " WHERE so.repository_id IS NOT NULL"
    stated = _STATED.format(
        statements="source so JOIN statements s ON s.source_id = so.id AND s.removed_at IS NULL AND s.direct"
    )
    known = "(SELECT package_id, repository_id FROM dependencies) known FULL JOIN"
    return f"WITH home AS ({homes}), source AS ({sources}), stated AS ({stated}) {_ROWS.format(pairs=known)}"


async def refresh_dependencies(connection: AsyncConnection, pairs: Collection[Pair], counts: Counts) -> set[Pair]:
    """Derive these pairs anew from the statements; returns the (package, organization) of those that changed.

    A pair that nobody has yet is inserted as it is: whoever else states it must find that row, and computes it
    again. The others are locked in key order and computed in a later statement, whose snapshot then sees all that
    other writers of the same pairs have committed.

    Args:
        pairs: Which ones.
        counts: Gets what the packages' totals change by.
    """
    if not pairs:
        return set()
    added = (await connection.execute(_ADD, _keys(pairs))).all()
    shown = {(package_id, organization) for package_id, _, organization, _ in added if organization is not None}
    counts.update((package_id, total) for package_id, _, _, total in added)
    if len(added) == len(pairs):
        return shown
    present = set(pairs).difference((package_id, repository_id) for package_id, repository_id, _, _ in added)
    await connection.execute(_LOCK, _keys(present))
    for package_id, old_organization, new_organization, old_total, new_total in (
        await connection.execute(_UPDATE, _keys(present))
    ).all():
        shown.update((package_id, key) for key in (old_organization, new_organization) if key is not None)
        if old_total != new_total:
            counts[package_id, old_total] -= 1
            counts[package_id, new_total] += 1
    return shown


def _keys(pairs: Collection[Pair]) -> dict[str, list[int]]:
    ordered = sorted(pairs)
    return {"package_ids": [pair[0] for pair in ordered], "repository_ids": [pair[1] for pair in ordered]}


async def list_pairs_of_repository(connection: AsyncConnection, repository_id: int) -> dict[Pair, int | None]:
    """All pairs of a repository, and the organization of each."""
    rows = await connection.execute(
        text("SELECT package_id, repository_id, organization_id FROM dependencies WHERE repository_id = :id"),
        {"id": repository_id},
    )
    return {(row.package_id, row.repository_id): row.organization_id for row in rows}


async def list_pairs_of_organizations(connection: AsyncConnection, owned: Sequence[tuple[int, int]]) -> list[Pair]:
    """The pairs of these packages whose repositories belong to that organization, given (package, organization)."""
    rows = await connection.execute(
        text(
            "SELECT d.package_id, d.repository_id FROM unnest(CAST(:package_ids AS bigint[]),"
            " CAST(:organization_ids AS bigint[])) AS given(package_id, organization_id) JOIN dependencies d"
            " ON d.package_id = given.package_id AND d.organization_id = given.organization_id"
        ),
        {"package_ids": [pair[0] for pair in owned], "organization_ids": [pair[1] for pair in owned]},
    )
    return [(row.package_id, row.repository_id) for row in rows]


_NEW_PAIRS = (
    f"(SELECT pair.* FROM {GIVEN_PAIRS} pair WHERE NOT EXISTS (SELECT FROM dependencies d"
    " WHERE d.package_id = pair.package_id AND d.repository_id = pair.repository_id))"
)
_TOTAL = "CASE WHEN {row}.scopes <> 0 AND {row}.exclusion IS NULL THEN 'repositories' ELSE {row}.exclusion END"
_ADD = text(
    f"INSERT INTO dependencies (package_id, repository_id, {', '.join(VALUE_COLUMNS)})"
    f" SELECT package_id, repository_id, {', '.join(VALUE_COLUMNS)} FROM ({derived_dependencies(_NEW_PAIRS)}) n"
    " ORDER BY package_id, repository_id ON CONFLICT DO NOTHING"
    f" RETURNING package_id, repository_id, organization_id, {_TOTAL.format(row='new')} AS total"
)
_LOCK = text(
    f"SELECT FROM {GIVEN_PAIRS} pair JOIN dependencies d USING (package_id, repository_id)"
    " ORDER BY d.package_id, d.repository_id FOR UPDATE OF d"
)
_UPDATE = text(
    f"UPDATE dependencies d SET {', '.join(f'{column} = n.{column}' for column in VALUE_COLUMNS)}"
    f" FROM ({derived_dependencies(GIVEN_PAIRS)}) n"
    " WHERE d.package_id = n.package_id AND d.repository_id = n.repository_id"
    f" AND ROW({', '.join('d.' + column for column in VALUE_COLUMNS)})"
    f" IS DISTINCT FROM ROW({', '.join('n.' + column for column in VALUE_COLUMNS)})"
    " RETURNING d.package_id, old.organization_id AS old_organization, new.organization_id AS new_organization,"
    f" {_TOTAL.format(row='old')} AS old_total, {_TOTAL.format(row='new')} AS new_total"
)
