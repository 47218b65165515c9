"""What a parser child and its parent say to each other, over a pair of sockets.

A message is its length and its bytes. The parent is trusted and sends pickles; a child has read foreign files and
answers with a kind and text, or the JSON of a record, which its parent validates.
"""

import pickle
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

READY = b"ready"
MAX_ANSWER_BYTES = 256 * 1024 * 1024
_SMALL = 65_536
_LENGTH = struct.Struct("!Q")


class Kind(Enum):
    """What an answer is; the first byte of it."""

    record = b"r"
    invalid = b"i"
    no_manifest = b"n"
    failed = b"f"


class TooLong(Exception):
    """A message that is longer than it may be."""


@dataclass(frozen=True, slots=True)
class Request:
    """A file to read; what it may take of processor time, by the clock, and of memory beyond an idle child's."""

    provider: str
    path: str
    content: bytes
    siblings: Mapping[str, bytes]
    seconds: float
    clock_seconds: float
    memory_bytes: int


def dump_request(request: Request | str) -> bytes:
    """A request as it is sent: a file to read, or the name of a provider to get ready."""
    return pickle.dumps(request, protocol=5)


def load_request(message: bytes) -> Request | str:
    """A request as it was sent, by the parent."""
    return pickle.loads(message)  # noqa: S301


def send(to: socket.socket, message: bytes) -> None:
    """Send one message, within the socket's own deadline."""
    head = _LENGTH.pack(len(message))
    if len(message) <= _SMALL:
        to.sendall(head + message)  # wakes the other side once
    else:
        to.sendall(head)
        to.sendall(message)


def receive(source: socket.socket, *, seconds: float | None = None, most: int | None = None) -> bytes:
    """Receive one message.

    Args:
        source: Where from.
        seconds: For all of it; null: for ever.
        most: Bytes it may have at the most.

    Raises:
        TimeoutError: It is not there in time.
        EOFError: The other side is gone.
        TooLong: Its message is longer than `most`.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    (length,) = _LENGTH.unpack(_receive_bytes(source, _LENGTH.size, deadline))
    if most is not None and length > most:
        raise TooLong
    return _receive_bytes(source, length, deadline)


def _receive_bytes(source: socket.socket, length: int, deadline: float | None) -> bytes:
    buffer = bytearray(length)
    view, filled = memoryview(buffer), 0
    while filled < length:
        if deadline is not None:
            source.settimeout(max(deadline - time.monotonic(), 0.001))
        count = source.recv_into(view[filled:])
        if count == 0:
            raise EOFError("the other side is gone")
        filled += count
    return bytes(buffer)
