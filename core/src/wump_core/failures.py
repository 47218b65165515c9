"""What goes wrong in a plugin's code, as one of the errors of `wump_core.errors`."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
from pydantic import ValidationError

from wump_core.errors import (
    CredentialsRejected,
    InvalidResponse,
    NotFound,
    ProviderError,
    ProviderFailed,
    RateLimited,
    Unavailable,
)

_HTTP_ERRORS: Mapping[int, tuple[type[ProviderError], str]] = {
    401: (CredentialsRejected, "wants credentials"),
    403: (CredentialsRejected, "refuses to answer"),
    404: (NotFound, "has no such thing"),
    410: (NotFound, "has it no more"),
    451: (NotFound, "may not show it"),
}


def translate_error(provider: str, error: BaseException) -> ProviderError:
    """What an exception out of a hook means for the caller."""
    if isinstance(error, httpx.HTTPStatusError):
        return _translate_status(provider, error.response)
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return Unavailable(f"{provider} did not answer in time")
    if isinstance(error, httpx.TransportError | OSError):
        return Unavailable(f"{provider} can't be reached: {type(error).__name__}")
    if isinstance(error, ValidationError):
        fields = ", ".join(
            f"{'.'.join(map(str, item['loc'])) or 'record'}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)[:5]
        )
        return InvalidResponse(storable(f"{provider} answered with something that is no {error.title}: {fields}"))
    if isinstance(error, ValueError | RecursionError | httpx.HTTPError):
        return InvalidResponse(storable(f"{provider} answered with something that can't be read: {error}"))
    return ProviderFailed(storable(f"the plugin {provider} failed: {type(error).__name__}: {error}"))


def storable(message: str) -> str:
    """A message may quote an upstream, and is stored: bounded, and of characters that Postgres takes."""
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in message[:1_000])[:1_000]


def _translate_status(provider: str, response: httpx.Response) -> ProviderError:
    status = response.status_code
    if status == 429:
        return RateLimited(f"{provider} asks for patience (HTTP 429)", _retry_at(response))
    if status >= 500 or status in (408, 425):
        return Unavailable(f"{provider} fails on its side (HTTP {status})")
    error, what = _HTTP_ERRORS.get(status, (InvalidResponse, "gave an answer that has no meaning here"))
    return error(f"{provider} {what} (HTTP {status})")


def _retry_at(response: httpx.Response) -> datetime:
    """When `Retry-After` (RFC 9110, seconds or a date) allows the next call; a minute where it says nothing useful."""
    value = response.headers.get("retry-after", "")
    now = datetime.now(UTC)
    if value.isascii() and value.isdigit() and len(value) < 8 and int(value) > 0:
        return now + timedelta(seconds=min(int(value), 24 * 3600))
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return now + timedelta(seconds=60)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(moment, now + timedelta(seconds=1)), now + timedelta(days=1))
