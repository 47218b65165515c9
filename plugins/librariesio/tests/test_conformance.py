"""The conformance kit: what is expected of every provider."""

from pathlib import Path

from wump_core import NotFound
from wump_core.testing import Case, ProviderConformance


class TestLibrariesio(ProviderConformance):
    """wump-provider-librariesio holds what every provider must."""

    provider = "librariesio"
    recordings = Path(__file__).parent / "recordings"
    cases = (
        Case("fetch_package", purl="npm:left-pad"),
        Case("fetch_package", purl="npm:nothing", raises=NotFound),
        Case("health_check"),
    )
