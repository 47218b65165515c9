"""Who owns what: kinds and ids that hosts tell, merges and their undoing, renames of repositories and accounts."""

from typing import Any
from uuid import UUID

import pytest
from core.test_facts import package, save
from core.test_files import file, read, save_files
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.errors import WumpError
from wump_core.records import AccountKind, OrganizationRecord, RepositoryClaim, RepositoryRecord
from wump_core.store import profiles
from wump_core.store.accounts import add_accounts
from wump_core.store.audit import list_faults
from wump_core.store.descriptions import Found, add_described_owners, save_descriptions
from wump_core.store.organizations import (
    Evidence,
    get_organization_id,
    list_merges,
    merge_organizations,
    undo_merge,
)
from wump_core.store.profiles import Owner, restamp_answers, save_owner, save_profile
from wump_core.store.renames import forget_files, place_repository


async def told(
    engine: AsyncEngine, login: str, host_id: str | None = None, kind: AccountKind = "organization"
) -> frozenset[int]:
    """What the job does when a host names an owner."""
    return await save_owner(engine, Owner("github.com", login, host_id, kind))


async def merge(engine: AsyncEngine, absorbed: str, into: str, evidence: Evidence = "operator") -> UUID | None:
    async with engine.begin() as connection:
        one = await get_organization_id(connection, "github.com", absorbed)
        other = await get_organization_id(connection, "github.com", into)
        assert one is not None
        assert other is not None
        return await merge_organizations(connection, one, other, evidence, "a test says so")


async def undo(engine: AsyncEngine, merge_id: UUID) -> None:
    async with engine.begin() as connection:
        await undo_merge(connection, merge_id, because="a test says so")


async def place(engine: AsyncEngine, named: str, current: str, host_id: str | None = "7") -> int:
    """What the job does when a host answers with another name."""
    claims = [RepositoryClaim(host="github.com", path=path, owner=path.partition("/")[0]) for path in (named, current)]
    async with engine.begin() as connection:
        return await place_repository(connection, claims[0], claims[1], host_id)


async def rows(engine: AsyncEngine, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(statement), values)]


async def faults(engine: AsyncEngine) -> list[Any]:
    async with engine.connect() as connection:
        return await list_faults(connection)


KINDS = "SELECT DISTINCT a.login, a.kind FROM package_organizations a ORDER BY 1"


async def test_a_kind_reaches_the_answer_and_does_not_become_unknown_again(engine: AsyncEngine) -> None:
    await save_files(engine, "acme/app", file("package.json", "base"))
    assert await rows(engine, KINDS) == [("acme", "unknown")]
    for kind in ("organization", "unknown"):
        assert await told(engine, "Acme", "1", kind) == frozenset()
        assert await rows(engine, KINDS) == [("acme", "organization")]
        assert await faults(engine) == []


async def test_many_rows_get_a_new_kind_in_steps_and_nothing_is_at_fault_meanwhile(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiles, "RESTAMPED_AT_ONCE", 3)
    await save_files(engine, "acme/app", file("package.json", *(f"p{number}" for number in range(8))))
    (organization_id,) = await told(engine, "acme", "1", "organization")
    assert await rows(engine, KINDS) == [("acme", "unknown")]
    assert await faults(engine) == []
    counts = []
    while not counts or counts[-1]:
        async with engine.begin() as connection:
            counts.append(await restamp_answers(connection, organization_id))
        assert await faults(engine) == []
    assert counts == [3, 3, 2, 0]
    assert await rows(engine, KINDS) == [("acme", "organization")]
    assert await rows(engine, "SELECT restamp_at FROM organizations") == [(None,)]


async def test_a_merge_joins_what_both_depend_on_and_leaves_out_their_own_and_can_be_undone(
    engine: AsyncEngine,
) -> None:
    await save(engine, package("lib", "acme/lib"))
    await save_files(engine, "acme/app", file("package.json", "base"), stars=3)
    await save_files(engine, "acme-labs/app", file("package.json", "base", "lib"), stars=4)
    before = [await read(engine, name) for name in ("base", "lib")]
    assert before[0]["listed"] == {"acme": 1, "acme-labs": 1}
    merge_id = await merge(engine, "acme-labs", "acme")
    assert merge_id is not None
    base, lib = [await read(engine, name) for name in ("base", "lib")]
    assert (base["listed"], base["stars"]) == ({"acme": 2}, {"acme": 7})
    assert lib["totals"] == {"own_organization": 1}
    assert await merge(engine, "acme-labs", "acme") is None
    await undo(engine, merge_id)
    assert [await read(engine, name) for name in ("base", "lib")] == before
    with pytest.raises(WumpError, match="was undone before"):
        await undo(engine, merge_id)
    # What a person took apart, no evidence joins again; a person may.
    assert await merge(engine, "acme", "acme-labs", "verified_domain") is None
    assert await merge(engine, "acme", "acme-labs") is not None
    async with engine.connect() as connection:
        merges = await list_merges(connection)
    assert [(item["absorbed_login"], item["into_login"], item["undone_because"]) for item in merges] == [
        ("acme", "acme-labs", None),
        ("acme-labs", "acme", "a test says so"),
    ]


