"""Packages, the search for them, and what depends on them."""

from wump_core import (
    Context,
    DependentRecord,
    Diagnostic,
    PackageRecord,
    Page,
    Purl,
    collect_items,
)

from wump_provider_librariesio.addresses import (
    MAX_PAGE,
    PAGE_SIZE,
    PLATFORMS,
    has_next,
    make_package_address,
    parse_list,
    parse_page_number,
    parse_total,
)
from wump_provider_librariesio.parse import (
    parse_dependent,
    parse_dependent_repository,
    parse_found_package,
    parse_package,
    parse_switched_off,
)

_REPOSITORIES = "repositories"


async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch a project and the dependencies of its latest version.

    Raises:
        NotFound: Libraries.io knows no such project, or has it as removed.
    """
    response = await context.http.get(f"{make_package_address(context, purl)}/latest/dependencies")
    response.raise_for_status()
    return parse_package(purl, response.json())


async def search_packages(context: Context, query: str, cursor: str | None) -> Page[PackageRecord]:
    """Search projects of the platforms that wump knows. It takes a key. The cursor is a page's number.

    Raises:
        ValueError: The cursor is no page's number.
    """
    page = parse_page_number(cursor or "1")
    response = await context.http.get(
        f"{context.settings.base_url}/search",
        params={"q": query, "platforms": ",".join(PLATFORMS.values()), "page": page, "per_page": PAGE_SIZE},
    )
    response.raise_for_status()
    found = parse_list(response.json())
    items, diagnostics = collect_items(found, parse_found_package)
    goes_on = has_next(response, found)
    return Page(
        items=items,
        next_cursor=str(page + 1) if goes_on and page < MAX_PAGE else None,
        total=parse_total(response),
        complete=not (goes_on and page == MAX_PAGE),
        diagnostics=diagnostics,
    )


async def fetch_dependents(context: Context, purl: Purl, cursor: str | None) -> Page[DependentRecord]:
    """Fetch packages that depend on it, then repositories.

    Libraries.io has switched the list of packages off: it answers with a message, which is unknown and not none, so
    that the page is not complete. Repositories are those of which a published package depends on it.

    The cursor is a page's number, `repositories N` for the second list.

    Raises:
        NotFound: Libraries.io knows no such project.
        ValueError: The cursor is none of these.
    """
    kind, _, number = (cursor or "1").rpartition(" ")
    page = parse_page_number(number)
    if kind == _REPOSITORIES:
        return await _fetch_repositories(context, purl, page)
    if kind:
        raise ValueError(f"the cursor {str(cursor)[:40]!r} is none of these lists")
    response = await context.http.get(
        f"{make_package_address(context, purl)}/dependents", params={"page": page, "per_page": PAGE_SIZE}
    )
    response.raise_for_status()
    document = response.json()
    if reason := parse_switched_off(document):
        note = Diagnostic(message=f"Libraries.io does not list dependent packages: {reason}")
        return Page(items=(), next_cursor=f"{_REPOSITORIES} 1", complete=False, diagnostics=(note,))
    found = parse_list(document)
    items, diagnostics = collect_items(found, parse_dependent)
    goes_on = has_next(response, found)
    return Page(
        items=items,
        next_cursor=str(page + 1) if goes_on and page < MAX_PAGE else f"{_REPOSITORIES} 1",
        complete=not (goes_on and page == MAX_PAGE),
        diagnostics=diagnostics,
    )


async def _fetch_repositories(context: Context, purl: Purl, page: int) -> Page[DependentRecord]:
    response = await context.http.get(
        f"{make_package_address(context, purl)}/dependent_repositories",
        params={"page": page, "per_page": PAGE_SIZE},
    )
    response.raise_for_status()
    found = parse_list(response.json())
    items, diagnostics = collect_items(found, parse_dependent_repository)
    goes_on = has_next(response, found)
    return Page(
        items=items,
        next_cursor=f"{_REPOSITORIES} {page + 1}" if goes_on and page < MAX_PAGE else None,
        total=parse_total(response),
        complete=not (goes_on and page == MAX_PAGE),
        diagnostics=diagnostics,
    )
