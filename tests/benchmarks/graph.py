"""A graph of packages, repositories and organizations as registries show them, the same for the same seed.

Popularity is Zipf's: package 1 is the hottest, and about half of all repositories use it. Each repository
publishes one package, which states what it needs; only some of the packages are needed by others. The graph is made
by Postgres itself, from hashes of row numbers, with foreign keys unchecked. What is derived is not made here.
"""

from dataclasses import dataclass, replace

import asyncpg

HOTTEST = "pkg:npm/p-1"


@dataclass(frozen=True, slots=True)
class Size:
    """How big the graph is and how often things are measured."""

    name: str
    packages: int  # that others depend on
    repositories: int
    organizations: int
    draws: int  # dependencies drawn per repository, on average; those drawn twice count once
    rounds: int
    calls: int  # of each call in a round of reading
    calls_for_p99: int
    serve_rounds: int
    serve_seconds: float
    saved_packages: int  # in a round of writing
    copies: int  # of all statements, as a baseline: before the first load and, if more than one, after it
    smaller: str | None = None  # size of the graph that this one is compared with, in `growth`
    verify: bool = True
    keep_copy: bool = True  # False: there is no room on a disk for a copy of all statements

    def shortened(self) -> "Size":
        """The same graph, measured less often, so that the measurements of `CORE` take minutes."""
        rounds, serve_rounds = min(self.rounds, 3), min(self.serve_rounds, 3)
        serve_seconds = min(self.serve_seconds, 1.5)
        return replace(
            self, rounds=rounds, serve_rounds=serve_rounds, serve_seconds=serve_seconds, copies=1, verify=False
        )


SIZES = {
    size.name: size
    for size in (
        Size("tiny", 1_000, 2_000, 1_000, 18, 2, 20, 20, 2, 0.3, 16, 2, "tiny"),
        Size("small", 100_000, 200_000, 120_000, 17, 10, 40, 1_000, 8, 2.5, 400, 2),
        Size(
            *("large", 1_000_000, 2_000_000, 300_000, 16, 10, 40, 1_000, 8, 5.0, 1_000, 1, "small"),
            verify=False,
            keep_copy=False,
        ),
    )
}

_PREPARE = (
    "SET session_replication_role = replica",
    "SET synchronous_commit = off",
    "SET statement_timeout = 0",
    "SET work_mem = '256MB'",
    "CREATE FUNCTION pg_temp.unit(i bigint, salt bigint) RETURNS float8 LANGUAGE sql IMMUTABLE"
    " RETURN (hashint8extended(i, salt) & 2147483647) / 2147483648.0::float8",
    "CREATE FUNCTION pg_temp.zipf(i bigint, salt bigint, n bigint) RETURNS bigint LANGUAGE sql IMMUTABLE"
    " RETURN floor(exp(pg_temp.unit(i, salt) * ln(n::float8)))::bigint",
)
_ORGANIZATIONS = """
INSERT INTO organizations (id, host, login, kind) OVERRIDING SYSTEM VALUE
SELECT i, 'github.com', 'org-' || i,
       CASE WHEN pg_temp.unit(i, {seed}) < 0.55 THEN 'user' WHEN pg_temp.unit(i, {seed}) < 0.9 THEN 'organization'
            ELSE 'unknown' END
  FROM generate_series(1, {organizations}) i"""
_ACCOUNTS = """
INSERT INTO accounts (id, host, login, organization_id) OVERRIDING SYSTEM VALUE
SELECT id, host, login, id FROM organizations ORDER BY id"""
# Most owners have a few repositories, some have thousands; of one in fifty the owner is unknown.
_REPOSITORIES = """
INSERT INTO repositories (id, host, path, account_id, stars, pushed_at) OVERRIDING SYSTEM VALUE
SELECT i, 'github.com', coalesce('org-' || owner, 'unknown') || '/r-' || i, owner,
       CASE WHEN pg_temp.unit(i, {seed} + 3) > 0.05
            THEN floor(exp(pow(pg_temp.unit(i, {seed} + 4), 3) * 12))::bigint - 1 END,
       timestamptz '2026-01-01 00:00+00' - floor(pow(pg_temp.unit(i, {seed} + 5), 2) * 250000000) * interval '1 second'
  FROM (SELECT i, CASE WHEN pg_temp.unit(i, {seed} + 1) < 0.02 THEN NULL
                       WHEN pg_temp.unit(i, {seed} + 1) < 0.77
                       THEN 1 + floor(pg_temp.unit(i, {seed} + 2) * {organizations})::bigint
                       ELSE pg_temp.zipf(i, {seed} + 2, {organizations}) END AS owner
          FROM generate_series(1, {repositories}) i) drawn"""
_PACKAGES = """
INSERT INTO packages (id, purl, ecosystem, name, tracked, provider, latest_version, description, licences,
                      repository_id, repository_verified, organization_id, fetched_at) OVERRIDING SYSTEM VALUE
SELECT id, 'pkg:npm/p-' || id, 'npm', 'p-' || id, true, 'npm', '1.' || id % 40 || '.0', 'Package number ' || id,
       '{{MIT}}', id, pg_temp.unit(id, {seed} + 6) < 0.2, account_id, now()
  FROM repositories ORDER BY id"""
