"""Statistics: how much there is, in all and by ecosystem. Counted by a job and stored, never when asked."""

from collections.abc import Mapping, Sequence
from typing import Any

from asyncpg import Connection
from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.base import metadata, time_column

OVERALL = ""
"""The row of everything."""
COUNTS = ("packages", "tracked", "depended_on", "uses", "dependencies")

statistics = Table(
    "statistics",
    metadata,
    Column("ecosystem", Text, nullable=False, comment="Empty: all of them."),
    Column("packages", BigInteger, nullable=False, comment="That are known, tracked or not."),
    Column("tracked", BigInteger, nullable=False),
    Column("depended_on", BigInteger, nullable=False, comment="Packages that some organization uses."),
    Column("uses", BigInteger, nullable=False, comment="Listed pairs of a package and an organization."),
    Column("dependencies", BigInteger, nullable=False, comment="Listed pairs of a package and a repository."),
    Column("organizations", BigInteger, comment="Null but in the row of everything."),
    Column("repositories", BigInteger, comment="Null but in the row of everything."),
    time_column("as_of", nullable=False, default_now=True),
    PrimaryKeyConstraint("ecosystem"),
)

_SUMMED = ", ".join(f"sum({name})::bigint AS {name}" for name in COUNTS)
_COUNT = text(
    "WITH totals AS (SELECT package_id, organizations, repositories FROM package_totals"
    "   UNION ALL SELECT package_id, organizations, repositories FROM package_deltas),"
    " used AS (SELECT package_id, sum(organizations) AS organizations, sum(repositories) AS repositories FROM totals"
    "   GROUP BY package_id),"
    " counted AS (SELECT p.ecosystem, count(*) AS packages, count(*) FILTER (WHERE p.tracked) AS tracked,"
    "   count(*) FILTER (WHERE u.organizations > 0) AS depended_on, coalesce(sum(u.organizations), 0) AS uses,"
    "   coalesce(sum(u.repositories), 0) AS dependencies"
    "   FROM packages p LEFT JOIN used u ON u.package_id = p.id GROUP BY p.ecosystem)"
    f" INSERT INTO statistics (ecosystem, {', '.join(COUNTS)}, organizations, repositories)"
    f" SELECT ecosystem, {', '.join(COUNTS)}, NULL::bigint, NULL::bigint FROM counted"
    f" UNION ALL SELECT '{OVERALL}', {', '.join(f'coalesce({name}, 0)' for name in COUNTS)},"
    "   (SELECT count(*) FROM organizations WHERE merged_into IS NULL),"
    "   (SELECT count(*) FROM repositories WHERE renamed_to IS NULL)"
    f" FROM (SELECT {_SUMMED} FROM counted) summed"
)


async def replace_statistics(connection: AsyncConnection) -> None:
    """Count everything anew. Reads every package, and none of the big tables."""
    await connection.execute(text("DELETE FROM statistics"))
    await connection.execute(_COUNT)


async def list_statistics(connection: Connection) -> Sequence[Mapping[str, Any]]:
    """The stored counts, that of everything first; empty before the first count."""
    rows: Sequence[Mapping[str, Any]] = await connection.fetch(
        f"SELECT ecosystem, {', '.join(COUNTS)}, organizations, repositories, as_of FROM statistics ORDER BY ecosystem"
    )
    return rows
