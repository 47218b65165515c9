"""Migrations and tables agree, and the way goes up and down."""

import asyncio

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.embedded import Servers
from wump_core.errors import ConfigurationError
from wump_core.servers import open_servers
from wump_core.settings import CoreSettings
from wump_migrations import runner
from wump_migrations.revisions import current_revision, head_revision


def test_there_is_one_head() -> None:
    heads = ScriptDirectory.from_config(runner.alembic_config()).get_heads()
    assert heads == [head_revision()]


async def test_autogenerate_would_change_nothing(engine: AsyncEngine) -> None:
    assert await runner.schema_differences(engine) == []


async def test_autogenerate_sees_a_difference(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("DROP INDEX ix_packages_name"))
        await connection.execute(text("ALTER TABLE packages ALTER COLUMN description TYPE varchar(10)"))
    assert len(await runner.schema_differences(engine)) == 2


async def test_down_and_up_again(engine: AsyncEngine) -> None:
    await runner.downgrade(engine, "base")
    async with engine.connect() as connection:
        left = await connection.execute(
            text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        )
        assert left.scalars().all() == ["alembic_version"]
    await runner.upgrade(engine)
    assert await current_revision(engine) == head_revision()
    assert await runner.schema_differences(engine) == []


async def test_many_processes_may_upgrade_at_once(engine: AsyncEngine, servers: Servers) -> None:
    await runner.downgrade(engine, "base")
    await asyncio.gather(*(runner.upgrade(engine) for _ in range(4)))
    assert await runner.schema_differences(engine) == []


async def test_who_is_behind_may_start_and_who_is_ahead_must_migrate_first(
    engine: AsyncEngine, settings: CoreSettings
) -> None:
    """In a rolling upgrade the schema is newer than some of the processes for a while."""
    for revision, allowed in (("9999", True), ("0001", False), (None, False)):
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM alembic_version"))
            if revision is not None:
                await connection.execute(text("INSERT INTO alembic_version VALUES (:it)"), {"it": revision})

        def start() -> None:
            with open_servers(settings):
                pass

        if allowed:
            await asyncio.to_thread(start)
        else:
            with pytest.raises(ConfigurationError, match=f"at revision {revision or 'none'} and this wump needs"):
                await asyncio.to_thread(start)


def test_revisions_sort_by_their_names() -> None:
    script = ScriptDirectory.from_config(runner.alembic_config())
    revisions = [revision.revision for revision in script.walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)
    assert {len(revision) for revision in revisions} == {4}