async def test_an_account_is_followed_to_its_new_name_by_the_hosts_id_only(engine: AsyncEngine) -> None:
    await save_files(engine, "old/app", file("package.json", "base"))
    await told(engine, "old", "1")
    await save_files(engine, "new/web", file("package.json", "base"))
    await told(engine, "new", None)
    assert (await read(engine, "base"))["listed"] == {"old": 1, "new": 1}
    await told(engine, "New", "1")
    assert (await read(engine, "base"))["listed"] == {"new": 2}
    # Somebody else takes the old name, and then the new one: neither is who had it before.
    await told(engine, "old", "2", "user")
    assert (await read(engine, "base"))["listed"] == {"old": 1, "new": 1}
    await told(engine, "newest", "1")
    assert (await read(engine, "base"))["listed"] == {"old": 1, "newest": 1}
    await told(engine, "new", "3", "user")
    assert (await read(engine, "base"))["listed"] == {"old": 1, "new": 1}
    assert await faults(engine) == []


async def test_a_profile_is_saved_and_forgotten_with_who_had_the_name(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        account = (await add_accounts(connection, [("github.com", "acme")]))["github.com", "acme"]
        record = OrganizationRecord(
            host="github.com",
            login="Acme",
            kind="organization",
            name="Acme",
            website="https://acme.example",
            verified_domain="Acme.example",
            public_repositories=4,
            funding=(),
        )
        await save_profile(connection, account.id, record)
    columns = "SELECT name, verified_domain, public_repositories, funding, kind, fetched_at IS NULL FROM accounts"
    assert await rows(engine, columns) == [("Acme", "acme.example", 4, [], "organization", False)]
    await told(engine, "acme", "1", "organization")
    await told(engine, "acme", "2", "user")
    assert await rows(engine, columns) == [(None, None, None, None, "user", True)]


async def test_a_renamed_repository_counts_once_under_its_new_name(engine: AsyncEngine) -> None:
    await save(engine, package("lib", "acme/old", ("base", "runtime")))
    await save(engine, package("late", "acme/new", ("base", "runtime")))
    await save_files(engine, "acme/old", file("package.json", "base", "left", project="lib"))
    assert (await read(engine, "base"))["listed"] == {"acme": 2}
    seen = "SELECT first_seen_at FROM statements s JOIN packages p ON p.id = s.package_id WHERE p.name = 'left'"
    first_seen = await rows(engine, seen)
    # Without the host's id it is not believed.
    assert await place(engine, "acme/old", "acme/new", None) == await place(engine, "acme/old", "acme/old", None)
    assert (await read(engine, "base"))["listed"] == {"acme": 2}
    key = await place(engine, "acme/old", "acme/new")
    base = await read(engine, "base")
    assert (base["listed"], base["totals"]) == ({"acme": 1}, {"organizations": 1, "repositories": 1})
    assert (await read(engine, "left"))["listed"] == {"acme": 1}
    assert await rows(engine, seen) == first_seen
    # Whoever claims the old name means the new one; the file there says that `late` is not its.
    await save(engine, package("lib", "acme/old", ("base", "runtime"), ("right", "runtime")))
    assert (await read(engine, "right"))["evidence"]["acme"]["repository"] == "https://github.com/acme/new"
    assert await place(engine, "acme/old", "acme/new") == key
    # And back again.
    assert await place(engine, "acme/new", "acme/old") != key
    assert (await read(engine, "right"))["evidence"]["acme"]["repository"] == "https://github.com/acme/old"


async def test_another_repository_of_the_same_name_begins_anew(engine: AsyncEngine) -> None:
    await save_files(engine, "acme/app", file("package.json", "base"), host_id="7")
    await place(engine, "acme/app", "acme/app", "8")
    assert (await read(engine, "base"))["listed"] == {}
    # The name of one that was renamed is taken: what it says is not the old one's.
    await save_files(engine, "acme/app", file("package.json", "base"), host_id="8")
    await place(engine, "acme/app", "acme/web", "8")
    assert (await read(engine, "base"))["evidence"]["acme"]["repository"] == "https://github.com/acme/web"
    key = await place(engine, "acme/app", "acme/app", "9")
    assert await rows(engine, "SELECT renamed_to, host_id FROM repositories WHERE id = :key", key=key) == [(None, "9")]
    async with engine.begin() as connection:
        await forget_files(connection, await place(engine, "acme/web", "acme/web", "8"))
    assert (await read(engine, "base"))["listed"] == {}


async def described(engine: AsyncEngine, *records: RepositoryRecord) -> Found:
    async with engine.begin() as connection:
        await add_described_owners(connection, records)
    async with engine.begin() as connection:
        return await save_descriptions(connection, "github.com", {record.path.lower(): record for record in records})


async def test_descriptions_add_what_is_new_and_bring_the_answer_up_to_date(engine: AsyncEngine) -> None:
    await save_files(engine, "acme/app", file("package.json", "base"), host_id="1")
    known = RepositoryRecord(host="github.com", owner="acme", path="Acme/App", host_id="1", stars=9)
    new = RepositoryRecord(host="github.com", owner="acme", path="acme/new", host_id="2", stars=10)
    fork = RepositoryRecord(host="github.com", owner="acme", path="acme/fork", host_id="3", fork=True)
    found = await described(engine, known, new, fork)
    assert (found.added, found.to_read) == (2, ["acme/new"])
    assert (await read(engine, "base"))["stars"] == {"acme": 9}
    await described(engine, known.model_copy(update={"archived": True, "stars": None}))
    assert (await read(engine, "base"))["totals"] == {"archived": 1}
    # One that may be another one is left to reading it.
    found = await described(engine, known.model_copy(update={"owner": "stranger", "archived": False}))
    assert (found.added, found.to_read) == (0, ["acme/app"])
    assert (await read(engine, "base"))["totals"] == {"archived": 1}
