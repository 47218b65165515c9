"""What repositories' own files say: read, kept, gone, refused, marked, and what they make of packages' claims."""

import asyncio
import random
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from core.test_facts import _faults, package, save
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.errors import ServerUnavailable, WumpError
from wump_core.noise import Mark
from wump_core.records import DependencyRecord, ManifestRecord, Project, RepositoryClaim, RepositoryRecord
from wump_core.store import derived
from wump_core.store.audit import rebuild
from wump_core.store.copies import COPIED_BY_OWNERS, save_copies
from wump_core.store.dependents import fold_deltas
from wump_core.store.files import (
    FileFacts,
    RepositoryFacts,
    add_repository_names,
    list_known_files,
    save_repository,
)
from wump_core.store.organizations import get_organization_id, list_merges, merge_organizations, undo_merge
from wump_core.store.profiles import Owner, save_owner
from wump_core.store.renames import place_repository
from wump_core.store.repositories import add_repositories


def file(
    path: str,
    *names: str,
    project: str | None = None,
    mark: Mark | None = None,
    error: str | None = None,
    content: str | None = None,
) -> FileFacts:
    """An npm manifest that needs these packages, each on a line of its own; `~name` is an indirect one."""
    record = ManifestRecord(
        path=path,
        format="package.json",
        ecosystem="npm",
        kind="manifest",
        status="ok",
        project=Project(name=project) if project else None,
        dependencies=tuple(
            DependencyRecord(
                purl=f"pkg:npm/{name.removeprefix('~')}",
                name=name.removeprefix("~"),
                requirement="^1",
                scope="runtime",
                direct=not name.startswith("~"),
                line=number,
            )
            for number, name in enumerate(names, 3)
        ),
    )
    url = f"https://github.com/a/b/blob/c0ffee/{path}"
    content = content or uuid.uuid4().hex
    return FileFacts(path, "npm", content, mark, uuid.uuid4(), (), url, None if error else record, error)


async def save_files(
    engine: AsyncEngine,
    path: str,
    *read: FileFacts,
    kept: tuple[str, ...] = (),
    incomplete: str | None = None,
    **host: Any,
) -> int:
    """What the job does; `host` is what the host says, beside what is usual."""
    owner = host.pop("owner", path.partition("/")[0])
    usual: dict[str, Any] = {"stars": 5, "fork": False, "archived": False, "template": False}
    record = RepositoryRecord(host="github.com", path=path, owner=owner, **usual | host)
    facts = RepositoryFacts(record, "c0ffee", read, [(name, "npm") for name in kept], incomplete)
    claim = RepositoryClaim(host="github.com", path=path, owner=path.partition("/")[0])
    async with engine.begin() as connection:
        key = (await add_repositories(connection, [claim]))["github.com", path]
    async with engine.begin() as connection:
        names = await add_repository_names(connection, facts)
    async with engine.begin() as connection:
        await save_repository(connection, key, facts, names)
    return key


async def read(engine: AsyncEngine, name: str) -> dict[str, Any]:
    """Of one package: the organizations that are listed, the totals that aren't 0, and the evidence by organization."""
    async with engine.begin() as connection:
        await fold_deltas(connection)
        rows = await connection.execute(
            text(
                "SELECT a.login, a.repositories, a.stars, CAST(a.evidence AS json) AS evidence"
                " FROM package_organizations a"
                " JOIN packages p ON p.id = a.package_id WHERE p.name = :name AND a.repositories > 0 ORDER BY a.login"
            ),
            {"name": name},
        )
        listed = list(rows)
        totals = await connection.execute(
            text("SELECT t.* FROM package_totals t JOIN packages p ON p.id = t.package_id WHERE p.name = :name"),
            {"name": name},
        )
        row = totals.mappings().first() or {}
    assert await _faults(engine) == []
    return {
        "listed": {item.login: item.repositories for item in listed},
        "stars": {item.login: item.stars for item in listed},
        "evidence": {item.login: item.evidence for item in listed},
        "totals": {key: value for key, value in row.items() if value and key not in ("package_id", "as_of")},
    }


async def test_a_file_is_evidence_with_its_line_and_permalink(engine: AsyncEngine) -> None:
    await save_files(engine, "acme/app", file("package.json", "left", "base", "~deep"))
    found = await read(engine, "base")
    assert found["listed"] == {"acme": 1}
    assert found["totals"] == {"organizations": 1, "repositories": 1}
    evidence = found["evidence"]["acme"]
    assert evidence["url"] == "https://github.com/a/b/blob/c0ffee/package.json#L4"
    assert (evidence["path"], evidence["claimed"], evidence["package"]) == ("package.json", False, None)
    assert (await read(engine, "deep"))["listed"] == {}


