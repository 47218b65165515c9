"""The one place that knows Dramatiq's broker: queues on Valkey that carry nothing but the keys of executions.

Dramatiq's own retries, delays and results are off: attempts and due times live in Postgres, and a message
that is lost is sent again. The client must be redis-py, since with valkey-py acknowledgements are lost when
the server restarts (its connection errors are no subclass of those that Dramatiq handles).
"""

import contextlib
from collections.abc import Sequence

import redis
from dramatiq import Message, Worker
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import CurrentMessage
from pydantic import SecretStr
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from wump_core.errors import ConfigurationError, ServerUnavailable
from wump_core.schedule import ALIVE_KEY, ALIVE_SECONDS
from wump_core.store.executions import QUEUES, DueExecution

from wump_worker.observing import observe_sending

ACTOR = "run_execution"
FIRST, FIRST_ACTOR = "first", "run_first"
"""The queue of runs that lost their worker, and who takes them before all else: they had begun before the rest."""
NAMESPACE = "wump"
TRACE = "trace"
"""The option of a message that holds the trace context; a worker that doesn't know it runs the message all the same."""


def make_broker(valkey_url: SecretStr) -> RedisBroker:
    """A broker with wump's queues; it is reached when it is used.

    Args:
        valkey_url: `valkey://` or `redis://`; `valkeys://` and `rediss://` for TLS.

    Raises:
        ConfigurationError: The URL can't be read.
    """
    scheme, separator, rest = valkey_url.get_secret_value().partition("://")
    url = scheme.replace("valkey", "redis") + separator + rest
    # By default redis-py tries ten times, timeouts too, and a frozen Valkey would hold up a stop for minutes.
    retry = Retry(ConstantBackoff(0.2), retries=1, supported_errors=(redis.ConnectionError,))
    try:
        client = redis.Redis.from_url(
            url, socket_timeout=2, socket_connect_timeout=2, health_check_interval=30, retry=retry
        )
    except ValueError:
        raise ConfigurationError("WUMP_VALKEY_URL is not a Valkey URL: valkey://host:6379/0") from None
    # Fast maintenance: a dead worker's messages go back within seconds. They may come twice; that is harmless.
    broker = RedisBroker(
        client=client,
        namespace=NAMESPACE,
        heartbeat_timeout=15_000,
        maintenance_chance=50_000,
        middleware=[CurrentMessage()],
    )
    for queue in (*QUEUES, FIRST):
        broker.declare_queue(queue)
    return broker


def send(broker: RedisBroker, due: Sequence[DueExecution]) -> None:
    """Ring the bell for these executions. Blocks; raises `ServerUnavailable` when Valkey is away."""
    try:
        for execution in due:
            with observe_sending(execution) as carried:
                options = {TRACE: carried} if carried else {}
                if execution.first:
                    broker.enqueue(Message(FIRST, FIRST_ACTOR, args=(execution.id,), kwargs={}, options=options))
                # That one rings twice: a worker of an older version knows only the queues of the ledger.
                broker.enqueue(Message(execution.queue, ACTOR, args=(execution.id,), kwargs={}, options=options))
    except redis.RedisError as error:
        raise ServerUnavailable(f"Valkey is away ({type(error).__name__}): see WUMP_VALKEY_URL") from error


def get_carried_trace() -> object:
    """The trace context of the message that this thread works on; null where there is none."""
    message = CurrentMessage.get_current_message()
    return message.options.get(TRACE) if message is not None else None


def count_messages(broker: RedisBroker) -> int:
    """How many messages wait in Valkey. Raises `ServerUnavailable`.

    Those that workers hold don't count: a reply that was lost on its way leaves some there for as long as the worker
    lives, and their executions were sent again.
    """
    try:
        return sum(broker.client.llen(f"{NAMESPACE}:{queue}") for queue in (*QUEUES, FIRST))
    except redis.RedisError as error:
        raise ServerUnavailable(f"Valkey is away ({type(error).__name__}): see WUMP_VALKEY_URL") from error


def stop_fetching(worker: Worker, *, seconds: float) -> None:
    """Fetch no more, wait for what runs, and give back the rest; with Valkey away, its messages are sent again."""
    with contextlib.suppress(redis.RedisError):
        worker.stop(timeout=int(seconds * 1000))


def note_alive(broker: RedisBroker, service: str) -> None:
    """Say that a service is at work; forgotten by itself soon after it stops saying so."""
    try:
        broker.client.set(ALIVE_KEY.format(service=service), "1", ex=ALIVE_SECONDS)
    except redis.RedisError as error:
        raise ServerUnavailable(f"Valkey is away ({type(error).__name__}): see WUMP_VALKEY_URL") from error


def note_stopped(broker: RedisBroker, service: str) -> None:
    """Take back what `note_alive` said; another process of the service will soon say it again."""
    with contextlib.suppress(redis.RedisError):
        broker.client.delete(ALIVE_KEY.format(service=service))
