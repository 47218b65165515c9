"""wump's provider for PyPI: the hooks, and nothing else."""

from collections.abc import Mapping

from wump_core import Context, ManifestRecord, PackageRecord, Page, ProviderHealth, ProviderInfo, Purl, hookimpl

from wump_provider_pypi import changes, manifests, packages


@hookimpl
def describe_provider() -> ProviderInfo:
    """Say what this provider is."""
    return ProviderInfo(
        title="PyPI",
        provider_type="registry",
        ecosystems=("pypi",),
        manifests=manifests.GLOBS,
        rate_limit="No fixed limit on JSON and index pages; the index asks for gentle, conditional requests.",
        licence="No licence is stated for the index as a whole; what a project says of itself is its uploader's.",
        attribution="Package metadata from PyPI, the Python Package Index.",
        terms="The index's terms of use and acceptable use policy: a User-Agent with a contact, no request floods.",
    )


@hookimpl
async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch one project with the requirements of its latest release."""
    return await packages.fetch_package(context, purl)


@hookimpl
async def fetch_changes(context: Context, cursor: str | None) -> Page[str]:
    """Fetch what changed since a serial number."""
    return await changes.fetch_page(context, cursor)


@hookimpl
def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one file of dependencies, by its name."""
    return manifests.parse_manifest(path, content, siblings)


@hookimpl
async def health_check(context: Context) -> ProviderHealth:
    """Ask the index for one small page."""
    return await packages.fetch_health(context)
