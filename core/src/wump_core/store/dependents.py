"""The answer: which organizations depend on a package. One row per (package, organization), kept ready.

A page is one range of one index that holds all that the page shows, so the page of the most popular package
costs what that of the least popular costs. Totals are folded from deltas, so that many writers don't queue
on the row of one popular package.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import cache

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    TextClause,
    Uuid,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import key_column, metadata, time_column
from wump_core.store.dependencies import EXCLUSIONS, Counts
from wump_core.store.sources import SCOPE_BITS

SCOPE_COLUMNS: Mapping[str, str] = {scope: f"{scope}_repositories" for scope in SCOPE_BITS}
SHOWN_COLUMNS = (
    *("organization_public_id", "host", "login", "kind", "repositories", *SCOPE_COLUMNS.values()),
    *("stars", "last_activity_at", "first_seen_at", "providers", "evidence"),
)
NARROW_SCOPES = tuple(scope for scope in SCOPE_BITS if scope != "runtime")
"""Scopes with an index of their own. That of the commonest would be written with nearly every row, to pass over few."""


def _page_index(name: str, rank: str, where: str, include: Iterable[str] = ()) -> Index:
    return Index(
        f"ix_package_organizations_{name}",
        "package_id",
        rank,
        "organization_id",
        postgresql_include=list(include),
        postgresql_where=text(where),
    )


package_organizations = Table(
    "package_organizations",
    metadata,
    Column("package_id", BigInteger, nullable=False),
    Column("organization_id", BigInteger, nullable=False),
    Column("organization_public_id", Uuid, nullable=False),
    Column("host", Text, nullable=False),
    Column("login", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("repositories", Integer, nullable=False, server_default=text("0"), comment="0: it depended once."),
    *(Column(name, Integer, nullable=False, server_default=text("0")) for name in SCOPE_COLUMNS.values()),
    Column("stars", BigInteger, comment="Of the dependent repositories; null: unknown."),
    time_column("last_activity_at"),
    time_column("first_seen_at"),
    Column("providers", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("evidence", Text, comment="The strongest statement of the strongest repository, as JSON."),
    # The organization first: what a batch adds to one lies together.
    PrimaryKeyConstraint("organization_id", "package_id"),
    # What an organization uses most, and the rows to write again when what they show of it changes.
    Index("ix_package_organizations_organization_id", "organization_id", "repositories", "package_id"),
    # The page that is asked for most is in its index; the others look up their rows, a page's worth of them.
    _page_index(
        "by_repositories",
        "repositories",
        "repositories > 0",
        (column for column in SHOWN_COLUMNS if column != "repositories"),
    ),
    # Only what is known: of a repository that no host was asked about, neither is.
    _page_index("by_stars", "stars", "repositories <> 0 AND stars IS NOT NULL"),
    _page_index("by_last_activity", "last_activity_at", "repositories <> 0 AND last_activity_at IS NOT NULL"),
    # Of few rows each: a scope that hardly anyone uses must not be searched for among all.
    *(_page_index(scope, "repositories", f"{SCOPE_COLUMNS[scope]} > 0") for scope in NARROW_SCOPES),
    # Those that depend no more, and those of whose pairs none counts.
    _page_index("past", "repositories", "repositories = 0"),
)

TOTALS = ("organizations", "repositories", *EXCLUSIONS)
"""What is counted of a package: listed organizations and repositories, and pairs left out, by reason.

