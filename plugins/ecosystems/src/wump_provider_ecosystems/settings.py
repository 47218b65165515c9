"""Where ecosyste.ms answers and how often it may be asked.

Source: the READMEs of ecosyste-ms/packages, repos and sponsors: 5,000 requests an hour for an address, to be used
slowly; whoever names a contact (`WUMP_CONTACT`, sent in the User-Agent) is in the polite pool.
"""

from pydantic import Field, field_validator
from wump_core import Limit, ProviderSettings, RateLimits

HOUR = 3_600.0


class EcosystemsSettings(ProviderSettings):
    """`WUMP_PROVIDER_ECOSYSTEMS_*`."""

    base_url: str | None = "https://packages.ecosyste.ms/api/v1"
    code_host: str | None = "github.com"
    hosts: tuple[str, ...] = ("https://repos.ecosyste.ms", "https://sponsors.ecosyste.ms")
    repos_url: str = Field(
        default="https://repos.ecosyste.ms/api/v1",
        max_length=2_000,
        description="Where its repository service answers.",
    )
    sponsors_url: str = Field(
        default="https://sponsors.ecosyste.ms/api/v1",
        max_length=2_000,
        description="Where its sponsor service answers.",
    )

    @field_validator("repos_url", "sponsors_url")
    @classmethod
    def _without_slash(cls, value: str) -> str:
        return value.rstrip("/")


# The three services share an address, and so a budget; the second bound keeps a run of requests from being a burst.
LIMITS = RateLimits(
    resources={"core": (Limit(requests=5_000, seconds=HOUR), Limit(requests=10, seconds=1.0))}, concurrency=4
)
