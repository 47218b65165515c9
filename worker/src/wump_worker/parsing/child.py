"""The child process that reads manifests: `python -m wump_worker.parsing.child <socket>`.

It loads a plugin when it is first asked for one, and no settings, so that no secret is near foreign files. Each file
has a deadline, which the system keeps even where a parser hangs in C, and a bound of memory. It may write no file,
start no program and open no connection. It ends with its parent.
"""

import gc
import importlib.metadata
import json
import os
import resource
import select
import signal
import socket
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import pluggy
from wump_core.errors import InvalidManifest
from wump_core.hookspecs import ENTRY_POINT_GROUP, PROJECT_NAME, DataProvider
from wump_core.manifests import NoManifest
from wump_core.records import ManifestRecord

from wump_worker.parsing.protocol import READY, Kind, Request, load_request, receive, send

GRACE_SECONDS = 0.5
"""The parent's own deadline by the clock comes first; this one is for a child that hangs when its parent is gone."""

GARBAGE_OBJECTS = 20_000
LARGE_BYTES = 120_000_000
"""Of memory: after such a file it is measured again how much the idle process has."""

_FORBIDDEN = frozenset(
    "os.exec os.fork os.forkpty os.posix_spawn os.spawn os.startfile os.system subprocess.Popen pty.spawn"
    " socket.connect socket.getaddrinfo socket.gethostbyname socket.sendto socket.bind"
    " os.remove os.rename os.rmdir os.mkdir os.link os.symlink os.truncate os.chmod os.chown".split()
)


def main() -> None:
    """Serve the parent until it is gone."""
    parent = socket.socket(fileno=int(sys.argv[1]))
    _confine()
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    gc.disable()
    limits = _Limits()
    with suppress(EOFError, OSError):
        send(parent, READY)
        while True:
            request = load_request(receive(parent))
            if isinstance(request, str):
                send(parent, _get_ready(request))
            else:
                with limits.of(request):
                    kind, answer = _answer(request)
                send(parent, kind.value + answer)
                del answer
            del request
            if gc.get_count()[0] > GARBAGE_OBJECTS:
                gc.collect()


def _get_ready(provider: str) -> bytes:
    """Load a plugin before its first file, whose deadline is shorter. The answer is its globs, or what is wrong."""
    try:
        hooks = _load(provider)
        globs = hooks.describe_provider().manifests if hooks.parse_manifest.get_hookimpls() else ()
    except Exception as error:
        return Kind.failed.value + f"{type(error).__name__}: ".encode() + _text(error)
    gc.freeze()  # it stays: no collection looks at it again
    return Kind.record.value + json.dumps(globs).encode()


def _confine() -> None:
    """Forbid what no parser needs: programs, connections, files to write, core dumps, and Ctrl-C of the parent."""
    sys.dont_write_bytecode = True
    sys.addaudithook(_refuse)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)  # ends the process
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, resource.getrlimit(limit)[1]))


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _FORBIDDEN:
        raise PermissionError(f"a parser may not do this: {event}")


def _end_with(parent: socket.socket) -> None:
    """End this process as soon as the parent is gone, also in the middle of a file."""
    waiting = select.poll()
    waiting.register(parent, select.POLLHUP)
    while not any(events & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, events in waiting.poll()):
        pass
    os._exit(1)


class _Limits:
    """What a file may take. The system keeps to it, whatever the process is busy with."""

    def __init__(self) -> None:
        self._idle_bytes = 0
        self._measure_again = True

    @contextmanager
    def of(self, request: Request) -> Generator[None]:
        """Limits as long as this file is read."""
        if self._measure_again:
            self._idle_bytes = _measure_data()
        self._measure_again = request.memory_bytes > LARGE_BYTES
        _set_most_data(self._idle_bytes + request.memory_bytes)
        signal.setitimer(signal.ITIMER_PROF, request.seconds)
        signal.setitimer(signal.ITIMER_REAL, request.clock_seconds + GRACE_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            _set_most_data(resource.RLIM_INFINITY)


def _set_most_data(wanted: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    possible = min((most for most in (wanted, hard) if most != resource.RLIM_INFINITY), default=wanted)
    with suppress(ValueError, OSError):  # some systems have the limit and don't let it be set
        resource.setrlimit(resource.RLIMIT_DATA, (possible, hard))


def _measure_data() -> int:
    """How much memory this process has for itself by now, where Linux tells; else a guess."""
    with suppress(OSError, ValueError), open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 256 * 1024 * 1024


def _answer(request: Request) -> tuple[Kind, bytes]:
    try:
        hooks = _load(request.provider)
        record = hooks.parse_manifest(path=request.path, content=request.content, siblings=request.siblings)
        if not isinstance(record, ManifestRecord):
            return Kind.failed, f"returned {type(record).__name__} instead of ManifestRecord".encode()
        return Kind.record, record.model_dump_json(exclude_defaults=True).encode()
    except NoManifest as error:
        return Kind.no_manifest, _text(error)
    except InvalidManifest as error:
        return Kind.invalid, _text(error)
    except MemoryError:
        return Kind.invalid, f"needed more memory than {request.memory_bytes // 1_000_000} MB to be read".encode()
    except Exception as error:
        return Kind.failed, f"{type(error).__name__}: ".encode() + _text(error)


def _text(error: Exception) -> bytes:
    return str(error)[:1_000].encode("utf-8", "backslashreplace")


@cache
def _load(provider: str) -> Any:
    """The provider's hooks; pluggy passes each those arguments that it takes."""
    found = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name=provider)
    if len(found) != 1:
        raise LookupError("several distributions announce it, uninstall all but one" if found else "not installed")
    (entry,) = found
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(DataProvider)
    manager.register(entry.load(), provider)
    return manager.hook


if __name__ == "__main__":
    main()