A dependent package that names no repository counts as a pair without an owner.
"""

package_totals = Table(
    "package_totals",
    metadata,
    Column("package_id", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, Integer, nullable=False, server_default=text("0")) for name in TOTALS),
    time_column("as_of", nullable=False),
    Index("ix_package_totals_organizations", "organizations"),
)

package_deltas = Table(
    "package_deltas",
    metadata,
    key_column(),
    Column("package_id", BigInteger, nullable=False),
    *(Column(name, Integer, nullable=False, server_default=text("0")) for name in TOTALS),
    time_column("created_at", nullable=False, default_now=True),
    Index("ix_package_deltas_package_id", "package_id"),
)

Answer = tuple[int, int]
"""(package_id, organization_id)"""

VALUE_COLUMNS = SHOWN_COLUMNS

GIVEN_ANSWERS = (
    "(SELECT * FROM unnest(CAST(:package_ids AS bigint[]), CAST(:organization_ids AS bigint[]))"
    " AS answer(package_id, organization_id))"
)
# Every part is cut to a bound: an index entry must fit a third of a page whatever an upstream wrote.
_SCOPE_NAME = f"CASE s.scope {' '.join(f'WHEN {bit} THEN {scope!r}' for scope, bit in SCOPE_BITS.items())} END"
_EVIDENCE = f"""json_build_object(
    'repository', strongest_repository, 'claimed', strongest_claimed, 'source', so.kind,
    'provider', so.provider, 'package', so.purl, 'version', left(so.revision, 64), 'path', left(so.path, 200),
    'url', CASE WHEN length(so.url) <= 500 THEN so.url || coalesce('#L' || s.line, '') END,
    'field', left(s.field, 64), 'scope', {_SCOPE_NAME}, 'requirement', left(s.requirement, 120),
    'line', s.line)::text"""
_COUNTS = ("repositories", *SCOPE_COLUMNS.values())
# The one definition of what a row of the answer counts. The strongest repository is chosen by facts, never by keys.
# A pair that does not count has no `counted_id`.
_PAIRS = """
    SELECT d.*, r.id AS counted_id, r.stars, r.pushed_at, r.host, r.path FROM dependencies d
      LEFT JOIN repositories r ON r.id = d.repository_id AND d.exclusion IS NULL AND d.scopes <> 0"""
_STRONGEST = (
    "ORDER BY stars DESC NULLS LAST, claimed, direct DESC, host, path) FILTER (WHERE counted_id IS NOT NULL))[1]"
)
_COUNTED = (
    "SELECT {key}.package_id, {key}.organization_id, count(counted_id)::int AS repositories, "
    + "".join(
        f"(count(counted_id) FILTER (WHERE scopes & {bit} <> 0))::int AS {SCOPE_COLUMNS[scope]}, "
        for scope, bit in SCOPE_BITS.items()
    )
    + f"""sum(stars)::bigint AS stars, max(pushed_at) AS last_activity_at,
    min(first_seen_at) FILTER (WHERE counted_id IS NOT NULL) AS first_seen_at,
    min(providers) FILTER (WHERE counted_id IS NOT NULL) AS first_providers,
    max(providers) FILTER (WHERE counted_id IS NOT NULL) AS last_providers,
    string_agg(array_to_string(providers, ','), ',') FILTER (WHERE counted_id IS NOT NULL) AS all_providers,
    (array_agg(statement_id {_STRONGEST} AS strongest_statement, (array_agg(claimed {_STRONGEST} AS strongest_claimed,
    (array_agg('https://' || host || '/' || path {_STRONGEST} AS strongest_repository"""
    " FROM {pairs} GROUP BY {key}.package_id, {key}.organization_id"
)
_PROOFS = "SELECT id, source_id, scope, field, requirement, line FROM statements"
_SOURCES = """
    SELECT so.id, so.kind, so.provider, so.revision, so.path, so.url, x.purl
      FROM {sources} LEFT JOIN packages x ON x.id = so.package_id"""
_ROWS = f"""
    SELECT answer.package_id, answer.organization_id, o.public_id AS organization_public_id, o.host, o.login, o.kind,
           {", ".join(f"coalesce(answer.{name}, 0) AS {name}" for name in _COUNTS)}, answer.stars,
           answer.last_activity_at, answer.first_seen_at,
           CASE WHEN first_providers = last_providers THEN first_providers
                ELSE ARRAY(SELECT DISTINCT name FROM unnest(string_to_array(all_providers, ',')) name ORDER BY name)
             END AS providers,
           CASE WHEN s.id IS NOT NULL THEN {_EVIDENCE} END AS evidence
      FROM (SELECT * FROM {{answers}} JOIN counted USING (package_id, organization_id)) answer
      JOIN owner o ON o.id = answer.organization_id
      LEFT JOIN proof s ON s.id = strongest_statement
      LEFT JOIN source so ON so.id = s.source_id"""


def derived_answers(answers: str) -> str:
    """What these rows say, as SQL over a subquery of some (package_id, organization_id).

    Organizations, and sources of what is shown, are read once for all rows that name them; all else is looked up.
    """
    counted = _COUNTED.format(
        key="answer",
        pairs=f"answer CROSS JOIN LATERAL ({_PAIRS} WHERE d.package_id = answer.package_id"
        " AND d.organization_id = answer.organization_id OFFSET 0) d",
    )
    sources = _SOURCES.format(
        sources="(SELECT DISTINCT source_id FROM proof) given JOIN sources so ON so.id = given.source_id"
    )
    return f"""
      WITH answer AS MATERIALIZED {answers},
           owner AS MATERIALIZED (SELECT o.* FROM (SELECT DISTINCT organization_id AS id FROM answer) given
                                    JOIN organizations o USING (id)),
           counted AS MATERIALIZED ({counted}),
           proof AS MATERIALIZED (SELECT found.* FROM counted CROSS JOIN LATERAL ({_PROOFS}
              WHERE package_id = counted.package_id AND id = strongest_statement OFFSET 0) found),
           source AS MATERIALIZED ({sources})
           {_ROWS.format(answers="answer LEFT")}"""


def all_derived_answers() -> str:
    """What all rows say, as SQL that reads every dependency once; also of those of whom nothing depends any more."""
    counted = _COUNTED.format(key="d", pairs=f"({_PAIRS} WHERE d.organization_id IS NOT NULL) d")
    known = "(SELECT package_id, organization_id FROM package_organizations) known FULL"
    return f"""
      WITH owner AS (SELECT * FROM organizations), counted AS ({counted}), proof AS ({_PROOFS}),
           source AS ({_SOURCES.format(sources="sources so")})
           {_ROWS.format(answers=known)}"""


async def refresh_answers(connection: AsyncConnection, answers: Collection[Answer], counts: Counts) -> set[int]:
    """Derive these rows of the answer anew; returns the packages of those that changed.

    Added or locked like dependencies, but from the last package to the first: the popular ones, which the oldest keys
    mostly are, come last. Whoever needs the same row then waits for it at the end of its work and not before it.

    Args:
        answers: Which ones.
        counts: Gets what the packages' listed organizations change by.
    """
    if not answers:
        return set()
    added = (await connection.execute(_ADD, _keys(answers))).all()
    counts.update((package_id, "organizations") for package_id, _, is_listed in added if is_listed)
    touched = {package_id for package_id, _, _ in added}
    if len(added) == len(answers):
        return touched
    present = set(answers).difference((package_id, organization_id) for package_id, organization_id, _ in added)
    await connection.execute(_LOCK, _keys(present))
    for package_id, change in (await connection.execute(_UPDATE, _keys(present))).all():
        counts[package_id, "organizations"] += change
        touched.add(package_id)
    return touched


def _keys(answers: Collection[Answer]) -> dict[str, list[int]]:
    ordered = sorted(answers)
    return {"package_ids": [answer[0] for answer in ordered], "organization_ids": [answer[1] for answer in ordered]}


async def add_deltas(connection: AsyncConnection, counts: Counts, *, touched: Collection[int] = ()) -> None:
    """Note changes of packages' totals, to be folded later; those that add up to nothing are left out.

    Args:
        counts: The changes.
        touched: Packages that are noted all the same, since what is shown of their answer changed.
    """
    changes: dict[str, dict[int, int]] = {}
    for (package_id, name), change in counts.items():
        if change and name is not None:
            changes.setdefault(name, {})[package_id] = change
    if package_ids := sorted(set(touched).union(*changes.values())):
        names = tuple(sorted(changes))  # few of all that there are, mostly the same
        columns = {name: [changes[name].get(package_id, 0) for package_id in package_ids] for name in names}
        await connection.execute(_deltas_statement(names), {"package_ids": package_ids} | columns)


async def fold_deltas(connection: AsyncConnection, *, limit: int = 10_000) -> int:
    """Fold deltas into totals; returns how many. Does nothing while another process folds."""
    if not (await connection.execute(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _FOLD_LOCK})).scalar_one():
        return 0
    return len((await connection.execute(_FOLD, {"limit": limit})).all())


_FOLD_LOCK = 0x77756D70_01

_NEW_ANSWERS = (
    f"(SELECT answer.* FROM {GIVEN_ANSWERS} answer WHERE NOT EXISTS (SELECT FROM package_organizations a"
    " WHERE a.package_id = answer.package_id AND a.organization_id = answer.organization_id))"
)
_ADD = text(
    f"INSERT INTO package_organizations (package_id, organization_id, {', '.join(VALUE_COLUMNS)})"
    f" SELECT package_id, organization_id, {', '.join(VALUE_COLUMNS)} FROM ({derived_answers(_NEW_ANSWERS)}) n"
    " ORDER BY package_id DESC, organization_id DESC ON CONFLICT DO NOTHING"
    " RETURNING package_id, organization_id, repositories > 0 AS is_listed"
)
_LOCK = text(
    f"SELECT FROM {GIVEN_ANSWERS} answer JOIN package_organizations a USING (package_id, organization_id)"
    " ORDER BY a.package_id DESC, a.organization_id DESC FOR UPDATE OF a"
)
_UPDATE = text(
    f"UPDATE package_organizations a SET {', '.join(f'{column} = n.{column}' for column in VALUE_COLUMNS)}"
    f" FROM ({derived_answers(GIVEN_ANSWERS)}) n"
    " WHERE a.package_id = n.package_id AND a.organization_id = n.organization_id"
    f" AND ROW({', '.join('a.' + column for column in VALUE_COLUMNS)})"
    f" IS DISTINCT FROM ROW({', '.join('n.' + column for column in VALUE_COLUMNS)})"
    " RETURNING a.package_id, (new.repositories > 0)::int - (old.repositories > 0)::int AS change"
)


@cache
def _deltas_statement(names: tuple[str, ...]) -> TextClause:
    """The text that notes changes of these totals alone."""
    values = ", ".join(("CAST(:package_ids AS bigint[])", *(f"CAST(:{name} AS integer[])" for name in names)))
    return text(f"INSERT INTO package_deltas ({', '.join(('package_id', *names))}) SELECT * FROM unnest({values})")


_FOLD = text(
    "WITH gone AS (DELETE FROM package_deltas WHERE id IN"
    "   (SELECT id FROM package_deltas ORDER BY id LIMIT :limit) RETURNING *),"
    " sums AS (SELECT package_id, "
    + ", ".join(f"sum({name})::int AS {name}" for name in TOTALS)
    + ", max(created_at) AS as_of FROM gone GROUP BY package_id),"
    f" saved AS (INSERT INTO package_totals AS t (package_id, {', '.join(TOTALS)}, as_of)"
    f" SELECT package_id, {', '.join(TOTALS)}, as_of FROM sums ORDER BY package_id"
    " ON CONFLICT (package_id) DO UPDATE SET "
    + ", ".join(f"{name} = t.{name} + excluded.{name}" for name in TOTALS)
    + ", as_of = greatest(t.as_of, excluded.as_of) RETURNING 1),"
    " touched AS (INSERT INTO package_touches (package_id) SELECT package_id FROM sums ORDER BY package_id"
    " ON CONFLICT (package_id) DO UPDATE SET pending = true) SELECT id FROM gone"
)
