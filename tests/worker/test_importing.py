"""`wump import`: a whole dump, stopped in any way and gone on with; facts that are newer or better stay."""

import asyncio
import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from benchmarks.crates_dump import ORDER, pack, write_folder
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.cli import make_app
from wump_core.errors import ConfigurationError, InvalidDump, ServerUnavailable
from wump_core.loading import load_providers
from wump_core.providers import Provider
from wump_core.settings import CoreSettings
from wump_core.store.audit import list_faults
from wump_core.store.dependents import fold_deltas
from wump_worker.importing import Outcome, import_dump

CRATES = 240
BATCH = 20
# Without the keys that the database makes up, and the moments of the run.
CONTENT = {
    "packages": "SELECT p.purl, p.provider, p.latest_version, p.description, p.homepage, p.licences, p.deprecated,"
    " p.repository_directory, p.fingerprint, p.fetched_at, r.host, r.path, o.login FROM packages p"
    " LEFT JOIN repositories r ON r.id = p.repository_id LEFT JOIN organizations o ON o.id = p.organization_id",
    "repositories": "SELECT host, path, description, default_branch, stars, fork, pushed_at FROM repositories",
    "statements": "SELECT p.purl, x.purl, r.path, so.path, so.url, so.mark, so.kind, so.provider, so.revision, s.scope,"
    " s.optional, s.direct, s.requirement, s.resolved_version, s.alias, s.groups, s.marker, s.field FROM statements s"
    " JOIN packages p ON p.id = s.package_id JOIN sources so ON so.id = s.source_id"
    " LEFT JOIN packages x ON x.id = so.package_id LEFT JOIN repositories r ON r.id = so.repository_id"
    " WHERE s.removed_at IS NULL",
    "dependencies": "SELECT p.purl, r.path, d.scopes, d.direct, d.claimed, d.exclusion, d.providers FROM dependencies d"
    " JOIN packages p ON p.id = d.package_id JOIN repositories r ON r.id = d.repository_id WHERE d.scopes <> 0",
    "answers": "SELECT p.purl, a.login, a.repositories, a.runtime_repositories, a.evidence FROM package_organizations a"
    " JOIN packages p ON p.id = a.package_id WHERE a.repositories <> 0",
    "totals": "SELECT p.purl, t.organizations, t.repositories, t.no_owner, t.own_organization FROM package_totals t"
    " JOIN packages p ON p.id = t.package_id WHERE t.repositories + t.no_owner + t.own_organization <> 0",
    "subjects": "SELECT provider, capability, subject, last_ok_at FROM provider_subjects",
}
# Imports like the command does, in small batches, and says how far it is.
CHILD = f"""
import asyncio, sys
from pathlib import Path
from wump_core.loading import load_providers
from wump_core.settings import load_settings
from wump_core.store import make_engine
from wump_worker.importing import import_dump

async def main():
    engine = make_engine(load_settings().database_url, application_name="killed")
    tell = lambda stage, done, *_, **__: print(stage, done, flush=True)
    await import_dump(engine, load_providers(["cratesio"]).active[0], Path(sys.argv[1]), tell, batch={BATCH})

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small dump of full shape, unpacked."""
    return write_folder(tmp_path_factory.mktemp("dumps") / "dump", CRATES)


@pytest.fixture
def cratesio() -> Provider:
    return load_providers(["cratesio"]).active[0]


async def contents(engine: AsyncEngine) -> dict[str, list[str]]:
    async with engine.begin() as connection:
        await fold_deltas(connection)
        return {
            name: sorted(str(tuple(row)) for row in await connection.execute(text(statement)))
            for name, statement in CONTENT.items()
        }


async def get_imports(engine: AsyncEngine) -> list[dict[str, Any]]:
    async with engine.connect() as connection:
        return [dict(row._mapping) for row in await connection.execute(text("SELECT * FROM imports ORDER BY id"))]


async def start_anew(engine: AsyncEngine) -> None:
    names = "packages, repositories, organizations, accounts, sources, statements, dependencies, package_organizations"
    others = ", package_totals, package_deltas, package_touches, provider_subjects, imports"
    async with engine.begin() as connection:
        await connection.execute(text(f"TRUNCATE {names}{others} CASCADE"))


def kill_at(dump: Path, settings: CoreSettings, stage: str, done: int) -> None:
    """Import in a process of its own, and kill it when it says that it is there."""
    assert settings.database_url
    environment = dict(os.environ) | {"WUMP_DATABASE_URL": settings.database_url.get_secret_value()}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(dump)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout
    for line in child.stdout:
        at, _, number = line.strip().rpartition(" ")
        if at == stage and int(number) >= done:
            child.kill()
            break
    else:
        pytest.fail(f"it never came to {stage} {done}")
    child.wait()
    child.stdout.close()


