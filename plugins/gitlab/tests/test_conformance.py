"""The conformance kit, on recordings made up after GitLab's documentation."""

from pathlib import Path

from wump_core import CredentialsRejected, NotFound, RateLimited
from wump_core.testing import Case, ProviderConformance

WIDGET = "https://gitlab.com/acme/tools/widget"


class TestGitLab(ProviderConformance):
    """wump-provider-gitlab holds what every provider must."""

    provider = "gitlab"
    recordings = Path(__file__).parent / "recordings"
    cases = (
        Case("fetch_repository", url=WIDGET, name="full"),
        Case("fetch_repository", url="https://gitlab.com/acme/old-name", name="moved"),
        Case("fetch_repository", url="https://gitlab.com/someone/spoon", name="fork-of-a-person"),
        Case("fetch_repository", url="https://gitlab.com/acme/secret", name="hidden", raises=NotFound),
        Case("fetch_repository", url="https://gitlab.com/acme/busy", name="limited", raises=RateLimited),
        Case("fetch_tree", url=WIDGET, name="of-the-head"),
        Case("fetch_tree", url=WIDGET, revision="v1.0", name="by-page-numbers"),
        Case("fetch_tree", url="https://gitlab.com/acme/empty", name="of-nothing"),
        Case("fetch_tree", url=WIDGET, revision="nowhere", name="of-no-revision", raises=NotFound),
        Case("fetch_tree", url="https://gitlab.com/acme/empty", revision="main", name="of-an-unborn-branch"),
        Case("fetch_tree", url="https://gitlab.com/acme/closed", name="of-hidden-code", raises=NotFound),
        Case("fetch_tree", url="https://gitlab.com/acme/old-name", name="moved"),
        Case("fetch_file", url=WIDGET, revision="main", path="app/package.json", name="manifest"),
        Case("fetch_file", url=WIDGET, revision="main", path="app", name="directory", raises=NotFound),
        Case("fetch_organization", host="gitlab.com", login="acme/tools", name="nested-group"),
        Case("fetch_organization", host="gitlab.com", login="someone", name="person"),
        Case("fetch_organization", host="gitlab.com", login="nobody", name="nobody", raises=NotFound),
        Case("search_repositories", query={"text": "widget", "min_stars": 10}, name="text"),
        Case("search_repositories", query={"owner": "acme/tools"}, name="group"),
        Case(
            "search_repositories",
            query={
                "owner": "acme/tools",
                "topic": "cli",
                "language": "go",
                "min_stars": 5,
                "pushed_after": "2026-01-01T00:00:00Z",
            },
            name="filtered",
        ),
        Case("search_repositories", query={"owner": "someone", "language": "Go"}, name="person"),
        Case("search_repositories", query="widget", name="refused", raises=CredentialsRejected),
        Case("fetch_dependency_graph", url=WIDGET, name="scanned"),
        Case("fetch_dependency_graph", url=WIDGET, name="not-scanned"),
        Case("fetch_dependency_graph", url=WIDGET, name="no-tier", raises=NotFound),
        Case("health_check"),
    )
