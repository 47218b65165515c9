"""The conformance kit, on recordings made up after Libraries.io's API documentation."""

from pathlib import Path

from wump_core import NotFound, RateLimited
from wump_core.testing import Case, ProviderConformance

WIDGET = "https://github.com/acme/widget"


class TestLibrariesIo(ProviderConformance):
    """wump-provider-librariesio holds what every provider must."""

    provider = "librariesio"
    recordings = Path(__file__).parent / "recordings"
    cases = (
        Case("fetch_package", purl="npm:@acme/widget", name="scoped"),
        Case("fetch_package", purl="pypi:acme-tool", name="not-read"),
        Case("fetch_package", purl="pypi:requests", name="redirected"),
        Case("fetch_package", purl="maven:org.acme:widget", name="maven"),
        Case("fetch_package", purl="npm:gone", name="removed", raises=NotFound),
        Case("fetch_package", purl="npm:nothing", name="unknown", raises=NotFound),
        Case("search_packages", query="widget", name="two-pages"),
        Case("fetch_dependents", purl="npm:left-pad", name="switched-off"),
        Case("fetch_dependents", purl="npm:lodash", name="listed"),
        Case("fetch_repository", url=WIDGET, name="full"),
        Case("fetch_repository", url="https://github.com/acme/gone", name="removed", raises=NotFound),
        Case("fetch_repository", url="https://github.com/acme/busy", name="limited", raises=RateLimited),
        Case("fetch_dependency_graph", url=WIDGET, name="of-a-repository"),
        Case("fetch_dependency_graph", url="https://github.com/acme/nothing", name="unknown", raises=NotFound),
        Case("fetch_organization", host="github.com", login="acme", name="organisation"),
        Case("fetch_organization", host="github.com", login="hidden", name="hidden", raises=NotFound),
        Case("health_check"),
        Case("read_dump", path="open-data"),
    )
