"""The conformance kit, on recordings made up after the documentation of the deps.dev API."""

from pathlib import Path

from wump_core import NotFound
from wump_core.testing import Case, ProviderConformance


class TestDepsDev(ProviderConformance):
    """wump-provider-depsdev holds what every provider must."""

    provider = "depsdev"
    recordings = Path(__file__).parent / "recordings"
    cases = (
        Case("fetch_package", purl="npm:@acme/widget", name="npm"),
        Case("fetch_package", purl="pypi:acme-tool", name="pypi-without-a-default"),
        Case("fetch_package", purl="cargo:acme", name="cargo"),
        Case("fetch_package", purl="maven:org.acme:widget", name="maven"),
        Case("fetch_package", purl="npm:fresh", name="not-read-yet"),
        Case("fetch_package", purl="npm:nothing", name="unknown", raises=NotFound),
        Case("fetch_dependents", purl="npm:left-pad", name="counted"),
        Case("fetch_dependents", purl="npm:fresh", name="not-counted-yet", raises=NotFound),
        Case("fetch_repository", url="https://github.com/acme/widget", name="with-text-numbers"),
        Case("fetch_repository", url="https://github.com/acme/nothing", name="unknown", raises=NotFound),
        Case("health_check"),
    )
