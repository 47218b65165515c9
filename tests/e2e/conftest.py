"""What the tests of whole processes share."""

import random
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from local_registry import LocalRegistry, serve_registry
from wump_core.embedded import stop_embedded


@pytest.fixture
def registry() -> Iterator[LocalRegistry]:
    """A registry of one's own."""
    with serve_registry() as running:
        yield running


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory for embedded servers; whatever was left running in there is stopped at the end."""
    # Not pytest's tmp_path: its parents are closed to other users, which for root is a case of its own.
    folder = Path(tempfile.mkdtemp(prefix="wump-"))
    folder.chmod(0o755)
    yield folder
    stop_embedded(folder, purge=True)
    shutil.rmtree(folder)


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens, and which the system gives to no connection before it is listened on."""
    for port in random.sample(range(10_000, 30_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("a hundred ports are taken")
