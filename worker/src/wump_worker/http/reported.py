"""What an upstream's answer says of its limits, in every dialect that is about.

Sources: RFC 9110 (Retry-After), the IETF drafts "RateLimit header fields for HTTP" (the old three fields and the
structured one), GitHub's REST documentation (X-RateLimit-*, epoch seconds; secondary limits without any header),
GitLab's documentation (RateLimit-*, epoch seconds, RateLimit-ResetTime as a date).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

_DAY_SECONDS = 86_400.0
_LIMIT = ("x-ratelimit-limit", "ratelimit-limit", "x-rate-limit-limit")
_REMAINING = ("x-ratelimit-remaining", "ratelimit-remaining", "x-rate-limit-remaining")
_RESET = (
    *("x-ratelimit-reset", "ratelimit-reset", "x-rate-limit-reset"),
    *("x-ratelimit-reset-after", "ratelimit-resettime"),
)
# Of a refusal that is no question of permission.
_MARKS = re.compile(rb"rate[ _-]?limit|abuse detection|too many requests", re.IGNORECASE)
# GraphQL refuses with 200. Within a JSON string the quotes would be escaped, so no text can imitate this.
_IN_BAND = re.compile(rb'"(?:type|code)"\s*:\s*"(?:RATE_LIMIT(?:ED)?|graphql_rate_limit)"')
_SCANNED_BYTES = {403: 8_192, 200: 1_048_576}


@dataclass(frozen=True, slots=True)
class Report:
    """What one answer says. Times are seconds from now; null where it says nothing that can be read."""

    limit: int | None = None
    remaining: int | None = None
    reset_in: float | None = None
    retry_after: float | None = None
    resource: str | None = None

    @property
    def is_spent(self) -> bool:
        """Whether a refusal with this means that nothing is left until the reset, rather than too great a haste."""
        return self.remaining in (0, None) and self.reset_in is not None


def parse_report(headers: httpx.Headers) -> Report:
    """Read the headers. Never raises; what can't be read is null.

    A moment is taken against the upstream's own `Date`, so that a wrong clock on either side does no harm.
    """
    now = _server_time(headers)
    limit, remaining = _first_number(headers, _LIMIT), _first_number(headers, _REMAINING)
    reset_in = next(
        (seconds for name in _RESET if (seconds := _seconds_until(headers.get(name), now)) is not None), None
    )
    for fields in _structured(headers.get("ratelimit", "")):
        left = fields.get("r", fields.get("remaining"))
        if left is not None and (remaining is None or left < remaining):
            remaining, limit = left, fields.get("limit", limit)
            seconds = fields.get("t", fields.get("reset"))
            reset_in = None if seconds is None else min(float(seconds), _DAY_SECONDS)
    resource = headers.get("x-ratelimit-resource")
    return Report(limit, remaining, reset_in, _seconds_until(headers.get("retry-after"), now), resource)


def is_limited(request: httpx.Request, response: httpx.Response, report: Report) -> bool:
    """Whether the upstream refuses for having been asked too often. The body must have been read."""
    if response.status_code == 429:
        return True
    if response.status_code == 403:
        return (
            report.remaining == 0
            or report.retry_after is not None
            or "gh-limited-by" in response.headers
            or _MARKS.search(response.content[: _SCANNED_BYTES[403]]) is not None
        )
    if response.status_code == 200 and request.method == "POST":
        return _IN_BAND.search(response.content[: _SCANNED_BYTES[200]]) is not None
    return False


def _server_time(headers: httpx.Headers) -> float:
    moment = _parse_date(headers.get("date", ""))
    now = datetime.now(UTC).timestamp()
    return moment if moment is not None and abs(moment - now) < _DAY_SECONDS else now


def _first_number(headers: httpx.Headers, names: Iterable[str]) -> int | None:
    for name in names:
        if found := re.match(r"\s*(-?)([0-9]{1,12})(?![0-9])", headers.get(name, "")):
            return 0 if found[1] else int(found[2])
    return None


def _seconds_until(value: str | None, now: float) -> float | None:
    """Seconds from now of a number (of seconds left, or of the epoch, in seconds or milliseconds) or of a date."""
    if not value:
        return None
    if re.fullmatch(r"\s*[0-9]{1,13}(\.[0-9]{1,9})?\s*", value):
        number = float(value)
        seconds = number / 1000 - now if number >= 1e11 else number - now if number >= 1e9 else number
    else:
        moment = _parse_date(value)
        if moment is None:
            return None
        seconds = moment - now
    return min(max(seconds, 0.0), _DAY_SECONDS)


def _parse_date(value: str) -> float | None:
    value = value.strip()[:60]
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = parse(value)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError, OSError):
            continue
    return None


def _structured(value: str) -> list[dict[str, int]]:
    """The policies in a `RateLimit` field: `"default";r=50;t=30`, or in an older draft `limit=100, remaining=50`."""
    value = value[:1_000]
    number = re.compile(r"\b(r|t|limit|remaining|reset)\s*=\s*([0-9]{1,12})")
    parts = value.split(",") if ";" in value else [value]
    return [{name: int(digits) for name, digits in number.findall(part)} for part in parts]
