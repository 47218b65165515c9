"""What the API reads: fixed statements, each bounded by the size of a page and not by a package's popularity.

All run on a connection of asyncpg's own, without a layer above. The text of a page depends only on the sort, on which
filters are on and on the scope, never on a value; which of them go together stands in `PAGES`. A stream is the same
statement without an end, read in chunks from one snapshot, with any filter and sort.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from asyncpg import Connection

from wump_core.store.dependents import ACTIVITY_RANK, SCOPE_COLUMNS, SHOWN_COLUMNS, STARS_RANK, TOTALS
from wump_core.store.takedowns import is_suppressed

Row = Mapping[str, Any]

SORTS: Mapping[str, tuple[str, str]] = {
    "repositories": ("repositories", "integer"),
    "stars": (STARS_RANK, "bigint"),
    "last_activity": (ACTIVITY_RANK, "timestamptz"),
}
"""Sort → (the ranked expression, its type). Unknown values rank below all others."""
FILTERS: Mapping[str, str] = {
    "scope": "",
    "min_repositories": "repositories >= {}::integer",
    "kind": "kind = {}::text",
    "state": "repositories = 0 AND NOT EXISTS (SELECT FROM dependencies d WHERE d.package_id = a.package_id"
    f" AND d.organization_id = a.organization_id AND d.scopes <> 0) AND NOT {is_suppressed('a')}",
    "min_stars": f"{STARS_RANK} >= {{}}::bigint",
    "active_since": f"{ACTIVITY_RANK} >= {{}}::timestamptz",
    "first_seen_after": "first_seen_at > {}::timestamptz",
    "provider": "{}::text = ANY (providers)",
    "q": "starts_with(login, {}::text)",
}
"""Filter → its condition, in the order of their parameters. That of a scope names its column; `state` takes no value:
it is on for what depended once and does no more, not even by pairs that don't count."""
PAGES: Mapping[tuple[str, ...], tuple[str, ...]] = {
    (): ("repositories", "stars", "last_activity"),
    ("scope",): ("repositories",),
    ("min_repositories",): ("repositories",),
    ("scope", "min_repositories"): ("repositories",),
    ("kind",): ("repositories",),
    ("min_repositories", "kind"): ("repositories",),
    ("min_stars",): ("stars",),
    ("active_since",): ("last_activity",),
}
"""Filters that are on → the sorts in which a page is one range of one index, whatever the package. No index holds
the others: a page of them may read all rows of its package, so only streams have them."""
CHUNK_ROWS = 250
"""Rows of a stream that are in memory at once."""
_NO_VALUE = ("scope", "state")


@cache
def page_statement(sort: str, filters: tuple[str, ...] = (), *, scope: str = "", ascending: bool, after: bool) -> str:
    """The text of one page. Parameters: package, limit, the filters' values in order, then rank and key to go on from.

    Args:
        filters: Names of `FILTERS` that are on, in its order.
        scope: Which one, where `scope` is among them.
    """
    rank, rank_type = SORTS[sort]
    places = {name: f"${place}" for place, name in enumerate((f for f in filters if f not in _NO_VALUE), start=3)}
    conditions = ["package_id = $1", *_listed(sort, filters, scope)]
    for name in filters:
        if name == "min_repositories" and sort == "repositories" and len(filters) > 1:
            # For the narrow index of the scope or kind. Were the minimum plainly compared, the planner could see that
            # the rows are in the index of the whole list too, and walk that one for a scope that few use.
            conditions.append(f"repositories >= (SELECT {places[name]}::integer)")
        elif name in places:
            conditions.append(FILTERS[name].format(places[name]))
    if after:
        rank_place = 3 + len(places)
        comparison = ">" if ascending else "<"
        conditions.append(
            f"({rank}, organization_id) {comparison} (${rank_place}::text::{rank_type}, ${rank_place + 1}::bigint)"
        )
    order = "ASC" if ascending else "DESC"
    return (
        f"SELECT organization_id, ({rank})::text AS rank, {', '.join(SHOWN_COLUMNS)} FROM package_organizations a"
        f" WHERE {' AND '.join(conditions)} ORDER BY {rank} {order}, organization_id {order} LIMIT $2"
    )


