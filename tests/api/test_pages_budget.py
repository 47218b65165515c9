"""A page of the most popular package costs what one of the least popular costs, counted in buffers."""

import itertools
import json
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr
from wump_core.settings import CoreSettings
from wump_core.store import answers, dependencies, dependents, lookups, make_engine
from wump_core.store.audit import rebuild

HOT, SMALL = 10_000, 60
LIMIT = 51
MOST_BUFFERS = 2_000
"""Of a page that no index holds."""
WALKS: tuple[tuple[str, ...], ...] = (
    *(("scope",), ("min_repositories",), ("kind",), ("state",), ("min_stars",), ("active_since",)),
    *(("first_seen_after",), ("provider",), ("q",), ("kind", "state", "q"), ("scope", "kind"), ("min_stars", "q")),
)
_DEPENDENTS = f"""
    WITH p AS (
      INSERT INTO packages (purl, ecosystem, name, latest_version)
      SELECT 'pkg:npm/' || name, 'npm', name, '1.0.0'
        FROM (SELECT 'hot' AS name UNION ALL SELECT 'small' UNION ALL
              SELECT 'd' || n FROM generate_series(1, {HOT}) n) names RETURNING id, name),
    o AS (INSERT INTO organizations (host, login) SELECT 'github.com', 'org' || n FROM generate_series(1, {HOT}) n
          RETURNING id, login),
    a AS (INSERT INTO accounts (host, login, organization_id) SELECT 'github.com', login, id FROM o
          RETURNING id, login),
    r AS (INSERT INTO repositories (host, path, account_id, stars, pushed_at)
          SELECT 'github.com', login || '/repo' || copy, id,
                 CASE WHEN substr(login, 4)::int % 3 > 0 THEN (substr(login, 4)::int * 7919) % 5000 END,
                 CASE WHEN substr(login, 4)::int % 4 > 0
                      THEN timestamptz '2026-01-01' + substr(login, 4)::int % 977 * interval '1 hour' END
            FROM a CROSS JOIN generate_series(1, 1 + substr(login, 4)::int % 2) copy RETURNING id, path),
    u AS (SELECT d.id AS package_id, r.id AS repository_id, substr(d.name, 2)::int AS n FROM r
            JOIN p d ON d.name = 'd' || substr(split_part(r.path, '/', 1), 4) AND r.path LIKE '%/repo1'),
    s AS (INSERT INTO sources (kind, provider, package_id, repository_id, revision)
          SELECT 'registry_version', 'npm', package_id, repository_id, '1.0.0' FROM u RETURNING id, package_id)
    INSERT INTO statements (package_id, source_id, scope, optional, direct, requirement, groups, field, fingerprint)
    SELECT t.id, s.id, 1 + u.n % 2, false, true, '^1.0.0', '{{}}', 'dependencies', gen_random_uuid()
      FROM s JOIN u USING (package_id) JOIN p t ON t.name = 'hot' OR t.name = 'small' AND u.n % {HOT // SMALL} = 0
     WHERE t.name = 'hot' OR u.n <= {HOT // SMALL * SMALL}"""


