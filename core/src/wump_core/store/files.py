"""What a repository's own files say, and what its host says of it: saved together, with all that is derived."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from wump_core.errors import InvalidPurl, ServerUnavailable
from wump_core.noise import Mark
from wump_core.purl import make_purl
from wump_core.records import DependencyRecord, FundingLink, ManifestRecord, RepositoryRecord
from wump_core.store.accounts import Account, add_accounts
from wump_core.store.dependencies import Pair, list_pairs_of_organizations, list_pairs_of_repository
from wump_core.store.dependents import Answer
from wump_core.store.derived import lock_packages, refresh_derived
from wump_core.store.packages import add_packages
from wump_core.store.sources import dump_diagnostics, judge_claims, make_statement_rows, replace_statements


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that was read before: with which key, and with which others beside it."""

    path: str
    provider: str
    parse_key: UUID | None
    reads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file that was read now. It has a record, or an error says why it has none: then its old statements stay.

    Attributes:
        path: From the repository's root.
        provider: Who read it.
        content: The host's id of its content.
        mark: Why it does not count; null: it counts.
        parse_key: Hash of all that reading it depended on.
        reads: The files beside it that were read with it.
        url: Where it can be read at the commit, without the line.
        record: What it says.
        error: Why it could not be read.
        transitive: Whether what it says of indirect dependencies is kept, too.
    """

    path: str
    provider: str
    content: str
    mark: Mark | None
    parse_key: UUID
    reads: Sequence[str]
    url: str
    record: ManifestRecord | None
    error: str | None = None
    transitive: bool = False

    @property
    def dependencies(self) -> Iterable[DependencyRecord]:
        """What is kept of it. What a lockfile says of indirect dependencies is not, unless that is wanted."""
        return [item for item in self.record.dependencies if item.direct or self.transitive] if self.record else ()


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """A repository as its host describes it, and its files at one commit.

    Attributes:
        record: What the host says.
        revision: The commit; null: it is empty.
        read: Files that were read now.
        kept: (path, provider) of files that are there and say what they said.
        incomplete: Why not all files that count were read; null: they were, so those not named here are gone.
    """

    record: RepositoryRecord
    revision: str | None
    read: Sequence[FileFacts]
    kept: Collection[tuple[str, str]]
    incomplete: str | None


@dataclass(frozen=True, slots=True)
class RepositoryNames:
    """Keys of all that a repository's facts name. The account is null where the host names no owner."""

    package_ids: Mapping[str, int]
    account: Account | None


async def list_known_files(connection: AsyncConnection, repository_id: int) -> list[KnownFile]:
    """The files of a repository that were read before and are still there."""
    rows = await connection.execute(
        text(
            "SELECT path, provider, parse_key, coalesce(reads, '{}') AS reads FROM sources"
            " WHERE repository_id = :id AND package_id IS NULL AND gone_at IS NULL"
        ),
        {"id": repository_id},
    )
    return [KnownFile(row.path, row.provider, row.parse_key, tuple(row.reads)) for row in rows]


async def add_repository_names(connection: AsyncConnection, facts: RepositoryFacts) -> RepositoryNames:
    """Find what these facts name, or add it; meant for a short transaction of its own."""
    purls = {item.purl for file in facts.read for item in file.dependencies if item.purl}
    package_ids = await add_packages(connection, purls)
    owner = facts.record.owner
    if owner is None:
        return RepositoryNames(package_ids, None)
    name = (facts.record.host, owner.lower())
    return RepositoryNames(package_ids, (await add_accounts(connection, [name]))[name])


