"""`wump import`: whole ecosystems out of an upstream's dump, instead of package by package.

One thread reads, while the batch before is saved. A batch is a transaction, and so is what it adds to the position:
whenever the import is stopped, it goes on behind the last batch that was saved whole.
"""

import asyncio
import hashlib
import sys
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from wump_core.dumps import DumpProgress, watching_dump
from wump_core.errors import ConfigurationError, ServerUnavailable, WumpError
from wump_core.garbage import collect_seldom
from wump_core.loading import load_providers
from wump_core.providers import Provider
from wump_core.records import DumpInfo, InventoryRecord, PackageRecord
from wump_core.servers import open_servers
from wump_core.settings import CoreSettings, load_settings
from wump_core.store import make_engine
from wump_core.store.audit import rebuild
from wump_core.store.facts import Names, add_names, load_packages, save_packages, save_unchanged_packages
from wump_core.store.imports import (
    Import,
    analyze_facts,
    finish_import,
    list_known_packages,
    save_import_error,
    save_position,
    save_told,
    start_import,
)
from wump_core.store.inventories import add_inventory_names, save_inventories
from wump_core.telemetry import configure_logging

from wump_worker.progress import Advance, showing_progress, tell_nobody

BATCH = 1_000
"""Packages and repositories in a transaction, each of which holds a lock."""

MAX_STATEMENTS = 20_000
"""In a transaction, but for those of its last record: this much is in memory twice, at some two kilobytes for each."""

MAX_REMEMBERED = 250_000
"""Keys of packages by name, so that what is popular is not looked up in each batch."""

TRIES = 5
TELL_SECONDS = 0.5
STATEMENT_TIMEOUT_MS = 600_000
_TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('wump import ' || :provider, 0))"
_UNLOCK = "SELECT pg_advisory_unlock_all()"
_RETRIED = ("40001", "40P01", "55P03")
"""Serialization failure, deadlock, lock not available: the same batch again."""

app = typer.Typer()
err = Console(stderr=True, highlight=False, soft_wrap=True)

