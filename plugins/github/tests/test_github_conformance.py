"""The conformance kit on this provider. The recordings are made up, in the shapes that GitHub answers in."""

from pathlib import Path

from wump_core import NotFound
from wump_core.testing import Case, ProviderConformance

APP = "https://github.com/octo/app"


class TestGitHub(ProviderConformance):
    """The standard tests."""

    provider = "github"
    recordings = Path(__file__).parent / "recordings"
    cases = (
        Case("fetch_repository", url=APP),
        Case("fetch_repository", name="renamed", url="https://github.com/old/name"),
        Case("fetch_repository", name="blocked", url="https://github.com/octo/blocked", raises=NotFound),
        Case("search_repositories", query={"text": "app", "language": "python", "min_stars": 5}),
        Case("fetch_tree", url=APP, revision="main"),
        Case("fetch_tree", name="cut", url="https://github.com/octo/large"),
        Case("fetch_tree", name="empty", url="https://github.com/octo/empty"),
        Case("fetch_file", url=APP, revision="main", path="docs/read me.md"),
        Case("fetch_file", name="large", url=APP, revision="main", path="data/large.json"),
        Case("fetch_file", name="folder", url=APP, revision="main", path="docs", raises=NotFound),
        Case("fetch_dependency_graph", url=APP),
        Case("fetch_dependency_graph", name="old-form", url="https://github.com/octo/older"),
        Case("fetch_dependents", purl="npm:left-pad"),
        Case("fetch_organization", host="github.com", login="octo"),
        Case("fetch_organization", name="person", host="github.com", login="ann"),
        Case("fetch_organization", name="without-token", host="github.com", login="acme"),
        Case("fetch_sponsorships", host="github.com", login="octo"),
        Case("health_check"),
        Case("rate_limit_status"),
        Case("parse_manifest", path=".github/workflows/ci.yml"),
        Case("parse_manifest", path="tool/action.yml"),
        Case("parse_manifest", path=".gitmodules"),
    )
