"""Cron expressions: minute, hour, day of month, month, day of week, always in UTC."""

from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from wump_core.errors import ConfigurationError

MAX_LENGTH = 100
_MAX_COUNTED = 1_000


def check_cron(expression: str) -> None:
    """Nothing, if the expression can be read and is due some day.

    Raises:
        ConfigurationError: It can't, or isn't; the text says which part is wrong.
    """
    next_fire(expression, datetime.now(UTC))


def next_fire(expression: str, after: datetime) -> datetime:
    """The first moment after this one. Raises `ConfigurationError` as `check_cron` does."""
    return _step(expression, after, reverse=False)


def last_fire(expression: str, until: datetime) -> datetime:
    """The last moment up to and with this one. Raises `ConfigurationError` as `check_cron` does."""
    return _step(expression, until + timedelta(microseconds=1), reverse=True)


def count_fires(expression: str, start: datetime, end: datetime) -> int:
    """How many moments there are from the start up to, but without, the end; a thousand for more."""
    moments = CronSim(expression, start - timedelta(seconds=1))
    return next((count for count in range(_MAX_COUNTED) if next(moments) >= end), _MAX_COUNTED)


def _step(expression: str, moment: datetime, *, reverse: bool) -> datetime:
    if len(expression) > MAX_LENGTH or len(expression.split()) != 5:
        raise ConfigurationError(
            f"the cron expression {expression[:MAX_LENGTH]!r} must have five parts: minute, hour, day of month, month,"
            " day of week, as in '0 2 * * *'"
        )
    try:
        return next(CronSim(expression, moment.astimezone(UTC), reverse=reverse))
    except StopIteration:
        raise ConfigurationError(f"the cron expression {expression!r} is never due") from None
    except (CronSimError, AssertionError, ValueError) as error:
        reason = str(error) or "a part can't be read"
        raise ConfigurationError(f"the cron expression {expression!r} can't be read: {reason}") from None
