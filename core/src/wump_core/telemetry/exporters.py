"""Where spans and figures go. Loaded only with telemetry on: the SDK and its exporters take their time."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from prometheus_client import CollectorRegistry

from wump_core.telemetry.logs import make_redactor

EXPORT_SECONDS = 5.0
"""Longest time for one export, its further tries included."""
_MAX_ANSWER_BYTES = 64 * 1024
_ADDRESSES = frozenset({"url.full", "url.path", "url.query"})


@dataclass(frozen=True, slots=True)
class Exporting:
    """The providers of a process, not yet set."""

    tracers: TracerProvider
    meters: MeterProvider
    registry: CollectorRegistry | None


def make_exporting(exporters: frozenset[str], resource: Mapping[str, str]) -> Exporting:
    """Providers that export to all of these; OTLP's addresses and headers are OpenTelemetry's own variables.

    With `prometheus` figures are only pulled, and `otlp` has the spans: they must not reach one store twice.
    """
    described = Resource.create(dict(resource))
    # Where nobody gets spans, log lines have their ids all the same, and the rest isn't paid for.
    sampler = None if exporters & {"otlp", "console"} else ALWAYS_OFF
    tracers = TracerProvider(sampler, resource=described, shutdown_on_exit=False)
    tracers.add_span_processor(HidingProcessor())
    readers: list[MetricReader] = []
    registry = None
    if "prometheus" in exporters:
        registry = CollectorRegistry()
        readers.append(PrometheusMetricReader(scope_info_enabled=False, registry=registry))
    if "otlp" in exporters:
        tracers.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(timeout=EXPORT_SECONDS, session=BoundedSession()))
        )
        if registry is None:
            exporter = OTLPMetricExporter(timeout=EXPORT_SECONDS, session=BoundedSession())
            readers.append(PeriodicExportingMetricReader(exporter))
    if "console" in exporters:
        tracers.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
        readers.append(PeriodicExportingMetricReader(ConsoleMetricExporter(out=sys.stderr)))
    # Prometheus' exporter has no place for examples, which cost as much as the figures themselves.
    examples = AlwaysOffExemplarFilter() if registry is not None else None
    meters = MeterProvider(readers, resource=described, exemplar_filter=examples, shutdown_on_exit=False)
    return Exporting(tracers, meters, registry)


class HidingProcessor(SpanProcessor):
    """Hides secrets in addresses, as a client's query may carry one."""

    def __init__(self) -> None:
        self._redactor = make_redactor()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Replace what looks like a secret."""
        for name in _ADDRESSES & (span.attributes or {}).keys():
            span.set_attribute(name, self._redactor.hide(str((span.attributes or {})[name])))


class BoundedSession(requests.Session):
    """A session that reads no more of an answer than a collector has to say."""

    def request(self, *args: Any, **options: Any) -> requests.Response:
        """Send a request; the answer's body is cut."""
        response = super().request(*args, **options | {"stream": True})
        try:
            response._content = response.raw.read(_MAX_ANSWER_BYTES, decode_content=False)
        finally:
            response.close()
        return response
