"""wump's provider for deps.dev, which knows packages of seven systems and counts dependents: the hooks."""

from wump_core import (
    Context,
    DependentRecord,
    PackageRecord,
    Page,
    ProviderHealth,
    ProviderInfo,
    Purl,
    RepositoryRecord,
    hookimpl,
)

from wump_provider_depsdev import packages
from wump_provider_depsdev.settings import LIMITS, DepsDevSettings
from wump_provider_depsdev.systems import SYSTEMS


@hookimpl
def describe_provider() -> ProviderInfo:
    """Say what this provider is."""
    return ProviderInfo(
        title="deps.dev",
        provider_type="aggregator",
        ecosystems=tuple(SYSTEMS),
        settings_class=DepsDevSettings,
        rate_limit="None is published; 10 requests a second at most here.",
        limits=LIMITS,
        licence="CC-BY-4.0",
        attribution="Data from deps.dev, under CC BY 4.0",
        terms="Google's terms for APIs; what packages say of themselves is under their own terms.",
    )


@hookimpl
async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch one package with the dependencies of its default version."""
    return await packages.fetch_package(context, purl)


@hookimpl
async def fetch_dependents(context: Context, purl: Purl) -> Page[DependentRecord]:
    """Fetch how many packages depend on it; deps.dev names none."""
    return await packages.fetch_dependents(context, purl)


@hookimpl
async def fetch_repository(context: Context, url: str) -> RepositoryRecord:
    """Fetch one project."""
    return await packages.fetch_repository(context, url)


@hookimpl
async def health_check(context: Context) -> ProviderHealth:
    """Ask for one advisory, which is small."""
    response = await context.http.get(f"{context.settings.base_url}/v3/advisories/GHSA-jfh8-c2jp-5v3q")
    response.raise_for_status()
    return ProviderHealth(ok=isinstance(response.json(), dict), detail=f"answered {response.status_code}")
