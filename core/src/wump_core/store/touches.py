"""Touches: packages whose answers changed, noted in the transaction that folds the change, for caches and facets.

A row is an outbox: it is taken once a minute at most, however often its package changes, and what is done for it is
done again if the transaction that took it fails.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from asyncpg import Connection
from sqlalchemy import BigInteger, Boolean, Column, Index, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import metadata, time_column
from wump_core.store.dependents import SCOPE_COLUMNS

package_touches = Table(
    "package_touches",
    metadata,
    Column("package_id", BigInteger, nullable=False),
    Column("pending", Boolean, nullable=False, server_default=text("true"), comment="It changed since it was taken."),
    time_column("taken_at", comment="When that was last acted on; null: not so far."),
    PrimaryKeyConstraint("package_id"),
    Index("ix_package_touches_pending", text("taken_at NULLS FIRST"), postgresql_where=text("pending")),
)

package_facets = Table(
    "package_facets",
    metadata,
    Column("package_id", BigInteger, nullable=False),
    Column("organizations", BigInteger, nullable=False, comment="Listed ones that were counted."),
    Column("users", BigInteger, nullable=False, comment="Those of them that are user accounts."),
    Column("user_repositories", BigInteger, nullable=False, comment="Dependent repositories of those."),
    Column("facets", Text, nullable=False, comment="Organizations by kind, scope, host and provider, as JSON."),
    time_column("as_of", nullable=False, default_now=True),
    PrimaryKeyConstraint("package_id"),
)

ROWS_A_SECOND = 1_000
"""A package of so many organizations is counted again after a second, one of ten times as many after ten."""

MAX_COUNTED = 5_000
"""Users that are counted when asked, where no facets are stored yet."""


async def list_touched(connection: AsyncConnection, *, limit: int) -> list[int]:
    """Packages that changed since they were taken, and were not taken within a minute."""
    rows = await connection.execute(
        text(f"SELECT package_id FROM package_touches WHERE {_DUE} ORDER BY taken_at NULLS FIRST LIMIT :limit"),
        {"limit": limit},
    )
    return list(rows.scalars())


async def take_touched(connection: AsyncConnection, package_ids: Sequence[int]) -> list[str]:
    """Take those of these packages that are still due; returns their purls.

    Act on them before the transaction ends, by what may be done twice: a change that comes later makes its package
    due again, and where the transaction fails, all of them are.
    """
    await connection.execute(
        text("DELETE FROM package_touches WHERE NOT pending AND taken_at < now() - interval '1 minute'")
    )
    rows = await connection.execute(
        text(
            "WITH due AS (SELECT package_id FROM package_touches WHERE package_id = ANY(CAST(:ids AS bigint[]))"
            f"   AND {_DUE} ORDER BY package_id FOR UPDATE SKIP LOCKED)"
            " UPDATE package_touches t SET pending = false, taken_at = now() FROM due"
            " JOIN packages p ON p.id = due.package_id WHERE t.package_id = due.package_id RETURNING p.purl"
        ),
        {"ids": list(package_ids)},
    )
    return list(rows.scalars())


_DUE = "pending AND (taken_at IS NULL OR taken_at < now() - interval '1 minute')"


async def refresh_facets(connection: AsyncConnection, package_ids: Sequence[int]) -> int:
    """Count the organizations of these packages by kind, scope, host and provider; returns how many packages.

    One that has many is left out where it was counted lately: see `ROWS_A_SECOND`.
    """
    result = await connection.execute(_REFRESH, {"ids": sorted(package_ids), "speed": ROWS_A_SECOND})
    return result.rowcount


async def get_facets(connection: Connection, package_id: int) -> Mapping[str, Any] | None:
    """What was counted of a package last; what is nested is JSON text."""
    row: Mapping[str, Any] | None = await connection.fetchrow(
        "SELECT organizations, users, user_repositories, facets, as_of FROM package_facets WHERE package_id = $1",
        package_id,
    )
    return row


async def count_users(connection: Connection, package_id: int) -> tuple[int, int] | None:
    """User accounts that depend on a package, and their repositories; null: more than can be counted when asked."""
    row = await connection.fetchrow(
        "SELECT count(*) AS users, coalesce(sum(repositories), 0)::bigint AS repositories FROM (SELECT repositories"
        "   FROM package_organizations WHERE package_id = $1 AND kind = 'user' AND repositories > 0 LIMIT $2) few",
        package_id,
        MAX_COUNTED + 1,
    )
    return None if row["users"] > MAX_COUNTED else (row["users"], row["repositories"])


_SCOPES = ", ".join(f"'{scope}', count(*) FILTER (WHERE a.{column} > 0)" for scope, column in SCOPE_COLUMNS.items())
_REFRESH = text(
    "WITH wanted AS (SELECT given.id FROM unnest(CAST(:ids AS bigint[])) given(id)"
    "   LEFT JOIN package_facets f ON f.package_id = given.id WHERE f.package_id IS NULL"
    "   OR f.as_of + make_interval(secs => f.organizations / :speed) <= now()),"
    " listed AS (SELECT a.* FROM wanted JOIN package_organizations a ON a.package_id = wanted.id"
    "   WHERE a.repositories > 0),"
    f" scopes AS (SELECT a.package_id, json_build_object({_SCOPES}) AS found, count(*) AS organizations,"
    "   count(*) FILTER (WHERE a.kind = 'user') AS users,"
    "   coalesce(sum(a.repositories) FILTER (WHERE a.kind = 'user'), 0) AS user_repositories"
    "   FROM listed a GROUP BY a.package_id),"
    " counted AS (SELECT package_id, 'kind' AS facet, kind AS value, count(*) AS n FROM listed GROUP BY 1, 3"
    "   UNION ALL SELECT package_id, 'host', host, count(*) FROM listed GROUP BY 1, 3"
    "   UNION ALL SELECT package_id, 'provider', provider, count(*) FROM listed, unnest(providers) provider"
    "   GROUP BY 1, 3),"
    " ranked AS (SELECT *, row_number() OVER (PARTITION BY package_id, facet ORDER BY n DESC, value) AS place"
    "   FROM counted),"
    " grouped AS (SELECT package_id, facet, json_object_agg(value, n ORDER BY n DESC, value) AS found FROM ranked"
    "   WHERE place <= 50 GROUP BY package_id, facet)"
    " INSERT INTO package_facets AS f (package_id, organizations, users, user_repositories, facets, as_of)"
    " SELECT w.id, coalesce(s.organizations, 0), coalesce(s.users, 0),"
    "   coalesce(s.user_repositories, 0), json_build_object("
    "   'kind', coalesce((SELECT found FROM grouped g WHERE g.package_id = w.id AND facet = 'kind'), '{}'),"
    "   'scope', coalesce(s.found, '{}'),"
    "   'host', coalesce((SELECT found FROM grouped g WHERE g.package_id = w.id AND facet = 'host'), '{}'),"
    "   'provider', coalesce((SELECT found FROM grouped g WHERE g.package_id = w.id AND facet = 'provider'), '{}'))"
    "   ::text, now() FROM wanted w LEFT JOIN scopes s ON s.package_id = w.id ORDER BY w.id"
    " ON CONFLICT (package_id) DO UPDATE SET organizations = excluded.organizations, users = excluded.users,"
    "   user_repositories = excluded.user_repositories, facets = excluded.facets, as_of = excluded.as_of"
)
