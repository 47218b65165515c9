"""wump's provider for Libraries.io: the hooks, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

from wump_core import (
    Context,
    DependencyRecord,
    DependentRecord,
    DumpInfo,
    InventoryRecord,
    OrganizationRecord,
    PackageRecord,
    Page,
    ProviderHealth,
    ProviderInfo,
    Purl,
    RepositoryRecord,
    hookimpl,
)

from wump_provider_librariesio import dumps, packages, repositories
from wump_provider_librariesio.addresses import PLATFORMS
from wump_provider_librariesio.settings import LIMITS, LibrariesIoSettings


@hookimpl
def describe_provider() -> ProviderInfo:
    """Say what this provider is."""
    return ProviderInfo(
        title="Libraries.io",
        provider_type="aggregator",
        ecosystems=tuple(PLATFORMS),
        settings_class=LibrariesIoSettings,
        needs={"search_packages": "token"},
        rate_limit="A key: 60 requests a minute. None: 10 an hour.",
        limits=LIMITS,
        credential="query:api_key",
        licence="CC-BY-SA-4.0",
        attribution="Data from Libraries.io, under CC BY-SA 4.0",
        terms="Share alike: what is made from its data and passed on goes under the same licence.",
    )


@hookimpl
async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch one package with the dependencies of its latest version."""
    return await packages.fetch_package(context, purl)


@hookimpl
async def search_packages(context: Context, query: str, cursor: str | None) -> Page[PackageRecord]:
    """Search packages by words."""
    return await packages.search_packages(context, query, cursor)


@hookimpl
async def fetch_dependents(context: Context, purl: Purl, cursor: str | None) -> Page[DependentRecord]:
    """Fetch packages that depend on a package, then repositories."""
    return await packages.fetch_dependents(context, purl, cursor)


@hookimpl
async def fetch_repository(context: Context, url: str) -> RepositoryRecord:
    """Fetch one repository."""
    return await repositories.fetch_repository(context, url)


@hookimpl
async def fetch_dependency_graph(context: Context, url: str) -> Page[DependencyRecord]:
    """Fetch what the packages that are published from a repository need."""
    return await repositories.fetch_dependency_graph(context, url)


@hookimpl
async def fetch_organization(context: Context, host: str, login: str) -> OrganizationRecord:
    """Fetch one account."""
    return await repositories.fetch_organization(context, host, login)


@hookimpl
def read_dump(path: Path) -> Iterator[DumpInfo | PackageRecord | InventoryRecord]:
    """Read a release of the open data."""
    return dumps.read_dump(path)


@hookimpl
async def health_check(context: Context) -> ProviderHealth:
    """Ask for the platforms."""
    response = await context.http.get(f"{context.settings.base_url}/platforms")
    response.raise_for_status()
    return ProviderHealth(ok=isinstance(response.json(), list), detail=f"answered {response.status_code}")
