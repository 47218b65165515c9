"""Real `wump` processes for tests: started, waited for, and never left behind."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from wump_core.settings import CoreSettings


def environment_of(settings: CoreSettings | None = None, /, **variables: str) -> dict[str, str]:
    """The environment of a process that uses these servers, and asks nobody but the loopback address."""
    environment = dict(os.environ) | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    environment["WUMP_PROVIDERS"] = "npm,pypi"  # those that a LocalRegistry plays
    if settings is not None and settings.database_url is not None and settings.valkey_url is not None:
        environment["WUMP_DATABASE_URL"] = settings.database_url.get_secret_value()
        environment["WUMP_VALKEY_URL"] = settings.valkey_url.get_secret_value()
    return environment | variables


def run_wump(*arguments: str, environment: Mapping[str, str], timeout: float = 90) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "wump_core", *arguments],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@dataclass
class Process:
    """A long-running `wump` command; what it writes goes to a file."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "wump_core", *self.arguments],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """End it at once, without a chance to tidy up."""
        self.process.kill()
        self.process.wait(10)

    def stop(self, number: int, timeout: float = 25) -> int:
        """Send a signal and wait; returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout)

    def children(self) -> list[psutil.Process]:
        """Its living descendants."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def wait_for(self, text: str, timeout: float = 40) -> None:
        """Wait until it has written this."""
        wait_until(lambda: text in self.output or self.process.poll() is not None, timeout)
        assert text in self.output, self.output


@contextmanager
def running(*arguments: str, environment: Mapping[str, str], log: Path) -> Generator[Process]:
    """Run a long-running command while open; kills it and its children at the end if they still run."""
    process = Process(arguments, environment, log)
    process.start()
    try:
        yield process
    finally:
        if process.process.poll() is None:
            children = process.children()
            process.kill()
            for child in children:
                if child.is_running():
                    child.kill()


def wait_until(condition: Callable[[], object], timeout: float, pause: float = 0.1) -> None:
    """Wait until this is true."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s"
        time.sleep(pause)
