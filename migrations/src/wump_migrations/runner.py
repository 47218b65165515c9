"""Runs Alembic on an engine: one door for the command line, the tests and the embedded default."""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.store import metadata

from wump_migrations.revisions import current_revision, head_revision

# Held while migrating, so that many processes starting together migrate one after another.
_MIGRATION_LOCK = 0x77756D70_02


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("version_locations", str(Path(__file__).parent / "versions"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


async def upgrade(engine: AsyncEngine, revision: str = "head") -> None:
    """Migrate up. Safe to be called by many processes at once, and quick where nothing is to do."""
    if revision == "head" and await current_revision(engine) == head_revision():
        return
    async with engine.begin() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        await connection.run_sync(lambda sync: command.upgrade(alembic_config(sync), revision))


async def downgrade(engine: AsyncEngine, revision: str) -> None:
    """Migrate down to a revision; `base` empties the database of wump's tables."""
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: command.downgrade(alembic_config(sync), revision))


async def schema_differences(engine: AsyncEngine) -> list[object]:
    """What autogenerate would still change: empty where migrations and tables agree.

    A partition is a part of its table and none of its own.
    """
    async with engine.connect() as connection:
        partitions = await connection.execute(text("SELECT relname FROM pg_class WHERE relispartition"))
        names = frozenset(partitions.scalars())
        options = {
            "compare_type": True,
            "compare_server_default": True,
            "include_name": lambda name, kind, parents: kind != "table" or name not in names,
        }
        return await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync, opts=options), metadata)
        )
