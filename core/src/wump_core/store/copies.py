"""Files that many owners have word by word: copies, which say nothing of any of them."""

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.store.derived import lock_packages, refresh_derived

COPIED_BY_OWNERS = 10
"""A file that so many owners have word by word is a copy."""
COPIED_STATEMENTS = 5
"""What states fewer dependencies may well be the same by chance."""


async def save_copies(connection: AsyncConnection, contents: Collection[str]) -> int:
    """Mark the files of these contents that so many owners have that they are copies; returns how many are new.

    In a transaction of its own, since it writes to the repositories of others.
    """
    many = list((await connection.execute(_LIST_COPIED, {"contents": list(contents)})).scalars())
    if not many:
        return 0
    found = (await connection.execute(_LIST_FILES, {"contents": many})).all()
    repositories = sorted({row.repository_id for row in found})
    await connection.execute(_LOCK_REPOSITORIES, {"ids": repositories})
    targets = (await connection.execute(_LIST_STATED_BY_SOURCES, {"ids": [row.id for row in found]})).scalars()
    await lock_packages(connection, writing=(), reading=frozenset(targets))
    marked = (await connection.execute(_MARK_COPIES, {"contents": many, "ids": repositories})).all()
    stated = await connection.execute(_LIST_PAIRS_OF_SOURCES, {"ids": [row.id for row in marked]})
    await refresh_derived(connection, {(row.package_id, row.repository_id) for row in stated})
    return len(marked)


_LIST_COPIED = text(
    "SELECT so.content FROM sources so JOIN repositories r ON r.id = so.repository_id"
    " WHERE so.content = ANY(CAST(:contents AS text[])) AND so.gone_at IS NULL"
    f" GROUP BY so.content HAVING count(DISTINCT r.account_id) >= {COPIED_BY_OWNERS} AND {COPIED_STATEMENTS} <="
    " (SELECT count(*) FROM statements s WHERE s.source_id = min(so.id) AND s.removed_at IS NULL AND s.direct)"
)
_LIST_FILES = text(
    "SELECT id, repository_id FROM sources WHERE content = ANY(CAST(:contents AS text[])) AND NOT copied"
)
_LOCK_REPOSITORIES = text(
    "SELECT FROM repositories WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR NO KEY UPDATE"
)
# A file that came since the repositories were locked is left to the one who brought it.
_MARK_COPIES = text(
    "UPDATE sources SET copied = true WHERE content = ANY(CAST(:contents AS text[])) AND NOT copied"
    " AND repository_id = ANY(CAST(:ids AS bigint[])) RETURNING id"
)
_LIST_PAIRS_OF_SOURCES = text(
    "SELECT DISTINCT s.package_id, so.repository_id FROM sources so JOIN statements s ON s.source_id = so.id"
    " WHERE so.id = ANY(CAST(:ids AS bigint[])) AND s.removed_at IS NULL AND s.direct"
)
_LIST_STATED_BY_SOURCES = text(
    "SELECT DISTINCT package_id FROM statements"
    " WHERE removed_at IS NULL AND direct AND source_id = ANY(CAST(:ids AS bigint[]))"
)
