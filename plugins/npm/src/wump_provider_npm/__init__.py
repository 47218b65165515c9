"""wump's provider for the npm registry: hooks only, the work is done by the pure modules beside this one.

Source: npm's registry documentation (npm/registry `docs/REGISTRY-API.md` and
`docs/responses/package-metadata.md`) and npm's `package.json` documentation.
"""

from collections.abc import Mapping
from urllib.parse import quote

import httpx
from wump_core import (
    Context,
    ManifestRecord,
    PackageRecord,
    Page,
    ProviderHealth,
    ProviderInfo,
    Purl,
    hookimpl,
)

from wump_provider_npm import changes, manifests, search
from wump_provider_npm.parse import parse_package, reject_unpublished


@hookimpl
def describe_provider() -> ProviderInfo:
    """Describe npm: a registry, and the formats of manifests and lockfiles."""
    return ProviderInfo(
        title="npm",
        provider_type="registry",
        ecosystems=("npm",),
        manifests=manifests.GLOBS,
        settings_class=changes.NpmSettings,
        needs={"fetch_changes": "changes_url"},
        rate_limit="Not published; the registry answers 429 to clients that ask too fast.",
        licence="None stated: npm puts no open licence on registry metadata. Each package has a licence of its own.",
        attribution="npm registry",
        terms="npm's Open-Source Terms, among the policies in npm's documentation.",
    )


@hookimpl
async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch the full packument: the abbreviated one holds neither repository nor licence."""
    # Only the scope's `@` stays literal: the `/` behind a scope must be `%2F`, or it would start a new segment.
    url = f"{context.settings.base_url}/{quote(purl.name, safe='@')}"
    response = await context.http.get(url, headers={"Accept": "application/json"})
    if response.status_code == 404:
        reject_unpublished(response.content)
    response.raise_for_status()
    return parse_package(purl, response.content)


@hookimpl
async def search_packages(context: Context, query: str, cursor: str | None) -> Page[PackageRecord]:
    """Search by words, as far as the registry goes: the first thousand."""
    return await search.fetch_page(context, query, cursor)


@hookimpl
async def fetch_changes(context: Context, cursor: str | None) -> Page[str]:
    """Fetch what changed since a sequence number."""
    return await changes.fetch_page(context, cursor)


@hookimpl
def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a manifest or lockfile: `manifests.FORMATS` lists them."""
    return manifests.parse_manifest(path, content, siblings)


@hookimpl
async def health_check(context: Context) -> ProviderHealth:
    """Ask for the registry's root: any answer below 500 shows that it is there.

    `/-/ping` would be the documented way, but proxies answer 400 or 404 to it, as some do to their root.
    """
    try:
        response = await context.http.get(f"{context.settings.base_url}/")
    except httpx.TransportError as error:
        return ProviderHealth(ok=False, detail=f"no answer: {type(error).__name__}")
    return ProviderHealth(ok=response.status_code < 500, detail=f"answered {response.status_code}")
