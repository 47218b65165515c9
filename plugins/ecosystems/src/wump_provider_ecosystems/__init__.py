"""wump's provider for ecosystems: the hooks, and nothing else."""

from urllib.parse import quote

from wump_core import Context, PackageRecord, ProviderHealth, ProviderInfo, ProviderSettings, Purl, hookimpl

from .parse import parse_package


class EcosystemsSettings(ProviderSettings):
    """`WUMP_PROVIDER_ECOSYSTEMS_*`."""

    base_url: str | None = "https://ecosystems.example/api"


@hookimpl
def describe_provider() -> ProviderInfo:
    """Say what this provider is."""
    return ProviderInfo(
        title="Ecosystems",
        provider_type="aggregator",
        ecosystems=("npm",),
        settings_class=EcosystemsSettings,
        licence="CC0-1.0",
        attribution="Data from ecosystems.",
    )


@hookimpl
async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch one package with the dependencies of its latest version."""
    response = await context.http.get(f"{context.settings.base_url}/packages/{quote(purl.name, safe='')}")
    response.raise_for_status()
    return parse_package(purl, response.json())


@hookimpl
async def health_check(context: Context) -> ProviderHealth:
    """Ask for the smallest page."""
    response = await context.http.get(f"{context.settings.base_url}/status")
    return ProviderHealth(ok=response.status_code < 500, detail=f"answered {response.status_code}")