async def test_what_a_lockfile_says_of_indirect_dependencies_is_kept_on_request_and_never_counts(
    engine: AsyncEngine,
) -> None:
    for wanted, stated in ((False, 1), (True, 2), (True, 2), (False, 1)):
        lock = replace(file("package-lock.json", "base", "~deep", content="same"), transitive=wanted)
        await save_files(engine, "acme/app", lock)
        assert (await read(engine, "base"))["listed"] == {"acme": 1}
        async with engine.connect() as connection:
            counts = "SELECT count(*) FILTER (WHERE removed_at IS NULL) FROM statements"
            assert (await connection.execute(text(counts))).scalar_one() == stated
            for table in ("dependencies", "package_organizations"):
                assert (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 1


async def test_kept_files_stay_gone_ones_lose_their_statements_and_refused_ones_keep_the_old(
    engine: AsyncEngine,
) -> None:
    await save_files(
        engine, "acme/app", file("package.json", "base"), file("a/package.json", "one"), file("b/package.json", "two")
    )
    key = await save_files(engine, "acme/app", file("b/package.json", error="not JSON"), kept=("package.json",))
    assert (await read(engine, "base"))["listed"] == {"acme": 1}
    assert (await read(engine, "one"))["listed"] == {}
    assert (await read(engine, "two"))["listed"] == {"acme": 1}
    async with engine.connect() as connection:
        assert {item.path for item in await list_known_files(connection, key)} == {"package.json", "b/package.json"}
        removed = await connection.execute(text("SELECT count(*) FROM statements WHERE removed_at IS NOT NULL"))
        assert removed.scalar_one() == 1
    # What was not looked at is not gone.
    await save_files(engine, "acme/app", incomplete="too many files")
    assert (await read(engine, "base"))["listed"] == {"acme": 1}


@pytest.mark.parametrize("reason", ["fork", "archived", "template"])
async def test_what_the_host_says_leaves_a_repository_out(engine: AsyncEngine, reason: str) -> None:
    await save_files(engine, "acme/app", file("package.json", "base"))
    said: dict[str, Any] = {reason: True}
    await save_files(engine, "acme/app", kept=("package.json",), **said)
    found = await read(engine, "base")
    assert (found["listed"], found["totals"]) == ({}, {reason: 1})
    await save_files(engine, "acme/app", kept=("package.json",))
    assert (await read(engine, "base"))["totals"] == {"organizations": 1, "repositories": 1}


async def test_marked_files_do_not_count_unless_another_one_does(engine: AsyncEngine) -> None:
    await save_files(
        engine,
        "acme/app",
        file("vendor/x/package.json", "base", mark="vendored"),
        file("examples/package.json", "base", "shown", mark="example"),
    )
    assert (await read(engine, "base"))["totals"] == {"vendored": 1}
    assert (await read(engine, "shown"))["totals"] == {"example": 1}
    await save_files(
        engine, "acme/app", file("package.json", "base"), kept=("vendor/x/package.json", "examples/package.json")
    )
    found = await read(engine, "base")
    assert found["totals"] == {"organizations": 1, "repositories": 1}
    assert found["evidence"]["acme"]["path"] == "package.json"


async def mark_copies(engine: AsyncEngine, *contents: str) -> int:
    async with engine.begin() as connection:
        return await save_copies(connection, contents)


async def test_a_file_that_many_owners_have_word_by_word_counts_for_none(engine: AsyncEngine) -> None:
    needed = ("base", "one", "two", "three", "four")
    for owner in range(COPIED_BY_OWNERS):
        assert await mark_copies(engine, "same", "small") == 0
        await save_files(
            engine,
            f"owner{owner}/app",
            file("package.json", *needed, content="same"),
            file("web/package.json", "left", content="small"),
        )
    assert len((await read(engine, "base"))["listed"]) == COPIED_BY_OWNERS
    assert await mark_copies(engine, "same", "small") == COPIED_BY_OWNERS
    assert (await read(engine, "base"))["totals"] == {"vendored": COPIED_BY_OWNERS}
    # What states little may be the same by chance, and what is changed is nobody's copy.
    assert len((await read(engine, "left"))["listed"]) == COPIED_BY_OWNERS
    await save_files(engine, "owner0/app", file("package.json", *needed, content="own"), kept=("web/package.json",))
    assert (await read(engine, "base"))["listed"] == {"owner0": 1}


async def test_files_confirm_and_refute_what_packages_claim(engine: AsyncEngine) -> None:
    await save(engine, package("real", "acme/app", ("base", "runtime")))
    await save(engine, package("false", "acme/app", ("other", "runtime")))
    assert (await read(engine, "base"))["evidence"]["acme"]["claimed"]
    await save_files(engine, "acme/app", file("package.json", project="real"))
    assert not (await read(engine, "base"))["evidence"]["acme"]["claimed"]
    assert (await read(engine, "other"))["totals"] == {"refuted": 1}
    # A package that claims it later is judged as well, and a file that says otherwise changes the judgement.
    await save(engine, package("late", "acme/app", ("base", "runtime"), ("third", "runtime")))
    assert (await read(engine, "third"))["totals"] == {"refuted": 1}
    await save_files(engine, "acme/app", file("package.json", project="late"))
    assert (await read(engine, "third"))["listed"] == {"acme": 1}
    assert (await read(engine, "other"))["totals"] == {"refuted": 1}


async def test_a_repository_moves_to_another_owner_with_its_packages(engine: AsyncEngine) -> None:
    await save(engine, package("lib", "acme/lib"))
    await save_files(engine, "new/user", file("package.json", "lib"))
    await save_files(engine, "acme/lib", file("package.json", "base"))
    assert (await read(engine, "lib"))["totals"] == {"organizations": 1, "repositories": 1}
    await save_files(engine, "acme/lib", kept=("package.json",), owner="new")
    assert (await read(engine, "lib"))["totals"] == {"own_organization": 1}
    assert (await read(engine, "base"))["listed"] == {"new": 1}


async def test_stars_and_activity_reach_the_answer(engine: AsyncEngine) -> None:
    await save_files(engine, "acme/app", file("package.json", "base"))
    await save_files(engine, "acme/app", kept=("package.json",), stars=70, pushed_at=datetime(2026, 1, 2, tzinfo=UTC))
    assert (await read(engine, "base"))["stars"] == {"acme": 70}


async def change_owners(engine: AsyncEngine, rng: random.Random, homes: list[str]) -> None:
    """Something that happens to accounts and to names of repositories."""
    one, other = rng.sample(homes, 2)
    claims = [RepositoryClaim(host="github.com", path=path, owner=path[0]) for path in (one, other)]
    async with engine.begin() as connection:
        await add_repositories(connection, claims)
    if rng.random() < 0.3:
        await save_owner(engine, Owner("github.com", one[0], rng.choice("123"), rng.choice(("organization", "user"))))
        return
    async with engine.begin() as connection:
        match rng.randrange(3):
            case 0:
                await place_repository(connection, claims[0], claims[1], rng.choice("78"))
            case 1:
                keys = [await get_organization_id(connection, "github.com", path[0]) for path in (one, other)]
                assert keys[0] is not None
                assert keys[1] is not None
                await merge_organizations(connection, keys[0], keys[1], "operator", "by chance")
            case _:
                merges = [item["id"] for item in await list_merges(connection) if item["undone_at"] is None]
                if merges:
                    with suppress(WumpError):
                        await undo_merge(connection, rng.choice(merges), because="by chance")


@pytest.mark.parametrize("seed", range(3))
async def test_packages_and_repositories_saved_at_once_agree_with_a_rebuild(
    engine: AsyncEngine, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derived, "BATCH", (20_000, 3, 1)[seed % 3])
    rng = random.Random(seed)
    names = [f"p{number}" for number in range(8)]
    homes = [f"{owner}/{name}" for owner in "abc" for name in "xy"]
    waiting = asyncio.Semaphore(8)

    async def one() -> None:
        async with waiting:
            try:
                await change()
            except ServerUnavailable:
                return  # what the ledger tries again

    async def change() -> None:
        if rng.random() < 0.3:
            await change_owners(engine, rng, homes)
            return
        needed = rng.sample(names, 3)
        home = rng.choice(homes)
        if rng.random() < 0.5:
            await save(engine, package(rng.choice(names), home, *((name, "runtime") for name in needed)))
            return
        manifest = file("package.json", *needed, project=rng.choice([*names, None]), mark=rng.choice([None, "example"]))
        await save_files(
            engine, home, manifest, fork=rng.random() < 0.2, stars=rng.randint(0, 9), owner=rng.choice("abc")
        )

    for _ in range(3):
        await asyncio.gather(*(one() for _ in range(25)))
        assert await _faults(engine) == []
    before = [await read(engine, name) for name in names]
    await rebuild(engine)
    assert [await read(engine, name) for name in names] == before
