"""What the API reads: fixed statements, each bounded by the size of a page and not by a package's popularity.

All run on a connection of asyncpg's own, without a layer above. The text of a page depends only on the sort, on which
filters are on and on the scope, never on a value. Filters that an index of the sort holds (`HELD`) make a page one
range of it. All others are looked for in a walk: a bounded number of rows of that range, in their order, of which those
that pass are shown; where it ended, the next page goes on. A stream is the same statement without an end, read in
chunks from one snapshot.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from asyncpg import Connection

from wump_core.store.base import prefix_end
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
    "scope": "{} > 0",
    "min_repositories": "repositories >= {}::integer",
    "kind": "kind = {}::text",
    "state": "NOT EXISTS (SELECT FROM dependencies d WHERE d.package_id = $1"
    f" AND d.organization_id = a.organization_id AND d.scopes <> 0) AND NOT {is_suppressed('a')}",
    "min_stars": f"{STARS_RANK} >= {{}}::bigint",
    "active_since": f"{ACTIVITY_RANK} >= {{}}::timestamptz",
    "first_seen_after": "first_seen_at > {}::timestamptz",
    "provider": "{}::text = ANY (providers)",
    "q": "starts_with(login, {}::text)",
}
"""Filter → its condition, in the order of their parameters. That of a scope names its column; `state` takes no value:
it is on for what depended once and does no more, not even by pairs that don't count."""
HELD: Mapping[str, tuple[str, ...]] = {
    "repositories": ("scope", "min_repositories"),
    "stars": ("min_stars",),
    "last_activity": ("active_since",),
}
"""Sort → the filters that its indexes hold: with no others, a page is one range of one index, and full but the last."""
OF_CURRENT = ("scope", "min_repositories", "min_stars", "active_since", "first_seen_after", "provider")
"""Filters by what is counted: nothing is, of those that depend on a package no more."""
WALKED = 1_000
"""Rows that a page with other filters reads at the most: as many look-ups in the table, where the index lacks them."""
WALKED_PAST = 200
"""The same for those that depend no more: of each, its dependencies are looked up too."""
NAMED = 150
"""Organizations whose login begins as wanted, that are looked up one by one; with more, the list is walked."""
CHUNK_ROWS = 250
"""Rows of a stream that are in memory at once."""
_NO_VALUE = ("scope", "state")


@cache
def page_statement(
    sort: str,
    filters: tuple[str, ...] = (),
    *,
    scope: str = "",
    ascending: bool,
    after: bool,
    named: bool = False,
) -> str:
    """The text of one page. Parameters: package, limit, the filters' values in order, then rank and key to go on from.

    Args:
        filters: Names of `FILTERS` that are on, in its order.
        scope: Which one, where `scope` is among them.
        named: The value of `q` is not a text but the keys of all organizations that it fits.
    """
    rank, order, read, shown = _parts(sort, filters, scope, ascending=ascending, after=after, named=named)
    rows = _named(filters) if named else "package_organizations"
    return (
        f"SELECT organization_id, ({rank})::text AS rank, {', '.join(SHOWN_COLUMNS)} FROM {rows} a"
        f" WHERE {' AND '.join((*read, *shown))} ORDER BY {order.format(rank)} LIMIT $2"
    )


@cache
def walk_statement(sort: str, filters: tuple[str, ...], *, scope: str = "", ascending: bool, after: bool) -> str:
    """The text of one page that reads a bounded number of rows. Parameters like those of `page_statement`.

    A row has two columns more: whether it passes, and its place in the walk. The walk's last row comes in any case, so
    that the next page can go on from there.
    """
    rank, order, read, shown = _parts(sort, filters, scope, ascending=ascending, after=after, named=False)
    passes, end = " AND ".join(shown), walk_length(filters)
    columns = ", ".join(("organization_id", *SHOWN_COLUMNS))
    return (
        f"SELECT organization_id, ranked::text AS rank, {', '.join(SHOWN_COLUMNS)}, {passes} AS passes, place"
        f" FROM (SELECT {columns}, {rank} AS ranked, row_number() OVER (ORDER BY {order.format(rank)}) AS place"
        f" FROM package_organizations WHERE {' AND '.join(read)} ORDER BY {order.format(rank)} LIMIT {end}) a"
        f" WHERE place = {end} OR {passes} ORDER BY {order.format('ranked')} LIMIT $2"
    )


def walk_length(filters: tuple[str, ...]) -> int:
    """How many rows a walk reads at the most."""
    return WALKED_PAST if "state" in filters else WALKED


