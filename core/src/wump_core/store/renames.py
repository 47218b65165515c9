"""Repositories that got another name. A rename is only believed with the host's id.

The row of the old name stays, since packages go on claiming it, and says whose it is now (`renamed_to`). Packages,
files and all that is derived belong to the row of the name of today, so that one repository counts once.
"""

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.errors import ServerUnavailable
from wump_core.records import RepositoryClaim
from wump_core.store.dependencies import Pair, list_pairs_of_organizations, list_pairs_of_repository
from wump_core.store.derived import lock_packages, lock_saying, refresh_derived
from wump_core.store.repositories import add_named_repositories
from wump_core.store.sources import judge_claims, move_sources


async def place_repository(
    connection: AsyncConnection, named: RepositoryClaim, current: RepositoryClaim, host_id: str | None
) -> int:
    """The key of the row that a repository's facts belong to, after everything that is said of it was brought there.

    Args:
        named: The name that it was asked for by.
        current: The name that its host answers with; the same, if it was not renamed.
        host_id: The host's id of it; null: the host tells none, and no rename is believed.

    Raises:
        ServerUnavailable: Others changed what claims it meanwhile: try again.
    """
    names = [(claim.host, claim.path) for claim in (named, current)]
    ids = await add_named_repositories(connection, [named, current])
    named_id, current_id = (ids[name] for name in names)
    if named_id != current_id and host_id is None:
        return named_id
    rows = {row.id: row for row in await connection.execute(_LIST, {"ids": [named_id, current_id]})}
    if named_id != current_id and rows[named_id].renamed_to != current_id:
        await _join(connection, named_id, current_id, host_id)
    elif rows[current_id].renamed_to is not None:
        # The name is in use again: it stands for itself.
        await connection.execute(_SAVE_RENAMED, {"id": current_id, "renamed_to": None, "host_id": host_id})
    elif host_id is not None and rows[current_id].host_id not in (None, host_id):
        await forget_files(connection, current_id)
    return current_id


async def forget_files(connection: AsyncConnection, repository_id: int) -> None:
    """Let a repository's files be gone, with all that they say: they are of the past."""
    await connection.execute(_LOCK, {"ids": [repository_id]})
    stated = await _list_stated(connection, [repository_id])
    await lock_packages(connection, writing=(), reading=stated)
    await _remove_files(connection, repository_id)
    await judge_claims(connection, repository_id)
    await refresh_derived(connection, {(package_id, repository_id) for package_id in stated})


async def _join(connection: AsyncConnection, old_id: int, new_id: int, host_id: str | None) -> None:
    own = await _list_own_packages(connection, old_id)
    await lock_saying(connection, own)
    both = {"ids": sorted([old_id, new_id])}
    older = await _list_older_names(connection, old_id)
    await connection.execute(_LOCK, {"ids": sorted({*both["ids"], *older})})
    if (await _list_own_packages(connection, old_id), await _list_older_names(connection, old_id)) != (own, older):
        raise ServerUnavailable("what claims a renamed repository changed meanwhile: it is tried again")
    rows = {row.id: row for row in await connection.execute(_LIST, both)}
    stated = await _list_stated(connection, both["ids"])
    await lock_packages(connection, writing=own, reading=stated - own)
    pairs: set[Pair] = set(await list_pairs_of_repository(connection, old_id))
    if rows[new_id].host_id not in (None, host_id):
        await _remove_files(connection, new_id)
    if rows[old_id].host_id in (None, host_id):
        await connection.execute(_MOVE_FILES, {"old_id": old_id, "new_id": new_id})
    await _remove_files(connection, old_id)
    owner = rows[new_id].organization_id
    await connection.execute(_MOVE_PACKAGES, {"ids": sorted(own), "id": new_id, "organization_id": owner})
    await move_sources(connection, own)
    await judge_claims(connection, new_id)
    await connection.execute(_SAVE_RENAMED, {"id": new_id, "renamed_to": None, "host_id": host_id})
    await connection.execute(_SAVE_RENAMED, {"id": old_id, "renamed_to": new_id, "host_id": host_id})
    await connection.execute(_SAVE_RENAMED_ONWARD, {"ids": sorted(older - {new_id}), "renamed_to": new_id})
    pairs.update((package_id, new_id) for package_id in stated)
    owners = sorted({row.organization_id for row in rows.values()} - {None})
    owned = [(package_id, key) for package_id in sorted(own) for key in owners]
    pairs.update(await list_pairs_of_organizations(connection, owned) if owned else ())
    await refresh_derived(connection, pairs)


async def _list_own_packages(connection: AsyncConnection, repository_id: int) -> frozenset[int]:
    rows = await connection.execute(text("SELECT id FROM packages WHERE repository_id = :id"), {"id": repository_id})
    return frozenset(rows.scalars())


async def _list_older_names(connection: AsyncConnection, repository_id: int) -> frozenset[int]:
    rows = await connection.execute(text("SELECT id FROM repositories WHERE renamed_to = :id"), {"id": repository_id})
    return frozenset(rows.scalars())


async def _list_stated(connection: AsyncConnection, ids: Collection[int]) -> frozenset[int]:
    return frozenset((await connection.execute(_LIST_STATED, {"ids": sorted(ids)})).scalars())


async def _remove_files(connection: AsyncConnection, repository_id: int) -> None:
    gone = list((await connection.execute(_MARK_GONE, {"id": repository_id})).scalars())
    if gone:
        await connection.execute(_REMOVE_STATEMENTS, {"ids": gone})


_LOCK = text("SELECT FROM repositories WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id FOR NO KEY UPDATE")
_LIST = text(
    "SELECT r.id, r.host_id, r.renamed_to, a.organization_id FROM repositories r"
    " LEFT JOIN accounts a ON a.id = r.account_id WHERE r.id = ANY(CAST(:ids AS bigint[]))"
)
_LIST_STATED = text(
    "SELECT DISTINCT s.package_id FROM sources so JOIN statements s ON s.source_id = so.id"
    " WHERE so.repository_id = ANY(CAST(:ids AS bigint[])) AND s.removed_at IS NULL AND s.direct"
)
# What was read of a file stands; its address, and what it reads beside it, are looked at anew.
_MOVE_FILES = text(
    "UPDATE sources so SET repository_id = :new_id, parse_key = NULL WHERE so.repository_id = :old_id"
    " AND so.package_id IS NULL AND so.gone_at IS NULL AND NOT EXISTS (SELECT FROM sources other"
    "   WHERE other.repository_id = :new_id AND other.package_id IS NULL AND other.path = so.path"
    "   AND other.provider = so.provider)"
)
_MARK_GONE = text(
    "UPDATE sources SET gone_at = now(), parse_key = NULL WHERE repository_id = :id AND package_id IS NULL"
    " AND gone_at IS NULL RETURNING id"
)
_REMOVE_STATEMENTS = text(
    "UPDATE statements SET removed_at = now() WHERE removed_at IS NULL AND source_id = ANY(CAST(:ids AS bigint[]))"
)
_MOVE_PACKAGES = text(
    "UPDATE packages SET repository_id = :id, organization_id = CAST(:organization_id AS bigint)"
    " WHERE id = ANY(CAST(:ids AS bigint[]))"
)
_SAVE_RENAMED = text(
    "UPDATE repositories SET renamed_to = CAST(:renamed_to AS bigint), host_id = CAST(:host_id AS text) WHERE id = :id"
)
_SAVE_RENAMED_ONWARD = text("UPDATE repositories SET renamed_to = :renamed_to WHERE id = ANY(CAST(:ids AS bigint[]))")
