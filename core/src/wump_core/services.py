"""Services: the long-running processes of wump, each a command of its own that a distribution announces.

The entry-point group `wump.services` names them; `wump <service>` runs one. Here they are started as child
processes, watched, and stopped.
"""

import importlib.metadata
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.settings import CoreSettings, service_environment

SERVICES_GROUP = "wump.services"
STOP_SECONDS = 25.0
_RESTART_PAUSE_SECONDS = 1.0
_MAX_QUICK_DEATHS = 5
_QUICK_SECONDS = 10.0
_START_SECONDS = 60.0
"""Within this, one that can't reach or have what it needs was never up: a busy machine takes its time to start it."""
# Exit codes of `wump`, which has its reason written to standard error.
_EXIT_USAGE = 2
_EXIT_UNAVAILABLE = 3
log = structlog.get_logger("wump.services")


def list_services() -> list[str]:
    """Names of the services that the installed distributions announce."""
    return sorted({entry.name for entry in importlib.metadata.entry_points(group=SERVICES_GROUP)})


@dataclass
class _Service:
    """One service: its process now, and how often it died right after it was started."""

    name: str
    environment: dict[str, str]
    quiet: bool
    process: subprocess.Popen[bytes] = field(init=False)
    started: float = field(init=False)
    quick_deaths: int = 0
    restarts: int = 0

    def start(self) -> None:
        """Start the process; its log goes to our standard error."""
        self.started = time.monotonic()
        output = subprocess.DEVNULL if self.quiet else None
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and a name of our own
            [sys.executable, "-m", "wump_core", self.name],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stderr=output,
        )

    def restart_if_dead(self) -> None:
        """Start it again if it has died.

        Raises:
            ConfigurationError: A setting of it is wrong.
            ServerUnavailable: It can't be started, or dies each time it is.
        """
        code = self.process.poll()
        if code is None:
            return
        lived = time.monotonic() - self.started
        quick = lived < _QUICK_SECONDS
        self.quick_deaths = self.quick_deaths + 1 if quick else 0
        message = f"{self.name} ended with exit code {code}; run `wump {self.name}` to see why"
        if code == _EXIT_USAGE:
            raise ConfigurationError(message)
        never_up = code == _EXIT_UNAVAILABLE and not self.restarts and lived < _START_SECONDS
        if self.quick_deaths >= _MAX_QUICK_DEATHS or never_up:
            raise ServerUnavailable(message)
        self.restarts += 1
        log.warning("service.restarted", service=self.name, exit_code=code)
        time.sleep(_RESTART_PAUSE_SECONDS)
        self.start()


@contextmanager
def running_services(
    names: Sequence[str], settings: CoreSettings, *, quiet: bool = False, environment: Mapping[str, str] | None = None
) -> Generator[Sequence["_Service"]]:
    """Run these services as child processes while open; on leaving they are asked to stop, and waited for.

    Args:
        quiet: Throw their logs away.
        environment: Settings for them alone.
    """
    variables = service_environment(settings) | dict(environment or {})
    services = [_Service(name, variables, quiet) for name in names]
    try:
        for service in services:
            service.start()
        yield services
    finally:
        _stop([service for service in services if hasattr(service, "process")])


def run_services(names: Sequence[str], settings: CoreSettings, stopping: threading.Event) -> None:
    """Run services in the foreground until told to stop; one that dies is started again.

    Raises:
        ConfigurationError: A setting of a service is wrong.
        ServerUnavailable: A service can't be kept running.
    """
    with running_services(names, settings) as services:
        while not stopping.wait(0.5):
            for service in services:
                service.restart_if_dead()


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and Ctrl-C set."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


def _stop(services: Sequence[_Service]) -> None:
    for service in services:
        if service.process.poll() is None:
            service.process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for service in services:
        try:
            service.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("service.killed", service=service.name)
            service.process.kill()
            service.process.wait()
