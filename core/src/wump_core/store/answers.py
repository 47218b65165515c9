"""What the API reads: fixed statements, each bounded by the size of a page and not by a package's popularity.

All run on a connection of asyncpg's own, without a layer above. The text of a page depends only on the sort, on which
filters are on and on the scope, never on a value. Filters that an index of the sort holds (`is_held`) make a page one
range of it. All others are looked for in a walk: a bounded number of rows of that range, in their order, of which those
that pass are shown; where it ended, the next page goes on. By stars or activity, the list has two parts: the rows of
which these are known, and behind them the others, by repositories. A stream is the same statements without an end, read
in chunks from one snapshot.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from uuid import UUID

from asyncpg import Connection

from wump_core.store.base import prefix_end
from wump_core.store.dependents import NARROW_SCOPES, SCOPE_COLUMNS, SHOWN_COLUMNS
from wump_core.store.takedowns import is_suppressed

Row = Mapping[str, Any]

SORTS: Mapping[str, tuple[str, str]] = {
    "repositories": ("repositories", "integer"),
    "stars": ("stars", "bigint"),
    "last_activity": ("last_activity_at", "timestamptz"),
}
"""Sort → (the column, its type)."""
FILTERS: Mapping[str, str] = {
    "scope": "{} > 0",
    "min_repositories": "repositories >= {}::integer",
    "kind": "kind = {}::text",
    "state": "NOT EXISTS (SELECT FROM dependencies d WHERE d.package_id = $1"
    f" AND d.organization_id = a.organization_id AND d.scopes <> 0) AND NOT {is_suppressed('a')}",
    "min_stars": "stars >= {}::bigint",
    "active_since": "last_activity_at >= {}::timestamptz",
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
"""Sort → the filters that its indexes hold, but for the scope `runtime`, which has none. With no others, a page is one
range of one index, and full but the last, or the last of those whose rank is known."""
UNKNOWN = {sort: f"unknown_{column}" for sort, (column, _) in SORTS.items() if sort != "repositories"}
"""Sort → the filter that only rows pass of which its column is unknown. It is none that a client can ask for."""
_CONDITIONS = {**FILTERS, **{name: f"{SORTS[sort][0]} IS NULL" for sort, name in UNKNOWN.items()}}
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
_NO_VALUE = ("scope", "state", *UNKNOWN.values())


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
    read, shown = ["package_id = $1", *_listed(sort, filters, scope)], []
    for name in filters:
        condition = _CONDITIONS[name].format(SCOPE_COLUMNS[scope] if name == "scope" else places.get(name, ""))
        if name == "min_repositories" and sort == "repositories" and scope in NARROW_SCOPES:
            # For the narrow index of the scope. Were the minimum plainly compared, the planner could see that the rows
            # are in the index of the whole list too, and walk that one for a scope that few use.
            condition = f"repositories >= (SELECT {places[name]}::integer)"
        if not (named and name == "q"):
            (read if is_held(sort, name, scope) else shown).append(condition)
    if after:
        place, comparison = 3 + len(places), ">" if ascending else "<"
        read.append(f"({rank}, organization_id) {comparison} (${place}::text::{rank_type}, ${place + 1}::bigint)")
    direction = "ASC" if ascending else "DESC"
    return rank, f"{{}} {direction}, organization_id {direction}", read, shown


def _places(filters: tuple[str, ...]) -> dict[str, str]:
    return {name: f"${place}" for place, name in enumerate((f for f in filters if f not in _NO_VALUE), start=3)}


def is_held(sort: str, name: str, scope: str = "") -> bool:
    """Whether an index of the sort holds this filter; for that of a scope, `scope` says which."""
    return name in HELD[sort] and not (name == "scope" and scope not in NARROW_SCOPES)


def _listed(sort: str, filters: tuple[str, ...], scope: str) -> list[str]:
    """Which rows are in the list at all, said so that the planner takes the one index that is made for it."""
    if "state" in filters:
        return ["repositories = 0"]
    if sort != "repositories":
        # The index of the default sort has another condition. Were it one, the planner, who doesn't know the package,
        # would sort all rows of a popular one from the index that holds them.
        return ["repositories <> 0", f"{SORTS[sort][0]} IS NOT NULL"]
    return [] if scope in NARROW_SCOPES else ["repositories > 0"]


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
        """Names of the filters that are on, in the order of their parameters."""
        return tuple(name for name in _CONDITIONS if name in self.filters)

    @property
    def walks(self) -> bool:
        """Whether a page is looked for in a walk, since no index holds it."""
        scope = self.filters.get("scope", "")
        return not all(is_held(self.sort, name, scope) for name in self.filters)

    @property
    def parts(self) -> Sequence["Wanted"]:
        """The lists that it is made of, one behind the other. Of the past, all ranks are equal."""
        if "state" in self.filters:
            return [replace(self, sort="repositories")]
        if self.sort == "repositories" or HELD[self.sort][0] in self.filters:
            return [self]
        return [self, replace(self, sort="repositories", filters={**self.filters, UNKNOWN[self.sort]: True})]

    def statement(self, *, after: bool, walk: bool, named: bool = False) -> str:
        """The text of a part's page, or, without a walk and with no limit, of all of it."""
        scope = self.filters.get("scope", "")
        if walk:
            return walk_statement(self.sort, self.on, scope=scope, ascending=self.ascending, after=after)
        return page_statement(self.sort, self.on, scope=scope, ascending=self.ascending, after=after, named=named)

    @property
    def values(self) -> list[Any]:
        """The parameters behind package and limit."""
        return [self.filters[name] for name in self.on if name not in _NO_VALUE]