def _parts(
    sort: str, filters: tuple[str, ...], scope: str, *, ascending: bool, after: bool, named: bool
) -> tuple[str, str, list[str], list[str]]:
    """The rank, the order with a place for it, and the conditions: those that an index holds, and the others."""
    rank, rank_type = SORTS[sort]
    places = _places(filters)
    read, shown = ["package_id = $1", *_listed(sort, filters)], []
    for name in filters:
        condition = FILTERS[name].format(SCOPE_COLUMNS[scope] if name == "scope" else places.get(name, ""))
        if name == "min_repositories" and sort == "repositories" and "scope" in filters:
            # For the narrow index of the scope. Were the minimum plainly compared, the planner could see that the rows
            # are in the index of the whole list too, and walk that one for a scope that few use.
            condition = f"repositories >= (SELECT {places[name]}::integer)"
        if not (named and name == "q"):
            (read if name in HELD[sort] else shown).append(condition)
    if after:
        place, comparison = 3 + len(places), ">" if ascending else "<"
        read.append(f"({rank}, organization_id) {comparison} (${place}::text::{rank_type}, ${place + 1}::bigint)")
    direction = "ASC" if ascending else "DESC"
    return rank, f"{{}} {direction}, organization_id {direction}", read, shown


def _places(filters: tuple[str, ...]) -> dict[str, str]:
    return {name: f"${place}" for place, name in enumerate((f for f in filters if f not in _NO_VALUE), start=3)}


def _listed(sort: str, filters: tuple[str, ...]) -> list[str]:
    """Which rows are in the list at all, said so that the planner takes the one index that is made for it."""
    if "state" in filters:
        return ["repositories = 0"]
    if sort != "repositories":
        # The index of the default sort has another condition. Were it one, the planner, who doesn't know the package,
        # would sort all rows of a popular one from the index that holds them.
        return ["repositories <> 0"]
    return [] if "scope" in filters else ["repositories > 0"]


