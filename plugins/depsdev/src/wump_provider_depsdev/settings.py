"""Where deps.dev answers and how often it is asked.

Source: the documentation of the deps.dev API. No limit is published; a 429 asks for patience.
"""

from pydantic import Field
from wump_core import Limit, ProviderSettings, RateLimits


class DepsDevSettings(ProviderSettings):
    """`WUMP_PROVIDER_DEPSDEV_*`."""

    base_url: str | None = "https://api.deps.dev"
    code_host: str | None = "github.com"
    experimental: bool = Field(
        default=True,
        description="Whether to ask for counts of dependents, in a part of the API that may change or vanish.",
    )


LIMITS = RateLimits(resources={"core": (Limit(requests=10, seconds=1.0),)}, concurrency=4)
