"""What an address names: a package or an organization, by one look at an index. On a connection of asyncpg's own."""

from collections.abc import Sequence
from uuid import UUID

from asyncpg import Connection

from wump_core.store.answers import Row
from wump_core.store.dependents import TOTALS
from wump_core.store.takedowns import is_suppressed


async def list_purls_named(connection: Connection, purls: Sequence[str]) -> list[str]:
    """Which of these packages are known."""
    rows = await connection.fetch("SELECT purl FROM packages WHERE purl = ANY($1::text[]) ORDER BY purl", purls)
    return [row["purl"] for row in rows]


async def get_package(connection: Connection, purl: str) -> Row | None:
    """A package with its repository, owner, totals, and what its providers were asked; what is nested is JSON text."""
    row: Row | None = await connection.fetchrow(PACKAGE_STATEMENT, purl)
    return row


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
