"""Statements as spans, in figures, and as log lines where they are slow; and how full the pools are.

SQLAlchemy and asyncpg both tell what they execute, so nothing is patched. A statement is text of wump's own with
placeholders: no value of a query is ever in a span or a line.
"""

import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import structlog
from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import SpanKind, StatusCode

from wump_core.telemetry.figures import SECONDS

if TYPE_CHECKING:
    import asyncpg
    from sqlalchemy.ext.asyncio import AsyncEngine

SLOW_SECONDS = 0.5
"""From here on a statement is logged."""
_MAX_TEXT = 2_000
_OPERATIONS = frozenset("SELECT INSERT UPDATE DELETE WITH COPY BEGIN COMMIT ROLLBACK CREATE DROP SET DECLARE".split())
_started = "_wump_started"
log = structlog.get_logger("wump.database")
_tracer = trace.get_tracer("wump.database")
_duration = metrics.get_meter("wump.database").create_histogram(
    "db.client.operation.duration",
    unit="s",
    description="Time of one statement.",
    explicit_bucket_boundaries_advisory=SECONDS,
)


def observe_statement(statement: str, seconds: float, error: BaseException | None) -> None:
    """Note a statement that has just ended; a span of it belongs to the one that is current, and is none without."""
    attributes = {"db.system.name": "postgresql", "db.operation.name": _name_operation(statement)}
    if error is not None:
        attributes["error.type"] = type(error).__name__
    _duration.record(seconds, attributes)
    if seconds >= SLOW_SECONDS:
        log.warning("statement.slow", seconds=round(seconds, 3), statement=" ".join(statement.split())[:_MAX_TEXT])
    # A loop that asks all day is no trace; only what belongs to a request or a run is.
    above = trace.get_current_span().get_span_context()
    if not (above.is_valid and above.trace_flags.sampled):
        return
    ended = time.time_ns()
    span = _tracer.start_span(
        attributes["db.operation.name"],
        kind=SpanKind.CLIENT,
        attributes=attributes | {"db.query.text": statement[:_MAX_TEXT]},
        start_time=ended - int(seconds * 1e9),
    )
    if error is not None:
        span.set_status(StatusCode.ERROR)
    span.end(ended)


@lru_cache(1_000)
def _name_operation(statement: str) -> str:
    words = statement.split(None, 1)
    operation = words[0].upper().rstrip(";") if words else ""
    return operation if operation in _OPERATIONS else "other"


async def observe_connection(connection: "asyncpg.Connection") -> None:
    """Note what is executed on a connection of an asyncpg pool; to be its `init`."""
    connection.add_query_logger(_note_query)


def _note_query(query: Any) -> None:
    observe_statement(query.query, query.elapsed, query.exception)


def observe_pool(name: str, pool: "asyncpg.Pool") -> None:
    """Measure how full an asyncpg pool is, whenever figures are read."""

    def measure() -> tuple[int, int, int]:
        size, idle = pool.get_size(), pool.get_idle_size()
        return size - idle, idle, pool.get_max_size()

    _observe(name, measure)


def observe_engine(name: str, engine: "AsyncEngine") -> None:
    """Note what an engine executes, and measure how full its pool is."""
    from sqlalchemy import event

    pool: Any = engine.sync_engine.pool
    _observe(name, lambda: (pool.checkedout(), pool.checkedin(), pool.size()))

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def note_start(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        setattr(context, _started, time.perf_counter())

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def note_end(_connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        observe_statement(statement, time.perf_counter() - getattr(context, _started), None)

    @event.listens_for(engine.sync_engine, "handle_error")
    def note_error(error: Any) -> None:
        started = getattr(error.execution_context, _started, None)
        if started is not None and error.statement is not None:
            cause = error.original_exception
            observe_statement(error.statement, time.perf_counter() - started, cause.__cause__ or cause)


def _observe(name: str, measure: Callable[[], tuple[int, int, int]]) -> None:
    # A scope of its own, so that each pool has instruments of its own.
    meter = metrics.get_meter("wump.database", attributes={"pool": name})
    of_pool = {"db.client.connection.pool.name": name}

    def count(_: CallbackOptions) -> Iterable[Observation]:
        used, idle, _most = measure()
        yield Observation(used, of_pool | {"db.client.connection.state": "used"})
        yield Observation(idle, of_pool | {"db.client.connection.state": "idle"})

    def bound(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(measure()[2], of_pool)

    meter.create_observable_up_down_counter(
        "db.client.connection.count", [count], "{connection}", "Connections of a pool, by state."
    )
    meter.create_observable_up_down_counter(
        "db.client.connection.max", [bound], "{connection}", "Most connections of a pool."
    )
