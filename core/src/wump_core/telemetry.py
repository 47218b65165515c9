"""Logs by structlog and traces by OpenTelemetry: one set-up function each, called by mains."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from wump_core.errors import ConfigurationError

_SECRET_NAMES = re.compile(r"authorization|password|secret|token|api[-_]?key|cookie", re.IGNORECASE)
_URL_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*(?=@)")


def configure_logging(level: str, log_format: Literal["console", "json", "auto"]) -> None:
    """Send every log line, the standard library's too, through structlog to standard error.

    Values under names that sound secret, and credentials in URLs, are replaced before a line is written.
    """
    as_console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if as_console else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # httpx logs whole URLs, which may carry keys; uvicorn's access log costs a third of the rate.
    for name in ("httpx", "httpcore", "uvicorn.access", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """structlog processor: hide what must not stand in a log."""
    for name, value in event.items():
        if _SECRET_NAMES.search(name):
            event[name] = "[redacted]"
        elif isinstance(value, str) and "://" in value:
            event[name] = _URL_CREDENTIALS.sub("[redacted]", value)
    return event


def configure_tracing(service_name: str, target: Literal["off", "console", "otlp"]) -> None:
    """Set the process's tracer provider; call it after forking.

    Raises:
        ConfigurationError: `otlp` is wanted and its exporter is not installed.
    """
    if target == "off":
        return
    provider = TracerProvider(resource=Resource.create({"service.name": service_name}))
    provider.add_span_processor(BatchSpanProcessor(_exporter(target)))
    trace.set_tracer_provider(provider)


def _exporter(target: str) -> SpanExporter:
    if target == "console":
        return ConsoleSpanExporter(out=sys.stderr)
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # ty: ignore[import-not-found]
    except ImportError:
        raise ConfigurationError("WUMP_TELEMETRY=otlp needs the extra: pip install 'wump-core[otlp]'") from None
    return OTLPSpanExporter()
