"""wump's provider for GitLab, gitlab.com or an instance of one's own: the hooks, and nothing else."""

from wump_core import (
    Context,
    DependencyRecord,
    OrganizationRecord,
    Page,
    ProviderHealth,
    ProviderInfo,
    RepositoryQuery,
    RepositoryRecord,
    TreeRecord,
    hookimpl,
)

from wump_provider_gitlab import accounts, dependencies, files, projects, search
from wump_provider_gitlab.parse import parse_list
from wump_provider_gitlab.settings import LIMITS, GitLabSettings


@hookimpl
def describe_provider() -> ProviderInfo:
    """Say what this provider is."""
    return ProviderInfo(
        title="GitLab",
        provider_type="repository",
        ecosystems=(),
        settings_class=GitLabSettings,
        rate_limit="2,000 requests a minute with a token, 500 without; less for single endpoints, see its README.",
        limits=LIMITS,
        credential="header:PRIVATE-TOKEN",
        licence="None stated as a whole: each project has a licence of its own.",
        attribution="Data from GitLab.",
        terms="GitLab's terms of use and its API terms; an instance of one's own has its own.",
    )


@hookimpl
async def fetch_repository(context: Context, url: str) -> RepositoryRecord:
    """Fetch one project, under the name that it has now."""
    return await projects.fetch_repository(context, url)


@hookimpl
async def search_repositories(context: Context, query: RepositoryQuery, cursor: str | None) -> Page[RepositoryRecord]:
    """Search projects, the most starred first."""
    return await search.fetch_page(context, query, cursor)


@hookimpl
async def fetch_tree(context: Context, url: str, revision: str | None) -> TreeRecord:
    """Fetch the paths of all files at a revision."""
    return await files.fetch_tree(context, url, revision)


@hookimpl
async def fetch_file(context: Context, url: str, revision: str, path: str) -> bytes:
    """Fetch one file's bytes; of a file in LFS, its pointer."""
    return await files.fetch_file(context, url, revision, path)


@hookimpl
async def fetch_dependency_graph(context: Context, url: str, cursor: str | None) -> Page[DependencyRecord]:
    """Fetch what GitLab's dependency scanning found, where a project has it."""
    return await dependencies.fetch_page(context, url, cursor)


@hookimpl
async def fetch_organization(context: Context, host: str, login: str) -> OrganizationRecord:
    """Fetch a group, nested ones by their path, or the person of that name."""
    return await accounts.fetch_organization(context, host, login)


@hookimpl
async def health_check(context: Context) -> ProviderHealth:
    """Ask for one project's name: the version is told to nobody without a token."""
    response = await context.http.get(
        f"{context.settings.base_url}/projects",
        params={"per_page": 1, "simple": "true", "order_by": "id", "sort": "asc"},
        extensions={"wump_resource": "projects"},
    )
    response.raise_for_status()
    parse_list(response.json())
    return ProviderHealth(ok=True, detail=f"answered {response.status_code}")
