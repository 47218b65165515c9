"""What aggregators say of dependents: it counts until the dependent's own registry is asked."""

from core.test_facts import package, save
from core.test_files import read
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.records import DependentRecord
from wump_core.store.aggregated import save_dependents
from wump_core.store.packages import add_packages

BASE = "pkg:npm/base"


async def tell(engine: AsyncEngine, purl: str, *records: DependentRecord) -> int:
    """What the job does with a page of an aggregator."""
    async with engine.begin() as connection:
        ids = await add_packages(connection, {purl, *(record.purl for record in records if record.purl)})
    async with engine.begin() as connection:
        return await save_dependents(connection, "aggregator", purl, records, ids)


def dependent(name: str, requirement: str | None = "^1") -> DependentRecord:
    return DependentRecord(purl=f"pkg:npm/{name}", requirement=requirement, scope="runtime", direct=True)


async def test_an_aggregators_word_counts_where_no_registry_was_asked(engine: AsyncEngine) -> None:
    await save(engine, package("asked", "acme/asked"))
    assert await tell(engine, BASE, dependent("stub"), dependent("asked"), dependent("base")) == 1
    # Nobody knows the stub's repository yet.
    assert (await read(engine, "base"))["totals"] == {"no_owner": 1}
    assert await tell(engine, BASE, dependent("stub"), dependent("stub", "^2")) == 1
    assert await tell(engine, "pkg:npm/other", dependent("stub")) == 1
    assert (await read(engine, "base"))["totals"] == {"no_owner": 1}
    assert (await read(engine, "other"))["totals"] == {"no_owner": 1}
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT requirement FROM statements WHERE removed_at IS NULL ORDER BY requirement")
        )
        assert list(rows.scalars()) == ["^1", "^1", "^2"]


async def test_a_registrys_word_outdoes_it_whatever_it_says(engine: AsyncEngine) -> None:
    await tell(engine, BASE, dependent("one"), dependent("two"))
    await save(engine, package("one", "acme/one", ("base", "development")))
    found = await read(engine, "base")
    assert (found["listed"], found["totals"]) == ({"acme": 1}, {"organizations": 1, "repositories": 1, "no_owner": 1})
    assert found["evidence"]["acme"]["source"] == "registry_version"
    await save(engine, package("two", "other/two"))
    assert (await read(engine, "base"))["totals"] == {"organizations": 1, "repositories": 1}
    assert await tell(engine, BASE, dependent("two")) == 0
