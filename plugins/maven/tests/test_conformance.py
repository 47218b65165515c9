"""The conformance kit, on recordings made up after Maven's documentation."""

from pathlib import Path
from typing import ClassVar

from wump_core import NotFound, RateLimited
from wump_core.testing import Case, ProviderConformance


class TestMaven(ProviderConformance):
    """wump-provider-maven holds what every provider must."""

    provider = "maven"
    recordings = Path(__file__).parent / "recordings"
    settings: ClassVar = {
        "base_url": "https://registry.example/maven",
        "search_url": "https://search.example/solrsearch",
    }
    cases = (
        Case("fetch_package", purl="maven:org.example.widgets:widget-core"),
        Case("fetch_package", purl="maven:org.example.widgets:old-widget"),
        Case("fetch_package", purl="maven:com.example:orphan"),
        Case("fetch_package", purl="maven:com.example:nothing", raises=NotFound),
        Case("fetch_package", purl="maven:com.example:busy", raises=RateLimited),
        Case("search_packages", query="widget"),
        Case("health_check"),
        Case("parse_manifest", path="shop/cart/pom.xml"),
    )