Place = tuple[int, str, int]
"""Where a page ended: the part of the list, and the rank and key of its last row there; no rank: before its first."""


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a page, and where the next one goes on; null: that was all."""

    rows: Sequence[Any]
    go_on: Place | None


async def list_dependent_organizations(
    connection: Connection, package_id: int, wanted: Wanted, *, after: Place | None, limit: int
) -> Found:
    """One page of the answer, from where the one before ended.

    It may hold less than `limit`, or nothing, though more follows: where no index holds it, it reads `WALKED` rows.
    """
    prefix = wanted.filters.get("q")
    named = None if prefix is None else await _list_keys_of_logins(connection, prefix)
    number, rank, key = after or (0, "", 0)
    parts, rows = wanted.parts, list[Any]()
    while number < len(parts):
        if len(rows) == limit:
            return Found(rows, (number, "", 0))
        start = (rank, key) if rank else None
        some, go_on = await _list_part(connection, package_id, parts[number], named, start, limit - len(rows))
        rows += some
        if go_on:
            return Found(rows, (number, *go_on))
        number, rank = number + 1, ""
    return Found(rows, None)


async def _list_part(
    connection: Connection,
    package_id: int,
    part: Wanted,
    named: Sequence[int] | None,
    after: tuple[str, int] | None,
    limit: int,
) -> tuple[Sequence[Any], tuple[str, int] | None]:
    """Rows of one part, and rank and key to go on from; null: it has no more. `named` are the keys of whom `q` fits."""
    values = part.values
    if named is not None:
        values[list(_places(part.on)).index("q")] = named
    walk = named is None and part.walks
    statement = part.statement(after=after is not None, walk=walk, named=named is not None)
    rows = await connection.fetch(statement, package_id, limit + 1, *values, *(after or ()))
    if walk:
        return _found_in_walk(rows, limit, walk_length(part.on))
    page = rows[:limit]
    return page, (page[-1]["rank"], page[-1]["organization_id"]) if len(rows) > limit else None


def _found_in_walk(rows: Sequence[Any], limit: int, length: int) -> tuple[Sequence[Any], tuple[str, int] | None]:
    passing = [row for row in rows if row["passes"]]
    page = passing[:limit]
    if len(passing) > limit:
        last = page[-1]
    elif rows and rows[-1]["place"] == length:
        last = rows[-1]
    else:
        last = None
    return [row[:-2] for row in page], last and (last["rank"], last["organization_id"])


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
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        # Without a limit, Postgres would rather sort everything before the first row than walk the index.
        await connection.execute("SET LOCAL cursor_tuple_fraction = 0.01")
        for part in wanted.parts:
            statement = part.statement(after=False, walk=False)
            await connection.fetch(f"DECLARE answer NO SCROLL CURSOR FOR {statement}", package_id, limit, *part.values)
            while rows := await connection.fetch(f"FETCH {CHUNK_ROWS} FROM answer"):
                limit = None if limit is None else limit - len(rows)
                yield rows
            await connection.execute("CLOSE answer")


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


_STATEMENT_ID = "md5(so.id || ' ' || s.fingerprint)::uuid"
_STATEMENT_COLUMNS = (
    f"s.id AS key, {_STATEMENT_ID} AS id, x.purl AS package,"
    " so.provider, so.kind AS source, so.revision AS version, s.scope, s.optional,"
    " s.direct, s.requirement, s.resolved_version, s.alias, s.groups, s.marker, s.field, s.line, s.first_seen_at,"
    " so.checked_at, so.path, so.url || coalesce('#L' || s.line, '') AS url, so.mark, so.refuted"
)
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
