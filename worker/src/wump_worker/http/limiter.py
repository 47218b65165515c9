"""One budget per provider, credential and resource, shared by all workers through Valkey.

A request that is sent counts from the moment it may have arrived until the moment it surely had: its answer.
So however long answers take, no stretch of a limit's length holds more requests than the limit, counted where
they arrive. The clock is Valkey's.

What an upstream reports as left lowers the budget until its reset; requests that are under way count against
it. While Valkey is away each process keeps to a tenth of each limit, so that ten processes stay within it. Where
Valkey has forgotten what was sent, as one that came back empty, nothing is sent for as long as it may still count.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from wump_core.limits import Limit, RateLimits

from wump_worker.http.calls import Call
from wump_worker.http.reported import Report
from wump_worker.http.shared import SharedState, make_key

ANONYMOUS = "anonymous"
"""In place of a credential's id where there is none."""
KEPT_FOR_ON_DEMAND = 10
"""One in so many requests is kept for work that somebody waits for."""
LOCAL_SHARE = 10
"""What a process allows itself while Valkey is away: one in so many."""
_REMEMBERED = 20_000
LOSS_SECONDS = 60
"""How long nothing is sent after a loss, at the most. Of longer limits the upstream's own headers tell what is left."""
FIRST_STRIKE_SECONDS = 60
"""How long to wait where an upstream refuses without saying how long; doubled each time, up to an hour."""

# KEYS: sent (sorted set: ticket -> when it surely had arrived; in the future while under way), under way (of the
# whole provider), reported (hash), hold (hash), memory (hash: which memory this is, and when an earlier one was found
# to be lost). ARGV: ticket, lease, concurrency, kept share or 0, the memory that the caller knows or nothing, a name
# for a new one, how long a loss counts at most, then limits. Answers: what, seconds, the memory.
_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local ticket, lease, concurrency, share = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local function exact(moment) return string.format('%.6f', moment) end
local function kept(limit) if share == 0 then return 0 end return math.floor(limit / share) end
local memory = redis.call('HGET', KEYS[5], 'name')
if not memory then memory = ARGV[6] redis.call('HSET', KEYS[5], 'name', memory) end
if ARGV[5] ~= '' and ARGV[5] ~= memory then redis.call('HSETNX', KEYS[5], 'lost', exact(now)) end
local function answer(what, seconds) return {what, tostring(seconds), memory} end
local hold = tonumber(redis.call('HGET', KEYS[4], 'until') or '0')
if hold > now then return answer('limit', hold - now) end
local reported = redis.call('HMGET', KEYS[3], 'remaining', 'reset', 'limit')
if reported[1] and tonumber(reported[2]) > now then
  local left = tonumber(reported[1]) - kept(tonumber(reported[3]))
  if left < 1 then return answer('limit', tonumber(reported[2]) - now) end
  -- Those under way may be counted in it or not: their answers will tell.
  if left - redis.call('ZCOUNT', KEYS[1], '(' .. exact(now), '+inf') < 1 then return answer('busy', 0.05) end
end
local wait, longest = 0, 0
for at = 8, #ARGV, 2 do
  local limit, seconds = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local allowed = limit - kept(limit)
  longest = math.max(longest, seconds)
  if redis.call('ZCOUNT', KEYS[1], '(' .. exact(now - seconds), '+inf') >= allowed then
    local oldest = redis.call('ZRANGE', KEYS[1], -allowed, -allowed, 'WITHSCORES')
    wait = math.max(wait, math.min(tonumber(oldest[2]), now) + seconds - now)
  end
end
local lost = redis.call('HGET', KEYS[5], 'lost')
if lost then wait = math.max(wait, tonumber(lost) + math.min(longest, tonumber(ARGV[7])) - now) end
if wait > 0 then return answer('limit', wait) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', exact(now))
if redis.call('ZCARD', KEYS[2]) >= concurrency then return answer('busy', 0.05) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', exact(now - longest))
for at = 1, 2 do
  redis.call('ZADD', KEYS[at], exact(now + lease), ticket)
  redis.call('EXPIRE', KEYS[at], math.ceil(longest + lease) + 60)
