"""Settings: github.com, or an Enterprise host; and what GitHub allows.

Source of the limits: GitHub's REST API documentation, "Rate limits", and its GraphQL documentation, "Rate limits and
query limits".
"""

from pydantic import Field
from wump_core import Limit, RateLimits, TokenSettings

_MINUTE, _HOUR = 60.0, 3_600.0
_POINTS = Limit(requests=900, seconds=_MINUTE)
"""The secondary limit: a GET is one point."""

STORAGE = "storage"
"""Temporary addresses on other hosts, which don't count for GitHub's limits."""

LIMITS = RateLimits(
    resources={
        "core": (Limit(requests=5_000, seconds=_HOUR), _POINTS),
        "search": (Limit(requests=30, seconds=_MINUTE),),
        "code_search": (Limit(requests=9, seconds=_MINUTE),),
        "graphql": (Limit(requests=5_000, seconds=_HOUR), _POINTS),
        "dependency_sbom": (Limit(requests=100, seconds=_MINUTE),),
        STORAGE: (_POINTS,),
    },
    anonymous={
        "core": (Limit(requests=60, seconds=_HOUR),),
        "search": (Limit(requests=10, seconds=_MINUTE),),
        STORAGE: (_POINTS,),
    },
    concurrency=4,
)
"""For a user's token and for none. GitHub bears a hundred requests at once, and asks to send them one by one."""

STORAGE_HOSTS = (
    "objects.githubusercontent.com",
    "objects-origin.githubusercontent.com",
    "release-assets.githubusercontent.com",
    "github-cloud.githubusercontent.com",
    "github-cloud.s3.amazonaws.com",
    *(f"productionresultssa{number}.blob.core.windows.net" for number in range(20)),
)
"""Where GitHub's temporary addresses point, as its documentation of allow lists says; a finished SBOM is one."""


class GitHubSettings(TokenSettings):
    """Settings of the provider `github`."""

    base_url: str | None = Field(
        default="https://api.github.com",
        max_length=2_000,
        description="The REST API: `https://HOST/api/v3` for Enterprise Server, `https://api.NAME.ghe.com`.",
    )
    code_host: str | None = Field(
        default="github.com",
        max_length=255,
        pattern=r"^[a-z0-9.-]+$",
        description="The host whose repositories and accounts it knows.",
    )
    hosts: tuple[str, ...] = Field(
        default=STORAGE_HOSTS, description="Further hosts that may be asked: where GitHub keeps finished SBOMs."
    )


def find_graphql_url(base_url: str) -> str:
    """Enterprise Server has its GraphQL API beside `/api/v3`, the others below their base URL."""
    return f"{base_url.removesuffix('/v3')}/graphql" if base_url.endswith("/api/v3") else f"{base_url}/graphql"
