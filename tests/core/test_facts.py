"""Saving facts: whatever is said, in whatever order and however often, the answer is what the statements imply."""

import asyncio
import itertools
import random
from collections import Counter, defaultdict
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.records import DependencyRecord, PackageRecord, RepositoryClaim, Scope
from wump_core.store.audit import list_faults, rebuild
from wump_core.store.dependents import fold_deltas
from wump_core.store.facts import add_names, save_packages, save_unchanged_packages
from wump_migrations.runner import schema_differences

Edge = tuple[str, Scope]


def package(name: str, repository: str | None, *edges: Edge, version: str = "1.0.0") -> PackageRecord:
    """A record of an npm package; `repository` is owner/name on GitHub, `!path` on a host without known owners."""
    claim = None
    if repository and repository.startswith("!"):
        claim = RepositoryClaim(host="git.example", path=repository[1:])
    elif repository:
        claim = RepositoryClaim(host="github.com", path=repository, owner=repository.partition("/")[0])
    return PackageRecord(
        purl=f"pkg:npm/{name}",
        latest_version=version,
        repository=claim,
        dependencies=tuple(
            DependencyRecord(
                purl=f"pkg:npm/{target}", name=target, scope=scope, requirement=f"^{len(target)}", field="dependencies"
            )
            for target, scope in edges
        ),
    )


async def save(engine: AsyncEngine, record: PackageRecord) -> None:
    """What the job does with a record."""
    await save_batch(engine, [record])


async def save_batch(engine: AsyncEngine, records: list[PackageRecord]) -> None:
    """What the job does with records; those that say the same again are only dated."""
    async with engine.begin() as connection:
        unchanged = await save_unchanged_packages(connection, "npm", records)
    records = [record for record in records if record.purl not in unchanged]
    if not records:
        return
    async with engine.begin() as connection:
        names = await add_names(connection, records)
    async with engine.begin() as connection:
        await save_packages(connection, "npm", records, names)


async def read_answer(engine: AsyncEngine) -> dict[str, Any]:
    """The stored answer, by natural keys."""
    async with engine.begin() as connection:
        await fold_deltas(connection)
        rows = await connection.execute(
            text(
                "SELECT p.name, a.login, a.repositories, a.runtime_repositories, a.development_repositories,"
                " a.evidence::json->>'package' AS proof, a.evidence::json->>'version' AS version"
                " FROM package_organizations a"
                " JOIN packages p ON p.id = a.package_id WHERE a.repositories > 0"
            )
        )
        answers = {(row.name, row.login): tuple(row[2:]) for row in rows}
        rows = await connection.execute(
            text(
                "SELECT p.name, t.organizations, t.repositories, t.own_organization, t.no_owner FROM package_totals t"
                " JOIN packages p ON p.id = t.package_id"
                " WHERE t.organizations + t.repositories + t.own_organization + t.no_owner > 0"
            )
        )
        totals = {row.name: tuple(row[1:]) for row in rows}
        faults = await _faults(engine)
    return {"answers": answers, "totals": totals, "faults": faults}


async def _faults(engine: AsyncEngine) -> list[Any]:
    async with engine.connect() as connection:
        return await list_faults(connection)