end
return answer('taken', 0)
"""

# KEYS: as above, with the reported resource's hash at 3. ARGV: ticket, whether it was sent, remaining, limit,
# reset in, hold for, the first strike; empty where unknown.
_SETTLE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local ticket, sent = ARGV[1], ARGV[2] == '1'
redis.call('ZREM', KEYS[2], ticket)
if sent then
  redis.call('ZADD', KEYS[1], 'XX', string.format('%.6f', now), ticket)
else
  redis.call('ZREM', KEYS[1], ticket)
end
local known = redis.call('HMGET', KEYS[3], 'remaining', 'reset')
local current = known[1] and tonumber(known[2]) > now
if ARGV[3] ~= '' and ARGV[5] ~= '' then
  local remaining, reset = tonumber(ARGV[3]), now + math.ceil(tonumber(ARGV[5])) + 1
  if current then
    remaining, reset = math.min(remaining, tonumber(known[1])), tonumber(known[2])
    if ARGV[3] == '0' then reset = math.max(reset, now + math.ceil(tonumber(ARGV[5])) + 1) end
  end
  redis.call('HSET', KEYS[3], 'remaining', remaining, 'reset', tostring(reset), 'limit', ARGV[4])
  redis.call('EXPIRE', KEYS[3], math.ceil(reset - now) + 60)
elseif current and sent then
  redis.call('HINCRBY', KEYS[3], 'remaining', -1)
end
local hold = tonumber(ARGV[6]) or 0
local held = tonumber(redis.call('HGET', KEYS[4], 'until') or '0')
if ARGV[7] ~= '' and held > now then
  hold = held - now
elseif ARGV[7] ~= '' then
  local strikes = redis.call('HINCRBY', KEYS[4], 'strikes', 1)
  hold = math.min(tonumber(ARGV[7]) * 2 ^ (strikes - 1), 3600)
end
if hold > 0 then
  redis.call('HSET', KEYS[4], 'until', tostring(math.max(held, now + hold)))
  redis.call('EXPIRE', KEYS[4], 90000)
elseif sent and held < now then
  redis.call('DEL', KEYS[4])
end
return {tostring(hold)}
"""


@dataclass(frozen=True, slots=True)
class Wait:
    """There is no room now. `is_busy`: others are under way; else a limit is reached."""

    seconds: float
    is_busy: bool


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to send one request; it must be settled."""

    id: str


class Limiter:
    """Gives out tickets for one provider's requests."""

    def __init__(self, provider: str, limits: RateLimits, shared: SharedState, *, lease_seconds: float) -> None:
        self._provider = provider
        self._limits = limits
        self._shared = shared
        self._lease_seconds = lease_seconds
        self._local = _LocalBudgets()
        self._left: dict[tuple[str, str], tuple[int, float]] = {}
        self._memory = ""

    async def take(self, call: Call) -> Ticket | Wait:
        """A ticket if there is room, else how long to wait before asking again."""
        ticket = secrets.token_hex(8)
        limits = self._limits.choose(call.resource, anonymous=not call.credential)
        share = 0 if call.on_demand else KEPT_FOR_ON_DEMAND
        figures = [figure for limit in limits for figure in (limit.requests, limit.seconds)]
        answer = await self._shared.run(
            _TAKE,
            [*self._keys(call, call.resource), make_key(self._provider, "memory")],
            [
                *(ticket, self._lease_seconds, self._limits.concurrency, share),
                *(self._memory, secrets.token_hex(8), LOSS_SECONDS),
                *figures,
            ],
        )
        if answer is None:
            alone = self._shared.is_alone
            wait = self._local.take(
                call,
                ticket,
                limits if alone else [_share(limit) for limit in limits],
                concurrency=self._limits.concurrency if alone else 1,
            )
            return wait or Ticket(ticket)
        outcome, seconds, self._memory = answer[0].decode(), float(answer[1]), answer[2].decode()
        if outcome == "taken":
            self._local.note(call, ticket)
            return Ticket(ticket)
        return Wait(seconds, is_busy=outcome == "busy")

    async def settle(self, call: Call, ticket: Ticket, report: Report, *, was_sent: bool, is_limited: bool) -> float:
        """Give back a ticket and note what the answer said. Returns the seconds for which nothing may be sent."""
        hold = report.retry_after or 0.0
        is_spent = is_limited and report.is_spent
        if is_spent:
            # The resource is spent, not the credential: only this resource waits.
            report = Report(report.limit, 0, max(report.reset_in or 0.0, hold), resource=report.resource)
            hold = 0.0
        is_strike = is_limited and not hold and not is_spent
        if report.remaining is not None and report.reset_in is not None:
            self._left[call.credential, report.resource or call.resource] = (
                report.remaining,
                time.monotonic() + report.reset_in,
            )
        self._local.settle(call, ticket.id, max(hold, float(FIRST_STRIKE_SECONDS) if is_strike else 0.0), report)
        answer = await self._shared.run(
            _SETTLE,
            self._keys(call, report.resource or call.resource),
            [
                *(ticket.id, int(was_sent)),
                *("" if value is None else value for value in (report.remaining, report.limit or 0, report.reset_in)),
                *(hold, FIRST_STRIKE_SECONDS if is_strike else ""),
            ],
        )
        strike = float(answer[0]) if answer else float(FIRST_STRIKE_SECONDS) if is_strike else hold
        return max(strike, (report.reset_in or 0.0) + 2.0 if is_spent else 0.0)

    def count_left(self, credential: str, resource: str) -> int | None:
        """What is left of a credential's budget as far as this process was told; null if it was not."""
        remaining, until = self._left.get((credential, resource), (0, 0.0))
        return remaining if until > time.monotonic() else None

    def _keys(self, call: Call, resource: str) -> list[str]:
        scope = call.credential or ANONYMOUS
        return [
            make_key(self._provider, "sent", scope, call.resource),
            make_key(self._provider, "under_way"),
            make_key(self._provider, "reported", scope, resource),
            make_key(self._provider, "hold", scope),
        ]


