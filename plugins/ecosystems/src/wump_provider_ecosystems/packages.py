"""Packages, and what depends on them."""

import httpx
from wump_core import Context, DependentRecord, PackageRecord, Page, Purl, collect_items

from wump_provider_ecosystems.lists import (
    PAGE_SIZE,
    fetch_document,
    fetch_registry_name,
    has_next,
    is_registry_name,
    parse_list,
    parse_object,
    parse_total,
    quote_segment,
    settings_of,
)
from wump_provider_ecosystems.parse import (
    make_service_name,
    parse_dependent,
    parse_dependent_repository,
    parse_package,
)

MAX_PAGES = 10_000


async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch a package and the dependencies of its latest version.

    Raises:
        NotFound: It knows no such package, or has it as removed.
    """
    registry = await fetch_registry_name(context, purl.ecosystem)
    address = _package_address(context, registry, purl)
    package = parse_object((await fetch_document(context, address)).json(), "name")
    latest = await context.http.get(f"{address}/latest_version")
    if latest.status_code != httpx.codes.NOT_FOUND:  # a package without a version is one
        latest.raise_for_status()
    version = latest.json() if latest.is_success else None
    return parse_package(purl, package, version if isinstance(version, dict) else None)


async def fetch_dependents(context: Context, purl: Purl, cursor: str | None) -> Page[DependentRecord]:
    """Fetch packages that depend on it, then repositories.

    The cursor says which of both and where: `packages REGISTRY PAGE`, `repositories ID`.

    The list of repositories has not been filled since January 2026, so that those are marked as worth reading only,
    and their pages as incomplete. The list of packages is as complete as the registry's own packages are known.

    Raises:
        NotFound: It knows no such package.
        ValueError: The cursor is none of these.
    """
    kind, _, rest = (cursor or "packages").partition(" ")
    if kind == "packages":
        return await _fetch_packages(context, purl, rest)
    if kind == "repositories":
        return await _fetch_repositories(context, purl, rest)
    raise ValueError(f"the cursor {str(cursor)[:40]!r} is none of these lists")


async def _fetch_packages(context: Context, purl: Purl, place: str) -> Page[DependentRecord]:
    registry, _, number = place.partition(" ")
    if not place:
        registry, number = await fetch_registry_name(context, purl.ecosystem), "1"
    page = _parse_number(number)
    if not is_registry_name(registry) or not 1 <= page <= MAX_PAGES:
        raise ValueError(f"the cursor's place {place[:40]!r} can't be read")
    response = await fetch_document(
        context,
        f"{_package_address(context, registry, purl)}/dependent_packages",
        {"page": str(page), "per_page": str(PAGE_SIZE), "latest": "true"},
    )
    found = parse_list(response.json())
    items, diagnostics = collect_items(found, parse_dependent)
    goes_on = has_next(response) and bool(found) and page < MAX_PAGES
    return Page(
        items=items,
        next_cursor=f"packages {registry} {page + 1}" if goes_on else "repositories 0",
        total=parse_total(response),
        diagnostics=diagnostics,
    )


async def _fetch_repositories(context: Context, purl: Purl, place: str) -> Page[DependentRecord]:
    settings = settings_of(context)
    after = _parse_number(place)
    name = quote_segment(make_service_name(purl))
    response = await context.http.get(
        f"{settings.repos_url}/usage/{quote_segment(purl.ecosystem)}/{name}/dependent_repositories",
        params={"after_id": str(after), "per_page": str(PAGE_SIZE), "sort": "id", "order": "asc"},
    )
    if response.status_code == httpx.codes.NOT_FOUND:  # it was never asked to count this one
        return Page(items=(), complete=False)
    response.raise_for_status()
    found = parse_list(response.json())
    host = settings.code_host or ""
    on_host = [item for item in found if not isinstance(item, dict) or _is_on_host(item, host)]
    items, diagnostics = collect_items(on_host, lambda item: parse_dependent_repository(item, host))
    last = found[-1].get("id") if found and isinstance(found[-1], dict) else None
    goes_on = len(found) >= PAGE_SIZE and isinstance(last, int) and last > after
    return Page(
        items=items,
        next_cursor=f"repositories {last}" if goes_on else None,
        complete=False,
        diagnostics=diagnostics,
    )


def _is_on_host(item: dict[str, object], host: str) -> bool:
    address = item.get("html_url")
    return not isinstance(address, str) or address.startswith(f"https://{host}/")


def _package_address(context: Context, registry: str, purl: Purl) -> str:
    name = quote_segment(make_service_name(purl))
    return f"{context.settings.base_url}/registries/{quote_segment(registry)}/packages/{name}"


def _parse_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError(f"the cursor's place {text[:40]!r} is no number")
    return int(text)
