"""wump's provider for Maven Central: the hooks, and nothing else."""

from collections.abc import Mapping

import httpx
from wump_core import (
    Context,
    Limit,
    ManifestRecord,
    PackageRecord,
    Page,
    ProviderHealth,
    ProviderInfo,
    Purl,
    RateLimits,
    hookimpl,
)

from wump_provider_maven import manifests, packages, search


@hookimpl
def describe_provider() -> ProviderInfo:
    """Describe Maven Central: a registry, and the formats of Maven, Gradle, Ivy and sbt."""
    return ProviderInfo(
        title="Maven Central",
        provider_type="registry",
        ecosystems=("maven",),
        manifests=manifests.GLOBS,
        settings_class=search.MavenSettings,
        needs={"search_packages": "search_url"},
        rate_limit="Not published, and counted by address: a refusal (429) holds for half an hour, for all behind that "
        "address; mirroring and crawling are barred for good (403). wump asks once a second.",
        limits=RateLimits(
            resources={
                "core": (Limit(requests=1, seconds=1),),
                "search": (Limit(requests=1, seconds=2), Limit(requests=300, seconds=3_600)),
            },
            concurrency=2,
        ),
        licence="None stated for the repository as a whole: what a POM says is its project's, under its licence.",
        attribution="Package metadata from Maven Central.",
        terms="Maven Central's terms of service: no large-scale download, mirroring or crawling.",
    )


@hookimpl
async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch one artifact with the effective dependencies of its latest version."""
    return await packages.fetch_package(context, purl)


@hookimpl
async def search_packages(context: Context, query: str, cursor: str | None) -> Page[PackageRecord]:
    """Search by words, where the operator says where the search answers."""
    return await search.fetch_page(context, query, cursor)


@hookimpl
def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read one file of dependencies, by its name."""
    return manifests.parse_manifest(path, content, siblings)


@hookimpl
async def health_check(context: Context) -> ProviderHealth:
    """Ask for the head of one small file: any answer below 500 shows that the repository is there."""
    try:
        response = await context.http.head(f"{context.settings.base_url}/junit/junit/maven-metadata.xml")
    except httpx.TransportError as error:
        return ProviderHealth(ok=False, detail=f"no answer: {type(error).__name__}")
    return ProviderHealth(ok=response.status_code < 500, detail=f"answered {response.status_code}")
