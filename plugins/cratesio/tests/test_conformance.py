"""The conformance kit, on recordings made up after crates.io's and Cargo's documentation."""

from pathlib import Path
from typing import ClassVar

from wump_core import NotFound
from wump_core.testing import Case, ProviderConformance


class TestCratesio(ProviderConformance):
    """wump-provider-cratesio holds what every provider must."""

    provider = "cratesio"
    recordings = Path(__file__).parent / "recordings"
    settings: ClassVar = {"base_url": "https://registry.example", "index_url": "https://index.registry.example"}
    cases = (
        Case("fetch_package", purl="cargo:widget"),
        Case("fetch_package", purl="cargo:gizmo", name="yanked"),
        Case("fetch_package", purl="cargo:ion", name="trusted"),
        Case("fetch_package", purl="cargo:nothing", name="nothing", raises=NotFound),
        Case("fetch_package", purl="cargo:Widget", name="misspelled", raises=NotFound),
        Case("search_packages", query="widget"),
        Case("fetch_dependents", purl="cargo:widget"),
        Case("fetch_dependents", purl="cargo:nothing", name="nothing", raises=NotFound),
        Case("fetch_changes", name="now"),
        Case("fetch_changes", cursor="2026-05-06T07:08:09.123456000Z", name="since"),
        Case("health_check"),
        Case("parse_manifest", path="app/Cargo.toml"),
        Case("parse_manifest", path="app/Cargo.lock"),
        Case("read_dump", path="db-dump"),
    )
