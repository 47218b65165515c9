"""How work is seen from outside: the span of each message and of each run, and figures of runs and queues.

A run goes on with the trace of what planned it: request → row → message → run. Trying again is a trace of its own
that has a link to the first, as a run may be tried for a day.
"""

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import structlog
from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, StatusCode
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.store.executions import DueExecution, Execution
from wump_core.store.operations import describe_queues
from wump_core.telemetry import continue_trace, get_trace_context, note_database_size, note_job, note_queue

WATCH_SECONDS = 10.0
log = structlog.get_logger("wump.jobs")
_tracer = trace.get_tracer("wump.jobs")


@dataclass
class _Run:
    outcome: str = "abandoned"


_current: ContextVar[_Run | None] = ContextVar("run", default=None)


def note_outcome(outcome: str) -> None:
    """Say what became of the run that this code belongs to: completed, failed, dead, lease_lost, handed_back, alone."""
    if (run := _current.get()) is not None:
        run.outcome = outcome


@contextmanager
def observe_sending(due: DueExecution) -> Generator[dict[str, str] | None]:
    """A span of sending one message. Yields the trace context that the message is to carry."""
    with (
        continue_trace(due.trace_context),
        _tracer.start_as_current_span(
            f"send {due.queue}",
            kind=SpanKind.PRODUCER,
            attributes={
                "messaging.system": "dramatiq",
                "messaging.operation.type": "send",
                "messaging.destination.name": due.queue,
                "wump.execution": due.id,
            },
        ),
    ):
        yield get_trace_context()


@contextmanager
def observe_run(execution: Execution, *, known: bool) -> Generator[None]:
    """A span and a figure of one run; `note_outcome` says what became of it.

    Args:
        execution: What is run.
        known: Whether this worker knows the job. What else stands in a row is no label.
    """
    run, name = _Run(), execution.job if known else "unknown"
    token = _current.set(run)
    sent_by = trace.get_current_span().get_span_context()
    again = execution.attempts > 0 or execution.lost_leases > 0
    started = time.perf_counter()
    with _tracer.start_as_current_span(
        f"run {name}",
        context=trace.set_span_in_context(trace.INVALID_SPAN) if again else None,
        links=[Link(sent_by)] if again and sent_by.is_valid else (),
        kind=SpanKind.CONSUMER,
        record_exception=False,
        set_status_on_exception=False,
        attributes={
            "messaging.system": "dramatiq",
            "messaging.operation.type": "process",
            "messaging.destination.name": execution.queue,
            "wump.execution": execution.id,
            "wump.job": name,
            "wump.subject": execution.subject[:500],
            "wump.attempts": execution.attempts,
        },
    ) as span:
        try:
            yield
        finally:
            _current.reset(token)
            span.set_attribute("wump.outcome", run.outcome)
            if run.outcome not in ("completed", "alone"):
                span.set_status(StatusCode.ERROR)
            note_job(name, execution.queue, run.outcome, time.perf_counter() - started)


async def watch_queues(engine: AsyncEngine) -> None:
    """Note how long the queues are, and how large the database, until cancelled."""
    while True:
        try:
            async with engine.connect() as connection:
                queues, size = await describe_queues(connection)
            for queue, (depth, lag_seconds) in queues.items():
                note_queue(queue, depth, lag_seconds)
            note_database_size(size)
        except (OSError, TimeoutError, SQLAlchemyError) as error:
            log.warning("queues.not_measured", error=f"{type(error).__name__}: {error}"[:300])
        await asyncio.sleep(WATCH_SECONDS)
