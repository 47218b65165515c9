"""What wump counts and times: its instruments, and one function for each that others call.

With telemetry off an instrument does nothing, and these functions cost next to nothing. Attributes have few
values each, whatever is asked: no package, account, key or address is ever one.
"""

from typing import Literal

import structlog
from opentelemetry import metrics

log = structlog.get_logger("wump.telemetry")
_meter = metrics.get_meter("wump")

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Buckets for what should take milliseconds."""
LONG_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
"""Buckets for what may take minutes."""

_hits = _meter.create_counter("cache.hits", unit="{hit}", description="Answers found in the cache.")
_misses = _meter.create_counter("cache.misses", unit="{miss}", description="Answers not found in the cache.")
_lookups = _meter.create_histogram(
    "api.package_lookup.duration",
    unit="s",
    description="Time to find the package that a request names.",
    explicit_bucket_boundaries_advisory=SECONDS,
)
_authentications = _meter.create_counter(
    "api.authentication.attempts", unit="{attempt}", description="Requests that came with a key, by what became of it."
)
_exceeded = _meter.create_counter(
    "api.rate_limit.exceeded", unit="{request}", description="Requests refused for coming too often, by limit."
)
_failures = _meter.create_counter(
    "server.connection.failures", unit="{failure}", description="Times that the database or Valkey did not answer."
)
_waits = _meter.create_histogram(
    "db.client.connection.wait_time",
    unit="s",
    description="Time to get a connection from the pool.",
    explicit_bucket_boundaries_advisory=SECONDS,
)
_timeouts = _meter.create_counter(
    "db.client.connection.timeouts", unit="{timeout}", description="Waits for a connection that were given up."
)
_jobs = _meter.create_histogram(
    "job.execution.duration",
    unit="s",
    description="Time of one run of a job, by what became of it.",
    explicit_bucket_boundaries_advisory=LONG_SECONDS,
)
_depth = _meter.create_gauge("job.queue.depth", unit="{execution}", description="Runs that are due and not started.")
_lag = _meter.create_gauge("job.queue.lag", unit="s", description="How long the oldest due run has waited.")
_database_size = _meter.create_gauge("database.size", unit="By", description="Size of the database on its disk.")

Authentication = Literal["accepted", "missing", "rejected", "blocked", "forbidden"]
"""With a good key; without one where one is needed; with one that isn't good; after too many of those; with one that
may not do this."""
Lookup = Literal["found", "unknown", "failed"]


def count_cache(pattern: str, *, hit: bool) -> None:
    """Count a question to the cache.

    Args:
        pattern: The key with its parts as placeholders, a constant: `package:{purl}`.
        hit: Whether the answer was there.
    """
    (_hits if hit else _misses).add(1, {"cache.key_pattern": pattern})


def note_lookup(ecosystem: str, outcome: Lookup, seconds: float) -> None:
    """Note how long it took to find a package.

    Args:
        ecosystem: One that wump knows, or `any`.
        outcome: `found`; `unknown`, as far as wump knows; `failed`: the question was wrong, or a server away.
        seconds: From the request's name to the row.
    """
    _lookups.record(seconds, {"ecosystem": ecosystem, "outcome": outcome})


def note_authentication(outcome: Authentication, caller: str) -> None:
    """Count and log that somebody proved, or failed to prove, who they are.

    Args:
        outcome: What became of it.
        caller: The key's public id or the client's address, never the key.
    """
    _authentications.add(1, {"outcome": outcome})
    say = log.debug if outcome == "accepted" else log.info
    say("auth.attempt", outcome=outcome, caller=caller)


def note_limit_exceeded(limit: str, caller: str) -> None:
    """Count and log that a request was refused for coming too often.

    Args:
        limit: Which limit, one of a few fixed words.
        caller: The key's public id or the client's address, never the key.
    """
    _exceeded.add(1, {"limit": limit})
    log.info("limit.exceeded", limit=limit, caller=caller)


def count_server_failure(server: Literal["database", "valkey"]) -> None:
    """Count that a server could not be reached, or did not answer in time."""
    _failures.add(1, {"server": server})


def note_server_failure(server: Literal["database", "valkey"], error: BaseException) -> None:
    """Count and log that a server could not be reached, or did not answer in time."""
    count_server_failure(server)
    log.warning("server.failure", server=server, error=f"{type(error).__name__}: {error}"[:300])


def note_connection_wait(pool: str, seconds: float) -> None:
    """Note how long a request waited for a connection of a pool."""
    _waits.record(seconds, {"db.client.connection.pool.name": pool})


def count_connection_timeout(pool: str) -> None:
    """Count a wait for a connection that was given up."""
    _timeouts.add(1, {"db.client.connection.pool.name": pool})


def note_job(job: str, queue: str, outcome: str, seconds: float) -> None:
    """Note one run of a job.

    Args:
        job: One that this worker knows, or `unknown`.
        queue: The queue it came by.
        outcome: completed, failed, dead or lease_lost.
        seconds: From its start to its end.
    """
    _jobs.record(seconds, {"job.name": job, "queue": queue, "outcome": outcome})


def note_queue(queue: str, depth: int, lag_seconds: float) -> None:
    """Note how many runs wait in a queue, and how long the oldest has."""
    _depth.set(depth, {"queue": queue})
    _lag.set(lag_seconds, {"queue": queue})


def note_database_size(size: int) -> None:
    """Note the size of the database, in bytes."""
    _database_size.set(size)
