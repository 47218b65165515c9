"""The registry's search: the requests and what they answer.

Source: npm/registry `docs/REGISTRY-API.md`, `GET /-/v1/search`.
"""

from typing import Any

import httpx
import msgspec
from wump_core import Context, InvalidResponse, PackageRecord, Page, Unavailable, collect_items, make_purl

from wump_provider_npm.diagnostics import Diagnostics
from wump_provider_npm.parse import MAX_DESCRIPTION_LENGTH, build_record
from wump_provider_npm.repositories import parse_repository

PAGE_SIZE = 250
"""As many as the registry gives at once."""

MAX_FOUND = 1_000
"""Behind these the registry gives nothing, whatever `total` says."""


async def fetch_page(context: Context, query: str, cursor: str | None) -> Page[PackageRecord]:
    """Search by words; the cursor is how many were seen.

    Raises:
        Unavailable: This registry has no search, as many proxies.
        InvalidResponse: The answer is none of a search.
    """
    seen = int(cursor or 0)
    response = await context.http.get(
        f"{context.settings.base_url}/-/v1/search",
        params={"text": query, "size": min(PAGE_SIZE, MAX_FOUND - seen), "from": seen},
        extensions={"wump_resource": "search"},
    )
    if response.status_code in (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED):
        raise Unavailable("this registry has no search")
    response.raise_for_status()
    return parse_page(response.content, seen)


def parse_page(content: bytes, seen: int) -> Page[PackageRecord]:
    """Read one page, after so many that were seen before.

    Raises:
        InvalidResponse: It is no answer of a search; the text names the field.
    """
    try:
        document = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        raise InvalidResponse("the answer to a search can't be read as JSON") from None
    found = document.get("objects") if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise InvalidResponse("the answer to a search must be an object with the list `objects`")
    total = document.get("total")
    total = total if isinstance(total, int) and total >= 0 else None
    items, diagnostics = collect_items(found, _parse_item)
    seen += len(found)
    is_more = bool(found) and (total is None or seen < total)
    return Page(
        items=items,
        next_cursor=str(seen) if is_more and seen < MAX_FOUND else None,
        total=total,
        complete=not (is_more and seen >= MAX_FOUND),
        diagnostics=diagnostics,
    )


def _parse_item(item: Any) -> PackageRecord:
    about = item["package"]
    links = about.get("links") or {}
    description, version = about.get("description"), about.get("version")
    diagnostics = Diagnostics()
    fields: dict[str, Any] = {
        "purl": str(make_purl("npm", about["name"])),
        "latest_version": version if isinstance(version, str) else None,
        "description": description.strip()[:MAX_DESCRIPTION_LENGTH] or None if isinstance(description, str) else None,
        "homepage": links.get("homepage") or None,
        "repository": parse_repository(links, diagnostics, checked=False),
        "dependencies_unknown": "a search does not tell them",
    }
    return build_record(fields, diagnostics)
