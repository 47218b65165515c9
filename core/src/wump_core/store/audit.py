"""Whether everything derived says what the statements say, and deriving all of it anew.

The same SQL that keeps rows up to date one by one computes them all here, so a difference is a bug or damage.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass

from sqlalchemy import ForeignKeyConstraint, Table, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.schema import AddConstraint, CreateIndex, DropConstraint, DropIndex

from wump_core.store import dependencies, dependents
from wump_core.store.dependencies import all_derived_dependencies
from wump_core.store.dependents import TOTALS, all_derived_answers
from wump_core.store.sources import JUDGED

MAX_FAULTS = 100
# Whole tables are sorted and hashed here, several at once: more memory than a page needs, less than a server has.
# By what pages choose their rows: to look at the texts takes longer, and tells nothing yet.
_RANKED = "package_organizations (package_id, organization_id, repositories, stars, last_activity_at)"
_SORT_IN_MEMORY = "SET LOCAL work_mem = '128MB'"


@dataclass(frozen=True, slots=True)
class Fault:
    """A derived row that does not say what the facts say."""

    table: str
    key: str
    message: str


async def list_faults(connection: AsyncConnection) -> list[Fault]:
    """Compare everything derived with what the facts say now; at most a hundred faults of a kind are returned.

    All of it is read in one snapshot, so running workers don't disturb it.
    """
    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
    await connection.execute(text("SET LOCAL statement_timeout = 0"))
    await connection.execute(text(_SORT_IN_MEMORY))
    faults = []
    for table, key, statement in _CHECKS:
        # Planned for all rows and not for the first few: mostly there are none, and all are looked at.
        few = f"WITH faults AS MATERIALIZED ({statement}) SELECT * FROM faults LIMIT {MAX_FAULTS}"
        for row in await connection.execute(text(few)):
            faults.append(Fault(table, f"{key} = ({', '.join(str(part) for part in row[:-1])})", row[-1]))
    return faults


async def rebuild(engine: AsyncEngine) -> None:
    """Derive dependencies, the answer and its totals anew, set-wise, in one transaction.

    Writers wait meanwhile; readers see the old rows until the end. Where there are none yet, as after loading
    an empty database, indexes and foreign keys are built once behind the rows instead of row by row.
    """
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(text("SET LOCAL maintenance_work_mem = '256MB'"))
        await connection.execute(text(_SORT_IN_MEMORY))
        # Statements too: whoever has added one but not yet derived from it must finish first.
        await connection.execute(
            text(
                "LOCK TABLE packages, sources, statements, dependencies, package_organizations, package_deltas,"
                " package_totals IN EXCLUSIVE MODE"
            )
        )
        is_first = (await connection.execute(text("SELECT NOT EXISTS (SELECT FROM dependencies)"))).scalar_one()
        await _rebuild_dependencies(connection, is_first=is_first)
        await _rebuild_answers(connection, is_first=is_first)
    async with engine.connect() as connection:
        maintenance = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await maintenance.execute(text("VACUUM dependencies"))
        await maintenance.execute(text(f"VACUUM (ANALYZE) {_RANKED}, package_totals, package_deltas"))


async def _rebuild_dependencies(connection: AsyncConnection, *, is_first: bool) -> None:
    columns = ("package_id", "repository_id", *dependencies.VALUE_COLUMNS)
    await _refill(
        connection,
        dependencies.dependencies,
        f"SELECT {', '.join(columns)} FROM ({all_derived_dependencies()}) derived ORDER BY package_id, repository_id",
        columns,
        is_first=is_first,
    )
    # What comes next joins the new rows; without statistics it would look each of them up.
    await connection.execute(text("ANALYZE dependencies (package_id, repository_id, organization_id, statement_id)"))


async def _rebuild_answers(connection: AsyncConnection, *, is_first: bool) -> None:
    columns = ("package_id", "organization_id", *dependents.VALUE_COLUMNS)
    await _refill(
        connection,
        dependents.package_organizations,
        # In the order of the default page, so that a page lies together on disk too.
        f"SELECT {', '.join(columns)} FROM ({all_derived_answers()}) derived"
        " ORDER BY package_id, repositories DESC, organization_id DESC",
        columns,
        is_first=is_first,
    )
    await connection.execute(text("DELETE FROM package_deltas"))
    await connection.execute(text("DELETE FROM package_totals"))
    await connection.execute(
        text(
            f"INSERT INTO package_totals (package_id, {', '.join(TOTALS)}, as_of)"
            f" SELECT package_id, {', '.join(TOTALS)}, now() FROM ({_DERIVED_TOTALS}) totals"
        )
    )
    # What is counted and cached of them is brought up to date behind this.
    await connection.execute(
        text(
            "INSERT INTO package_touches (package_id) SELECT package_id FROM package_totals"
            " ON CONFLICT (package_id) DO UPDATE SET pending = true"
        )
    )


async def _refill(
    connection: AsyncConnection, table: Table, rows: str, columns: Sequence[str], *, is_first: bool
) -> None:
    """Replace a table's rows by these, which may be derived from the old ones."""
    if not is_first:
        await connection.execute(text(f"CREATE TEMPORARY TABLE derived_{table.name} ON COMMIT DROP AS {rows}"))
        await connection.execute(text(f"DELETE FROM {table.name}"))
        rows = f"SELECT * FROM derived_{table.name}"
    async with built_behind(connection, table) if is_first else nullcontext():
        await connection.execute(text(f"INSERT INTO {table.name} ({', '.join(columns)}) {rows}"))


