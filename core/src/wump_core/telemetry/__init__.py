"""Logs, traces and figures: set up once by mains, used by everybody through the functions named here."""

from wump_core.telemetry.context import continue_trace, get_trace_context
from wump_core.telemetry.figures import (
    count_cache,
    count_connection_timeout,
    count_server_failure,
    note_authentication,
    note_connection_wait,
    note_database_size,
    note_job,
    note_limit_exceeded,
    note_lookup,
    note_queue,
    note_server_failure,
)
from wump_core.telemetry.logs import configure_logging
from wump_core.telemetry.setup import OFF, Telemetry, open_telemetry

__all__ = [
    "OFF",
    "Telemetry",
    "configure_logging",
    "continue_trace",
    "count_cache",
    "count_connection_timeout",
    "count_server_failure",
    "get_trace_context",
    "note_authentication",
    "note_connection_wait",
    "note_database_size",
    "note_job",
    "note_limit_exceeded",
    "note_lookup",
    "note_queue",
    "note_server_failure",
    "open_telemetry",
]