def _listed(sort: str, filters: tuple[str, ...], scope: str) -> list[str]:
    """Which rows are in the list at all, said so that the planner takes the one index that is made for it."""
    if "state" in filters:
        return [FILTERS["state"]]
    # The index of the default sort has the first condition, all others have the second. Were it one, the planner, who
    # doesn't know the package, would sort all rows of a popular one from the index that holds them.
    plain = sort == "repositories" and "kind" not in filters
    listed = [] if plain and "scope" in filters else ["repositories > 0" if plain else "repositories <> 0"]
    return [*listed, f"{SCOPE_COLUMNS[scope]} > 0"] if "scope" in filters else listed


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which organizations, in which order. `filters` has the value of each filter that is on."""

    sort: str = "repositories"
    filters: Mapping[str, Any] = field(default_factory=dict)
    ascending: bool = False

    @property
    def on(self) -> tuple[str, ...]:
        """Names of the filters that are on, in the order of `FILTERS`."""
        return tuple(name for name in FILTERS if name in self.filters)

    def statement(self, *, after: bool) -> str:
        """The text of its page."""
        scope = self.filters.get("scope", "")
        return page_statement(self.sort, self.on, scope=scope, ascending=self.ascending, after=after)

    @property
    def values(self) -> list[Any]:
        """The parameters behind package and limit."""
        return [self.filters[name] for name in self.on if name not in _NO_VALUE]


async def list_dependent_organizations(
    connection: Connection, package_id: int, wanted: Wanted, *, after: tuple[str, int] | None, limit: int
) -> Sequence[Row]:
    """One page of the answer, from the rank and key after which it goes on."""
    statement = wanted.statement(after=after is not None)
    return await connection.fetch(statement, package_id, limit, *wanted.values, *(after or ()))


async def stream_dependent_organizations(
    connection: Connection, package_id: int, wanted: Wanted, *, limit: int | None
) -> AsyncGenerator[Sequence[Row]]:
    """The whole answer in its order, chunk by chunk, as it stood when the first chunk was read.

    Close the generator when no more is wanted: that ends the query and the transaction.

    Args:
        connection: One that nothing was asked on yet; it is in a transaction of the stream's own meanwhile.
        limit: Rows at the most; null: all.
    """
    statement = wanted.statement(after=False)
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        # Without a limit, Postgres would rather sort everything before the first row than walk the index.
        await connection.execute("SET LOCAL cursor_tuple_fraction = 0.01")
        await connection.fetch(f"DECLARE answer NO SCROLL CURSOR FOR {statement}", package_id, limit, *wanted.values)
        while rows := await connection.fetch(f"FETCH {CHUNK_ROWS} FROM answer"):
            yield rows


async def list_purls_named(connection: Connection, purls: Sequence[str]) -> list[str]:
    """Which of these packages are known."""
    rows = await connection.fetch("SELECT purl FROM packages WHERE purl = ANY($1::text[]) ORDER BY purl", purls)
    return [row["purl"] for row in rows]


async def get_package(connection: Connection, purl: str) -> Row | None:
    """A package with its repository, owner, totals, and what its providers were asked; what is nested is JSON text."""
    row: Row | None = await connection.fetchrow(PACKAGE_STATEMENT, purl)
    return row


async def list_dependent_repositories(
    connection: Connection, package_id: int, *, excluded: Sequence[str], after: int, limit: int
) -> Sequence[Row]:
    """One page of the repositories that use a package, in the order of their keys.

    Args:
        excluded: Reasons whose pairs are listed too.
    """
    if excluded:
        return await connection.fetch(_REPOSITORIES_TOO, package_id, after, limit, excluded)
    return await connection.fetch(_REPOSITORIES, package_id, after, limit)


async def list_evidence(
    connection: Connection, package_id: int, organization_id: int, *, after: int, limit: int
) -> Sequence[Row]:
    """Current statements by which an organization depends on a package, in the order of their keys."""
    return await connection.fetch(_EVIDENCE, package_id, organization_id, after, limit)


async def list_package_dependencies(
    connection: Connection, package_id: int, *, after: int, limit: int
) -> Sequence[Row]:
    """What a package's latest version says it needs, in the order of the statements' keys."""
    return await connection.fetch(_DEPENDENCIES, package_id, after, limit)


async def get_organization_by_id(connection: Connection, public_id: UUID) -> Row | None:
    """The organization of that public id, or the one that it was merged into."""
    row: Row | None = await connection.fetchrow(
        "SELECT o.id, o.public_id, o.host, o.login, o.kind FROM organizations given"
        " JOIN organizations o ON o.id = coalesce(given.merged_into, given.id)"
        f" WHERE given.public_id = $1 AND NOT {is_suppressed('o')}",
        public_id,
    )
    return row


async def list_organizations_by_login(connection: Connection, login: str, host: str | None) -> Sequence[Row]:
    """Organizations of that case-folded login, at most ten; on one host, or on any."""
    return await connection.fetch(
        "SELECT DISTINCT o.id, o.public_id, o.host, o.login, o.kind FROM accounts a"
        " JOIN organizations o ON o.id = a.organization_id"
        f" WHERE a.login = $1 AND ($2::text IS NULL OR a.host = $2) AND NOT {is_suppressed('o')}"
        " ORDER BY o.host LIMIT 10",
        login,
        host,
    )


async def list_providers(connection: Connection) -> Sequence[Row]:
    """The providers as the workers loaded them last, by name."""
    return await connection.fetch(
        "SELECT name, distribution, version, state, reason, title, provider_type, ecosystems, capabilities, rate_limit,"
        " licence, attribution, terms, healthy, health, limits, last_ok_at, last_error_at, last_error, seen_at"
        " FROM providers ORDER BY name"
    )


_STATEMENT_COLUMNS = (
    "s.id AS key, md5(so.id || ' ' || s.fingerprint)::uuid AS id, x.purl AS package,"
    " so.provider, so.kind AS source, so.revision AS version, s.scope, s.optional,"
    " s.direct, s.requirement, s.resolved_version, s.alias, s.groups, s.marker, s.field, s.line, s.first_seen_at,"
    " so.checked_at, so.path, so.url || coalesce('#L' || s.line, '') AS url, so.mark, so.refuted"
)
_COUNTS = ", ".join(f"coalesce(t.{name}, 0) + unfolded.{name} AS {name}" for name in TOTALS)
PACKAGE_STATEMENT = f"""
    SELECT p.id AS key, p.public_id AS id, p.purl, p.ecosystem, p.name, p.tracked, p.provider, p.latest_version,
           p.description, p.homepage, p.licences, p.funding, p.deprecated, p.repository_directory,
           p.repository_verified, p.dependencies_unknown, p.missing, p.fetched_at,
           r.host AS repository_host, r.path AS repository_path,
           o.public_id AS organization_id, o.host AS organization_host, o.login AS organization_login, o.kind,
           {_COUNTS},
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
      LEFT JOIN repositories r ON r.id = p.repository_id AND NOT EXISTS (
        SELECT FROM accounts a WHERE a.id = r.account_id AND {is_suppressed("a")})
      LEFT JOIN organizations o ON o.id = p.organization_id AND NOT {is_suppressed("o")}
      LEFT JOIN package_totals t ON t.package_id = p.id
      CROSS JOIN LATERAL (
        SELECT {", ".join(f"coalesce(sum(d.{name}), 0)::int AS {name}" for name in TOTALS)},
               max(d.created_at) AS as_of
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
_REPOSITORIES = (
    f"SELECT {_REPOSITORY_COLUMNS}{_REPOSITORY_JOINS} WHERE d.package_id = $1 AND d.exclusion IS NULL"
    " AND d.scopes <> 0 AND d.repository_id > $2 ORDER BY d.repository_id LIMIT $3"
)
_REPOSITORIES_TOO = (
    f"SELECT {_REPOSITORY_COLUMNS}{_REPOSITORY_JOINS} WHERE d.package_id = $1 AND d.scopes <> 0"
    " AND (d.exclusion IS NULL OR d.exclusion = ANY($4::text[]))"
    " AND d.repository_id > $2 ORDER BY d.repository_id LIMIT $3"
)
_EVIDENCE = (
    f"SELECT {_STATEMENT_COLUMNS}, r.host, r.path, d.claimed, d.exclusion FROM dependencies d"
    " JOIN repositories r ON r.id = d.repository_id JOIN sources so ON so.repository_id = d.repository_id"
    " JOIN statements s ON s.source_id = so.id AND s.package_id = d.package_id AND s.removed_at IS NULL"
    " LEFT JOIN packages x ON x.id = so.package_id"
    " WHERE d.package_id = $1 AND d.organization_id = $2 AND s.id > $3"
    " ORDER BY s.id LIMIT $4"
)
_DEPENDENCIES = (
    f"SELECT {_STATEMENT_COLUMNS}, p.purl AS dependency FROM sources so"
    " JOIN statements s ON s.source_id = so.id AND s.removed_at IS NULL JOIN packages p ON p.id = s.package_id"
    " JOIN packages x ON x.id = so.package_id"
    " WHERE so.package_id = $1 AND s.id > $2 ORDER BY s.id LIMIT $3"
)
