"""What the workers know together of an upstream, for operators: what is left of its limits, and its breaker."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from wump_core.limits import DEFAULT_RESOURCE, RateLimits
from wump_core.records import ProviderHealth, RateLimit, RateLimitStatus

from wump_worker.http.limiter import ANONYMOUS
from wump_worker.http.shared import SharedState, make_key

_READ_LIMITS = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local found = {}
for at, key in ipairs(KEYS) do
  local known = redis.call('HMGET', key, 'remaining', 'limit', 'reset')
  if known[1] and tonumber(known[3]) > now then
    for _, value in ipairs({ARGV[at], known[1], known[2], tostring(tonumber(known[3]) - now)}) do
      found[#found + 1] = value
    end
  end
end
return found
"""

_READ_BREAKER = """
local time = redis.call('TIME')
local state = redis.call('HMGET', KEYS[1], 'open_until', 'reason')
if not state[1] then return {} end
return {tostring(tonumber(state[1]) - tonumber(time[1])), state[2] or ''}
"""


async def get_limits(
    shared: SharedState, provider: str, limits: RateLimits, credentials: Sequence[str]
) -> RateLimitStatus:
    """What the upstream said is left, by resource and over all credentials; empty where it said nothing."""
    resources = sorted({DEFAULT_RESOURCE, *limits.resources, *(limits.anonymous or {})})
    pairs = [(credential, resource) for credential in credentials or (ANONYMOUS,) for resource in resources]
    keys = [make_key(provider, "reported", *pair) for pair in pairs]
    answer = [part.decode() for part in await shared.run(_READ_LIMITS, keys, [pair[1] for pair in pairs]) or ()]
    found: dict[str, RateLimit] = {}
    for resource, remaining, limit, seconds in zip(*(answer[at::4] for at in range(4)), strict=True):
        before = found.get(resource)
        reset_at = datetime.now(UTC) + timedelta(seconds=float(seconds))
        found[resource] = RateLimit(
            resource=resource,
            limit=int(limit) + (before.limit or 0 if before else 0) or None,
            remaining=max(int(remaining), 0) + (before.remaining or 0 if before else 0),
            reset_at=min(reset_at, before.reset_at) if before and before.reset_at else reset_at,
        )
    return RateLimitStatus(limits=tuple(found.values()))


async def get_breaker(shared: SharedState, provider: str) -> ProviderHealth:
    """Whether the upstream is asked at all, and if not, why."""
    answer = await shared.run(_READ_BREAKER, [make_key(provider, "breaker")], [])
    if not answer:
        return ProviderHealth(ok=True)
    seconds, reason = float(answer[0]), answer[1].decode("utf-8", "replace")
    when = f"for {seconds:.0f} s more" if seconds > 0 else "until one request succeeds"
    return ProviderHealth(ok=False, detail=f"left alone {when}, since it failed again and again: {reason}")