def expected(records: list[PackageRecord]) -> dict[str, Any]:
    """The answer computed naively from the newest record of each package."""
    latest = {record.purl: record for record in records}
    owner = {purl: record.repository.owner if record.repository else None for purl, record in latest.items()}
    pairs: dict[tuple[str, tuple[str, str]], list[tuple[PackageRecord, DependencyRecord]]] = defaultdict(list)
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for record in latest.values():
        for target in {item.purl for item in record.dependencies or ()}:
            if record.repository is None:
                totals[str(target)]["no_owner"] += 1
        for item in record.dependencies or ():
            if record.repository:
                pairs[str(item.purl), (record.repository.host, record.repository.path)].append((record, item))
    answers: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for (target, (host, path)), statements in pairs.items():
        login = statements[0][0].repository.owner if statements[0][0].repository else None
        if login is None:
            totals[target]["no_owner"] += 1
        elif login == owner.get(target):
            totals[target]["own_organization"] += 1
        else:
            totals[target]["repositories"] += 1
            answers[target, login].append(((host, path), statements))
    listed = {}
    order = {"runtime": 0, "development": 1, "peer": 4}
    for (target, login), homes in answers.items():
        totals[target]["organizations"] += 1
        scopes = [{item.scope for _, item in statements} for _, statements in homes]
        _, strongest = min(homes, key=lambda home: home[0])
        record, _ = min(strongest, key=lambda pair: (order[pair[1].scope], pair[0].purl))
        listed[target.removeprefix("pkg:npm/"), login] = (
            len(homes),
            sum("runtime" in scope for scope in scopes),
            sum("development" in scope for scope in scopes),
            record.purl,
            record.latest_version,
        )
    names = ("organizations", "repositories", "own_organization", "no_owner")
    return {
        "answers": listed,
        "totals": {
            purl.removeprefix("pkg:npm/"): tuple(count[name] for name in names)
            for purl, count in totals.items()
            if sum(count.values())
        },
        "faults": [],
    }


HISTORY = [
    package("base", "own/base"),
    package("a", "one/a", ("base", "runtime"), ("base", "development")),
    package("b", "one/b", ("base", "development")),
    package("mono-x", "two/mono", ("base", "runtime")),
    package("mono-y", "two/mono", ("base", "peer"), ("mono-x", "runtime")),
    package("inner", "own/inner", ("base", "runtime")),
    package("homeless", None, ("base", "runtime"), ("a", "runtime")),
    package("elsewhere", "!pub/thing", ("base", "runtime")),
]


async def test_the_answer_is_what_the_statements_imply(engine: AsyncEngine) -> None:
    for record in HISTORY:
        await save(engine, record)
    assert await read_answer(engine) == expected(HISTORY)


@pytest.mark.parametrize("seed", range(3))
async def test_order_repetition_and_concurrency_do_not_show(engine: AsyncEngine, seed: int) -> None:
    shuffled = HISTORY * 3
    random.Random(seed).shuffle(shuffled)
    waiting = asyncio.Semaphore(8)

    async def one(record: PackageRecord) -> None:
        async with waiting:
            await save(engine, record)

    await asyncio.gather(*(one(record) for record in shuffled))
    assert await read_answer(engine) == expected(HISTORY)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param([package("a", "one/a")], id="a dependency is dropped"),
        pytest.param([package("a", "three/a", ("base", "runtime"))], id="a package moves to another owner"),
        pytest.param([package("a", None, ("base", "runtime"))], id="a package loses its repository"),
        pytest.param([package("homeless", "one/h", ("base", "peer"))], id="a package gains a repository"),
        pytest.param([package("base", "one/base")], id="the depended-on package moves to a dependent's owner"),
        pytest.param([package("base", None)], id="the depended-on package has no owner any more"),
        pytest.param([package("a", "one/a", ("base", "runtime"), version="2.0.0")], id="a new version says the same"),
        pytest.param(
            [package("mono-x", "one/a", ("base", "runtime")), package("a", "two/mono", ("base", "peer"))],
            id="two packages swap repositories",
        ),
    ],
)
async def test_changes_reach_the_answer(engine: AsyncEngine, changes: list[PackageRecord]) -> None:
    for record in HISTORY + changes:
        await save(engine, record)
    assert await read_answer(engine) == expected(HISTORY + changes)


async def test_packages_that_need_each_other_saved_at_once_never_deadlock(engine: AsyncEngine) -> None:
    names = [f"ring-{number}" for number in range(6)]
    edges: list[Edge] = [(name, "runtime") for name in names]
    records = [
        package(name, f"owner-{number % 3}/{name}", *(edge for edge in edges if edge[0] != name))
        for number, name in enumerate(names)
    ]
    waiting = asyncio.Semaphore(8)

    async def one(record: PackageRecord) -> None:
        async with waiting:
            await save(engine, record)

    await asyncio.wait_for(asyncio.gather(*(one(record) for record in records * 5)), timeout=60)
    assert await read_answer(engine) == expected(records)


