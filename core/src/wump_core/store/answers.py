"""What the API reads: fixed statements, each bounded by the size of a page and not by a package's popularity.

Only a filter together with a sort that no index serves may read further.
The page of dependents runs on the asyncpg connection beneath; its text depends only on the sort and the scope,
never on a value. A stream is the same statement without an end, read in chunks from one snapshot.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import raw_connection
from wump_core.store.dependents import ACTIVITY_RANK, SCOPE_COLUMNS, SHOWN_COLUMNS, STARS_RANK

SORTS: Mapping[str, tuple[str, str]] = {
    "repositories": ("repositories", "integer"),
    "stars": (STARS_RANK, "bigint"),
    "last_activity": (ACTIVITY_RANK, "timestamptz"),
}
"""Sort → (the ranked expression, its type). All are descending, with the unknown last."""
CHUNK_ROWS = 250
"""Rows of a stream that are in memory at once."""


def page_statement(sort: str, scope: str | None, *, after: bool) -> str:
    """The text of one page. Parameters: package, minimum repositories, limit, then rank and key to go on from."""
    rank, rank_type = SORTS[sort]
    conditions = ["package_id = $1", "repositories > 0", "repositories >= $2"]
    if scope is not None:
        conditions.append(f"{SCOPE_COLUMNS[scope]} > 0")
    if after:
        conditions.append(f"({rank}, organization_id) < ($4::text::{rank_type}, $5::bigint)")
    # The evidence leaves as the text that the database keeps: nobody parses it on the way.
    columns = ", ".join("evidence::text" if column == "evidence" else column for column in SHOWN_COLUMNS)
    return (
        f"SELECT organization_id, ({rank})::text AS rank, {columns} FROM package_organizations"
        f" WHERE {' AND '.join(conditions)} ORDER BY {rank} DESC, organization_id DESC LIMIT $3"
    )


async def list_dependent_organizations(
    connection: AsyncConnection,
    package_id: int,
    *,
    sort: str,
    scope: str | None,
    min_repositories: int,
    after: tuple[str, int] | None,
    limit: int,
) -> Sequence[Mapping[str, Any]]:
    """One page of the answer, from the rank and key after which it goes on."""
    raw = await raw_connection(connection)
    statement = page_statement(sort, scope, after=after is not None)
    parameters = (package_id, min_repositories, limit, *(after or ()))
    if scope is None and min_repositories == 1:
        return await raw.fetch(statement, *parameters)
    # How many rows pass a filter differs from package to package, so it is planned for this one.
    async with raw.transaction(readonly=True):
        await raw.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        return await raw.fetch(statement, *parameters)


async def stream_dependent_organizations(
    connection: AsyncConnection,
    package_id: int,
    *,
    sort: str,
    scope: str | None,
    min_repositories: int,
    limit: int | None,
) -> AsyncGenerator[Sequence[Mapping[str, Any]]]:
    """The whole answer in its order, chunk by chunk, as it stood when the first chunk was read.

    Close the generator when no more is wanted: that ends the query and the transaction.

    Args:
        connection: One that nothing was asked on yet; it is in a transaction of the stream's own meanwhile.
        limit: Rows at the most; null: all.
    """
    statement = page_statement(sort, scope, after=False)
    raw = await raw_connection(connection)
    try:
        async with raw.transaction(isolation="repeatable_read", readonly=True):
            # Without a limit, Postgres would rather sort everything before the first row than walk the index.
            await raw.execute("SET LOCAL cursor_tuple_fraction = 0.01")
            await raw.fetch(f"DECLARE answer NO SCROLL CURSOR FOR {statement}", package_id, min_repositories, limit)
            while rows := await raw.fetch(f"FETCH {CHUNK_ROWS} FROM answer"):
                yield rows
    finally:
        # SQLAlchemy doesn't see what happens to the connection beneath: a dead one must not go back to the pool.
        if raw.is_closed():
            await connection.invalidate()


async def list_purls_named(connection: AsyncConnection, purls: Sequence[str]) -> list[str]:
    """Which of these packages are known."""
    rows = await connection.execute(
        text("SELECT purl FROM packages WHERE purl = ANY(CAST(:purls AS text[])) ORDER BY purl"), {"purls": list(purls)}
    )
    return list(rows.scalars())


async def get_package(connection: AsyncConnection, purl: str) -> Mapping[str, Any] | None:
    """A package with its repository, owner, totals, and what its providers were asked."""
    # On the connection beneath, like the page: it spares each request a transaction of two round trips.
    row = await (await raw_connection(connection)).fetchrow(PACKAGE_STATEMENT, purl)
    return dict(row) if row else None


async def list_dependent_repositories(
    connection: AsyncConnection, package_id: int, *, excluded: Sequence[str], after: int, limit: int
) -> Sequence[Mapping[str, Any]]:
    """One page of the repositories that use a package, in the order of their keys.

    Args:
        excluded: Reasons whose pairs are listed too.
    """
    statement = _REPOSITORIES_TOO if excluded else _REPOSITORIES
    parameters = {"package_id": package_id, "after": after, "limit": limit}
    if excluded:
        parameters["excluded"] = list(excluded)  # type: ignore[assignment]
    return [row._mapping for row in await connection.execute(statement, parameters)]


async def list_evidence(
    connection: AsyncConnection, package_id: int, organization_id: int, *, after: int, limit: int
) -> Sequence[Mapping[str, Any]]:
    """Current statements by which an organization depends on a package, in the order of their keys."""
    rows = await connection.execute(
        _EVIDENCE,
        {"package_id": package_id, "organization_id": organization_id, "after": after, "limit": limit},
    )
    return [row._mapping for row in rows]


async def list_package_dependencies(
    connection: AsyncConnection, package_id: int, *, after: int, limit: int
) -> Sequence[Mapping[str, Any]]:
    """What a package's latest version says it needs, in the order of the statements' keys."""
    rows = await connection.execute(_DEPENDENCIES, {"package_id": package_id, "after": after, "limit": limit})
    return [row._mapping for row in rows]


async def get_organization_by_id(connection: AsyncConnection, public_id: UUID) -> Mapping[str, Any] | None:
    """The organization of that public id."""
    row = (
        await connection.execute(
            text("SELECT id, public_id, host, login, kind FROM organizations WHERE public_id = :id"), {"id": public_id}
        )
    ).first()
    return row._mapping if row else None


async def list_organizations_by_login(
    connection: AsyncConnection, login: str, host: str | None
) -> Sequence[Mapping[str, Any]]:
    """Organizations of that case-folded login, at most ten; on one host, or on any."""
    rows = await connection.execute(
        text(
            "SELECT DISTINCT o.id, o.public_id, o.host, o.login, o.kind FROM accounts a"
            " JOIN organizations o ON o.id = a.organization_id"
            " WHERE a.login = :login AND (CAST(:host AS text) IS NULL OR a.host = :host) ORDER BY o.host LIMIT 10"
        ),
        {"login": login, "host": host},
    )
    return [row._mapping for row in rows]


_STATEMENT_COLUMNS = (
    "s.id AS key, x.purl AS package, so.provider, so.kind AS source, so.revision AS version, s.scope, s.optional,"
    " s.direct, s.requirement, s.resolved_version, s.alias, s.groups, s.marker, s.field, s.line, s.first_seen_at,"
    " so.checked_at"
)
PACKAGE_STATEMENT = """
    SELECT p.id AS key, p.public_id AS id, p.purl, p.ecosystem, p.name, p.tracked, p.provider, p.latest_version,
           p.description, p.homepage, p.licences, p.funding, p.deprecated, p.repository_directory,
           p.repository_verified, p.dependencies_unknown, p.missing, p.fetched_at,
           r.host AS repository_host, r.path AS repository_path,
           o.public_id AS organization_id, o.host AS organization_host, o.login AS organization_login, o.kind,
           coalesce(t.organizations, 0) + unfolded.organizations AS organizations,
           coalesce(t.repositories, 0) + unfolded.repositories AS repositories,
           coalesce(t.own_organization, 0) + unfolded.own_organization AS own_organization,
           coalesce(t.no_owner, 0) + unfolded.no_owner AS no_owner,
           greatest(t.as_of, unfolded.as_of, p.fetched_at) AS as_of,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('provider', s.provider, 'capability', s.capability,
                   'last_attempt_at', s.last_attempt_at, 'last_ok_at', s.last_ok_at, 'error', s.error)
                   ORDER BY s.capability, s.provider), '[]')
              FROM provider_subjects s WHERE s.subject = p.purl) AS asked,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('name', v.name, 'title', v.title, 'type', v.provider_type,
                   'licence', v.licence, 'attribution', v.attribution, 'terms', v.terms,
                   'capabilities', v.capabilities) ORDER BY v.name), '[]')
              FROM providers v WHERE v.state = 'active' AND p.ecosystem = ANY (v.ecosystems)) AS providers
      FROM packages p
      LEFT JOIN repositories r ON r.id = p.repository_id
      LEFT JOIN organizations o ON o.id = p.organization_id
      LEFT JOIN package_totals t ON t.package_id = p.id
      CROSS JOIN LATERAL (
        SELECT coalesce(sum(d.organizations), 0)::int AS organizations,
               coalesce(sum(d.repositories), 0)::int AS repositories,
               coalesce(sum(d.own_organization), 0)::int AS own_organization,
               coalesce(sum(d.no_owner), 0)::int AS no_owner, max(d.created_at) AS as_of
          FROM package_deltas d WHERE d.package_id = p.id) unfolded
     WHERE p.purl = $1"""
_REPOSITORY_COLUMNS = (
    "d.repository_id AS key, r.public_id AS id, r.host, r.path, r.stars, r.pushed_at, d.scopes, d.direct, d.claimed,"
    " d.exclusion, d.providers, d.first_seen_at, o.public_id AS organization_id, o.host AS organization_host,"
    " o.login, o.kind"
)
_REPOSITORY_JOINS = (
    " FROM dependencies d JOIN repositories r ON r.id = d.repository_id"
    " LEFT JOIN organizations o ON o.id = d.organization_id"
)
_REPOSITORIES = text(
    f"SELECT {_REPOSITORY_COLUMNS}{_REPOSITORY_JOINS} WHERE d.package_id = :package_id AND d.exclusion IS NULL"
    " AND d.scopes <> 0 AND d.repository_id > :after ORDER BY d.repository_id LIMIT :limit"
)
_REPOSITORIES_TOO = text(
    f"SELECT {_REPOSITORY_COLUMNS}{_REPOSITORY_JOINS} WHERE d.package_id = :package_id AND d.scopes <> 0"
    " AND (d.exclusion IS NULL OR d.exclusion = ANY(CAST(:excluded AS text[])))"
    " AND d.repository_id > :after ORDER BY d.repository_id LIMIT :limit"
)
_EVIDENCE = text(
    f"SELECT {_STATEMENT_COLUMNS}, r.host, r.path, d.claimed, d.exclusion FROM dependencies d"
    " JOIN repositories r ON r.id = d.repository_id JOIN sources so ON so.repository_id = d.repository_id"
    " JOIN statements s ON s.source_id = so.id AND s.package_id = d.package_id AND s.removed_at IS NULL"
    " JOIN packages x ON x.id = so.package_id"
    " WHERE d.package_id = :package_id AND d.organization_id = :organization_id AND s.id > :after"
    " ORDER BY s.id LIMIT :limit"
)
_DEPENDENCIES = text(
    f"SELECT {_STATEMENT_COLUMNS}, p.purl AS dependency FROM sources so"
    " JOIN statements s ON s.source_id = so.id AND s.removed_at IS NULL JOIN packages p ON p.id = s.package_id"
    " JOIN packages x ON x.id = so.package_id"
    " WHERE so.package_id = :package_id AND s.id > :after ORDER BY s.id LIMIT :limit"
)
