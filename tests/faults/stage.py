"""A stage for faults: a Postgres and a Valkey of its own that can be frozen, killed and started again, and a proxy."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from e2e.processes import wait_until
from pydantic import SecretStr
from valkey import Valkey
from valkey.exceptions import ValkeyError
from wump_core.embedded import Servers, postgres, valkey
from wump_core.embedded.account import choose_folder, find_account
from wump_core.embedded.machine import HOST, SERVER_LOCK_NAME, try_lock_file
from wump_core.settings import CoreSettings

SHORT_TIMES = """
import sys
if sys.orig_argv[-1] in ("scheduler", "worker"):  # their children have no time to lose on these modules
    import wump_core.schedule as schedule
    schedule.LEASE_SECONDS, schedule.RENEW_LEASE_EVERY_SECONDS, schedule.RESEND_AFTER_SECONDS = 3, 1, 3
    schedule.RESEND_LOST_AFTER_SECONDS, schedule.MAX_UNSTARTED = 3, 8
    import wump_worker.main as main
    main.SHUTDOWN_SECONDS = 2
    import wump_worker.scheduler as scheduler
    scheduler.OUTAGE_PAUSE_SECONDS = 0.5
"""
"""A `sitecustomize` that lets a process wait less than it would, for the gate has little time; and that sends little
at once, so that schedulers are at work for as long as workers are."""

CLOCK_MOVED = """
import datetime, time
_real, _Datetime = time.time, datetime.datetime
time.time = lambda: _real() + 3600
class _Moved(_Datetime):
    @classmethod
    def now(cls, tz=None):
        return _Datetime.fromtimestamp(time.time(), tz)
datetime.datetime = _Moved
"""
"""A `sitecustomize` that moves the clock that a process's Python code sees by an hour."""


@dataclass
class OwnServers:
    """The two servers, and what can happen to them."""

    folder: Path
    servers: Servers

    def settings(self, database_url: str) -> CoreSettings:
        """Settings that name a database of this Postgres, and this Valkey."""
        return CoreSettings(
            database_url=SecretStr(database_url), valkey_url=SecretStr(self.servers.valkey_url), data_dir=self.folder
        )

    def flush_valkey(self) -> None:
        """Forget everything."""
        with Valkey.from_url(self.servers.valkey_url) as client:
            client.flushall()

    @contextlib.contextmanager
    def frozen_valkey(self) -> Generator[None]:
        """Meanwhile it holds connections and answers nothing."""
        pid = self._valkey_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def without_valkey(self) -> Generator[None]:
        """Meanwhile it is gone; afterwards it is there again, empty."""
        folder = self.folder / "valkey"
        port = valkey.find_port(folder)
        assert port is not None
        os.kill(self._valkey_pid(), signal.SIGKILL)
        lock = self._wait_for_lock(folder)
        try:
            yield
        finally:
            valkey.ValkeyServer(folder, valkey.find_program(), durable=False).launch(port, lock)
            os.close(lock)
            wait_until(self._valkey_answers, 20)

    @contextlib.contextmanager
    def without_postgres(self) -> Generator[None]:
        """It stops at once, in the midst of transactions; afterwards it is there again and has recovered."""
        account = find_account()
        folder = choose_folder(self.folder / "postgres", account)
        port, pid = postgres.find_port(folder), postgres.find_pid(folder)
        assert port is not None
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        lock = self._wait_for_lock(folder)
        try:
            yield
        finally:
            self._start_postgres(folder, port, lock)

    def _start_postgres(self, folder: Path, port: int, lock: int) -> None:
        account = find_account()
        server = postgres.PostgresServer(folder, postgres.find_programs(account), account, durable=False)
        server.launch(port, lock)
        os.close(lock)
        wait_until(server.answering_port, 30)

    def _valkey_pid(self) -> int:
        pid = valkey.find_pid(self.folder / "valkey")
        assert pid is not None
        return pid

    def _valkey_answers(self) -> bool:
        with Valkey.from_url(self.servers.valkey_url) as client, contextlib.suppress(ValkeyError):
            return bool(client.ping())
        return False

    def _wait_for_lock(self, folder: Path) -> int:
        """The server's lock, once it has ended; the next one is to hold it."""
        locks: list[int] = []

        def take() -> bool:
            lock = try_lock_file(folder / SERVER_LOCK_NAME)
            locks.extend(() if lock is None else [lock])
            return lock is not None

        wait_until(take, 20, pause=0.02)
        return locks[0]


@dataclass
class Onlooker:
    """Looks at a database again and again; waits while it is away."""

    database_url: str
    _connection: asyncpg.Connection | None = None

    async def fetch(self, query: str, seconds: float = 60) -> list[Any]:
        """Rows of a query."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await asyncpg.connect(self.database_url, timeout=5)
                return await self._connection.fetch(query)
            except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.CannotConnectNowError):
                assert time.monotonic() < deadline
                self._connection = None
                await asyncio.sleep(0.1)

    async def wait_for(self, query: str, seconds: float = 60) -> list[Any]:
        """Rows of a query, once there are some."""
        deadline = time.monotonic() + seconds
        while not (rows := await self.fetch(query)):
            assert time.monotonic() < deadline, query
            await asyncio.sleep(0.05)
        return rows

    async def close(self) -> None:
        """Look no more."""
        if self._connection is not None:
            await self._connection.close()


@dataclass
class DroppingProxy:
    """Between a process and Valkey: the reply to every so-many-th command is lost, and its connection."""

    target: tuple[str, int]
    every: int
    port: int = 0
    commands: int = 0
    lost: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is closed."""
        self.port = listener.getsockname()[1]
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        losing = threading.Event()
        with contextlib.suppress(OSError), client, socket.create_connection(self.target) as server:
            answers = threading.Thread(target=self._relay_answers, args=(server, client, losing), daemon=True)
            answers.start()
            while request := client.recv(1 << 20):
                with self._lock:
                    self.commands += 1
                    if self.commands % self.every == 0:
                        self.lost += 1
                        losing.set()
                server.sendall(request)

    @staticmethod
    def _relay_answers(server: socket.socket, client: socket.socket, losing: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while (answer := server.recv(1 << 20)) and not losing.is_set():
                client.sendall(answer)
        for end in (client, server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def dropping_proxy(valkey_url: str, *, every: int) -> Generator[tuple[DroppingProxy, str]]:
    """The proxy, and the address by which it is reached."""
    prefix, _, rest = valkey_url.rpartition("@")
    host, _, tail = rest.partition(":")
    port, _, number = tail.partition("/")
    with socket.create_server((HOST, 0)) as listener:
        proxy = DroppingProxy((host, int(port)), every, listener.getsockname()[1])
        threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
        yield proxy, f"{prefix}@{HOST}:{proxy.port}/{number}"
