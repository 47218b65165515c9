"""libs.versions.toml: the libraries and plugins that a Gradle build may use.

Source: Gradle's documentation of version catalogs.
"""

from collections.abc import Mapping

from wump_core import ManifestRecord

from wump_provider_maven.manifests.build_gradle import add_catalog
from wump_provider_maven.manifests.catalogs import read_catalog
from wump_provider_maven.manifests.rows import Findings

FORMAT = "libs.versions.toml"


def parse_version_catalog(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a catalog.

    Raises:
        InvalidManifest: It is no TOML in UTF-8.
    """
    catalog = read_catalog(content)
    findings = Findings()
    add_catalog(catalog, findings, "catalog")
    for alias, line in catalog.unreadable:
        findings.note("an entry that names no library was left out", alias, line)
    return findings.finish(path, FORMAT, "manifest")
