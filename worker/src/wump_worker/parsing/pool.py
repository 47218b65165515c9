"""A pool of child processes that read manifests, for a parent that must survive any file and any parser.

A child that takes too long, needs too much memory or crashes is killed and replaced, and its file is refused.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter, ValidationError
from wump_core.errors import InvalidManifest, ProviderFailed
from wump_core.manifests import NoManifest, make_printable
from wump_core.records import ManifestRecord

from wump_worker.parsing.protocol import MAX_ANSWER_BYTES, Kind, Request, TooLong, dump_request, receive, send

START_SECONDS, IMPORT_SECONDS = 30.0, 20.0
"""By the clock, to start Python, and to import a plugin."""

FILE_SECONDS, MEGABYTE_SECONDS = 1.5, 0.5
"""Processor time for a file, with its siblings: a small one is read in milliseconds. A busy machine is no excuse."""

PATIENCE = 6
"""Time by the clock, in times of that: also a child that only waits ends."""

FILE_BYTES, BYTES_PER_BYTE = 100_000_000, 12
"""What reading a file may need of memory: a document in Python takes up to ten times its text."""

RETIRE_BYTES = 500_000_000
"""After so much a child is replaced, since memory that was needed once is seldom given back."""

_GLOBS = TypeAdapter(list[str])
_ENVIRONMENT = ("PATH", "HOME", "TMPDIR", "LANG", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "SYSTEMROOT")


class ParserPool:
    """Up to `size` children, started when they are needed. Its methods may be called from any thread."""

    def __init__(self, size: int) -> None:
        self._room = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def parse(self, provider: str, path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
        """Let a child call a provider's `parse_manifest`. It blocks until a child is free and has answered: a
        coroutine calls it by `asyncio.to_thread`.

        Raises:
            InvalidManifest: The plugin refuses the file, or reading it took too long, needed too much memory or
                crashed.
            NoManifest: It is something else than its name says.
            ProviderFailed: The plugin raised something else, or its record is invalid; or no child can be started.
        """
        with self._borrow() as child:
            answer = child.ask(provider, path, content, siblings)
        return _read_answer(provider, answer)

    def list_globs(self, provider: str) -> tuple[str, ...]:
        """The names of files that a provider reads, without importing it in this process. Blocks as `parse` does.

        Raises:
            ProviderFailed: It can't be imported, or hangs; or no child can be started.
        """
        with self._borrow() as child:
            answer = child.get_ready(provider)
        return tuple(_GLOBS.validate_json(_open_answer(provider, answer)))

    @contextmanager
    def _borrow(self) -> Generator["_Child"]:
        with self._room:
            with self._lock:
                child = self._idle.pop() if self._idle else None
            child = child or _Child()
            try:
                yield child
            except BaseException:
                child.end()
                raise
            with self._lock:
                keep = not self._closed and child.bytes_read < RETIRE_BYTES
                if keep:
                    self._idle.append(child)
            if not keep:
                child.end()

    def close(self) -> None:
        """End the idle children; those that are busy end with their file."""
        with self._lock:
            self._closed, idle, self._idle = True, self._idle, []
        for child in idle:
            child.end()


class _Child:
    """One process. Whoever asks it must end it when that raises."""

    def __init__(self) -> None:
        self._ready: dict[str, bytes] = {}
        self.bytes_read = 0
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = _start(theirs.fileno())
        except OSError as error:
            self._socket.close()
            raise ProviderFailed(f"a process that reads manifests could not be started: {error.strerror}") from None
        try:
            receive(self._socket, seconds=START_SECONDS)
        except (OSError, EOFError):
            self.end()
            raise ProviderFailed("a process that reads manifests could not be started") from None

    def ask(self, provider: str, path: str, content: bytes, siblings: Mapping[str, bytes]) -> bytes:
        """The answer: its kind in the first byte."""
        size = len(content) + sum(map(len, siblings.values()))
        seconds = FILE_SECONDS + MEGABYTE_SECONDS * size / 1_000_000
        clock, memory = seconds * PATIENCE, FILE_BYTES + BYTES_PER_BYTE * size
        request = Request(provider, path, content, siblings, seconds, clock, memory)
        self.get_ready(provider)  # what is wrong with it is told with the file
        self.bytes_read += size
        try:
            self._socket.settimeout(clock)
            send(self._socket, dump_request(request))
            return receive(self._socket, seconds=clock, most=MAX_ANSWER_BYTES)
        except TimeoutError:
            raise InvalidManifest(f"took longer than {clock:.0f} seconds to be read") from None
        except TooLong:
            raise InvalidManifest(f"says more than {MAX_ANSWER_BYTES:,} bytes") from None
        except (OSError, EOFError):
            raise InvalidManifest(self._why_it_ended(request)) from None

    def get_ready(self, provider: str) -> bytes:
        """Load a plugin: its globs as JSON, or what is wrong, with the kind in the first byte."""
        if provider not in self._ready:
            try:
                self._socket.settimeout(IMPORT_SECONDS)
                send(self._socket, dump_request(provider))
                self._ready[provider] = receive(self._socket, seconds=IMPORT_SECONDS, most=MAX_ANSWER_BYTES)
            except (OSError, EOFError, TooLong):
                raise ProviderFailed(f"the plugin {provider} hangs or ends the process when it is imported") from None
        return self._ready[provider]

    def _why_it_ended(self, request: Request) -> str:
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        if code == -signal.SIGPROF:
            return f"took longer than {request.seconds:.1f} seconds of processor time to be read"
        if code == -signal.SIGABRT:  # how compiled code gives up that gets no memory
            return f"needed more memory than {request.memory_bytes // 1_000_000} MB to be read, or crashed its parser"
        return f"crashed its parser ({signal.Signals(-code).name if code and code < 0 else 'it ended'})"

    def end(self) -> None:
        """Kill it, if it still runs."""
        self._socket.close()
        self._process.kill()
        self._process.wait()


def _start(descriptor: int) -> subprocess.Popen[bytes]:
    # -P: a module that lies in the current folder, which may be a stranger's, is not imported.
    command = [sys.executable, "-P", "-m", "wump_worker.parsing.child", str(descriptor)]
    nothing = subprocess.DEVNULL
    return subprocess.Popen(  # noqa: S603
        command, pass_fds=[descriptor], stdin=nothing, stdout=nothing, stderr=nothing, env=_environment(), cwd="/"
    )


def _environment() -> dict[str, str]:
    """Without secrets: only what Python needs to start."""
    return {
        name: value for name, value in os.environ.items() if name in _ENVIRONMENT or name.startswith(("PYTHON", "LC_"))
    }


def _read_answer(provider: str, answer: bytes) -> ManifestRecord:
    content = _open_answer(provider, answer)
    try:
        return ManifestRecord.model_validate_json(content)
    except ValidationError as error:  # shows nothing of the input
        raise ProviderFailed(make_printable(f"{provider} made an invalid record: {error}", 500)) from None


def _open_answer(provider: str, answer: bytes) -> bytes:
    """The content of a good answer. Raises what the others mean."""
    kind, content = answer[:1], answer[1:]
    if kind == Kind.record.value:
        return content
    message = make_printable(content.decode("utf-8", "replace"), 1_000)
    if kind == Kind.no_manifest.value:
        raise NoManifest(message)
    if kind == Kind.invalid.value:
        raise InvalidManifest(message)
    raise ProviderFailed(f"the plugin {provider} failed: {message}")