def _share(limit: Limit) -> Limit:
    """A tenth of a limit: fewer requests, or where that would be less than one, in a longer time."""
    requests = min(max(limit.requests // LOCAL_SHARE, 1), _REMEMBERED)
    return Limit(requests=requests, seconds=min(limit.seconds * LOCAL_SHARE * requests / limit.requests, 86_400))


class _LocalBudgets:
    """What this process sent by itself, for while Valkey is away."""

    def __init__(self) -> None:
        self._sent: dict[tuple[str, str], dict[str, float]] = {}
        self._held: dict[tuple[str, str], float] = {}
        self._under_way: set[str] = set()

    def take(self, call: Call, ticket: str, limits: Sequence[Limit], *, concurrency: int) -> Wait | None:
        now = time.monotonic()
        key = (call.credential, call.resource)
        held = max(self._held.get(key, 0.0), self._held.get((call.credential, ""), 0.0))
        if held > now:
            return Wait(held - now, is_busy=False)
        stamps = sorted(self._sent.get(key, {}).values())
        for limit in limits:
            recent = [stamp for stamp in stamps if stamp > now - limit.seconds]
            if len(recent) >= limit.requests:
                return Wait(recent[-limit.requests] + limit.seconds - now, is_busy=False)
        if len(self._under_way) >= concurrency:
            return Wait(0.05, is_busy=True)
        longest = max((limit.seconds for limit in limits), default=0.0)
        self._sent[key] = {id_: stamp for id_, stamp in self._sent.get(key, {}).items() if stamp > now - longest}
        self._under_way.add(ticket)
        self.note(call, ticket)
        return None

    def note(self, call: Call, ticket: str) -> None:
        """Count a request that was taken from the shared budget, for when that goes away."""
        sent = self._sent.setdefault((call.credential, call.resource), {})
        sent[ticket] = time.monotonic()
        while len(sent) > _REMEMBERED:
            del sent[next(iter(sent))]

    def settle(self, call: Call, ticket: str, hold: float, report: Report) -> None:
        now = time.monotonic()
        self._under_way.discard(ticket)
        sent = self._sent.get((call.credential, call.resource), {})
        if ticket in sent:
            sent[ticket] = now
        if hold:
            self._held[call.credential, ""] = now + hold
        if report.remaining == 0 and report.reset_in is not None:
            self._held[call.credential, report.resource or call.resource] = now + report.reset_in + 1
