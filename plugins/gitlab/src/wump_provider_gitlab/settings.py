"""Where GitLab is and how often it may be asked.

Source: GitLab's documentation, "Rate limits on GitLab.com" and "REST API authentication". An instance of one's own
has limits of its own, which an operator states in WUMP_PROVIDER_GITLAB_LIMITS.
"""

from wump_core import Context, Limit, RateLimits, TokenSettings

MINUTE = 60.0


class GitLabSettings(TokenSettings):
    """`WUMP_PROVIDER_GITLAB_*`."""

    base_url: str | None = "https://gitlab.com/api/v4"
    code_host: str | None = "gitlab.com"


def has_token(context: Context) -> bool:
    """Whether GitLab is asked with a token: without one it tells less, and only of what is public."""
    return isinstance(context.settings, TokenSettings) and bool(context.settings.token)


def _each_minute(**requests: int) -> dict[str, tuple[Limit, ...]]:
    return {resource: (Limit(requests=number, seconds=MINUTE),) for resource, number in requests.items()}


# GitLab counts a request twice, for its endpoint and for all that a client asks: 2,000 a minute with a token, 500
# without. Resources are counted apart here, so each gets a share, and no more than its endpoint allows: one project
# 400 a minute; groups 400, a person's projects 300; files 300 if they are large; all projects 2,000 in ten minutes,
# 400 without a token.
LIMITS = RateLimits(
    resources=_each_minute(core=800, project=400, owners=300, files=300, projects=200),
    anonymous=_each_minute(core=200, project=100, owners=60, files=100, projects=40),
)
