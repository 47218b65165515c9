"""The conformance kit, on recordings made up after the index's documentation."""

from pathlib import Path

from wump_core import NotFound, RateLimited
from wump_core.testing import Case, ProviderConformance


class TestPyPI(ProviderConformance):
    """wump-provider-pypi holds what every provider must."""

    provider = "pypi"
    recordings = Path(__file__).parent / "recordings"
    cases = (
        Case("fetch_package", purl="pypi:sample-project"),
        Case("fetch_package", purl="pypi:behind-a-proxy"),
        Case("fetch_package", purl="pypi:nothing", raises=NotFound),
        Case("fetch_package", purl="pypi:quarantined", raises=NotFound),
        Case("fetch_changes", name="now"),
        Case("fetch_changes", cursor="24891300"),
        Case("fetch_changes", name="too-often", raises=RateLimited),
        Case("health_check"),
        Case("parse_manifest", path="app/pyproject.toml"),
        Case("parse_manifest", path="app/requirements.txt"),
    )