_SOURCES = """
INSERT INTO sources (id, kind, provider, package_id, repository_id, repository_verified, revision)
       OVERRIDING SYSTEM VALUE
SELECT id, 'registry_version', 'npm', id, repository_id, repository_verified, latest_version
  FROM packages ORDER BY id"""
# In the order of packages, so that what is said of one package lies together: most popular first.
_STATEMENTS = """
INSERT INTO statements (package_id, source_id, scope, optional, direct, requirement, groups, field, fingerprint)
SELECT package, source, scope, scope = 32, true, '^' || hash % 9 || '.' || hash % 21 || '.0', '{{}}',
       CASE scope WHEN 1 THEN 'dependencies' WHEN 2 THEN 'devDependencies' WHEN 16 THEN 'peerDependencies'
                  ELSE 'optionalDependencies' END, md5(draw::text)::uuid
  FROM (SELECT DISTINCT ON (package, source) package, source, draw, hashint8extended(draw, {seed} + 9) & 65535 AS hash,
               CASE WHEN kind < 0.70 THEN 1 WHEN kind < 0.95 THEN 2 WHEN kind < 0.985 THEN 16 WHEN kind < 0.999 THEN 32
                    WHEN kind < 0.9999 THEN 8 ELSE 4 END AS scope
          FROM (SELECT source, draw, pg_temp.zipf(draw, {seed} + 7, {packages}) AS package,
                       pg_temp.unit(draw, {seed} + 8) AS kind
                  FROM (SELECT source, source * 1000 + nth AS draw
                          FROM generate_series(1, {repositories}) source
                         CROSS JOIN generate_series(1, {draws} * 2) nth
                         WHERE nth <= 2 * {draws} * pg_temp.unit(source, {seed} + 10)) slots) drawn
         WHERE package <> source ORDER BY package, source, draw) stated
 ORDER BY package, source"""
_PROVIDERS = """
INSERT INTO providers (name, distribution, version, state, title, provider_type, ecosystems, capabilities, licence,
                       attribution)
VALUES ('npm', 'wump-provider-npm', '0.1.0', 'active', 'npm registry', 'registry', '{{npm}}', '{{fetch_package}}',
        'see its terms', 'The registry')"""
_SUBJECTS = """
INSERT INTO provider_subjects (provider, capability, subject, last_attempt_at, last_ok_at)
SELECT 'npm', 'fetch_package', purl, now(), now() FROM packages ORDER BY id"""
_STEPS = (_ORGANIZATIONS, _ACCOUNTS, _REPOSITORIES, _PACKAGES, _SOURCES, _STATEMENTS, _PROVIDERS, _SUBJECTS)
_READ_MARK = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
# Without keys that the database makes up, and without the time of the run.
_CONTENT = {
    "organizations": "id, login, kind",
    "repositories": "id, path, account_id, stars, pushed_at",
    "packages": "id, purl, latest_version, repository_id, repository_verified, organization_id",
    "sources": "id, package_id, repository_id, repository_verified, revision",
    "statements": "package_id, source_id, scope, requirement, field, fingerprint",
}


async def fill_database(database_url: str, size: Size, seed: int) -> None:
    """Make the graph in a migrated database, on a connection whose settings nobody else gets.

    Where the same graph is there from an earlier run, it is kept, and what was derived from it removed.
    """
    connection = await asyncpg.connect(database_url)
    mark = f"wump benchmark: size {size.name}, seed {seed}"
    try:
        if await connection.fetchval(_READ_MARK) == mark:
            await connection.execute("TRUNCATE dependencies, package_organizations, package_totals, package_deltas")
        else:
            await make_graph(connection, size, seed)
            await connection.execute(f"COMMENT ON DATABASE {database_url.rpartition('/')[2]} IS '{mark}'")
    finally:
        await connection.close()


async def make_graph(connection: asyncpg.Connection, size: Size, seed: int) -> None:
    """Fill an empty, migrated database; statistics and visibility are up to date afterwards."""
    values = {
        "seed": seed * 100,
        "packages": size.packages,
        "repositories": size.repositories,
        "organizations": size.organizations,
        "draws": size.draws,
    }
    for statement in _PREPARE:
        await connection.execute(statement)
    for statement in _STEPS:
        await connection.execute(statement.format_map(values))
    for table in ("organizations", "accounts", "repositories", "packages", "sources"):
        await connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
        )
    for table in (*_CONTENT, "accounts", "provider_subjects"):
        await connection.execute(f"VACUUM (ANALYZE) {table}")


async def describe_graph(connection: asyncpg.Connection) -> dict[str, dict[str, str | int]]:
    """Rows and a checksum of each table; the same seed gives the same."""
    found: dict[str, dict[str, str | int]] = {}
    for table, columns in _CONTENT.items():
        row = await connection.fetchrow(
            f"SELECT count(*) AS rows, sum(hashtextextended(ROW({columns})::text, 0)::numeric)::text AS checksum"
            f" FROM {table}"
        )
        found[table] = {"rows": row["rows"], "checksum": row["checksum"]}
    return found