async def test_repositories_of_one_organization_saved_at_once_are_all_counted(engine: AsyncEngine) -> None:
    records = [package("base", "own/base")]
    records += [package(f"part-{number}", f"big/part-{number}", ("base", "runtime")) for number in range(60)]
    waiting = asyncio.Semaphore(10)

    async def one(record: PackageRecord) -> None:
        async with waiting:
            await save(engine, record)

    await asyncio.gather(*(one(record) for record in records))
    assert await read_answer(engine) == expected(records)


async def test_a_count_waits_for_the_one_that_is_being_written(engine: AsyncEngine) -> None:
    """While a repository of an organization is saved, uncommitted, another one of the same organization is."""
    records = [package("base", "own/base"), package("first", "big/first", ("base", "runtime"))]
    for record in records:
        await save(engine, record)
    second = package("second", "big/second", ("base", "runtime"))
    third = package("third", "big/third", ("base", "runtime"))
    async with engine.begin() as connection:
        names = await add_names(connection, [second])
    async with engine.begin() as connection:
        await save_packages(connection, "npm", [second], names)
        other = asyncio.create_task(save(engine, third))
        await asyncio.sleep(0.5)
    await other
    assert await read_answer(engine) == expected([*records, second, third])


@pytest.mark.parametrize("size", [2, 5, 8])
async def test_batches_and_single_packages_come_to_the_same(engine: AsyncEngine, size: int) -> None:
    rng = random.Random(size)
    moved = [package(record.purl.removeprefix("pkg:npm/"), rng.choice(["one/a", "new/x", None])) for record in HISTORY]
    for history in (HISTORY, moved, HISTORY):
        shuffled = rng.sample(history, len(history))
        await asyncio.gather(
            *(save_batch(engine, shuffled[start : start + size]) for start in range(0, len(shuffled), size))
        )
        assert await read_answer(engine) == expected(history)


async def test_what_is_derived_of_many_is_planned_for_so_many(engine: AsyncEngine) -> None:
    """A plan that Postgres keeps for whatever arrays takes seconds for a batch."""
    async with engine.connect() as connection:
        for number in range(7):  # Postgres thinks of keeping one from the sixth time on
            records = [
                package(f"p{number}-{n}", f"o{n}/{number}", ("a", "runtime"), ("b", "runtime")) for n in range(60)
            ]
            names = await add_names(connection, records)
            await save_packages(connection, "npm", records, names)
            await connection.commit()
        plans = await connection.execute(
            text(
                "SELECT sum(custom_plans), sum(generic_plans) FROM pg_prepared_statements"
                " WHERE statement LIKE 'INSERT INTO dependencies %' OR statement LIKE 'INSERT INTO package_org%'"
            )
        )
        assert plans.one() == (14, 0)


async def test_random_histories(engine: AsyncEngine) -> None:
    """Many packages, owners and moves, eight at a time; then the newest record of each counts."""
    rng = random.Random(20261126)
    names = [f"p{number}" for number in range(25)]
    homes = [None, "!x/y", *(f"{owner}/{repo}" for owner, repo in itertools.product("abcd", "mn"))]
    scopes: list[Scope] = ["runtime", "development", "peer"]
    latest: dict[str, PackageRecord] = {}
    for round_ in range(4):
        batch = []
        for name in names:
            edges = {(rng.choice(names), rng.choice(scopes)) for _ in range(rng.randint(0, 5))}
            record = package(
                name, rng.choice(homes), *sorted(edge for edge in edges if edge[0] != name), version=f"{round_}.0.0"
            )
            latest[name] = record
            batch.append(record)
        # Some one by one, some together, all at once.
        await asyncio.gather(*(save(engine, record) for record in batch[:13]), save_batch(engine, batch[13:]))
    answer = await read_answer(engine)
    assert answer == expected(list(latest.values()))
    await rebuild(engine)
    assert await read_answer(engine) == answer


