"""Errors of wump.

Provider errors are named by the decision they cause, not by what went wrong on the wire: whoever catches
one knows what to do next without looking at a status code.
"""

from datetime import datetime


class WumpError(Exception):
    """Base of every error that wump raises on purpose. Its text is fit for a user: it names the part and the fix."""


class ConfigurationError(WumpError):
    """A setting is missing or wrong. The text names the setting and what to set it to."""


class InvalidPurl(WumpError, ValueError):
    """A package URL can't be read, or its ecosystem is unknown. The text names the part that is wrong."""


class ServerUnavailable(WumpError):
    """The database or Valkey can't be reached or started. The text names the server and the setting."""

    code = "unavailable"


class LeaseLost(WumpError):
    """The execution belongs to another worker by now: whatever this one computed must not be written."""


class ProviderError(WumpError):
    """Base of the errors of a provider call."""

    code = "provider_error"


class NotFound(ProviderError):
    """The upstream says there is no such thing: mark it missing, and look again when it is tracked again."""

    code = "not_found"


class RateLimited(ProviderError):
    """The upstream asks for patience: due again at `retry_at`, without using an attempt."""

    code = "rate_limited"

    def __init__(self, message: str, retry_at: datetime | None = None) -> None:
        super().__init__(message)
        self.retry_at = retry_at


class Unavailable(ProviderError):
    """The upstream can't be reached or fails on its side: back off, without using an attempt."""

    code = "unavailable"


class ProviderPaused(Unavailable):
    """An operator has paused the provider: what needs it waits, without using an attempt, until it is resumed."""

    code = "paused"

    def __init__(self, provider: str) -> None:
        super().__init__(f"{provider} is paused: `wump jobs resume --provider {provider}` goes on")
        self.provider = provider


class JobUnknown(WumpError):
    """An execution's row asks for what this worker doesn't know, and a newer one may. The text says what to do."""

    code = "unknown_job"


class JobUnusable(WumpError):
    """An execution's row asks for what no worker does: it is dead at once. The text says what to do."""

    code = "unusable"


class JobKilled(WumpError):
    """The process of its own that a job ran in died, or had to be ended: the job is at fault, and dead."""

    code = "killed"


class JobTooLong(WumpError):
    """A run did not end within its deadline. That uses an attempt; the text says what to set."""

    code = "too_long"


class CredentialsRejected(ProviderError):
    """The upstream refuses us, or our credentials: tried again without using an attempt, given up after a day."""

    code = "credentials_rejected"


class InvalidResponse(ProviderError):
    """The upstream answered with something that is not what its documentation says: keep the old facts."""

    code = "invalid_response"


class InvalidManifest(ProviderError):
    """A manifest can't be read at all: keep the old facts and record why."""

    code = "invalid_manifest"


class InvalidDump(ProviderError):
    """A dump can't be read any further. The text names its file, row and column, as far as there are such."""

    code = "invalid_dump"


class ProviderFailed(ProviderError):
    """The plugin itself raised or returned something that its hook does not allow."""

    code = "provider_failed"
