"""The conformance kit, on recordings made up after the registry's documentation."""

from pathlib import Path

from wump_core import NotFound
from wump_core.testing import Case, ProviderConformance


class TestNpm(ProviderConformance):
    """wump-provider-npm holds what every provider must."""

    provider = "npm"
    recordings = Path(__file__).parent / "recordings"
    settings = {"changes_url": "https://changes.registry.example"}  # noqa: RUF012
    cases = (
        Case("fetch_package", purl="npm:widget"),
        Case("fetch_package", purl="npm:@acme/gadget"),
        Case("fetch_package", purl="npm:unpublished", raises=NotFound),
        Case("search_packages", query="widget"),
        Case("fetch_changes", name="now"),
        Case("fetch_changes", cursor="7000"),
        Case("health_check"),
        Case("parse_manifest", path="app/package.json"),
    )