Item = DumpInfo | PackageRecord | InventoryRecord


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many records of a dump, packages and repositories, were saved, known as they are, and known better."""

    saved: int
    unchanged: int
    kept: int


@app.command("import", epilog="Example: `wump import cratesio db-dump.tar.gz`")
def import_(
    name: Annotated[str, typer.Argument(metavar="PROVIDER", help="Whose dump it is: name of the provider.")],
    path: Annotated[Path, typer.Argument(help="The dump: a file, or the folder that it was unpacked to.")],
) -> None:
    """Import a whole dump of an upstream. Stopped, in whatever way, it goes on where it was when it is run again."""
    settings = load_settings()
    configure_logging("warning", settings.log_format)
    provider = _find_provider(name)
    if not path.exists():
        raise ConfigurationError(f"there is no file or folder {str(path)!r}")
    collect_seldom()
    # The database waits while the thread that saves waits for the one that reads: ten times shorter than usual.
    sys.setswitchinterval(0.0005)
    with open_servers(settings, notify=err.print) as ready, showing_progress(err) as advance:
        outcome = asyncio.run(_import(ready, provider, path, advance))
    err.print(
        f"wump: {name}: {outcome.saved:,} records saved, {outcome.unchanged:,} known as they are, "
        f"{outcome.kept:,} known better",
        markup=False,
    )


def _find_provider(name: str) -> Provider:
    loaded = load_providers([name])
    if loaded.broken:
        raise ConfigurationError(f"the provider {name} can't be used: {loaded.broken[0].reason}")
    provider = loaded.active[0]
    if "read_dump" not in provider.capabilities:
        able = [item.name for item in load_providers().active if "read_dump" in item.capabilities]
        raise ConfigurationError(f"the provider {name} reads no dump; these do: {', '.join(able) or 'none'}")
    return provider


async def _import(settings: CoreSettings, provider: Provider, path: Path, advance: Advance) -> Outcome:
    if settings.database_url is None:
        raise ConfigurationError("WUMP_DATABASE_URL is not set")
    engine = make_engine(
        settings.database_url,
        application_name="wump-import",
        pool_size=3,
        statement_timeout_ms=STATEMENT_TIMEOUT_MS,
    )
    try:
        return await import_dump(engine, provider, path, advance)
    finally:
        await engine.dispose()


async def import_dump(
    engine: AsyncEngine, provider: Provider, path: Path, advance: Advance = tell_nobody, *, batch: int = BATCH
) -> Outcome:
    """Import a dump, or what is left of it.

    Raises:
        InvalidDump: It can't be read on. What came before is saved; the text names file, row and column.
        ServerUnavailable: The database can't be reached, or another process imports of this provider.
    """
    progress = DumpProgress()
    async with _only_one(engine, provider.name), _reading(provider, path, progress) as take:
        (info,) = await _tell_reading(take(1), progress, advance)
        if not isinstance(info, DumpInfo):
            raise TypeError("a dump's first record is its description")
        async with engine.begin() as connection:
            begun = await start_import(connection, provider.name, _name_dump(info, path), info)
        try:
            await _Saving(engine, provider, begun, info, batch).save_all(take, advance)
        except WumpError as error:
            async with engine.begin() as connection:
                await save_import_error(connection, begun.id, str(error))
            raise
    if begun.deferred:
        advance("deriving", 0, None)
        async with engine.begin() as connection:
            await analyze_facts(connection)
        await rebuild(engine)
    async with engine.begin() as connection:
        return Outcome(**await finish_import(connection, begun.id))


Take = Callable[[int], "asyncio.Future[list[Item]]"]


async def _tell_reading(taking: "asyncio.Future[list[Item]]", progress: DumpProgress, advance: Advance) -> list[Item]:
    """Tell how far the reading is, as long as it lasts: nothing comes before most of a dump was read."""
    while True:
        detail = f"{progress.table}, {progress.rows:,} rows" if progress.table else ""
        advance("reading", progress.done, progress.total or None, detail, of_bytes=True)
        if (await asyncio.wait([taking], timeout=TELL_SECONDS))[0]:
            return taking.result()


@dataclass(slots=True)
class _Batch:
    """Records of one transaction, and the keys of what they name, as soon as those were looked up."""

    packages: list[PackageRecord]
    inventories: list[InventoryRecord]
    names: Names | None = None

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.packages) + len(self.inventories)


class _Saving:
    """The saving of one dump's records, batch by batch; the keys of packages are remembered by name."""

    def __init__(self, engine: AsyncEngine, provider: Provider, begun: Import, info: DumpInfo, batch: int) -> None:
        self._engine = engine
        self._provider = provider
        self._begun = begun
        self._made_at = info.made_at
        counts = [count for count in (info.packages, info.repositories) if count is not None]
        self._total = sum(counts) if counts else None
        self._batch = batch
        self._keys: dict[str, int] = {}

    async def save_all(self, take: Take, advance: Advance) -> None:
        """Save what is left, and read the next batch while one is saved."""
        done, begun = 0, self._begun.position
        while done < begun and (passed := len(await take(min(self._batch, begun - done)))):
            done += passed
            advance("passing over what is done", done, begun)
        following = asyncio.create_task(self._prepare(take))
        try:
            while (batch := await following).size:
                following = asyncio.create_task(self._prepare(take))
                await self._save_batch(batch)
                done += batch.size
                advance("saving", done, self._total)
        finally:
            await asyncio.gather(following, return_exceptions=True)

    async def _prepare(self, take: Take) -> _Batch:
        """Read the next batch and add what it names while the one before is saved; what fails is done again then."""
        batch = _sort(await take(self._batch))
        with suppress(DBAPIError, WumpError):
            batch.names = await self._name(batch)
        return batch

    async def _name(self, batch: _Batch) -> Names:
        """Find or add what records name, and remember the packages' keys."""
        told = said = Names({}, {})
        if batch.packages:
            async with self._engine.begin() as connection:
                told = await add_names(connection, batch.packages, known=self._keys)
            self._remember(told.package_ids)
        if batch.inventories:
            async with self._engine.begin() as connection:
                said = await add_inventory_names(connection, batch.inventories, known=self._keys)
            self._remember(said.package_ids)
        return Names({**told.package_ids, **said.package_ids}, {**told.repositories, **said.repositories})

    def _remember(self, package_ids: Mapping[str, int]) -> None:
        if len(self._keys) > MAX_REMEMBERED:
            self._keys.clear()
        self._keys |= package_ids

    async def _save_batch(self, batch: _Batch) -> None:
        for attempt in range(1, TRIES + 1):
            try:
                await self._try_batch(batch, batch.names or await self._name(batch))
            except ServerUnavailable:
                if attempt == TRIES:
                    raise
            except DBAPIError as error:
                if attempt == TRIES or getattr(error.orig, "sqlstate", None) not in _RETRIED:
                    reason = str(error.orig).partition("\n")[0][:300]
                    raise ServerUnavailable(f"the database failed ({reason}): run the import again") from error
            else:
                return
            batch.names = None  # a repository may have been renamed since

    async def _try_batch(self, batch: _Batch, names: Names) -> None:
        async with self._engine.begin() as connection:
            told = await self._save_packages(connection, batch.packages, names)
            said = await save_inventories(
                connection,
                self._provider.name,
                batch.inventories,
                names,
                told_at=self._made_at,
                derive=not self._begun.deferred,
            )
            await save_position(
                connection,
                self._begun.id,
                saved=told.saved + said.saved,
                unchanged=told.unchanged + said.unchanged,
                kept=told.kept + said.kept,
            )

    async def _save_packages(self, connection: AsyncConnection, records: list[PackageRecord], names: Names) -> Outcome:
        if not records:
            return Outcome(0, 0, 0)
        name, made_at = self._provider.name, self._made_at
        is_registry = self._provider.info.provider_type == "registry"
        known = await list_known_packages(connection, name, records, made_at=made_at, own=is_registry)
        fresh = [record for record in records if record.purl not in known.settled]
        told = [record for record in fresh if record.purl in known.told]
        same = await save_unchanged_packages(connection, name, told, told_at=made_at) if told else ()
        others = [record for record in fresh if record.purl not in same]
        if others:
            save = load_packages if self._begun.deferred else save_packages
            await save(connection, name, others, names, told_at=made_at)
        if made_at is not None:
            await save_told(connection, name, [record.purl for record in fresh], made_at)
        return Outcome(len(others), len(same), len(known.settled))


