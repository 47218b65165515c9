"""Traces across processes: W3C trace context and baggage as a small document that a row or a message carries."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_TRACE = TraceContextTextMapPropagator()
_BAGGAGE = W3CBaggagePropagator()
_MAX_LENGTHS = {"traceparent": 128, "tracestate": 512, "baggage": 1_024}
"""What is longer is left out: a client chooses it, and it is kept with each run that it causes."""


def get_trace_context() -> dict[str, str] | None:
    """`traceparent`, and `tracestate` and `baggage` where there are any, of what runs now; null: no trace."""
    if not trace.get_current_span().get_span_context().is_valid:
        return None
    carrier: dict[str, str] = {}
    _TRACE.inject(carrier)
    _BAGGAGE.inject(carrier)
    return {name: value for name, value in carrier.items() if len(value) <= _MAX_LENGTHS.get(name, 0)}


@contextmanager
def continue_trace(carried: object) -> Generator[trace.SpanContext]:
    """Go on with a trace that another process began; anything that is no trace context begins none.

    Args:
        carried: What `get_trace_context` gave, or whatever a row or a message has in its place.

    Yields:
        The span that the work goes back to; not valid where there is none.
    """
    carrier = _read_carrier(carried)
    token = context.attach(_BAGGAGE.extract(carrier, _TRACE.extract(carrier)))
    try:
        yield trace.get_current_span().get_span_context()
    finally:
        context.detach(token)


def _read_carrier(carried: object) -> dict[str, Any]:
    if not isinstance(carried, Mapping):
        return {}
    return {
        name: value
        for name, longest in _MAX_LENGTHS.items()
        if isinstance(value := carried.get(name), str) and len(value) <= longest
    }
