"""Search: packages and organizations by what they are called, by how it begins, nearly so, and by description.

A search gathers candidates, so many of each kind at the most, and ranks those alone: the name itself, names that begin
so, popular ones that hold it, names written nearly so, and descriptions with all the words. How many there are of a
kind does not show in what it costs. Names are looked for nearly so, and descriptions at all, among the most used and
the tracked packages only, logins among those with most repositories: `search_names` and `search_logins` have those,
since a word's trigrams are in too many of all.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from asyncpg import Connection
from sqlalchemy import BigInteger, Column, Index, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import metadata, prefix_end
from wump_core.store.takedowns import is_suppressed

Row = Mapping[str, Any]

search_names = Table(
    "search_names",
    metadata,
    Column("package_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("words", TSVECTOR, comment="Of the description; null: it has none."),
    PrimaryKeyConstraint("package_id"),
    Index(
        "ix_search_names_trigrams",
        "name",
        postgresql_using="gist",
        postgresql_ops={"name": "gist_trgm_ops(siglen=64)"},
    ),
    Index("ix_search_names_words", "words", postgresql_using="gin"),
)
search_logins = Table(
    "search_logins",
    metadata,
    Column("organization_id", BigInteger, nullable=False),
    Column("login", Text, nullable=False),
    PrimaryKeyConstraint("organization_id"),
    Index(
        "ix_search_logins_trigrams",
        "login",
        postgresql_using="gist",
        postgresql_ops={"login": "gist_trgm_ops(siglen=64)"},
    ),
)
NAMES = 20_000
"""Of the most used packages, and as many of the tracked ones; of organizations with most repositories."""
CANDIDATES = 200
"""That begin so, or have the words."""
NEAREST = 40
POPULAR = 500
"""Packages that most organizations use, as counted now, among which names that hold what is searched are found."""
LEAST_ALIKE = 0.3
"""Of trigrams, from 0 to 1: what is less alike is no slip of the finger."""


async def search_packages(connection: Connection, query: str, *, ecosystem: str | None, limit: int) -> Sequence[Row]:
    """Packages by rank: the name itself, its beginning, then the rest; among equals, the more alike and used first.

    Args:
        query: In lower case, not empty.
    """
    statement = _PACKAGES[_has_trigram(query)]
    return await connection.fetch(statement, query, prefix_end(query), ecosystem, limit, LEAST_ALIKE)


async def search_organizations(connection: Connection, query: str, *, limit: int) -> Sequence[Row]:
    """Organizations by rank: the login itself, then its beginning, then what is written nearly so.

    Args:
        query: In lower case, not empty.
    """
    return await connection.fetch(_ORGANIZATIONS[_has_trigram(query)], query, prefix_end(query), limit)


def _has_trigram(query: str) -> bool:
    """Whether an index of trigrams can help; without any, it would be read from end to end."""
    return re.search(r"\w{3}", query) is not None


async def replace_search_names(connection: AsyncConnection) -> None:
    """Bring `search_names` and `search_logins` up to date; only what differs is written."""
    for statement in (_REMOVE, _ADD, _REMOVE_LOGINS, _ADD_LOGINS):
        await connection.execute(statement, {"names": NAMES})


_WANTED = """(
    SELECT p.id, p.name, to_tsvector('simple', left(p.description, 1000)) AS words FROM (
      (SELECT package_id FROM package_totals WHERE organizations > 0 ORDER BY organizations DESC LIMIT :names)
      UNION (SELECT id FROM packages WHERE tracked ORDER BY ecosystem, name LIMIT :names)) chosen
      JOIN packages p ON p.id = chosen.package_id)"""
_REMOVE = text(
    f"DELETE FROM search_names n WHERE NOT EXISTS (SELECT FROM {_WANTED} w WHERE w.id = n.package_id"
    " AND w.words IS NOT DISTINCT FROM n.words)"
)
_ADD = text(
    f"INSERT INTO search_names (package_id, name, words) SELECT w.id, w.name, w.words FROM {_WANTED} w"
    " WHERE NOT EXISTS (SELECT FROM search_names n WHERE n.package_id = w.id)"
)
_WANTED_LOGINS = """(
    SELECT o.id, o.login FROM (
      SELECT a.organization_id, sum(r.repositories) AS repositories FROM (
        SELECT account_id, count(*) AS repositories FROM repositories GROUP BY account_id) r
        JOIN accounts a ON a.id = r.account_id GROUP BY a.organization_id
       ORDER BY repositories DESC, a.organization_id LIMIT :names) chosen
      JOIN organizations o ON o.id = chosen.organization_id)"""
_REMOVE_LOGINS = text(
    f"DELETE FROM search_logins n WHERE NOT EXISTS (SELECT FROM {_WANTED_LOGINS} w WHERE w.id = n.organization_id"
    " AND w.login = n.login)"
)
_ADD_LOGINS = text(
    f"INSERT INTO search_logins (organization_id, login) SELECT w.id, w.login FROM {_WANTED_LOGINS} w"
    " WHERE NOT EXISTS (SELECT FROM search_logins n WHERE n.organization_id = w.id)"
)
_OF_ECOSYSTEM = "($3::text IS NULL OR p.ecosystem = $3)"
_NEARLY = f"""
      UNION (SELECT p.id FROM (SELECT package_id FROM search_names ORDER BY name <-> $1 LIMIT {NEAREST}) n
               JOIN packages p ON p.id = n.package_id WHERE {_OF_ECOSYSTEM} AND similarity(p.name, $1) >= $5)
      UNION (SELECT p.id FROM (SELECT package_id FROM search_names WHERE words @@ plainto_tsquery('simple', $1)
                                LIMIT {CANDIDATES}) n
               JOIN packages p ON p.id = n.package_id WHERE {_OF_ECOSYSTEM})"""
_PACKAGES = tuple(
    f"""
    WITH found AS MATERIALIZED (
      (SELECT id FROM packages p WHERE lower(name) = $1 AND {_OF_ECOSYSTEM} LIMIT {CANDIDATES})
      UNION (SELECT id FROM packages p WHERE lower(name) ~>=~ $1 AND lower(name) ~<=~ $2 AND {_OF_ECOSYSTEM}
              ORDER BY lower(name) USING ~<~ LIMIT {CANDIDATES})
      UNION (SELECT p.id FROM (SELECT package_id FROM package_totals ORDER BY organizations DESC LIMIT {POPULAR}) t
               JOIN packages p ON p.id = t.package_id
              WHERE {_OF_ECOSYSTEM} AND (strpos(lower(p.name), $1) > 0 OR similarity(p.name, $1) >= $5)){nearly})
    SELECT p.public_id AS id, p.purl, p.ecosystem, p.name, p.tracked, p.description, p.latest_version, p.deprecated,
           p.missing, p.fetched_at, coalesce(t.organizations, 0) AS organizations,
           coalesce(t.repositories, 0) AS repositories
      FROM found JOIN packages p ON p.id = found.id LEFT JOIN package_totals t ON t.package_id = p.id
     ORDER BY lower(p.name) = $1 DESC, starts_with(lower(p.name), $1) DESC,
              (0.1 + similarity(p.name, $1)) * ln(2 + coalesce(t.organizations, 0)) DESC, p.purl LIMIT $4"""
    for nearly in ("", _NEARLY)
)
_NEARLY_LOGINS = f"""
      UNION (SELECT organization_id FROM (
               SELECT organization_id, login FROM search_logins ORDER BY login <-> $1 LIMIT {NEAREST}) n
              WHERE similarity(login, $1) >= {LEAST_ALIKE})"""
_ORGANIZATIONS = tuple(
    f"""
    WITH found AS MATERIALIZED (
      (SELECT id FROM organizations WHERE lower(login) ~>=~ $1 AND lower(login) ~<=~ $2
        ORDER BY lower(login) USING ~<~ LIMIT {CANDIDATES}){nearly})
    SELECT o.public_id AS id, o.host, o.login, o.kind, o.stars, o.repositories
      FROM found JOIN organizations o ON o.id = found.id
     WHERE o.merged_into IS NULL AND NOT {is_suppressed("o")}
     ORDER BY o.login = $1 DESC, starts_with(o.login, $1) DESC,
              (0.1 + similarity(o.login, $1)) * ln(2 + coalesce(o.stars, 0)) DESC, o.host, o.login LIMIT $3"""
    for nearly in ("", _NEARLY_LOGINS)
)
