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
from wump_worker.importing import Outcome, import_dump

CRATES = 240
BATCH = 20
# Without the keys that the database makes up, and the moments of the run.
CONTENT = {
    "packages": "SELECT p.purl, p.provider, p.latest_version, p.description, p.homepage, p.licences, p.deprecated,"
    " p.repository_directory, p.fingerprint, p.fetched_at, r.host, r.path, o.login FROM packages p"
    " LEFT JOIN repositories r ON r.id = p.repository_id LEFT JOIN organizations o ON o.id = p.organization_id",
    "statements": "SELECT p.purl, x.purl, so.kind, so.provider, so.revision, s.scope, s.optional, s.direct,"
    " s.requirement, s.alias, s.groups, s.marker, s.field, s.removed_at FROM statements s"
    " JOIN packages p ON p.id = s.package_id JOIN sources so ON so.id = s.source_id"
    " JOIN packages x ON x.id = so.package_id",
    "dependencies": "SELECT p.purl, r.path, d.scopes, d.direct, d.claimed, d.exclusion, d.providers FROM dependencies d"
    " JOIN packages p ON p.id = d.package_id JOIN repositories r ON r.id = d.repository_id",
    "answers": "SELECT p.purl, a.login, a.repositories, a.runtime_repositories, a.evidence FROM package_organizations a"
    " JOIN packages p ON p.id = a.package_id",
    "totals": "SELECT p.purl, t.organizations, t.repositories, t.no_owner, t.own_organization FROM package_totals t"
    " JOIN packages p ON p.id = t.package_id",
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
    tell = lambda stage, done, total: print(stage, done, flush=True)
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
    async with engine.connect() as connection:
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


async def test_the_open_data_of_libraries_io_is_read_too(engine: AsyncEngine) -> None:
    folder = Path(__file__).parents[2] / "plugins" / "librariesio" / "tests" / "recordings" / "dumps" / "open-data"
    assert await import_dump(engine, load_providers(["librariesio"]).active[0], folder) == Outcome(3, 0, 0)
    async with engine.connect() as connection:
        assert await list_faults(connection) == []
        rows = await connection.execute(
            text("SELECT DISTINCT p.purl FROM statements s JOIN packages p ON p.id = s.package_id ORDER BY 1")
        )
        assert rows.scalars().all() == ["pkg:npm/fsevents", "pkg:npm/lodash", "pkg:npm/mocha"]


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
    assert f"cratesio: {CRATES} packages saved, 0 known as they are, 0 known better" in capfd.readouterr().err


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