async def save_repository(
    connection: AsyncConnection, repository_id: int, facts: RepositoryFacts, names: RepositoryNames
) -> int:
    """Save what a host and a repository's files say, and all that is derived from it; returns statements read.

    The repository is locked first, so that nobody else says anything of it; see `derived` for the order of locks.

    Raises:
        ServerUnavailable: It was renamed meanwhile: place it again.
    """
    await connection.execute(_LOCK_REPOSITORY, {"id": repository_id})
    old = (await connection.execute(_GET_REPOSITORY, {"id": repository_id})).one()
    if old.renamed_to is not None:
        raise ServerUnavailable("the repository was renamed meanwhile: it is tried again under its new name")
    account_id = names.account.id if names.account else old.account_id
    moved = account_id != old.account_id
    if moved and account_id is not None:
        # Before packages, as whoever changes whose the account is does.
        await connection.execute(_KEEP_ACCOUNT, {"id": account_id})
    own_packages = await _list_own_packages(connection, repository_id)
    stated = await _list_stated(connection, repository_id)
    told = (item for file in facts.read for item in file.dependencies if item.direct)
    direct = {names.package_ids[item.purl] for item in told if item.purl}
    await lock_packages(connection, writing=own_packages if moved else (), reading=stated | direct)
    before = await list_pairs_of_repository(connection, repository_id)
    owner = await _save_host_facts(connection, repository_id, account_id, facts)
    changed = await _save_files(connection, repository_id, facts, names)
    # What is only said of indirect dependencies makes no pair, and no row of an answer.
    changed = {target for target in changed if target in direct or (target, repository_id) in before}
    await connection.execute(_SAVE_FUNDING, {"id": repository_id, "funding": _dump_funding(facts.record.funding)})
    judged = await judge_claims(connection, repository_id)
    changed |= await _list_stated_by(connection, repository_id, judged)

    pairs: set[Pair] = {(target, repository_id) for target in changed}
    if (account_id, *_counted(facts.record)) != (old.account_id, old.fork, old.archived, old.template):
        pairs.update(before)
    if moved:
        await connection.execute(_MOVE_PACKAGES, {"ids": list(own_packages), "organization_id": owner})
        both = [key for key in (old.organization_id, owner) if key is not None]
        owned = [(package_id, key) for package_id in own_packages for key in both]
        pairs.update(await list_pairs_of_organizations(connection, owned))
    await refresh_derived(connection, pairs, _list_shown(facts, old, before, changed, owner))
    return sum(1 for file in facts.read for _ in file.dependencies)


def _list_shown(
    facts: RepositoryFacts,
    old: Row[Any],
    before: Mapping[Pair, int | None],
    changed: Collection[int],
    owner: int | None,
) -> set[Answer]:
    """Rows of the answer that show something else now: the stars and activity of this repository, or its evidence."""
    shown = {(target, owner) for target in changed if owner is not None}
    if (facts.record.stars, facts.record.pushed_at) != (old.stars, old.pushed_at):
        shown |= {(package_id, key) for (package_id, _), key in before.items() if key is not None}
    return shown


def _counted(record: RepositoryRecord) -> tuple[bool | None, bool | None, bool | None]:
    return record.fork, record.archived, record.template


async def _save_host_facts(
    connection: AsyncConnection, repository_id: int, account_id: int | None, facts: RepositoryFacts
) -> int | None:
    """Returns the organization that owns it now."""
    record = facts.record
    values: dict[str, str | int | bool | datetime | None] = {
        "id": repository_id,
        "account_id": account_id,
        "host_id": record.host_id,
        "current_path": record.path,
        "description": record.description,
        "default_branch": record.default_branch,
        "stars": record.stars,
        "fork": record.fork,
        "archived": record.archived,
        "template": record.template,
        "pushed_at": record.pushed_at,
        "revision": facts.revision,
        "files_incomplete": facts.incomplete,
    }
    organization_id: int | None = (await connection.execute(_SAVE_REPOSITORY, values)).scalar_one()
    return organization_id


async def _save_files(
    connection: AsyncConnection, repository_id: int, facts: RepositoryFacts, names: RepositoryNames
) -> set[int]:
    """Save the files and their statements; returns the packages whose statements, or their marks, differ."""
    changed: set[int] = set()
    if facts.incomplete is None:
        present = sorted({(file.path, file.provider) for file in facts.read} | set(facts.kept))
        values = {
            "id": repository_id,
            "paths": [name[0] for name in present],
            "providers": [name[1] for name in present],
        }
        gone = list((await connection.execute(_MARK_GONE, values)).scalars())
        changed.update((await connection.execute(_REMOVE_ALL, {"ids": gone})).scalars() if gone else ())
    if facts.kept:
        kept = sorted(facts.kept)
        values = {"id": repository_id, "paths": [name[0] for name in kept], "providers": [name[1] for name in kept]}
        await connection.execute(_CHECK_FILES, values)
    if not facts.read:
        return changed
    read = {(file.path, file.provider): file for file in facts.read}
    rows = [_file_row(file, facts.revision) for _, file in sorted(read.items())]
    columns = {name: [row[position] for row in rows] for position, name in enumerate(_FILE_COLUMNS)}
    saved = (await connection.execute(_SAVE_FILES, columns | {"id": repository_id})).all()
    keys = {(row.path, row.provider): row for row in saved}
    statements = [
        (keys[name].id, *row)
        for name, file in sorted(read.items())
        if file.record is not None
        for row in make_statement_rows(file.dependencies, names.package_ids)
    ]
    known = [keys[name].id for name, file in read.items() if keys[name].known and file.record is not None]
    for targets in (await replace_statements(connection, statements, known=known)).values():
        changed |= targets
    shown = [row.id for row in saved if row.known]
    if shown:
        # A file that was read again stands at another commit, or counts otherwise: all that it says shows that.
        changed.update((await connection.execute(_LIST_STATED_BY_SOURCES, {"ids": shown})).scalars())
    return changed


