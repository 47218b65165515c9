"""wump's provider for crates.io: the hooks, and nothing else."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from wump_core import (
    Context,
    DependentRecord,
    DumpInfo,
    ManifestRecord,
    PackageRecord,
    Page,
    ProviderHealth,
    ProviderInfo,
    Purl,
    hookimpl,
)

from wump_provider_cratesio import dependents, dumps, lists, manifests, packages
from wump_provider_cratesio.settings import LIMITS, CratesSettings


@hookimpl
def describe_provider() -> ProviderInfo:
    """Say what this provider is."""
    return ProviderInfo(
        title="crates.io",
        provider_type="registry",
        ecosystems=("cargo",),
        manifests=manifests.GLOBS,
        settings_class=CratesSettings,
        rate_limit="The API once a second, with a User-Agent that names a contact; the index as often as needed.",
        limits=LIMITS,
        licence="None stated as a whole; what a crate says of itself is under the licence that it names.",
        attribution="Crate metadata from crates.io, the Rust package registry.",
        terms="crates.io's data access policy: index and dump before the API, one request a second, a contact.",
    )


@hookimpl
async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch one crate with the dependencies of its default version."""
    return await packages.fetch_package(context, purl)


@hookimpl
async def search_packages(context: Context, query: str, cursor: str | None) -> Page[PackageRecord]:
    """Search by words, as far as the registry goes: the first thousand."""
    return await lists.search(context, query, cursor)


@hookimpl
async def fetch_dependents(context: Context, purl: Purl, cursor: str | None) -> Page[DependentRecord]:
    """Fetch the crates whose default version depends on one, the first 20,000."""
    return await dependents.fetch_page(context, purl, cursor)


@hookimpl
async def fetch_changes(context: Context, cursor: str | None) -> Page[str]:
    """Fetch which crates were published to since a moment."""
    return await lists.fetch_changes(context, cursor)


@hookimpl
def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a Cargo.toml or Cargo.lock."""
    return manifests.parse_manifest(path, content, siblings)


@hookimpl
def read_dump(path: Path) -> Iterator[DumpInfo | PackageRecord]:
    """Read a database dump of crates.io, packed or unpacked."""
    return dumps.read_dump(path)


@hookimpl
async def health_check(context: Context) -> ProviderHealth:
    """Ask the API for the version that it runs."""
    return await packages.fetch_health(context)