async def test_killed_three_times_it_ends_as_if_undisturbed(
    dump: Path, tmp_path: Path, settings: CoreSettings, engine: AsyncEngine, cratesio: Provider
) -> None:
    assert await import_dump(engine, cratesio, dump) == Outcome(CRATES, 0, 0)
    undisturbed = await contents(engine)
    assert all(undisturbed.values())
    async with engine.connect() as connection:
        assert await list_faults(connection) == []

    await start_anew(engine)
    packed = pack(dump, tmp_path / "dump.tar.gz", order=sorted(ORDER))
    for stage, done in (("saving", 40), ("saving", 140), ("deriving", 0)):
        await asyncio.to_thread(kill_at, packed, settings, stage, done)
    (stopped,) = await get_imports(engine)
    assert (stopped["position"], stopped["deferred"], stopped["finished_at"]) == (CRATES, True, None)
    assert await import_dump(engine, cratesio, packed, batch=BATCH) == Outcome(CRATES, 0, 0)
    assert await contents(engine) == undisturbed
    async with engine.connect() as connection:
        assert await list_faults(connection) == []

    # Once more nothing is left to do, and nothing is derived anew.
    assert await import_dump(engine, cratesio, dump) == Outcome(0, CRATES, 0)
    assert [(row["deferred"], row["finished_at"] is not None) for row in await get_imports(engine)] == [
        (True, True),
        (False, True),
    ]


async def test_what_is_known_better_stays(dump: Path, engine: AsyncEngine, cratesio: Provider) -> None:
    await import_dump(engine, cratesio, dump)
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE packages SET fetched_at = now(), fingerprint = NULL WHERE name LIKE 'crate\\_1%'")
        )
        await connection.execute(text("UPDATE packages SET description = 'changed', fingerprint = NULL"))
    newer = sum(f"crate_{n}".startswith("crate_1") for n in range(1, CRATES + 1) if n % 3)
    assert await import_dump(engine, cratesio, dump) == Outcome(CRATES - newer, 0, newer)
    # Of an aggregator nothing is taken that the registry itself has told.
    info = cratesio.info.model_copy(update={"provider_type": "aggregator"})
    other = dataclasses.replace(cratesio, name="other", info=info)
    assert await import_dump(engine, other, dump) == Outcome(0, 0, CRATES)
    async with engine.connect() as connection:
        assert await list_faults(connection) == []


async def test_a_damaged_dump_ends_with_the_place_and_can_be_repaired(
    dump: Path, tmp_path: Path, engine: AsyncEngine, cratesio: Provider
) -> None:
    damaged = Path(shutil.copytree(dump, tmp_path / "damaged"))
    path = damaged / "data" / "dependencies.csv"
    lines = path.read_text().splitlines(keepends=True)
    lines[7] = "999999" + lines[7][lines[7].index(",") :]
    path.write_text("".join(lines))
    with pytest.raises(InvalidDump, match=r"data/dependencies\.csv, row 7 \(line 8\), column crate_id: 999999"):
        await import_dump(engine, cratesio, damaged)
    assert await get_imports(engine) == []
    assert await import_dump(engine, cratesio, dump) == Outcome(CRATES, 0, 0)


async def test_a_dump_that_breaks_off_keeps_what_came_before(
    dump: Path, engine: AsyncEngine, cratesio: Provider
) -> None:
    class Breaking:
        """The dump, but that its fiftieth package can't be read."""

        def read_dump(self, path: Path) -> Iterator[Any]:
            yield from islice(cratesio.read_dump(path), 50)
            raise InvalidDump("x.csv, row 50, column y: is no y")

    with pytest.raises(InvalidDump, match="row 50"):
        await import_dump(engine, dataclasses.replace(cratesio, hooks=Breaking()), dump, batch=BATCH)
    (stopped,) = await get_imports(engine)
    assert (stopped["position"], stopped["error"]) == (40, "x.csv, row 50, column y: is no y")
    assert await import_dump(engine, cratesio, dump) == Outcome(CRATES, 0, 0)
    async with engine.connect() as connection:
        assert await list_faults(connection) == []


OPEN_DATA = Path(__file__).parents[2] / "plugins" / "librariesio" / "tests" / "recordings" / "dumps" / "open-data"
PAIRS = (
    "SELECT r.path, p.name, d.exclusion, d.claimed FROM dependencies d JOIN packages p ON p.id = d.package_id"
    " JOIN repositories r ON r.id = d.repository_id WHERE d.scopes <> 0 ORDER BY 1, 2"
)


@pytest.fixture
def librariesio() -> Provider:
    return load_providers(["librariesio"]).active[0]


def write_newer(folder: Path) -> Path:
    """The release after the recorded one: other dependencies, one file less, and no fork any more."""
    for path in OPEN_DATA.iterdir():
        content = (
            path.read_text()
            .replace("gamma/shop,,true", "gamma/shop,,false")
            .replace("Beta/shop,2,Pypi", "Beta/shop,2,CPAN")
        )
        content = content.replace("manifest,false,lodash,^4.17.0", "manifest,false,left-pad,^1.0.0")
        folder.mkdir(exist_ok=True)
        (folder / path.name.replace("2020-01-12", "2021-01-12")).write_text(content)
    return folder