async def buffers(connection: Any, statement: str, *parameters: object) -> tuple[int, str]:
    """Shared buffers that a statement touches, and its plan. Explained twice, since the first run reads catalogues."""
    for _ in range(2):
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *parameters)
    plan = json.loads(text)[0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"], text


async def test_popularity_does_not_show_in_the_cost_of_a_page(settings: CoreSettings) -> None:
    assert settings.database_url
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    await connection.execute(_DEPENDENTS)
    await connection.execute("ANALYZE")
    # Statistics for the planner, as a database that has been in use for a while has them.
    columns = ", ".join(("package_id", "repository_id", *dependencies.VALUE_COLUMNS))
    derived = dependencies.all_derived_dependencies()
    await connection.execute(f"INSERT INTO dependencies ({columns}) SELECT {columns} FROM ({derived})")
    await connection.execute("ANALYZE dependencies")
    engine = make_engine(SecretStr(settings.database_url.get_secret_value()), application_name="tests", pool_size=1)
    await rebuild(engine)
    await engine.dispose()
    # The tests' server commits lazily, and VACUUM marks only what has reached the log; a real one needs neither line.
    await connection.execute("CHECKPOINT")
    await connection.execute("VACUUM package_organizations")
    keys = {row["name"]: row["id"] for row in await connection.fetch("SELECT id, name FROM packages")}
    listed = {name: await connection.fetchval(_LISTED, keys[name]) for name in ("hot", "small")}
    assert listed == {"hot": HOT, "small": SMALL}

    package = lookups.PACKAGE_STATEMENT
    hot, small = [(await buffers(connection, package, f"pkg:npm/{name}"))[0] for name in ("hot", "small")]
    assert hot <= small * 1.2 + 8
    for sort in answers.SORTS:
        await _compare(connection, sort, keys)
    await _make_a_scope_rare(connection, keys)
    for sort, held in answers.HELD.items():
        for filters in [held[:count] for count in range(len(held) + 1)] + [held[1:]]:
            await _check_page(connection, answers.page_statement, sort, filters, keys["hot"], most=2 * LIMIT + 20)
    await _make_some_past(connection, keys["hot"])
    for sort, filters in itertools.product(answers.SORTS, WALKS):
        if not set(filters) <= set(answers.HELD[sort]):
            await _check_page(connection, answers.walk_statement, sort, filters, keys["hot"], most=MOST_BUFFERS)
    for filters in (("scope",), ("scope", "min_repositories")):
        page = (connection, answers.walk_statement, "repositories", filters, keys["hot"])
        await _check_page(*page, most=MOST_BUFFERS, narrow=False)
    for unknown in answers.UNKNOWN.values():
        for filters in ((unknown,), ("scope", unknown), ("min_repositories", unknown)):
            await _check_page(
                connection, answers.walk_statement, "repositories", filters, keys["hot"], most=MOST_BUFFERS
            )
    await _check_logins(connection, keys["hot"])
    for excluded in ([], ["fork"]):
        touched, plan = await buffers(connection, answers.REPOSITORIES_STATEMENT, keys["hot"], 0, LIMIT, excluded)
        assert touched <= MOST_BUFFERS, plan
    await connection.close()


_LISTED = "SELECT count(*) FROM package_organizations WHERE package_id = $1 AND repositories > 0"


async def _compare(connection: Any, sort: str, keys: dict[str, int]) -> None:
    first = answers.page_statement(sort, ascending=False, after=False)
    following = answers.page_statement(sort, ascending=False, after=True)
    cost: dict[str, list[int]] = {}
    for name, count in (("hot", HOT), ("small", SMALL)):
        # As far in as leaves a full page.
        middle = (await connection.fetch(first, keys[name], min(count // 2, count - LIMIT)))[-1]
        go_on = (middle["rank"], middle["organization_id"])
        one, plan = await buffers(connection, first, keys[name], LIMIT)
        two, plan_after = await buffers(connection, following, keys[name], LIMIT, *go_on)
        cost[name] = [one, two]
        for text in (plan, plan_after):
            # A small table may be read any way; a popular package's page is one range of one index. That of the
            # default sort holds the page, the others look up the page's rows.
            scan = '"Index Only Scan"' if sort == "repositories" else '"Index Scan"'
            assert name == "small" or scan in text, text
            assert "Seq Scan" not in text, text

    for hot, small in zip(cost["hot"], cost["small"], strict=True):
        assert hot <= small * 1.2 + 8 + (0 if sort == "repositories" else LIMIT), (sort, cost)


async def _make_a_scope_rare(connection: Any, keys: dict[str, int]) -> None:
    """A scope that the last few organizations of the hot package use, and all of another package, which is what the
    planner's statistics tell of."""
    columns = ", ".join(column.name for column in dependents.package_organizations.c if column.name != "package_id")
    await connection.execute(
        f"INSERT INTO package_organizations (package_id, {columns}) SELECT $1, {columns} FROM package_organizations"
        " WHERE package_id = $2",
        keys["d1"],
        keys["hot"],
    )
    both = (keys["d1"], keys["hot"])
    await connection.execute(
        "UPDATE package_organizations SET repositories = 1 + organization_id % 50, kind = CASE WHEN package_id = $1"
        "  OR repositories > 1 AND organization_id % 97 = 0 THEN 'user' ELSE 'unknown' END"
        " WHERE package_id IN ($1, $2)",
        *both,
    )
    await connection.execute(
        "UPDATE package_organizations SET test_repositories = 1 WHERE package_id = $1 OR package_id = $2 AND"
        " organization_id IN (SELECT organization_id FROM package_organizations WHERE package_id = $2"
        " ORDER BY repositories, organization_id LIMIT 70)",
        *both,
    )
    await connection.execute("CHECKPOINT")
    await connection.execute("VACUUM (ANALYZE) package_organizations")


async def _make_some_past(connection: Any, package: int) -> None:
    """More than a walk reads, of which none is shown: their dependencies say that they still depend on it."""
    await connection.execute(
        "UPDATE package_organizations SET repositories = 0, runtime_repositories = 0, development_repositories = 0,"
        " test_repositories = 0 WHERE package_id = $1 AND organization_id % 20 = 0",
        package,
    )
    await connection.execute("CHECKPOINT")
    await connection.execute("VACUUM (ANALYZE) package_organizations")


VALUES: dict[str, tuple[tuple[str, str], ...]] = {
    # Filter → its parameter's type, and values that few, some and most rows pass.
    "min_repositories": (("integer", "2"), ("integer", "40"), ("integer", "1000")),
    "kind": (("text", "'user'"), ("text", "'unknown'"), ("text", "'organization'")),
    "min_stars": (("bigint", "1"), ("bigint", "9000"), ("bigint", "100000")),
    "active_since": (("timestamptz", "'2026-01-01'"), ("timestamptz", "'2026-02-09'"), ("timestamptz", "'2030-01-01'")),
    "first_seen_after": (("timestamptz", "'2000-01-01'"), ("timestamptz", "'2100-01-01'")),
    "provider": (("text", "'npm'"), ("text", "'pypi'")),
    "q": (("text", "'org'"), ("text", "'org777'"), ("text", "'nobody'")),
}


async def _check_page(
    connection: Any,
    make_statement: Any,
    sort: str,
    filters: tuple[str, ...],
    package: int,
    *,
    most: int,
    narrow: bool = True,
) -> None:
    """A page costs no more than that, planned for its values or for any, in both directions."""
    scope = ("test" if narrow else "runtime") if "scope" in filters else ""
    sort = "repositories" if "state" in filters else sort
    valued = [name for name in filters if name in VALUES]
    types = ", ".join(("bigint", "bigint", *(VALUES[name][0][0] for name in valued)))
    for ascending in (False, True):
        statement = make_statement(sort, filters, scope=scope, ascending=ascending, after=False)
        await connection.execute(f"PREPARE page ({types}) AS {statement}")
        cases = itertools.product(*([value for _, value in VALUES[name]] for name in valued))
        for mode, values in itertools.product(("force_custom_plan", "force_generic_plan"), list(cases)):
            await connection.execute(f"SET plan_cache_mode = {mode}")
            given = ", ".join((str(package), str(LIMIT), *values))
            touched, plan = await buffers(connection, f"EXECUTE page ({given})")
            # A row that isn't in the index is looked up in the table, which is two pages at the most.
            assert touched <= most, (sort, filters, mode, values, touched, plan)
            assert sort != "repositories" or scope != "test" or '"ix_package_organizations_test"' in plan, plan
            assert "state" not in filters or '"ix_package_organizations_past"' in plan, plan
        await connection.execute("DEALLOCATE page")


async def _check_logins(connection: Any, package: int) -> None:
    """As many organizations as are looked up by themselves, which costs the same in every order."""
    keys = await connection.fetch("SELECT id FROM organizations ORDER BY id LIMIT $1", answers.NAMED)
    for filters in (("q",), ("state", "q"), ("kind", "provider", "q")):
        values = ["unknown" if name == "kind" else "npm" for name in filters if name in ("kind", "provider")]
        for sort in answers.SORTS if "state" not in filters else ("repositories",):
            statement = answers.page_statement(sort, filters, ascending=False, after=False, named=True)
            touched, plan = await buffers(connection, statement, package, LIMIT, *values, [row["id"] for row in keys])
            assert touched <= MOST_BUFFERS - answers.NAMED, plan


@pytest.mark.parametrize("sort", list(answers.SORTS))
def test_the_text_of_a_page_holds_no_value(sort: str) -> None:
    every = tuple(name for name in answers.FILTERS if name != "state")
    for make in (answers.page_statement, answers.walk_statement):
        text = make(sort, every, scope="runtime", ascending=True, after=True)
        assert "'" not in text
