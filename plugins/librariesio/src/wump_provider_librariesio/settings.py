"""Where Libraries.io answers and how often it may be asked.

Source: Libraries.io's API documentation: 60 requests a minute for a key, and those not all at once. A key goes in
the address, where wump's transport puts it, and from where it takes it out of what comes back.
"""

from wump_core import Limit, RateLimits, TokenSettings

MINUTE, HOUR = 60.0, 3_600.0


class LibrariesIoSettings(TokenSettings):
    """`WUMP_PROVIDER_LIBRARIESIO_*`."""

    base_url: str | None = "https://libraries.io/api"
    code_host: str | None = "github.com"


LIMITS = RateLimits(
    resources={"core": (Limit(requests=60, seconds=MINUTE), Limit(requests=2, seconds=1.0))},
    anonymous={"core": (Limit(requests=10, seconds=HOUR),)},
    concurrency=2,
)
