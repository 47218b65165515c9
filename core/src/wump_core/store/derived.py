"""Bringing everything derived up to date, and the locks that this needs. Whoever changes what is said uses both.

One lock order holds throughout: organizations (one advisory lock), what says it (packages by advisory lock,
repositories), accounts, packages, dependencies, answers, each in key order, but the answers in its reverse.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.errors import ServerUnavailable
from wump_core.store.dependencies import Counts, Pair, refresh_dependencies
from wump_core.store.dependents import Answer, add_deltas, refresh_answers


async def lock_packages(connection: AsyncConnection, *, writing: Collection[int], reading: Collection[int]) -> None:
    """Lock in the order of keys whatever the kind of lock, so that two that need each other can't deadlock."""
    written = set(writing)
    ordered = sorted(written.union(reading))
    await connection.execute(_LOCK_PACKAGES, {"ids": ordered, "writing": [key in written for key in ordered]})


async def lock_saying(connection: AsyncConnection, package_ids: Collection[int]) -> None:
    """Let nobody else change what these packages say, or which repository is theirs, until the end."""
    await connection.execute(_LOCK_SAYING, {"ids": sorted(package_ids)})


async def lock_repositories(connection: AsyncConnection, ids: Collection[int]) -> dict[int, int | None]:
    """Keep repositories and what their files say as they are until the end; returns whose each is by then.

    Raises:
        ServerUnavailable: One of them was renamed meanwhile: look its name up again.
    """
    await connection.execute(_LOCK_REPOSITORIES, {"ids": sorted(ids)})
    # A statement of its own: an owner that came while the lock was waited for is seen by it.
    rows = (await connection.execute(_LIST_OWNERS, {"ids": sorted(ids)})).all()
    if any(row.renamed_to is not None for row in rows):
        raise ServerUnavailable("a repository was renamed meanwhile: it is tried again under its new name")
    return {row.id: row.organization_id for row in rows}


async def refresh_derived(
    connection: AsyncConnection,
    pairs: Collection[Pair],
    answers: Collection[Answer] = (),
    counts: Counts | None = None,
) -> None:
    """Bring dependencies, then the answer, then its totals up to date with the statements.

    Args:
        pairs: Whose statements, claims, owner or repository changed.
        answers: Rows that show something else now though none of their pairs changed.
        counts: Changes of totals that no pair stands for.
    """
    counts = Counter(counts)
    shown, touched = set(answers), set[int]()
    if len(pairs) + len(shown) > FEW:
        await connection.execute(_PLAN_FOR_THESE)
    for part in _cut(pairs):
        shown |= await refresh_dependencies(connection, part, counts)
    for part in _cut(shown, backward=True):
        touched |= await refresh_answers(connection, part, counts)
    await add_deltas(connection, counts, touched=touched)


def _cut(keys: Collection[tuple[int, int]], *, backward: bool = False) -> Iterable[Sequence[tuple[int, int]]]:
    """In parts that a statement brings up to date in a few seconds, in the order of keys or its reverse."""
    ordered = sorted(keys, reverse=backward)
    return (ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH))


BATCH = 20_000
FEW = 100
"""So many rows are derived fast by whatever plan."""

# A plan that is kept for any arrays is made for ten rows: for thousands, it would compare each with each.
_PLAN_FOR_THESE = text("SET LOCAL plan_cache_mode = force_custom_plan")
# Row by row: what joins laterally is looked up, and so locked, in the order of what it joins.
_LOCK_PACKAGES = text(
    "SELECT count(written.id), count(read.id) FROM (SELECT * FROM unnest(CAST(:ids AS bigint[]),"
    " CAST(:writing AS boolean[])) AS given(id, writing) ORDER BY id) given"
    " LEFT JOIN LATERAL (SELECT p.id FROM packages p WHERE p.id = given.id AND given.writing"
    "   FOR NO KEY UPDATE) written ON true"
    " LEFT JOIN LATERAL (SELECT p.id FROM packages p WHERE p.id = given.id AND NOT given.writing"
    "   FOR SHARE) read ON true"
)
_LOCK_SAYING = text(
    "SELECT pg_advisory_xact_lock(-id) FROM (SELECT id FROM unnest(CAST(:ids AS bigint[])) AS given(id)"
    " ORDER BY id) ordered"
)
_LOCK_REPOSITORIES = text("SELECT id FROM repositories WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR SHARE")
_LIST_OWNERS = text(
    "SELECT r.id, r.renamed_to, a.organization_id FROM repositories r LEFT JOIN accounts a ON a.id = r.account_id"
    " WHERE r.id = ANY(CAST(:ids AS bigint[]))"
)
