"""Jobs about repositories: their files of dependencies, read at one commit."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from wump_core import schedule
from wump_core.errors import InvalidManifest, NotFound, WumpError
from wump_core.hosts import RepositoryUrl, make_permalink, parse_repository_url
from wump_core.manifests import NoManifest, choose_siblings, fits, is_ending
from wump_core.noise import mark_path
from wump_core.providers import Provider
from wump_core.records import RepositoryClaim, RepositoryRecord, TreeEntry, TreeRecord
from wump_core.store.copies import save_copies
from wump_core.store.executions import Execution
from wump_core.store.files import (
    FileFacts,
    KnownFile,
    RepositoryFacts,
    add_repository_names,
    list_known_files,
    save_repository,
)
from wump_core.store.providers import save_attempt
from wump_core.store.renames import place_repository
from wump_core.store.repositories import add_repositories, save_missing_repository

from wump_worker.jobs.owners import save_owners
from wump_worker.resources import Resources

FETCH_TREE = "fetch_tree"
MAX_FILES = 500
MAX_FILE_BYTES = 32_000_000
MAX_TOTAL_BYTES = 100_000_000
MAX_SIBLINGS = 100
MAX_ROUNDS = 8
"""How often a file is read again because it wants to see more files beside it."""
_AT_ONCE = 4

Task = tuple[str, str]
"""(path, name of the provider that reads it)"""


async def read_repository(resources: Resources, execution: Execution) -> None:
    """Fetch a repository's tree, read what states dependencies and is not known yet, and save what it says.

    The host's provider walks and the ecosystems' providers read; neither knows of the other.
    """
    url = parse_repository_url(execution.subject)
    if url is None:
        raise WumpError(f"{execution.subject} names no repository: expected https://host/owner/name")
    try:
        provider, (record, tree) = await resources.providers.fetch_from_host(
            FETCH_TREE, url.host, lambda provider: _fetch(resources, provider, url, execution)
        )
    except NotFound as error:
        await _save_missing(resources, execution, url, str(error))
        return
    # Under its name of today, so that a renamed one doesn't cost a redirect for each file.
    current_url = f"https://{url.host}/{record.path}"
    current = parse_repository_url(current_url) or url
    repository_id, known = await _place(resources, url, current, record)
    reading = _Reading(
        resources, provider, current, current_url, tree, {(item.path, item.provider): item for item in known}
    )
    facts = await reading.read(record)
    async with resources.engine.begin() as connection:
        names = await add_repository_names(connection, facts)
    async with resources.engine.begin() as connection:
        count = await save_repository(connection, repository_id, facts, names)
        await schedule.hold(connection, execution)
    async with resources.engine.begin() as connection:
        await save_copies(connection, reading.contents)
        await save_attempt(connection, provider.name, FETCH_TREE, url.url, error=None)
        outcome = {"code": "saved", "provider": provider.name, "read": len(facts.read), "kept": len(facts.kept)}
        if facts.incomplete:
            outcome["message"] = facts.incomplete
        await schedule.finish(connection, execution, records_processed=count, outcome=outcome)


async def _fetch(
    resources: Resources, provider: Provider, url: RepositoryUrl, execution: Execution
) -> tuple[RepositoryRecord, TreeRecord]:
    context = resources.context(provider, on_demand=execution.queue == "high")
    record = await provider.fetch_repository(context, url.url)
    if record.visibility == "private":
        raise NotFound("its host shows it to this token only: wump keeps what is public")
    return record, await provider.fetch_tree(context, f"https://{url.host}/{record.path}", record.default_branch)


async def _place(
    resources: Resources, url: RepositoryUrl, current: RepositoryUrl, record: RepositoryRecord
) -> tuple[int, list[KnownFile]]:
    """Say who owns it, and find the row of its facts and the files that are known: those of its name of today."""
    await save_owners(resources, [record])
    claims = [RepositoryClaim(host=name.host, path=name.path, owner=name.owner) for name in (url, current)]
    async with resources.engine.begin() as connection:
        await add_repositories(connection, claims)
    async with resources.engine.begin() as connection:
        repository_id = await place_repository(connection, claims[0], claims[1], record.host_id)
        return repository_id, await list_known_files(connection, repository_id)


async def _save_missing(resources: Resources, execution: Execution, url: RepositoryUrl, reason: str) -> None:
    claim = RepositoryClaim(host=url.host, path=url.path, owner=url.owner)
    async with resources.engine.begin() as connection:
        repository_id = (await add_repositories(connection, [claim]))[url.host, url.path]
        await save_missing_repository(connection, repository_id, reason)
        outcome = {"code": NotFound.code, "message": reason}
        await schedule.finish(connection, execution, records_processed=0, outcome=outcome)


@dataclass
class _Reading:
    """One walk over one tree. Each file is fetched once, whoever wants to see it."""

    resources: Resources
    host: Provider
    url: RepositoryUrl
    current_url: str
    tree: TreeRecord
    known: Mapping[Task, KnownFile]
    _bytes_left: int = MAX_TOTAL_BYTES
    _contents: dict[str, asyncio.Task[bytes | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._entries = {entry.path: entry for entry in self.tree.entries if entry.kind == "file"}
        self._room = asyncio.Semaphore(_AT_ONCE)
        self.contents: set[str] = set()

    async def read(self, record: RepositoryRecord) -> RepositoryFacts:
        """Read what must be read; what is kept is only named."""
        tasks, incomplete = self._list_tasks()
        self.contents = {self._entries[path].blob for path, _ in tasks}
        kept = {task for task in tasks if self._is_known(task)}
        fresh = [task for task in tasks if task not in kept]
        try:
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(self._read_file(*task)) for task in fresh]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        read = [file for task in running if (file := task.result()) is not None]
        return RepositoryFacts(record, self.tree.revision, read, kept, incomplete)

    def _list_tasks(self) -> tuple[list[Task], str | None]:
        """The files to read, those near the root first, and why these are not all that count."""
        readers = [
            (item.name, tuple(glob for glob in item.info.manifests if not is_ending(glob)))
            for item in self.resources.providers.active
            if "parse_manifest" in item.capabilities
        ]
        found = [
            (path, name)
            for path in sorted(self._entries, key=lambda path: (path.count("/"), path))
            for name, globs in readers
            if fits(globs, path)
        ]
        if len(found) > MAX_FILES:
            return found[:MAX_FILES], f"{len(found):,} files state dependencies, {MAX_FILES:,} of them were read"
        return found, None if self.tree.complete else "the host lists only a part of the files"

    def _is_known(self, task: Task) -> bool:
        known = self.known.get(task)
        return known is not None and known.parse_key == self._make_key(task, known.reads)

    def _make_key(self, task: Task, reads: Iterable[str]) -> UUID:
        """Hash of all that reading a file depends on: the reader's version, and the content of the file and others."""
        path, name = task
        version = next(item.version for item in self.resources.providers.active if item.name == name)
        blobs = [f"{item}\0{entry.blob if (entry := self._entries.get(item)) else ''}" for item in sorted(reads)]
        wanted = ["transitive"] if self.resources.settings.transitive else []
        text = "\0\0".join([name, version, path, self._entries[path].blob, *blobs, *wanted])
        return UUID(bytes=hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest())

    async def _read_file(self, path: str, name: str) -> FileFacts | None:
        """What a file says; null where it is something else than its name says."""
        record, error, siblings = None, None, dict[str, bytes | None]()
        try:
            content = await self._fetch_file(self._entries[path])
            if content is None:
                raise InvalidManifest("it is too large, or the files before it were")
            for _ in range(MAX_ROUNDS):
                present = {key: value for key, value in siblings.items() if value is not None}
                record = await asyncio.to_thread(self.resources.parsers.parse, name, path, content, present)
                needed = choose_siblings(record.needs, self._entries, most=MAX_SIBLINGS)
                fresh = [item for item in needed if item not in siblings and item != path]
                if not fresh:
                    break
                siblings |= zip(fresh, await asyncio.gather(*map(self._fetch_sibling, fresh)), strict=True)
        except NoManifest:
            return None
        except InvalidManifest as refusal:
            record, error = None, str(refusal)[:2_000]
        revision = self.tree.revision or ""
        return FileFacts(
            path=path,
            provider=name,
            content=self._entries[path].blob,
            mark=mark_path(path),
            parse_key=self._make_key((path, name), siblings),
            reads=tuple(sorted(siblings)),
            url=make_permalink(self.url.host, self.url.path, revision, path),
            record=record,
            error=error,
            transitive=self.resources.settings.transitive,
        )

    async def _fetch_sibling(self, path: str) -> bytes | None:
        entry = self._entries.get(path)
        return await self._fetch_file(entry) if entry else None

    async def _fetch_file(self, entry: TreeEntry) -> bytes | None:
        """Its bytes; null where they would be too many, or it vanished since the tree was made."""
        if entry.path not in self._contents:
            self._contents[entry.path] = asyncio.create_task(self._fetch_bytes(entry))
        return await self._contents[entry.path]

    async def _fetch_bytes(self, entry: TreeEntry) -> bytes | None:
        size = entry.size or 0
        if size > min(MAX_FILE_BYTES, self._bytes_left) or self.tree.revision is None:
            return None
        self._bytes_left -= size
        context = self.resources.context(self.host)
        async with self._room:
            try:
                return await self.host.fetch_file(context, self.current_url, self.tree.revision, entry.path)
            except NotFound:
                return None
