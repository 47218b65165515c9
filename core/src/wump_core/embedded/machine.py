"""What both embedded servers need from the machine: locks, ports, private files, bounded starts and stops."""

import importlib.util
import os
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from wump_core.errors import ServerUnavailable

if sys.platform != "win32":
    import fcntl

HOST = "127.0.0.1"
OWN_SERVERS = "set WUMP_DATABASE_URL and WUMP_VALKEY_URL to servers of your own, or run `docker compose up`"
START_SECONDS = 30.0
STOP_SECONDS = 30.0
PORT_ATTEMPTS = 4
LOG_NAME = "server.log"
LOG_TAIL_BYTES = 2000

# Held by the server process itself, which inherits the descriptor: the kernel knows whether it lives, even
# after whoever started it was killed, and a pid that was given to another process meanwhile fools nobody.
SERVER_LOCK_NAME = "server.lock"


class StartableServer(Protocol):
    """A server that `start_or_join` can start."""

    @property
    def name(self) -> str:
        """How messages call it."""

    @property
    def folder(self) -> Path:
        """Where its data, its log and its lock are."""

    def launch(self, port: int, server_lock: int) -> None:
        """Start it in the background on this port, inheriting the descriptor of its lock; don't wait."""

    def answering_port(self) -> int | None:
        """The port at which this very server answers its password, or None."""


def require_posix() -> None:
    """Raise ServerUnavailable where there are no POSIX locks, which is Windows."""
    if sys.platform == "win32":
        raise ServerUnavailable(f"the embedded servers need Linux or macOS: {OWN_SERVERS}")


def find_package(distribution: str, module: str) -> Path:
    """The folder of an installed package. Not imported: only its programs are used, and imports warn and take time.

    Raises:
        ServerUnavailable: It is not installed.
    """
    try:
        spec = importlib.util.find_spec(module)
    except ValueError:
        spec = None
    if spec is None or spec.origin is None:
        raise ServerUnavailable(
            f"the embedded servers need the package {distribution}. Install the extra wump-core[embedded] "
            f"(Linux, macOS), or {OWN_SERVERS}"
        )
    return Path(spec.origin).parent


def lock_file(path: Path) -> int:
    """Open the file and lock it exclusively, waiting for it. Closing the returned descriptor unlocks."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException:  # Ctrl-C while waiting
        os.close(descriptor)
        raise
    return descriptor


def try_lock_file(path: Path) -> int | None:
    """Like `lock_file`, but None at once if someone else holds the lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_running(folder: Path) -> bool:
    """Whether a server holds the lock in this folder. Only under the start lock, as this borrows it shortly."""
    path = folder / SERVER_LOCK_NAME
    if not path.exists():
        return False
    descriptor = try_lock_file(path)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def start_or_join(server: StartableServer) -> int:
    """Return the port of the running server; start it if it is not running.

    Raises:
        ServerUnavailable: It ended while starting or did not answer in time; the text has the end of its log.
    """
    launched: list[int] = []
    for _ in _ticks(START_SECONDS):
        server_lock = try_lock_file(server.folder / SERVER_LOCK_NAME)
        if server_lock is not None:
            try:
                _give_up_on_failure(server, launched)
                launched.append(free_port())
                server.launch(launched[-1], server_lock)
            finally:
                # Only the server keeps it, so that the lock tells when it ends.
                os.close(server_lock)
        elif (port := server.answering_port()) is not None:
            return port
    raise _failure(server, f"did not answer within {START_SECONDS:.0f} seconds")


def _give_up_on_failure(server: StartableServer, launched: list[int]) -> None:
    """Another port helps only if the last one was taken between choosing it and starting."""
    if not launched:
        return
    if not port_is_taken(launched[-1]):
        raise _failure(server, "ended while it was starting")
    if len(launched) == PORT_ATTEMPTS:
        ports = ", ".join(str(port) for port in launched)
        raise _failure(server, f"found its port taken by another program, {PORT_ATTEMPTS} times over ({ports})")


def _failure(server: StartableServer, what: str) -> ServerUnavailable:
    log = server.folder / LOG_NAME
    return ServerUnavailable(
        f"the embedded {server.name} {what}. Look into {log}, or {OWN_SERVERS}. Its log ends with:\n{log_tail(log)}"
    )


def stop_server(name: str, folder: Path, find_pid: Callable[[], int | None], stop_signal: signal.Signals) -> bool:
    """Stop the server of this folder and wait for its end. Returns whether it was running.

    Raises:
        ServerUnavailable: It does not end in time, or belongs to another user.
    """
    if not is_running(folder):
        return False
    pid: int | None = None
    for _ in _ticks(STOP_SECONDS):
        if not is_running(folder):
            return True
        if pid is None and (pid := find_pid()) is not None:
            try:
                os.kill(pid, stop_signal)
            except ProcessLookupError:
                pid = None
            except PermissionError:
                raise ServerUnavailable(f"the embedded {name} (pid {pid}) belongs to another user") from None
    known = "" if pid is None else f" (pid {pid})"
    raise ServerUnavailable(
        f"the embedded {name}{known} does not stop. Look into {folder / LOG_NAME} and stop it by hand"
    )


def _ticks(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.05)


def free_port() -> int:
    """A port of the loopback interface that is free now. Another program may take it before it is used."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def port_is_taken(port: int) -> bool:
    """Whether another program listens at, or has bound, this port of the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As the servers do: connections of a former server that are still winding down don't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    return False


def make_private_folder(folder: Path) -> Path:
    """Create the folder if it is missing; only its owner may look inside."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def write_private_file(path: Path, text: str) -> None:
    """Replace the file in one step, so that nobody ever reads half of it; only its owner may read it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    Path(temporary).replace(path)


def keep_password(path: Path) -> str:
    """Read the password; make up a random one the first time."""
    if not path.exists():
        write_private_file(path, secrets.token_hex(24))
    return path.read_text()


def log_tail(path: Path) -> str:
    """The end of a log file, for error messages."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return "(there is no log)"
