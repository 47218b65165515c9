"""The conformance kit, on recordings made up after the OpenAPI descriptions of ecosyste.ms."""

from pathlib import Path

from wump_core import NotFound
from wump_core.testing import Case, ProviderConformance


class TestEcosystems(ProviderConformance):
    """wump-provider-ecosystems holds what every provider must."""

    provider = "ecosystems"
    recordings = Path(__file__).parent / "recordings"
    cases = (
        Case("fetch_package", purl="npm:@acme/widget", name="scoped"),
        Case("fetch_package", purl="maven:org.acme:widget", name="maven"),
        Case("fetch_package", purl="npm:empty", name="without-a-version"),
        Case("fetch_package", purl="npm:gone", name="removed", raises=NotFound),
        Case("fetch_package", purl="npm:nothing", name="unknown", raises=NotFound),
        Case("fetch_dependents", purl="npm:left-pad", name="of-a-package"),
        Case("fetch_dependents", purl="npm:lonely", name="never-counted"),
        Case("fetch_repository", url="https://github.com/acme/widget", name="canonical"),
        Case("fetch_repository", url="https://github.com/acme/gone", name="removed", raises=NotFound),
        Case("fetch_repository", url="https://github.com/acme/nothing", name="unknown", raises=NotFound),
        Case("fetch_organization", host="github.com", login="Acme", name="sponsorable"),
        Case("fetch_organization", host="github.com", login="someone", name="not-in-sponsors"),
        Case("fetch_organization", host="github.com", login="hidden", name="hidden", raises=NotFound),
        Case("fetch_sponsorships", host="github.com", login="acme", name="both-ways"),
        Case("health_check"),
    )
