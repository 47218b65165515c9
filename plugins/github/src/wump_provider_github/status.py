"""How GitHub is: whether it answers, and what is left of its limits. Asking costs nothing.

Source: GitHub's REST API documentation, "Rate limit".
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from wump_core import Context, ProviderHealth, RateLimit, RateLimitStatus, read_count, read_mapping

from wump_provider_github.upstream import check_status, fetch, read_object

MAX_LIMITS = 100


async def fetch_limits(context: Context) -> RateLimitStatus:
    """Ask for all limits; an Enterprise Server that limits nothing answers 404, and has none."""
    response = await fetch(context, "/rate_limit")
    if response.status_code == 404:
        return RateLimitStatus(limits=())
    check_status(response)
    return parse_limits(read_object(response))


def parse_limits(payload: Mapping[str, Any]) -> RateLimitStatus:
    """Read the limits by resource; `rate` repeats `core`, and newer versions lack it."""
    resources = read_mapping(payload.get("resources")) or {"core": payload.get("rate")}
    return RateLimitStatus(
        limits=tuple(
            RateLimit(
                resource=name,
                limit=read_count(read_mapping(limit).get("limit")),
                remaining=read_count(read_mapping(limit).get("remaining")),
                reset_at=_read_reset(read_mapping(limit).get("reset")),
            )
            for name, limit in list(resources.items())[:MAX_LIMITS]
        )
    )


def _read_reset(value: object) -> datetime | None:
    """Epoch seconds."""
    seconds = read_count(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None and seconds < 2**35 else None


async def fetch_health(context: Context) -> ProviderHealth:
    """Ask for the limits: any answer below 500 shows that GitHub is there; a token may still be bad."""
    try:
        response = await fetch(context, "/rate_limit")
    except httpx.TransportError as error:
        return ProviderHealth(ok=False, detail=f"no answer: {type(error).__name__}")
    if response.status_code == 401:
        return ProviderHealth(ok=False, detail="the token is refused (HTTP 401)")
    return ProviderHealth(ok=response.status_code < 500, detail=f"answered {response.status_code}")