@asynccontextmanager
async def built_behind(connection: AsyncConnection, table: Table) -> AsyncGenerator[None]:
    """Take off a table's keys and indexes while it is filled for the first time, and build them behind the rows."""
    for constraint in (*_foreign_keys(table), table.primary_key):
        await connection.execute(DropConstraint(constraint))
    for index in table.indexes:
        await connection.execute(DropIndex(index))
    yield
    await build_keys(connection, table)


async def build_keys(connection: AsyncConnection, table: Table) -> None:
    """Build a table's keys and indexes, which it must not have yet, behind its rows."""
    for constraint in (table.primary_key, *_foreign_keys(table)):
        await connection.execute(AddConstraint(constraint))
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        await connection.execute(CreateIndex(index))


def _foreign_keys(table: Table) -> list[ForeignKeyConstraint]:
    return sorted(table.foreign_key_constraints, key=lambda constraint: str(constraint.name))


def _differs(stored: str, computed: str, columns: tuple[str, ...]) -> str:
    stored_row = ", ".join(f"{stored}.{column}" for column in columns)
    computed_row = ", ".join(f"{computed}.{column}" for column in columns)
    return f"ROW({stored_row}) IS DISTINCT FROM ROW({computed_row})"


_DERIVED_TOTALS = f"""
    SELECT package_id, {", ".join(f"sum({name})::int AS {name}" for name in TOTALS)}
      FROM (SELECT package_id, {", ".join(f"{int(name == 'organizations')} AS {name}" for name in TOTALS)}
              FROM package_organizations WHERE repositories > 0
            UNION ALL
            SELECT package_id, 0, (exclusion IS NULL)::int,
                   {", ".join(f"(exclusion IS NOT DISTINCT FROM '{name}')::int" for name in dependencies.EXCLUSIONS)}
              FROM dependencies WHERE scopes <> 0
            UNION ALL
            SELECT package_id, {", ".join(str(int(name == "no_owner")) for name in TOTALS)} FROM (
              SELECT DISTINCT s.package_id, so.package_id AS dependent FROM statements s
                JOIN sources so ON so.id = s.source_id
               WHERE s.removed_at IS NULL AND so.repository_id IS NULL) unowned) counted
     GROUP BY package_id"""
_STORED_TOTALS = (
    "SELECT package_id, "
    + ", ".join(f"sum({name})::int AS {name}" for name in TOTALS)
    + f" FROM (SELECT package_id, {', '.join(TOTALS)} FROM package_totals UNION ALL"
    f" SELECT package_id, {', '.join(TOTALS)} FROM package_deltas) parts GROUP BY package_id"
)
_DERIVED_COLUMNS = tuple(name for name in dependents.VALUE_COLUMNS if name != "kind")
_CHECKS: tuple[tuple[str, str, str], ...] = (
    (
        "dependencies",
        "(package_id, repository_id)",
        "SELECT c.package_id, c.repository_id, CASE WHEN d.package_id IS NULL THEN 'missing'"
        " ELSE 'differs from its statements' END"
        f" FROM ({all_derived_dependencies()}) c LEFT JOIN dependencies d USING (package_id, repository_id)"
        f" WHERE d.package_id IS NULL OR {_differs('d', 'c', dependencies.VALUE_COLUMNS)}",
    ),
    (
        "package_organizations",
        "(package_id, organization_id)",
        "SELECT c.package_id, c.organization_id, CASE WHEN a.package_id IS NULL THEN 'missing'"
        " ELSE 'differs from its dependencies' END"
        f" FROM ({all_derived_answers()}) c"
        " JOIN organizations o ON o.id = c.organization_id"
        " LEFT JOIN package_organizations a USING (package_id, organization_id)"
        f" WHERE a.package_id IS NULL OR {_differs('a', 'c', _DERIVED_COLUMNS)}"
        # Until it was written to all its rows, an organization's new kind stands in some of them.
        " OR (o.restamp_at IS NULL AND a.kind <> c.kind)",
    ),
    (
        "package_totals",
        "package_id",
        "SELECT package_id, 'totals are ' || coalesce(s::text, 'missing') || ', should be ' || coalesce(c::text, '0')"
        f" FROM ({_DERIVED_TOTALS}) c FULL JOIN ({_STORED_TOTALS}) s USING (package_id) WHERE "
        + " OR ".join(f"coalesce(c.{name}, 0) <> coalesce(s.{name}, 0)" for name in TOTALS),
    ),
    (
        "sources",
        "id",
        "SELECT so.id, 'its repository is not the one that its package claims, or the claim is judged wrongly'"
        f" FROM sources so JOIN packages p ON p.id = so.package_id {JUDGED}"
        " WHERE (so.repository_id, so.repository_verified, so.refuted)"
        " IS DISTINCT FROM (p.repository_id, judged.verified, judged.refuted)",
    ),
    (
        "packages",
        "id",
        "SELECT p.id, 'its organization does not own its repository' FROM packages p"
        " LEFT JOIN repositories r ON r.id = p.repository_id LEFT JOIN accounts a ON a.id = r.account_id"
        " WHERE p.organization_id IS DISTINCT FROM a.organization_id",
    ),
    (
        "repositories",
        "id",
        "SELECT r.id, 'it was renamed, and its packages or files are still its own' FROM repositories r"
        " WHERE r.renamed_to IS NOT NULL AND (EXISTS (SELECT FROM packages p WHERE p.repository_id = r.id)"
        " OR EXISTS (SELECT FROM sources so WHERE so.repository_id = r.id AND so.gone_at IS NULL))",
    ),
    (
        "organizations",
        "id",
        "SELECT o.id, 'it was merged into another, and still has accounts' FROM organizations o"
        " WHERE o.merged_into IS NOT NULL AND EXISTS (SELECT FROM accounts a WHERE a.organization_id = o.id)",
    ),
)
