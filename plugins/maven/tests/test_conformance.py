"""The conformance kit: what is expected of every provider."""

from pathlib import Path

from wump_core import NotFound
from wump_core.testing import Case, ProviderConformance


class TestMaven(ProviderConformance):
    """wump-provider-maven holds what every provider must."""

    provider = "maven"
    recordings = Path(__file__).parent / "recordings"
    cases = (
        Case("fetch_package", purl="npm:left-pad"),
        Case("fetch_package", purl="npm:nothing", raises=NotFound),
        Case("health_check"),
    )