async def test_what_repositories_need_comes_out_of_the_open_data_of_libraries_io(
    engine: AsyncEngine, librariesio: Provider, tmp_path: Path
) -> None:
    assert await import_dump(engine, librariesio, OPEN_DATA) == Outcome(7, 0, 0)
    async with engine.connect() as connection:
        assert await list_faults(connection) == []
        assert [tuple(row) for row in await connection.execute(text(PAIRS))] == [
            ("acme/widget", "fsevents", None, True),
            ("acme/widget", "lodash", None, False),
            ("acme/widget", "mocha", None, True),
            ("beta/shop", "@acme/widget", None, False),
            ("beta/shop", "acme-tool", "example", False),
            ("beta/shop", "lodash", None, False),
            ("epsilon/tools/engine", "org.acme/engine", None, False),
            ("gamma/shop", "@acme/widget", "fork", False),
        ]
    assert await import_dump(engine, librariesio, OPEN_DATA) == Outcome(0, 7, 0)

    # A newer one, derived batch by batch, ends as if it had come alone; an older one changes nothing.
    newer = write_newer(tmp_path / "newer")
    assert await import_dump(engine, librariesio, newer, batch=2) == Outcome(2, 5, 0)
    found = await contents(engine)
    assert await import_dump(engine, librariesio, OPEN_DATA) == Outcome(0, 0, 7)
    async with engine.connect() as connection:
        assert await list_faults(connection) == []
    assert found == await contents(engine)
    await start_anew(engine)
    await import_dump(engine, librariesio, newer)
    # What was told once stays known by name.
    assert found | {"packages": []} == await contents(engine) | {"packages": []}


async def test_what_was_read_in_a_repository_itself_stays(
    engine: AsyncEngine, librariesio: Provider, tmp_path: Path
) -> None:
    await import_dump(engine, librariesio, OPEN_DATA)
    async with engine.begin() as connection:
        own = text("UPDATE repositories SET files_at = now(), fetched_at = now(), stars = 9 WHERE path = 'beta/shop'")
        await connection.execute(own)
        told = text("UPDATE repositories SET fetched_at = now(), fork = true WHERE path = 'gamma/shop'")
        await connection.execute(told)
    before = await contents(engine)
    assert await import_dump(engine, librariesio, write_newer(tmp_path / "newer")) == Outcome(0, 6, 1)
    after = await contents(engine)
    assert [after[name] for name in ("repositories", "statements")] == [
        before[name] for name in ("repositories", "statements")
    ]


async def test_an_import_of_repositories_goes_on_where_it_was(engine: AsyncEngine, librariesio: Provider) -> None:
    await import_dump(engine, librariesio, OPEN_DATA)
    undisturbed = await contents(engine)
    await start_anew(engine)

    class Breaking:
        """The open data, but that its sixth record can't be read."""

        def read_dump(self, path: Path) -> Iterator[Any]:
            yield from islice(librariesio.read_dump(path), 6)
            raise InvalidDump("x.csv, row 50, column y: is no y")

    with pytest.raises(InvalidDump, match="row 50"):
        await import_dump(engine, dataclasses.replace(librariesio, hooks=Breaking()), OPEN_DATA, batch=1)
    assert [row["position"] for row in await get_imports(engine)] == [5]
    assert await import_dump(engine, librariesio, OPEN_DATA) == Outcome(7, 0, 0)
    assert await contents(engine) == undisturbed


async def test_only_one_imports_at_a_time(dump: Path, engine: AsyncEngine, cratesio: Provider) -> None:
    results = await asyncio.gather(
        import_dump(engine, cratesio, dump), import_dump(engine, cratesio, dump), return_exceptions=True
    )
    assert [type(result) for result in results if isinstance(result, Exception)] == [ServerUnavailable]
    assert Outcome(CRATES, 0, 0) in results


def test_the_command_says_what_it_did(
    dump: Path, settings: CoreSettings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert settings.database_url
    assert settings.valkey_url
    monkeypatch.setenv("WUMP_DATABASE_URL", settings.database_url.get_secret_value())
    monkeypatch.setenv("WUMP_VALKEY_URL", settings.valkey_url.get_secret_value())
    make_app("import")(args=["import", "cratesio", str(dump)], standalone_mode=False)
    assert f"cratesio: {CRATES} records saved, 0 known as they are, 0 known better" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("npm", "."), "the provider npm reads no dump; these do: cratesio, librariesio"),
        (("cratesio", "nowhere.tar.gz"), "there is no file or folder 'nowhere.tar.gz'"),
        (("nobody", "."), "not installed"),
    ],
)
def test_what_can_not_be_imported_is_told(arguments: tuple[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        make_app("import")(args=["import", *arguments], standalone_mode=False)
    assert words in str(error.value)
