"""A circuit breaker per provider, shared by all workers: an upstream that fails again and again is left alone.

It opens after five failures in a row, or ten among twenty calls, first for 30 seconds; then one request of one
worker tries, and only its success closes it. Each failed try doubles the time, up to ten minutes. A refusal
(403, 404, 429) is an answer, not a failure. While Valkey is away there is no breaker.
"""

import asyncio
from datetime import UTC, datetime

import httpx
from wump_core.errors import Unavailable

from wump_worker.http.calls import call_of
from wump_worker.http.measure import count_call
from wump_worker.http.shared import SharedState, make_key

FIRST_OPEN_SECONDS = 30
LONGEST_OPEN_SECONDS = 600

# KEYS: the breaker (hash). ARGV: seconds that a probe may take.
_ASK = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local state = redis.call('HMGET', KEYS[1], 'open_until', 'probe_until', 'reason')
if not state[1] then return {'closed', '0', ''} end
local until_ = math.max(tonumber(state[1]), tonumber(state[2] or '0'))
if until_ > now then return {'open', tostring(until_), state[3] or ''} end
redis.call('HSET', KEYS[1], 'probe_until', tostring(now + tonumber(ARGV[1])))
return {'probe', '0', ''}
"""

# ARGV: 'ok', 'failed' or 'unknown', whether it was the probe, the reason, the first and the longest time open.
_NOTE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local outcome, probe, first, longest = ARGV[1], ARGV[2] == '1', tonumber(ARGV[4]), tonumber(ARGV[5])
local is_open = redis.call('HEXISTS', KEYS[1], 'open_until') == 1
local function open(seconds)
  redis.call('HSET', KEYS[1], 'open_until', tostring(now + seconds), 'reason', ARGV[3], 'history', '')
end
if probe then
  redis.call('HDEL', KEYS[1], 'probe_until')
  if outcome == 'ok' then redis.call('DEL', KEYS[1]) end
  if outcome == 'failed' and is_open then
    open(math.min(first * 2 ^ redis.call('HINCRBY', KEYS[1], 'tries', 1), longest))
  end
elseif not is_open and outcome ~= 'unknown' then
  local history = (redis.call('HGET', KEYS[1], 'history') or '') .. (outcome == 'failed' and '1' or '0')
  history = string.sub(history, -20)
  local _, failures = string.gsub(history, '1', '')
  redis.call('HSET', KEYS[1], 'history', history)
  if string.sub(history, -5) == '11111' or failures >= 10 then open(first) end
end
redis.call('EXPIRE', KEYS[1], 86400)
return {redis.call('HGET', KEYS[1], 'open_until') or ''}
"""


class BreakerTransport(httpx.AsyncBaseTransport):
    """Asks nothing of an upstream that is down."""

    def __init__(
        self, inner: httpx.AsyncBaseTransport, provider: str, shared: SharedState, *, probe_seconds: float
    ) -> None:
        self._inner = inner
        self._provider = provider
        self._shared = shared
        self._key = make_key(provider, "breaker")
        self._probe_seconds = probe_seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request unless the breaker is open.

        Raises:
            Unavailable: It is open; the text says why and for how long.
        """
        answer = await self._shared.run(_ASK, [self._key], [self._probe_seconds])
        state, until, reason = (part.decode("utf-8", "replace") for part in answer or (b"closed", b"0", b""))
        if state == "open":
            count_call(self._provider, call_of(request), "breaker_open")
            moment = datetime.fromtimestamp(float(until), UTC)
            raise Unavailable(
                f"{self._provider} is left alone until {moment:%Y-%m-%d %H:%M:%S} UTC,"
                f" since it failed again and again: {reason}"
            )
        outcome, reason = "unknown", ""
        try:
            response = await self._inner.handle_async_request(request)
            outcome = "failed" if response.status_code >= 500 else "ok"
            reason = f"HTTP {response.status_code}"
        except httpx.TransportError as error:
            outcome, reason = "failed", type(error).__name__
            raise
        except asyncio.CancelledError:
            if call_of(request).is_late:
                outcome, reason = "failed", "no whole answer in time"
            raise
        finally:
            await self._shared.run(
                _NOTE,
                [self._key],
                [outcome, int(state == "probe"), reason, FIRST_OPEN_SECONDS, LONGEST_OPEN_SECONDS],
            )
        return response

    async def aclose(self) -> None:
        """Close the wrapped transport."""
        await self._inner.aclose()
