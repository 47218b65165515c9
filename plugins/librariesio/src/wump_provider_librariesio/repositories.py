"""Repositories, what they need, and who owns them."""

from wump_core import Context, DependencyRecord, OrganizationRecord, Page, RepositoryRecord, collect_items

from wump_provider_librariesio.addresses import make_owner_address, make_repository_address, parse_list
from wump_provider_librariesio.parse import parse_dependency, parse_owner, parse_repository


async def fetch_repository(context: Context, url: str) -> RepositoryRecord:
    """Fetch one repository.

    Raises:
        NotFound: Libraries.io knows no such repository, or has it as removed.
    """
    response = await context.http.get(make_repository_address(context, url))
    response.raise_for_status()
    return parse_repository(response.json())


async def fetch_dependency_graph(context: Context, url: str) -> Page[DependencyRecord]:
    """Fetch what the packages that are published from a repository need. It comes in one page.

    It is not complete: manifests in the repository itself are not read since 2023.

    Raises:
        NotFound: Libraries.io knows no such repository.
    """
    response = await context.http.get(f"{make_repository_address(context, url)}/dependencies")
    response.raise_for_status()
    document = response.json()
    items, diagnostics = collect_items(
        parse_list(document.get("dependencies") if isinstance(document, dict) else None), parse_dependency
    )
    return Page(items=items[:10_000], complete=False, diagnostics=diagnostics)


async def fetch_organization(context: Context, host: str, login: str) -> OrganizationRecord:
    """Fetch one account.

    Raises:
        NotFound: Libraries.io knows no such account, or hides it.
    """
    response = await context.http.get(make_owner_address(context, host, login))
    response.raise_for_status()
    return parse_owner(response.json(), host)
