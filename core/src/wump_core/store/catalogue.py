"""What there is to look through: packages, organizations, and what hangs on one of them. Fixed statements for the API.

Each is one range of one index and lookups for its rows. Who is taken down is named by none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from asyncpg import Connection

from wump_core.store.dependents import SCOPE_COLUMNS
from wump_core.store.takedowns import is_suppressed

Row = Mapping[str, Any]
SCANNED_STATEMENTS = 1_000
"""Statements that one page of dependent packages looks at, at the most: files state most of them, not packages."""

_SUMMARY = (
    "p.id AS key, p.public_id AS id, p.purl, p.ecosystem, p.name, p.tracked, p.latest_version, p.description,"
    " p.deprecated, p.missing, p.fetched_at, coalesce(t.organizations, 0) AS organizations,"
    " coalesce(t.repositories, 0) AS repositories"
)
_PROVIDERS = (
    "SELECT name AS id, name, distribution, version, state, reason, title, provider_type, ecosystems, capabilities,"
    " rate_limit, licence, attribution, terms, healthy, health, limits, last_ok_at, last_error_at, last_error, seen_at"
    " FROM providers"
)
_TOTALS = "LEFT JOIN package_totals t ON t.package_id = p.id"
_FUNDABLE = """
    p.funding, ro.public_id AS organization_id, ro.host AS organization_host, ro.login, ro.kind,
    (SELECT jsonb_agg(link) FROM repositories r, jsonb_array_elements(
       CASE WHEN jsonb_typeof(r.funding) = 'array' THEN r.funding END) link
      WHERE r.id = p.repository_id)::text AS repository_funding,
    (SELECT bool_or(a.sponsorable) FROM accounts a WHERE a.organization_id = ro.id) AS sponsorable,
    (SELECT jsonb_agg(link) FROM accounts a, jsonb_array_elements(
       CASE WHEN jsonb_typeof(a.funding) = 'array' THEN a.funding END) link
      WHERE a.organization_id = ro.id)::text AS organization_funding
    """
_OWNER = f"LEFT JOIN organizations ro ON ro.id = p.organization_id AND NOT {is_suppressed('ro')}"


async def list_sources(connection: Connection) -> Sequence[Row]:
    """Who tells the facts, with licence and attribution, by name."""
    return await connection.fetch(
        "SELECT name AS provider, title, licence, attribution, terms FROM providers WHERE state = 'active'"
        " ORDER BY name"
    )


async def list_providers(connection: Connection, *, after: str, limit: int) -> Sequence[Row]:
    """A page of the providers as the workers loaded them last, by name."""
    return await connection.fetch(f"{_PROVIDERS} WHERE name > $1 ORDER BY name LIMIT $2", after, limit)


async def get_provider(connection: Connection, name: str) -> Row | None:
    """A provider as the workers loaded it last."""
    row: Row | None = await connection.fetchrow(f"{_PROVIDERS} WHERE name = $1", name)
    return row


async def list_most_used(connection: Connection, *, limit: int) -> list[tuple[str, str]]:
    """Ecosystem and name of the packages that most organizations use."""
    rows = await connection.fetch(
        "SELECT p.ecosystem, p.name FROM (SELECT package_id, organizations FROM package_totals"
        "   WHERE organizations > 0 ORDER BY organizations DESC LIMIT $1) most"
        " JOIN packages p ON p.id = most.package_id ORDER BY most.organizations DESC",
        limit,
    )
    return [(row["ecosystem"], row["name"]) for row in rows]


async def list_packages(
    connection: Connection, *, ecosystem: str | None, tracked: bool, after: tuple[str, str] | None, limit: int
) -> Sequence[Row]:
    """A page of packages, by ecosystem and name."""
    conditions: list[str] = []
    values: list[Any] = [limit]
    if tracked:
        conditions.append("p.tracked")
    if ecosystem is not None:
        values.append(ecosystem)
        conditions.append(f"p.ecosystem = ${len(values)}")
    if after is not None:
        values += after
        conditions.append(f"(p.ecosystem, p.name) > (${len(values) - 1}, ${len(values)})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return await connection.fetch(
        f"SELECT {_SUMMARY} FROM packages p {_TOTALS}{where} ORDER BY p.ecosystem, p.name LIMIT $1", *values
    )


async def list_packages_by_purl(connection: Connection, purls: Sequence[str]) -> Sequence[Row]:
    """Those of these packages that are known."""
    return await connection.fetch(f"SELECT {_SUMMARY} FROM packages p {_TOTALS} WHERE p.purl = ANY($1::text[])", purls)


async def list_dependent_packages(
    connection: Connection, package_id: int, *, after: int, limit: int
) -> tuple[Sequence[Row], int | None]:
    """Some of the packages that say they need a package, and after which statement to go on; null: that was all.

    A page may hold less than `limit` though more follows: it looks at `SCANNED_STATEMENTS` at the most.
    """
    rows = await connection.fetch(_DEPENDENT_PACKAGES, package_id, after, SCANNED_STATEMENTS, limit)
    found = [row for row in rows if row["id"] is not None]
    scanned = rows[0]["scanned"] if rows else 0
    if len(found) == limit:
        return found, found[-1]["key"]
    return found, rows[0]["last"] if scanned == SCANNED_STATEMENTS else None


async def list_organizations(
    connection: Connection, *, host: str | None, after: tuple[str, str] | None, limit: int
) -> Sequence[Row]:
    """A page of organizations, by host and login."""
    conditions = ["o.merged_into IS NULL", f"NOT {is_suppressed('o')}"]
    values: list[Any] = [limit]
    if host is not None:
        values.append(host)
        conditions.append(f"o.host = ${len(values)}")
    if after is not None:
        values += after
        conditions.append(f"(o.host, o.login) > (${len(values) - 1}, ${len(values)})")
    return await connection.fetch(
        "SELECT o.id AS key, o.public_id AS id, o.host, o.login, o.kind, o.stars, o.repositories FROM organizations o"
        f" WHERE {' AND '.join(conditions)} ORDER BY o.host, o.login LIMIT $1",
        *values,
    )


async def get_organization(connection: Connection, organization_id: int) -> Row | None:
    """An organization with what its hosts say of its accounts; those are JSON text."""
    row: Row | None = await connection.fetchrow(_ORGANIZATION, organization_id)
    return row


async def list_packages_of_organization(
    connection: Connection, organization_id: int, *, after: tuple[int, int] | None, limit: int
) -> Sequence[Row]:
    """A page of what an organization uses, the packages of most of its repositories first."""
    go_on = " AND (u.repositories, u.package_id) < ($3, $4)" if after else ""
    return await connection.fetch(
        f"SELECT {_SUMMARY}, {_FUNDABLE}, u.repositories AS used_in, u.package_id, u.first_seen_at, u.last_activity_at,"
        f" {', '.join(f'u.{column}' for column in SCOPE_COLUMNS.values())}"
        f" FROM package_organizations u JOIN packages p ON p.id = u.package_id {_TOTALS} {_OWNER}"
        f" WHERE u.organization_id = $1 AND u.repositories > 0{go_on}"
        " ORDER BY u.repositories DESC, u.package_id DESC LIMIT $2",
        organization_id,
        limit,
        *(after or ()),
    )


async def list_repositories_of_organization(
    connection: Connection, organization_id: int, *, after: int, limit: int
) -> Sequence[Row]:
    """A page of an organization's repositories, in the order of their keys."""
    return await connection.fetch(_REPOSITORIES, organization_id, after, limit)