_FILE_COLUMNS = (
    *("path", "provider", "kind", "content", "mark", "parse_key", "reads", "url", "revision", "project"),
    *("diagnostics", "funding", "error"),
)


def _file_row(file: FileFacts, revision: str | None) -> tuple[Any, ...]:
    record = file.record
    return (
        file.path,
        file.provider,
        record.kind if record else "manifest",
        file.content,
        file.mark,
        file.parse_key,
        # A list of lists is no array: each is one text, of paths that hold no line's end.
        "\n".join(file.reads),
        file.url,
        revision,
        _project_purl(record) if record else None,
        dump_diagnostics(record.diagnostics if record else ()),
        _dump_funding(record.funding) if record and record.funding else None,
        file.error,
    )


def _dump_funding(links: Iterable[FundingLink] | None) -> str:
    return json.dumps([link.model_dump() for link in links or ()])


def _project_purl(record: ManifestRecord) -> str | None:
    """What the file calls itself; null where it has no name, or one that its ecosystem does not allow."""
    if record.project is None or record.project.name is None:
        return None
    try:
        return str(make_purl(record.ecosystem, record.project.name))
    except InvalidPurl:
        return None


async def _list_own_packages(connection: AsyncConnection, repository_id: int) -> frozenset[int]:
    rows = await connection.execute(text("SELECT id FROM packages WHERE repository_id = :id"), {"id": repository_id})
    return frozenset(rows.scalars())


async def _list_stated(connection: AsyncConnection, repository_id: int) -> frozenset[int]:
    """The packages that anything said of this repository names as directly needed."""
    rows = await connection.execute(
        text(
            "SELECT DISTINCT s.package_id FROM sources so JOIN statements s ON s.source_id = so.id"
            " WHERE so.repository_id = :id AND s.removed_at IS NULL AND s.direct"
        ),
        {"id": repository_id},
    )
    return frozenset(rows.scalars())


async def _list_stated_by(
    connection: AsyncConnection, repository_id: int, package_ids: Collection[int]
) -> frozenset[int]:
    """The packages that these packages' sources name, of those that claim this repository."""
    if not package_ids:
        return frozenset()
    rows = await connection.execute(
        text(
            "SELECT DISTINCT s.package_id FROM sources so JOIN statements s ON s.source_id = so.id"
            " WHERE so.repository_id = :id AND s.removed_at IS NULL AND so.package_id = ANY(CAST(:ids AS bigint[]))"
        ),
        {"id": repository_id, "ids": list(package_ids)},
    )
    return frozenset(rows.scalars())


