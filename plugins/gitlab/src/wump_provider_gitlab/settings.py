"""Where GitLab is and how often it may be asked.

Source: GitLab's documentation, "Rate limits on GitLab.com" and "REST API authentication". An instance of one's own
has limits of its own, which an operator states in WUMP_PROVIDER_GITLAB_LIMITS.
"""

from wump_core import Limit, RateLimits, TokenSettings

MINUTE = 60.0


class GitLabSettings(TokenSettings):
    """`WUMP_PROVIDER_GITLAB_*`."""

    base_url: str | None = "https://gitlab.com/api/v4"
    code_host: str | None = "gitlab.com"


_ENDPOINTS = {
    "project": (Limit(requests=400, seconds=MINUTE),),
    "group": (Limit(requests=400, seconds=MINUTE),),
    "group_projects": (Limit(requests=600, seconds=MINUTE),),
    "user_projects": (Limit(requests=300, seconds=MINUTE),),
    "files": (Limit(requests=300, seconds=MINUTE),),
}
LIMITS = RateLimits(
    resources={
        "core": (Limit(requests=2_000, seconds=MINUTE),),
        "projects": (Limit(requests=2_000, seconds=10 * MINUTE),),
        **_ENDPOINTS,
    },
    anonymous={
        "core": (Limit(requests=500, seconds=MINUTE),),
        "projects": (Limit(requests=400, seconds=10 * MINUTE),),
        **_ENDPOINTS,
    },
)
