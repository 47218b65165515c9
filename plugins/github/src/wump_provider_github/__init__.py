"""wump's provider for GitHub and its Enterprise editions: the hooks, and nothing else."""

from collections.abc import Mapping

from wump_core import (
    Context,
    DependencyRecord,
    DependentRecord,
    ManifestRecord,
    OrganizationRecord,
    Page,
    ProviderHealth,
    ProviderInfo,
    Purl,
    RateLimitStatus,
    RepositoryQuery,
    RepositoryRecord,
    SponsorshipRecord,
    TreeRecord,
    hookimpl,
)

from wump_provider_github import (
    dependents,
    files,
    manifests,
    organizations,
    repositories,
    sboms,
    search,
    sponsorships,
    status,
    trees,
)
from wump_provider_github.settings import LIMITS, GitHubSettings

FORMATS = manifests.FORMATS


@hookimpl
def describe_provider() -> ProviderInfo:
    """Say what this provider is."""
    return ProviderInfo(
        title="GitHub",
        provider_type="repository",
        ecosystems=tuple(dict.fromkeys((*dependents.MANIFESTS, *manifests.ECOSYSTEMS))),
        manifests=manifests.GLOBS,
        settings_class=GitHubSettings,
        rate_limit="A token: 5,000 requests an hour, 30 searches and 9 code searches a minute. None: 60 an hour.",
        limits=LIMITS,
        licence="None stated as a whole: each repository has its own. GitHub's terms allow to use what is public.",
        attribution="GitHub",
        terms="GitHub's Terms of Service, section H (API terms), and its Acceptable Use Policies.",
    )


@hookimpl
async def fetch_dependents(context: Context, purl: Purl, cursor: str | None) -> Page[DependentRecord]:
    """Search the code for manifests that name a package."""
    return await dependents.fetch_dependents(context, purl, cursor)


@hookimpl
async def search_repositories(context: Context, query: RepositoryQuery, cursor: str | None) -> Page[RepositoryRecord]:
    """Search repositories, the most starred first, past GitHub's cap."""
    return await search.search_repositories(context, query, cursor)


@hookimpl
async def fetch_repository(context: Context, url: str) -> RepositoryRecord:
    """Fetch one repository, under the name that it has now."""
    return await repositories.fetch_repository(context, url)


@hookimpl
async def fetch_tree(context: Context, url: str, revision: str | None) -> TreeRecord:
    """Fetch the paths of all files at a revision."""
    return await trees.fetch_tree(context, url, revision)


@hookimpl
async def fetch_file(context: Context, url: str, revision: str, path: str) -> bytes:
    """Fetch one file's bytes."""
    return await files.fetch_file(context, url, revision, path)


@hookimpl
async def fetch_dependency_graph(context: Context, url: str, cursor: str | None) -> Page[DependencyRecord]:
    """Fetch the SBOM that GitHub computes."""
    return await sboms.fetch_dependency_graph(context, url, cursor)


@hookimpl
async def fetch_organization(context: Context, host: str, login: str) -> OrganizationRecord:
    """Fetch one account, with where it can be funded."""
    return await organizations.fetch_organization(context, host, login)


@hookimpl
async def fetch_sponsorships(context: Context, host: str, login: str, cursor: str | None) -> Page[SponsorshipRecord]:
    """Fetch whom an account sponsors, then who sponsors it."""
    return await sponsorships.fetch_sponsorships(context, host, login, cursor)


@hookimpl
def parse_manifest(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a workflow, an action or a `.gitmodules`."""
    return manifests.parse_manifest(path, content, siblings)


@hookimpl
async def health_check(context: Context) -> ProviderHealth:
    """Ask for what is left of the limits."""
    return await status.fetch_health(context)


@hookimpl
async def rate_limit_status(context: Context) -> RateLimitStatus:
    """Ask what is left of the limits."""
    return await status.fetch_limits(context)