async def test_unchanged_facts_leave_their_rows_alone(engine: AsyncEngine) -> None:
    for record in HISTORY:
        await save(engine, record)
    marks = "SELECT max(xmin::text::bigint), count(*) FROM {}"
    tables = ("statements", "dependencies", "package_organizations", "package_deltas")

    async def read() -> list[Any]:
        async with engine.connect() as connection:
            return [tuple((await connection.execute(text(marks.format(table)))).one()) for table in tables]

    # Locking a row marks it too, so what is compared is what was written: rows, and the newest of them.
    before = await read()
    for record in HISTORY:
        await save(engine, record)
    assert await read() == before
    # Nor does anything else change where the records are not recognized as the same.
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE packages SET fingerprint = NULL"))
    await save_batch(engine, HISTORY)
    assert await read() == before


async def test_unknown_dependencies_keep_the_old_statements(engine: AsyncEngine) -> None:
    for record in HISTORY:
        await save(engine, record)
    before = await read_answer(engine)
    record = package("a", "one/a", version="3.0.0")
    await save(engine, record.model_copy(update={"dependencies": None, "dependencies_unknown": "no metadata"}))
    assert await read_answer(engine) == before


async def test_a_first_load_is_derived_set_wise_and_leaves_the_schema_as_it_was(engine: AsyncEngine) -> None:
    for record in HISTORY:
        await save(engine, record)
    whole = await read_answer(engine)
    async with engine.begin() as connection:
        await connection.execute(text("TRUNCATE dependencies, package_organizations, package_totals, package_deltas"))
    await rebuild(engine)
    assert await read_answer(engine) == whole
    assert await schema_differences(engine) == []
    await save(engine, package("a", "three/a", ("base", "runtime")))
    assert await _faults(engine) == []


@pytest.mark.parametrize("known", [True, False], ids=["dependencies known", "dependencies unknown"])
async def test_a_move_and_a_change_of_owner_at_once_are_seen_by_each_other(engine: AsyncEngine, known: bool) -> None:
    """While `needed` moves to an owner, uncommitted, its dependent moves to the same owner."""
    await save(engine, package("needed", "old/needed"))
    await save(engine, package("user", "other/user", ("needed", "runtime")))
    moved = package("user", "new/user", ("needed", "runtime"))
    if not known:
        moved = moved.model_copy(update={"dependencies": None, "dependencies_unknown": "not told"})
    record = package("needed", "new/needed")
    async with engine.begin() as connection:
        names = await add_names(connection, [record])
    async with engine.begin() as connection:
        await save_packages(connection, "npm", [record], names)
        other = asyncio.create_task(save(engine, moved))
        await asyncio.sleep(0.5)
    await other
    assert await _faults(engine) == []
    assert (await read_answer(engine))["totals"] == {"needed": (0, 0, 1, 0)}


@pytest.mark.parametrize(
    ("damage", "table"),
    [
        ("UPDATE package_organizations SET repositories = repositories + 1", "package_organizations"),
        ("UPDATE dependencies SET scopes = 64", "dependencies"),
        ("DELETE FROM package_organizations", "package_organizations"),
        ("UPDATE package_totals SET no_owner = no_owner + 1", "package_totals"),
        ("UPDATE sources SET repository_id = NULL", "sources"),
    ],
)
async def test_verify_sees_damage_and_rebuild_repairs_it(engine: AsyncEngine, damage: str, table: str) -> None:
    for record in HISTORY:
        await save(engine, record)
    whole = await read_answer(engine)
    async with engine.begin() as connection:
        await connection.execute(text(damage))
    assert table in {fault.table for fault in await _faults(engine)}
    if table != "sources":
        await rebuild(engine)
        assert await read_answer(engine) == whole
