"""wump's provider for ecosyste.ms, which knows packages, dependents, owners and sponsorships: the hooks."""

from wump_core import (
    Context,
    DependentRecord,
    OrganizationRecord,
    PackageRecord,
    Page,
    ProviderHealth,
    ProviderInfo,
    Purl,
    RepositoryRecord,
    SponsorshipRecord,
    hookimpl,
)

from wump_provider_ecosystems import packages, repositories
from wump_provider_ecosystems.settings import LIMITS, EcosystemsSettings


@hookimpl
def describe_provider() -> ProviderInfo:
    """Say what this provider is."""
    return ProviderInfo(
        title="ecosyste.ms",
        provider_type="aggregator",
        ecosystems=("npm", "pypi", "maven", "cargo"),
        settings_class=EcosystemsSettings,
        rate_limit="5,000 requests an hour for an address; slower is asked for.",
        limits=LIMITS,
        licence="CC-BY-SA-4.0",
        attribution="Data from ecosyste.ms, under CC BY-SA 4.0",
        terms="Share alike: what is made from its data and passed on goes under the same licence.",
    )


@hookimpl
async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch one package with the dependencies of its latest version."""
    return await packages.fetch_package(context, purl)


@hookimpl
async def fetch_dependents(context: Context, purl: Purl, cursor: str | None) -> Page[DependentRecord]:
    """Fetch packages that depend on a package, then repositories."""
    return await packages.fetch_dependents(context, purl, cursor)


@hookimpl
async def fetch_repository(context: Context, url: str) -> RepositoryRecord:
    """Fetch one repository."""
    return await repositories.fetch_repository(context, url)


@hookimpl
async def fetch_organization(context: Context, host: str, login: str) -> OrganizationRecord:
    """Fetch one account."""
    return await repositories.fetch_organization(context, host, login)


@hookimpl
async def fetch_sponsorships(context: Context, host: str, login: str, cursor: str | None) -> Page[SponsorshipRecord]:
    """Fetch whom an account funds, then who funds it."""
    return await repositories.fetch_sponsorships(context, host, login, cursor)


@hookimpl
async def health_check(context: Context) -> ProviderHealth:
    """Ask for one registry."""
    response = await context.http.get(f"{context.settings.base_url}/registries", params={"per_page": "1"})
    response.raise_for_status()
    return ProviderHealth(ok=isinstance(response.json(), list), detail=f"answered {response.status_code}")