def _sort(records: list[Item]) -> _Batch:
    return _Batch(
        [record for record in records if isinstance(record, PackageRecord)],
        [record for record in records if isinstance(record, InventoryRecord)],
    )


def _name_dump(info: DumpInfo, path: Path) -> str:
    """What tells it from other dumps of its provider, wherever it lies."""
    if info.made_at is not None:
        more = "" if info.repositories is None else f", {info.repositories} repositories"
        return f"{info.made_at.isoformat()}, {info.packages} packages{more}"
    state = path.stat()
    return hashlib.blake2b(f"{path.name} {state.st_size} {state.st_mtime_ns}".encode(), digest_size=16).hexdigest()


@asynccontextmanager
async def _only_one(engine: AsyncEngine, provider: str) -> AsyncGenerator[None]:
    """Let no other process import of this provider meanwhile. The lock goes with the connection."""
    async with engine.connect() as connection:
        locking = await connection.execution_options(isolation_level="AUTOCOMMIT")
        if not (await locking.execute(text(_TRY_LOCK), {"provider": provider})).scalar_one():
            raise ServerUnavailable(f"another process imports a dump of {provider}: wait until it is done")
        try:
            yield
        finally:
            await locking.execute(text(_UNLOCK))


@asynccontextmanager
async def _reading(provider: Provider, path: Path, progress: DumpProgress) -> AsyncGenerator[Take]:
    """Reads on in a thread of its own, always the same: so many records at a time, and none at the end."""
    with watching_dump(progress):
        context = copy_context()
    records: Iterator[Item] = provider.read_dump(path)
    loop = asyncio.get_running_loop()

    with ThreadPoolExecutor(1, thread_name_prefix="wump-dump") as reader:
        try:
            yield lambda count: loop.run_in_executor(reader, context.run, _take, records, count)
        finally:
            await loop.run_in_executor(reader, _close, records)


def _take(records: Iterator[Item], count: int) -> list[Item]:
    """So many records, or fewer that state as much as one transaction shall save."""
    taken: list[Item] = []
    stated = 0
    while len(taken) < count and stated < MAX_STATEMENTS and (record := next(records, None)) is not None:
        taken.append(record)
        if isinstance(record, PackageRecord):
            stated += len(record.dependencies or ())
        elif isinstance(record, InventoryRecord):
            stated += sum(len(file.dependencies) for file in record.manifests or ())
    return taken


def _close(records: Iterator[Item]) -> None:
    if isinstance(records, Generator):
        records.close()