def _named(filters: tuple[str, ...]) -> str:
    """The rows of these organizations. Each is looked up by itself: the planner can't rather read all of a package."""
    return (
        f"(SELECT found.* FROM unnest({_places(filters)['q']}::bigint[]) named(id) CROSS JOIN LATERAL"
        " (SELECT * FROM package_organizations WHERE package_id = $1 AND organization_id = named.id OFFSET 0) found"
        " OFFSET 0)"
    )


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

    @property
    def walks(self) -> bool:
        """Whether a page is looked for in a walk, since no index holds it."""
        return not set(self.on) <= set(HELD[self.sort])

    def statement(self, *, after: bool, walk: bool, named: bool = False) -> str:
        """The text of its page, or, without a walk and with no limit, of all. Of the past, all ranks are equal."""
        sort = "repositories" if "state" in self.filters else self.sort
        scope = self.filters.get("scope", "")
        if walk:
            return walk_statement(sort, self.on, scope=scope, ascending=self.ascending, after=after)
        return page_statement(sort, self.on, scope=scope, ascending=self.ascending, after=after, named=named)

    @property
    def values(self) -> list[Any]:
        """The parameters behind package and limit."""
        return [self.filters[name] for name in self.on if name not in _NO_VALUE]


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a page, and the rank and key after which the next one goes on; null: that was all."""

    rows: Sequence[Any]
    go_on: tuple[str, int] | None


async def list_dependent_organizations(
    connection: Connection, package_id: int, wanted: Wanted, *, after: tuple[str, int] | None, limit: int
) -> Found:
    """One page of the answer, from the rank and key after which it goes on.

    It may hold less than `limit`, or nothing, though more follows: where no index holds it, it reads `WALKED` rows.
    """
    values = wanted.values
    named = None
    if "q" in wanted.filters:
        named = await _list_keys_of_logins(connection, wanted.filters["q"])
        if named is not None:
            values[list(_places(wanted.on)).index("q")] = named
    walk = named is None and wanted.walks
    statement = wanted.statement(after=after is not None, walk=walk, named=named is not None)
    rows = await connection.fetch(statement, package_id, limit + 1, *values, *(after or ()))
    if walk:
        return _found_in_walk(rows, limit, walk_length(wanted.on))
    page = rows[:limit]
    return Found(page, (page[-1]["rank"], page[-1]["organization_id"]) if len(rows) > limit else None)


def _found_in_walk(rows: Sequence[Any], limit: int, length: int) -> Found:
    passing = [row for row in rows if row["passes"]]
    page = passing[:limit]
    if len(passing) > limit:
        last = page[-1]
    elif rows and rows[-1]["place"] == length:
        last = rows[-1]
    else:
        last = None
    return Found([row[:-2] for row in page], last and (last["rank"], last["organization_id"]))


async def _list_keys_of_logins(connection: Connection, prefix: str) -> list[int] | None:
    """The organizations whose login begins so; null: there are more than `NAMED`."""
    rows = await connection.fetch(
        "SELECT id FROM organizations WHERE lower(login) ~>=~ $1 AND lower(login) ~<=~ $2"
        " ORDER BY lower(login) USING ~<~ LIMIT $3",
        prefix,
        prefix_end(prefix),
        NAMED + 1,
    )
    return [row["id"] for row in rows] if len(rows) <= NAMED else None


async def stream_dependent_organizations(
    connection: Connection, package_id: int, wanted: Wanted, *, limit: int | None
) -> AsyncGenerator[Sequence[Row]]:
    """The whole answer in its order, chunk by chunk, as it stood when the first chunk was read.

    Close the generator when no more is wanted: that ends the query and the transaction.

    Args:
        connection: One that nothing was asked on yet; it is in a transaction of the stream's own meanwhile.
        limit: Rows at the most; null: all.
    """
    statement = wanted.statement(after=False, walk=False)
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
) -> tuple[Sequence[Row], int | None]:
    """Some of the repositories that use a package, in the order of their keys, and after which to go on; null: all.

    There may be less than `limit` though more follows: it reads `WALKED` pairs, and passes over those that don't count.

    Args:
        excluded: Reasons whose pairs are listed too.
    """
    rows = await connection.fetch(REPOSITORIES_STATEMENT, package_id, after, limit + 1, excluded)
    passing = [row for row in rows if row["passes"]]
    page = passing[:limit]
    if len(passing) > limit:
        return page, page[-1]["key"]
    return page, rows[-1]["key"] if rows and rows[-1]["place"] == WALKED else None


async def list_evidence(
    connection: Connection, package_id: int, organization_id: int, *, only: UUID | None, after: int, limit: int
) -> Sequence[Row]:
    """Current statements by which an organization depends on a package, or one of them, in the order of their keys."""
    return await connection.fetch(_EVIDENCE, package_id, organization_id, after, limit, only)


async def list_package_dependencies(
    connection: Connection, package_id: int, *, only: UUID | None, after: int, limit: int
) -> Sequence[Row]:
    """What a package's latest version says it needs, or one statement of it, in the order of the statements' keys."""
    return await connection.fetch(_DEPENDENCIES, package_id, after, limit, only)


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


_STATEMENT_ID = "md5(so.id || ' ' || s.fingerprint)::uuid"
_STATEMENT_COLUMNS = (
    f"s.id AS key, {_STATEMENT_ID} AS id, x.purl AS package,"
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
REPOSITORIES_STATEMENT = f"""
    SELECT d.repository_id AS key, r.public_id AS id, r.host, r.path, r.stars, r.pushed_at, d.scopes, d.direct,
           d.claimed, d.exclusion, d.providers, d.first_seen_at, o.public_id AS organization_id,
           o.host AS organization_host, o.login, o.kind, d.passes, d.place
      FROM (SELECT * FROM (
              SELECT *, scopes <> 0 AND (exclusion IS NULL OR exclusion = ANY ($4::text[])) AS passes,
                     row_number() OVER (ORDER BY repository_id) AS place
                FROM dependencies WHERE package_id = $1 AND repository_id > $2
               ORDER BY repository_id LIMIT {WALKED}) walked
             WHERE passes OR place = {WALKED} ORDER BY repository_id LIMIT $3) d
      JOIN repositories r ON r.id = d.repository_id LEFT JOIN organizations o ON o.id = d.organization_id
     ORDER BY d.repository_id"""
_EVIDENCE = (
    f"SELECT {_STATEMENT_COLUMNS}, r.host, r.path, d.claimed, d.exclusion FROM dependencies d"
    " JOIN repositories r ON r.id = d.repository_id JOIN sources so ON so.repository_id = d.repository_id"
    " JOIN statements s ON s.source_id = so.id AND s.package_id = d.package_id AND s.removed_at IS NULL"
    " LEFT JOIN packages x ON x.id = so.package_id"
    f" WHERE d.package_id = $1 AND d.organization_id = $2 AND s.id > $3 AND ($5::uuid IS NULL OR {_STATEMENT_ID} = $5)"
    " ORDER BY s.id LIMIT $4"
)
_DEPENDENCIES = (
    f"SELECT {_STATEMENT_COLUMNS}, p.purl AS dependency FROM sources so"
    " JOIN statements s ON s.source_id = so.id AND s.removed_at IS NULL JOIN packages p ON p.id = s.package_id"
    " JOIN packages x ON x.id = so.package_id"
    f" WHERE so.package_id = $1 AND s.id > $2 AND ($4::uuid IS NULL OR {_STATEMENT_ID} = $4) ORDER BY s.id LIMIT $3"
)
