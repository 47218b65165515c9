"""Big tables in partitions: everything works as on plain ones, and the way there and back is safe."""

import secrets
from typing import Any

import pytest
from core.test_facts import HISTORY, expected, package, read_answer, save
from e2e.processes import environment_of, run_wump
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.settings import CoreSettings
from wump_core.store.audit import rebuild
from wump_migrations import partitions, runner
from wump_migrations.revisions import current_revision, head_revision

from core import test_facts

PARTITIONS = 3


async def partition(engine: AsyncEngine, number: int) -> list[str]:
    """What the command does once it has asked; returns what it says."""
    said: list[str] = []
    await partitions.partition_tables(engine, number, notify=said.append)
    return said


async def count_partitions(engine: AsyncEngine) -> list[int]:
    return [layout.partitions for layout in await partitions.list_layouts(engine)]


async def fetch(engine: AsyncEngine, statement: str) -> Any:
    async with engine.begin() as connection:
        result = await connection.execute(text(statement))
        return result.all() if result.returns_rows else None


@pytest.mark.parametrize(
    "history",
    [
        test_facts.test_random_histories,
        test_facts.test_unchanged_facts_leave_their_rows_alone,
        test_facts.test_a_first_load_is_derived_set_wise_and_leaves_the_schema_as_it_was,
        test_facts.test_packages_that_need_each_other_saved_at_once_never_deadlock,
    ],
)
async def test_facts_are_saved_and_derived_as_on_plain_tables(engine: AsyncEngine, history: Any) -> None:
    await partition(engine, PARTITIONS)
    await history(engine)
    assert await count_partitions(engine) == [PARTITIONS] * 3


async def test_a_filled_database_goes_there_and_back(engine: AsyncEngine) -> None:
    for record in HISTORY:
        await save(engine, record)
    whole = await read_answer(engine)
    records = list(HISTORY)
    # Another number of partitions is one more copy.
    for number in (PARTITIONS, PARTITIONS + 1, 0):
        await partition(engine, number)
        assert await count_partitions(engine) == [number] * 3
        assert await read_answer(engine) == whole
        assert await runner.schema_differences(engine) == []
        records.append(package("a", f"owner-{number}/a", ("base", "runtime"), (f"new-{number}", "peer")))
        await save(engine, records[-1])
        await rebuild(engine)
        whole = await read_answer(engine)
        assert whole == expected(records)
    assert all("is so already" in line for line in await partition(engine, 0))


async def test_keys_go_on_and_settings_and_grants_stay(engine: AsyncEngine) -> None:
    role = f"reader_{secrets.token_hex(4)}"
    for record in HISTORY:
        await save(engine, record)
    [(newest,)] = await fetch(engine, "SELECT max(id) FROM statements")
    await fetch(engine, f"CREATE ROLE {role}")
    try:
        await fetch(engine, f"GRANT SELECT ON package_organizations TO {role}")
        settings = "SELECT DISTINCT reloptions FROM pg_class WHERE relkind = 'r' AND relname LIKE 'package_org%'"
        before = await fetch(engine, settings)
        assert before[0][0]
        for number in (PARTITIONS, 0):
            await partition(engine, number)
            assert await fetch(engine, settings) == before
            granted = f"SELECT has_table_privilege('{role}', 'package_organizations', 'SELECT')"
            assert await fetch(engine, granted) == [(True,)]
        await save(engine, package("z", "z/z", ("base", "runtime")))
        assert await fetch(engine, "SELECT id FROM statements ORDER BY id DESC LIMIT 1") == [(newest + 1,)]
        assert await fetch(engine, "SELECT pg_get_serial_sequence('statements', 'id')") == [
            ("public.statements_id_seq",)
        ]
    finally:
        await fetch(engine, f"DROP OWNED BY {role}")
        await fetch(engine, f"DROP ROLE {role}")


async def test_a_run_that_fails_half_way_can_be_run_again(engine: AsyncEngine) -> None:
    for record in HISTORY:
        await save(engine, record)
    whole = await read_answer(engine)
    await fetch(engine, "CREATE VIEW mine AS SELECT repository_id FROM dependencies")
    with pytest.raises(ServerUnavailable, match=r"dependencies stays as it was.*depend"):
        await partition(engine, PARTITIONS)
    assert await count_partitions(engine) == [PARTITIONS, 0, 0]
    assert await read_answer(engine) == whole
    await fetch(engine, "DROP VIEW mine")
    said = await partition(engine, PARTITIONS)
    assert "already" in said[0]
    assert await count_partitions(engine) == [PARTITIONS] * 3
    assert await read_answer(engine) == whole


async def test_nobody_else_may_use_the_database(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SET application_name = 'wump-worker'"))
        with pytest.raises(ConfigurationError, match=r"in use by wump-worker \(pid \d+\)"):
            await partitions.require_stopped(engine)
    await engine.dispose()
    await partitions.require_stopped(engine)


@pytest.mark.parametrize("number", [-1, 1, 129])
async def test_numbers_out_of_range_are_refused(engine: AsyncEngine, number: int) -> None:
    with pytest.raises(ConfigurationError, match="give 2 to 128, or 0"):
        await partition(engine, number)


async def test_what_must_be_free_is_the_largest_table_and_more(engine: AsyncEngine) -> None:
    layouts = await partitions.list_layouts(engine)
    assert [layout.table for layout in layouts] == list(partitions.TABLES)
    needed = partitions.count_needed_bytes(layouts, PARTITIONS)
    assert needed > max(layout.bytes for layout in layouts) > 0
    with pytest.raises(ConfigurationError, match=r"the disk has 0\.0 GB free, and this needs up to 2\.0 GB"):
        partitions.require_space(layouts, PARTITIONS, free_bytes=1_000)
    partitions.require_space(layouts, PARTITIONS, free_bytes=needed)
    partitions.require_space(layouts, 0, free_bytes=0)


async def test_the_command_asks_partitions_and_leaves_a_sound_database(
    engine: AsyncEngine, settings: CoreSettings
) -> None:
    for record in HISTORY:
        await save(engine, record)
    environment = environment_of(settings)
    used = run_wump("db", "partition", "--partitions", "2", "--yes", environment=environment)
    assert used.returncode != 0
    assert "in use by tests (pid" in used.stderr
    await engine.dispose()
    asked = run_wump("db", "partition", "--partitions", "2", environment=environment)
    assert asked.returncode != 0
    assert "package_organizations: no partitions" in asked.stderr
    assert "GB of free disk" in asked.stderr
    done = run_wump("db", "partition", "--partitions", "2", "--yes", environment=environment)
    assert done.returncode == 0, done.stderr
    assert "package_organizations: done" in done.stderr
    assert await count_partitions(engine) == [2] * 3
    assert run_wump("db", "verify", environment=environment).returncode == 0


async def test_the_way_down_says_what_must_be_undone_first(engine: AsyncEngine) -> None:
    await partition(engine, PARTITIONS)
    with pytest.raises(ConfigurationError, match="wump db partition --partitions 0"):
        await runner.downgrade(engine, "0001")
    assert await current_revision(engine) == head_revision()
    await partition(engine, 0)
    await runner.downgrade(engine, "0001")
    await runner.upgrade(engine)
    assert await runner.schema_differences(engine) == []