_LOCK_REPOSITORY = text("SELECT FROM repositories WHERE id = :id FOR NO KEY UPDATE")
_KEEP_ACCOUNT = text("SELECT FROM accounts WHERE id = :id FOR KEY SHARE")
_GET_REPOSITORY = text(
    "SELECT r.account_id, r.renamed_to, a.organization_id, r.stars, r.pushed_at, r.fork, r.archived, r.template"
    " FROM repositories r LEFT JOIN accounts a ON a.id = r.account_id WHERE r.id = :id"
)
_SAVE_REPOSITORY = text(
    "UPDATE repositories SET account_id = CAST(:account_id AS bigint), host_id = :host_id,"
    " current_path = :current_path, description = :description, default_branch = :default_branch,"
    " stars = CAST(:stars AS bigint), fork = CAST(:fork AS boolean), archived = CAST(:archived AS boolean),"
    " template = CAST(:template AS boolean),"
    " pushed_at = CAST(:pushed_at AS timestamptz), revision = :revision, files_incomplete = :files_incomplete,"
    " missing = NULL, missing_since = NULL, fetched_at = now(), files_at = now() WHERE id = :id"
    " RETURNING (SELECT organization_id FROM accounts WHERE id = account_id)"
)
# What the host tells, then what the files say that count, each link once.
_SAVE_FUNDING = text(
    "UPDATE repositories SET funding = (SELECT coalesce(jsonb_agg(link ORDER BY rank, path, position), '[]') FROM"
    " (SELECT DISTINCT ON (link->>'url') link, rank, path, position FROM"
    "   (SELECT link, 0 AS rank, '' AS path, position"
    "      FROM jsonb_array_elements(CAST(:funding AS jsonb)) WITH ORDINALITY AS told(link, position)"
    "    UNION ALL SELECT link, 1, so.path, position FROM sources so"
    "      CROSS JOIN jsonb_array_elements(so.funding) WITH ORDINALITY AS told(link, position)"
    "      WHERE so.repository_id = :id AND so.package_id IS NULL AND so.gone_at IS NULL AND so.mark IS NULL) links"
    "   ORDER BY link->>'url', rank, path, position) distinct_links) WHERE id = :id"
)
_MOVE_PACKAGES = text(
    "UPDATE packages SET organization_id = CAST(:organization_id AS bigint) WHERE id = ANY(CAST(:ids AS bigint[]))"
)
_GIVEN_FILES = "unnest(CAST(:paths AS text[]), CAST(:providers AS text[])) AS given(path, provider)"
_MARK_GONE = text(
    "UPDATE sources so SET gone_at = now(), parse_key = NULL WHERE so.repository_id = :id AND so.package_id IS NULL"
    f" AND so.gone_at IS NULL AND NOT EXISTS (SELECT FROM {_GIVEN_FILES}"
    "   WHERE given.path = so.path AND given.provider = so.provider) RETURNING so.id"
)
_CHECK_FILES = text(
    f"UPDATE sources so SET checked_at = now() FROM {_GIVEN_FILES} WHERE so.repository_id = :id"
    " AND so.package_id IS NULL AND given.path = so.path AND given.provider = so.provider"
)
_REMOVE_ALL = text(
    "UPDATE statements SET removed_at = now() WHERE removed_at IS NULL"
    " AND source_id = ANY(CAST(:ids AS bigint[])) RETURNING package_id"
)
_LIST_STATED_BY_SOURCES = text(
    "SELECT DISTINCT package_id FROM statements WHERE removed_at IS NULL AND source_id = ANY(CAST(:ids AS bigint[]))"
)
# What a file that could not be read said before still stands, and so does where it stood.
_SAVE_FILES = text(
    "INSERT INTO sources AS so (kind, provider, repository_id, repository_verified, path, content, mark, parse_key,"
    " reads, url, revision, project, diagnostics, funding, error)"
    " SELECT kind, provider, :id, true, path, content, mark, parse_key,"
    " string_to_array(nullif(reads, ''), E'\\n'), url, revision, project, CAST(diagnostics AS jsonb),"
    " CAST(funding AS jsonb), error"
    " FROM unnest("
    + ", ".join(f"CAST(:{name} AS {'uuid' if name == 'parse_key' else 'text'}[])" for name in _FILE_COLUMNS)
    + f") AS given({', '.join(_FILE_COLUMNS)}) ORDER BY path, provider"
    " ON CONFLICT (repository_id, path, provider) WHERE package_id IS NULL DO UPDATE SET"
    " content = excluded.content, copied = so.copied AND so.content = excluded.content,"
    " parse_key = excluded.parse_key, reads = excluded.reads, mark = excluded.mark, error = excluded.error,"
    " kind = CASE WHEN excluded.error IS NULL THEN excluded.kind ELSE so.kind END,"
    " url = CASE WHEN excluded.error IS NULL THEN excluded.url ELSE so.url END,"
    " revision = CASE WHEN excluded.error IS NULL THEN excluded.revision ELSE so.revision END,"
    " project = CASE WHEN excluded.error IS NULL THEN excluded.project ELSE so.project END,"
    " diagnostics = CASE WHEN excluded.error IS NULL THEN excluded.diagnostics ELSE so.diagnostics END,"
    " funding = CASE WHEN excluded.error IS NULL THEN excluded.funding ELSE so.funding END,"
    " checked_at = now(), gone_at = NULL"
    " RETURNING new.id, new.path, new.provider, old.id IS NOT NULL AS known"
)
