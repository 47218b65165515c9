"""Opens and closes OpenTelemetry for one process. What it needs is imported only where it is wanted."""

import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from opentelemetry import metrics, trace

from wump_core.errors import ConfigurationError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from wump_core.telemetry.exporters import Exporting

SHUTDOWN_SECONDS = 2.0
"""Longest time that the end of a process waits for what is still to be exported."""
log = structlog.get_logger("wump.telemetry")


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a process has set up."""

    exporters: frozenset[str] = frozenset()
    registry: "CollectorRegistry | None" = None
    """The figures for Prometheus, where they are wanted."""

    @property
    def on(self) -> bool:
        """Whether anything is exported."""
        return bool(self.exporters)

    def render_figures(self, accept: str) -> tuple[bytes, str]:
        """The figures in the format that an Accept header asks for, and that format's media type.

        Raises:
            ValueError: They are not wanted for Prometheus.
        """
        if self.registry is None:
            raise ValueError("there are no figures for Prometheus")
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


OFF = Telemetry()


@contextmanager
def open_telemetry(
    service: str, exporters: Iterable[str], *, data_dir: Path, serve_at: tuple[str, int] | None = None
) -> Generator[Telemetry]:
    """Set the process's tracer and meter providers; call it once, after forking. At the end, export what is left.

    Nothing of it ever waits for an exporter but the end, and that for `SHUTDOWN_SECONDS` at most.

    Args:
        service: `service.name`, such as `wump-api`.
        exporters: Of `otlp`, `prometheus` and `console`; none: telemetry is off, and nothing is loaded.
        data_dir: Whose disk is watched.
        serve_at: Host and port at which Prometheus asks this process; null: the process serves it itself.

    Raises:
        ConfigurationError: An exporter is wanted and not installed.
    """
    wanted = frozenset(exporters)
    if not wanted:
        yield OFF
        return
    try:
        from wump_core.telemetry.exporters import make_exporting
        from wump_core.telemetry.process import observe_process
    except ImportError as error:
        raise ConfigurationError(
            f"WUMP_TELEMETRY needs the extra: pip install 'wump-core[telemetry]' ({error.name} is missing)"
        ) from None
    exporting = make_exporting(wanted, _describe(service))
    trace.set_tracer_provider(exporting.tracers)
    metrics.set_meter_provider(exporting.meters)
    observe_process(data_dir)
    if exporting.registry is not None and serve_at is not None:
        _serve_figures(exporting.registry, *serve_at)
    try:
        yield Telemetry(wanted, exporting.registry)
    finally:
        _close(exporting)


def _describe(service: str) -> dict[str, str]:
    return {
        "service.name": service,
        "service.version": version("wump-core"),
        "service.instance.id": str(uuid.uuid4()),
    }


def _serve_figures(registry: "CollectorRegistry", host: str, port: int) -> None:
    from prometheus_client import start_http_server

    try:
        start_http_server(port, host, registry)
    except OSError as error:
        # Work goes on: a second worker on one machine has the same port by default.
        log.warning("metrics.not_served", host=host, port=port, error=str(error))


def _close(exporting: "Exporting") -> None:
    _run_bounded([exporting.tracers.shutdown, exporting.meters.shutdown])


def _run_bounded(functions: Sequence[Callable[[], object]]) -> None:
    """Run them at once in threads that can't hold up the end of the process."""
    threads = [threading.Thread(target=function, name="wump-telemetry", daemon=True) for function in functions]
    deadline = time.monotonic() + SHUTDOWN_SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