_DEPENDENT_PACKAGES = f"""
    WITH scanned AS (
      SELECT id, source_id, scope, direct, requirement, first_seen_at FROM statements
       WHERE package_id = $1 AND id > $2 AND removed_at IS NULL ORDER BY id LIMIT $3),
    found AS (
      SELECT s.id AS key, p.public_id AS id, p.purl, p.ecosystem, p.name, s.scope, s.direct, s.requirement,
             so.revision AS version, so.provider, s.first_seen_at, so.checked_at,
             ro.public_id AS organization_id, ro.host AS organization_host, ro.login, ro.kind
        FROM scanned s JOIN sources so ON so.id = s.source_id JOIN packages p ON p.id = so.package_id {_OWNER}
       ORDER BY s.id LIMIT $4)
    SELECT found.*, total.scanned, total.last
      FROM (SELECT count(*) AS scanned, max(id) AS last FROM scanned) total LEFT JOIN found ON true
     ORDER BY found.key"""
_ORGANIZATION = f"""
    SELECT o.id AS key, o.public_id AS id, o.host, o.login, o.kind, o.stars, o.repositories, o.enriched_at,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('host', a.host, 'login', a.login, 'kind', a.kind,
                   'name', a.name, 'description', a.description, 'website', a.website,
                   'verified_domain', a.verified_domain, 'location', a.location,
                   'public_repositories', a.public_repositories, 'followers', a.followers,
                   'sponsorable', a.sponsorable, 'sponsors', a.sponsors, 'sponsoring', a.sponsoring,
                   'funding', a.funding, 'missing', a.missing, 'fetched_at', a.fetched_at)
                   ORDER BY a.host, a.login), '[]')
              FROM (SELECT * FROM accounts WHERE organization_id = o.id ORDER BY host, login LIMIT 100) a
             WHERE NOT {is_suppressed("a")})::text AS accounts,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('host', m.host, 'login', m.login, 'active', s.active,
                   'one_time', s.one_time, 'started_at', s.started_at, 'provider', s.provider)
                   ORDER BY s.active DESC NULLS LAST, m.host, m.login), '[]')
              FROM (SELECT s.* FROM accounts a JOIN sponsorships s ON s.sponsor_id = a.id
                     WHERE a.organization_id = o.id ORDER BY s.maintainer_id LIMIT 100) s
              JOIN accounts m ON m.id = s.maintainer_id WHERE NOT {is_suppressed("m")})::text AS funds
      FROM organizations o WHERE o.id = $1 AND NOT {is_suppressed("o")}"""
_REPOSITORIES = f"""
    SELECT r.id AS key, r.public_id AS id, r.host, coalesce(r.current_path, r.path) AS path, r.description, r.stars,
           r.fork, r.archived, r.template, r.pushed_at, r.fetched_at, r.missing
      FROM (SELECT r.* FROM accounts a CROSS JOIN LATERAL (
              SELECT * FROM repositories r WHERE r.account_id = a.id AND r.id > $2 AND r.renamed_to IS NULL
               ORDER BY r.id LIMIT $3) r
             WHERE a.organization_id = $1 AND NOT {is_suppressed("a")}) r
     ORDER BY r.id LIMIT $3"""
