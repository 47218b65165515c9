"""What a worker sees of the upstreams, told to the database now and then, for whoever runs wump."""

import asyncio
import json

import structlog
from sqlalchemy.exc import SQLAlchemyError
from wump_core.store.providers import save_provider_status

from wump_worker.resources import Resources

EVERY_SECONDS = 10.0
log = structlog.get_logger("wump.reporting")


async def report_forever(resources: Resources) -> None:
    """Report every few seconds until cancelled. An outage is logged, and the next report tells all."""
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        try:
            await report(resources)
        except (OSError, TimeoutError, SQLAlchemyError) as error:
            log.warning("providers.not_reported", error=f"{type(error).__name__}: {error}"[:300])


async def report(resources: Resources) -> None:
    """Tell the database of each provider: whether it is asked, what is left, when it last answered and failed."""
    seen = []
    for name, upstream in sorted(resources.upstreams.items()):
        breaker, status = await upstream.get_breaker(), await upstream.get_limits()
        outcomes = upstream.outcomes
        seen.append(
            {
                "name": name,
                "healthy": breaker.ok,
                "health": breaker.detail,
                "limits": json.dumps([limit.model_dump(mode="json") for limit in status.limits]),
                "last_ok_at": outcomes.last_ok_at,
                "last_error_at": outcomes.last_error_at,
                "last_error": outcomes.last_error,
            }
        )
    if not seen:
        return
    async with resources.engine.begin() as connection:
        for row in seen:
            await save_provider_status(connection, row)
