"""`wump import`: whole ecosystems out of an upstream's dump, instead of package by package.

One thread reads, while the batch before is saved. A batch is a transaction, and so is what it adds to the position:
whenever the import is stopped, it goes on behind the last batch that was saved whole.
"""

import asyncio
import gc
import hashlib
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.errors import ConfigurationError, ServerUnavailable, WumpError
from wump_core.loading import load_providers
from wump_core.providers import Provider
from wump_core.records import DumpInfo, PackageRecord
from wump_core.servers import open_servers
from wump_core.settings import CoreSettings, load_settings
from wump_core.store import make_engine
from wump_core.store.audit import rebuild
from wump_core.store.facts import Names, add_names, load_packages, save_packages, save_unchanged_packages
from wump_core.store.imports import (
    Import,
    finish_import,
    list_known_packages,
    save_import_error,
    save_position,
    save_told,
    start_import,
)
from wump_core.telemetry import configure_logging

BATCH = 1_000
"""Packages in a transaction, each of which holds a lock."""

MAX_REMEMBERED = 250_000
"""Keys of packages by name, so that what is popular is not looked up in each batch."""

TRIES = 5
STATEMENT_TIMEOUT_MS = 600_000
_TRY_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('wump import ' || :provider, 0))"
_UNLOCK = "SELECT pg_advisory_unlock_all()"
_RETRIED = ("40001", "40P01", "55P03")
"""Serialization failure, deadlock, lock not available: the same batch again."""

app = typer.Typer()
err = Console(stderr=True, highlight=False, soft_wrap=True)

Advance = Callable[[str, int, int | None], None]
"""Is told the stage (`reading`, `saving`, `deriving`), how many packages are done, and of how many, where known."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many packages of a dump were saved, were known as they are, and were left as they were known better."""

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
    # Records come and go by the hundred thousand: to look for garbage among all of it took a third of the time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    with open_servers(settings, notify=err.print) as ready, _progress() as advance:
        outcome = asyncio.run(_import(ready, provider, path, advance))
    err.print(
        f"wump: {name}: {outcome.saved:,} packages saved, {outcome.unchanged:,} known as they are, "
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


@contextmanager
def _progress() -> Generator[Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def advance(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                for task in tasks.values():
                    bar.update(task, visible=False)
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield advance


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
    engine: AsyncEngine, provider: Provider, path: Path, advance: Advance = lambda *_: None, *, batch: int = BATCH
) -> Outcome:
    """Import a dump, or what is left of it.

    Raises:
        InvalidDump: It can't be read on. What came before is saved; the text names file, row and column.
        ServerUnavailable: The database can't be reached, or another process imports of this provider.
    """
    advance("reading", 0, None)
    async with _only_one(engine, provider.name), _reading(provider, path) as take:
        (info,) = await take(1)
        if not isinstance(info, DumpInfo):
            raise TypeError("a dump's first record is its description")
        async with engine.begin() as connection:
            begun = await start_import(
                connection, provider.name, _name_dump(info, path), made_at=info.made_at, packages=info.packages
            )
        try:
            await _save_all(engine, provider, begun, info, take, advance, batch)
        except WumpError as error:
            async with engine.begin() as connection:
                await save_import_error(connection, begun.id, str(error))
            raise
    if begun.deferred:
        advance("deriving", 0, None)
        await rebuild(engine)
    async with engine.begin() as connection:
        return Outcome(**await finish_import(connection, begun.id))


Take = Callable[[int], "asyncio.Future[Sequence[DumpInfo | PackageRecord]]"]


async def _save_all(
    engine: AsyncEngine,
    provider: Provider,
    begun: Import,
    info: DumpInfo,
    take: Take,
    advance: Advance,
    batch: int,
) -> None:
    done = 0
    keys: dict[str, int] = {}
    while done < begun.position and (passed := len(await take(min(batch, begun.position - done)))):
        done += passed
        advance("passing over what is done", done, begun.position)
    following = asyncio.create_task(_prepare(engine, take(batch), keys))
    try:
        while records := await following:
            following = asyncio.create_task(_prepare(engine, take(batch), keys))
            await _save_batch(engine, provider, begun, records, info.made_at, keys)
            done += len(records)
            advance("saving", done, info.packages)
    finally:
        await asyncio.gather(following, return_exceptions=True)


async def _prepare(
    engine: AsyncEngine, taking: "asyncio.Future[Sequence[DumpInfo | PackageRecord]]", keys: dict[str, int]
) -> list[PackageRecord]:
    """Read the next batch and add what it names while the one before is saved; whatever fails is done again then."""
    records = [item for item in await taking if isinstance(item, PackageRecord)]
    if records:
        with suppress(DBAPIError, WumpError):
            await _name(engine, records, keys)
    return records


async def _name(engine: AsyncEngine, records: list[PackageRecord], keys: dict[str, int]) -> Names:
    """Find or add what records name, and remember the packages' keys."""
    async with engine.begin() as connection:
        names = await add_names(connection, records, known=keys)
    if len(keys) > MAX_REMEMBERED:
        keys.clear()
    keys |= names.package_ids
    return names


async def _save_batch(
    engine: AsyncEngine,
    provider: Provider,
    begun: Import,
    records: list[PackageRecord],
    made_at: datetime | None,
    keys: dict[str, int],
) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            await _try_batch(engine, provider, begun, records, made_at, keys)
        except ServerUnavailable:
            if attempt == TRIES:
                raise
        except DBAPIError as error:
            if attempt == TRIES or getattr(error.orig, "sqlstate", None) not in _RETRIED:
                reason = str(error.orig).partition("\n")[0][:300]
                raise ServerUnavailable(f"the database failed ({reason}): run the import again") from error
        else:
            return


async def _try_batch(
    engine: AsyncEngine,
    provider: Provider,
    begun: Import,
    records: list[PackageRecord],
    made_at: datetime | None,
    keys: dict[str, int],
) -> None:
    names = await _name(engine, records, keys)
    is_registry = provider.info.provider_type == "registry"
    async with engine.begin() as connection:
        known = await list_known_packages(connection, provider.name, records, made_at=made_at, own=is_registry)
        fresh = [record for record in records if record.purl not in known.settled]
        told = [record for record in fresh if record.purl in known.told]
        same = await save_unchanged_packages(connection, provider.name, told, told_at=made_at) if told else ()
        others = [record for record in fresh if record.purl not in same]
        if others:
            save = load_packages if begun.deferred else save_packages
            await save(connection, provider.name, others, names, told_at=made_at)
        if made_at is not None:
            await save_told(connection, provider.name, [record.purl for record in fresh], made_at)
        await save_position(connection, begun.id, saved=len(others), unchanged=len(same), kept=len(known.settled))


def _name_dump(info: DumpInfo, path: Path) -> str:
    """What tells it from other dumps of its provider, wherever it lies."""
    if info.made_at is not None:
        return f"{info.made_at.isoformat()}, {info.packages} packages"
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
async def _reading(provider: Provider, path: Path) -> AsyncGenerator[Take]:
    """Reads on in a thread of its own, always the same: so many records at a time, and none at the end."""
    records: Iterator[DumpInfo | PackageRecord] = provider.read_dump(path)
    loop = asyncio.get_running_loop()

    with ThreadPoolExecutor(1, thread_name_prefix="wump-dump") as reader:
        try:
            yield lambda count: loop.run_in_executor(reader, lambda: list(islice(records, count)))
        finally:
            await loop.run_in_executor(reader, _close, records)


def _close(records: Iterator[DumpInfo | PackageRecord]) -> None:
    if isinstance(records, Generator):
        records.close()
