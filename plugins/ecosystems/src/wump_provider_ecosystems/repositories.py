"""Repositories and the accounts that own them, as its repository and sponsor services know them."""

import httpx
from wump_core import (
    Context,
    NotFound,
    OrganizationRecord,
    Page,
    RepositoryRecord,
    SponsorshipRecord,
    collect_items,
    parse_repository_url,
)

from wump_provider_ecosystems.lists import (
    PAGE_SIZE,
    fetch_document,
    has_next,
    parse_list,
    parse_object,
    quote_segment,
    settings_of,
)
from wump_provider_ecosystems.parse import parse_owner, parse_repository, parse_sponsorship

_LISTS = ("sponsorships", "sponsors")
"""Whom an account funds, then who funds it."""
_MAX_PAGES = 10_000


async def fetch_repository(context: Context, url: str) -> RepositoryRecord:
    """Fetch one repository.

    Raises:
        NotFound: It knows no such repository, or has it as removed; or it is on another host than the settings'.
    """
    found = parse_repository_url(url)
    if found is None:
        raise NotFound(f"{url[:200]} is no repository's address")
    _check_host(context, found.host)
    response = await fetch_document(
        context, f"{settings_of(context).repos_url}/repositories/lookup", {"url": found.url}
    )
    return parse_repository(parse_object(response.json(), "full_name"), found.host)


async def fetch_organization(context: Context, host: str, login: str) -> OrganizationRecord:
    """Fetch one account; what the sponsor service doesn't know stays unknown.

    Raises:
        NotFound: It knows no such account, or hides it.
    """
    _check_host(context, host)
    settings = settings_of(context)
    name = await _fetch_host_name(context, host)
    response = await fetch_document(
        context, f"{settings.repos_url}/hosts/{quote_segment(name)}/owners/{quote_segment(login)}"
    )
    owner = parse_object(response.json(), "login")
    response = await context.http.get(f"{settings.sponsors_url}/accounts/{quote_segment(login.lower())}")
    if response.status_code != httpx.codes.NOT_FOUND:  # the sponsor service doesn't know every account
        response.raise_for_status()
    account = response.json() if response.is_success else None
    return parse_owner(owner, account, host)


async def fetch_sponsorships(context: Context, host: str, login: str, cursor: str | None) -> Page[SponsorshipRecord]:
    """Fetch whom an account funds, then who funds it. The cursor is `LIST PAGE`.

    Raises:
        NotFound: The sponsor service knows no such account, or not yet.
        ValueError: The cursor is none of these.
    """
    _check_host(context, host)
    kind, _, number = (cursor or "sponsorships 1").partition(" ")
    if kind not in _LISTS or not (number.isascii() and number.isdigit() and len(number) <= 6):
        raise ValueError(f"the cursor {str(cursor)[:40]!r} is none of these lists")
    page = int(number)
    response = await fetch_document(
        context,
        f"{settings_of(context).sponsors_url}/account/{quote_segment(login.lower())}/{kind}",
        {"page": str(page), "per_page": str(PAGE_SIZE)},
    )
    found = parse_list(response.json())
    items, diagnostics = collect_items(found, lambda item: parse_sponsorship(item, host))
    if has_next(response) and found and page < _MAX_PAGES:
        following = f"{kind} {page + 1}"
    else:
        following = f"{_LISTS[1]} 1" if kind == _LISTS[0] else None
    return Page(items=items, next_cursor=following, diagnostics=diagnostics)


async def _fetch_host_name(context: Context, host: str) -> str:
    """The name under which it knows a code host."""
    response = await fetch_document(context, f"{settings_of(context).repos_url}/hosts", {"per_page": "1000"})
    for item in parse_list(response.json()):
        if isinstance(item, dict) and str(item.get("url")).rstrip("/") == f"https://{host}" and item.get("name"):
            return str(item["name"])
    raise NotFound(f"ecosyste.ms knows no host {host[:200]}")


def _check_host(context: Context, host: str) -> None:
    if host != context.settings.code_host:
        raise NotFound(f"{host[:200]} is not {context.settings.code_host}, which this provider is asked for")
