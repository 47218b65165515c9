"""Lists of crates: by words, and what was changed last.

Source: crates.io's OpenAPI description of `/crates`. `meta.next_page` is the query of the next page, to be sent as it
is; by relevance there are a thousand results at most.
"""

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

from wump_core import Context, InvalidResponse, PackageRecord, Page, collect_items, make_purl

from wump_provider_cratesio.crates import parse_listed, parse_object
from wump_provider_cratesio.settings import api_of

PAGE_SIZE = 100
MAX_CURSOR = 1_500
_PARAMETERS = frozenset({"page", "per_page", "q", "seek", "sort"})


async def search(context: Context, query: str, cursor: str | None) -> Page[PackageRecord]:
    """Search crates by words, the best match first; the cursor is how many were seen, and the query of the next page.

    Raises:
        InvalidResponse: The answer is no list of crates.
    """
    seen, _, parameters = (cursor or "0?").partition("?")
    asked = parameters or urlencode({"q": query, "per_page": PAGE_SIZE})
    document = await _fetch(context, asked)
    items, diagnostics = collect_items(document["crates"], parse_listed)
    total = _total(document)
    so_far = int(seen) + len(document["crates"])
    following = _next_page(document)
    return Page(
        items=items,
        next_cursor=f"{so_far}?{following}" if following and following != asked else None,
        total=total,
        complete=following is not None or total is None or so_far >= total,
        diagnostics=diagnostics,
    )


async def fetch_changes(context: Context, cursor: str | None) -> Page[str]:
    """Fetch the crates that were published to since a moment, the newest first, back to that moment.

    The cursor is the moment up to which all is known, and while a list is on the way, where it began and goes on:
    `since newest?next`.

    Raises:
        InvalidResponse: The answer is no list of crates, or doesn't say when one was changed.
    """
    moments, _, parameters = (cursor or "").partition("?")
    since, _, newest = moments.partition(" ")
    if cursor is None:
        document = await _fetch(context, urlencode({"sort": "recent-updates", "per_page": 1}))
        return Page(items=(), next_cursor=max(_moments(document), default="1970-01-01T00:00:00Z"))
    asked = parameters or urlencode({"sort": "recent-updates", "per_page": PAGE_SIZE})
    document = await _fetch(context, asked)
    told = _moments(document)
    newest = newest or max([*told, since])
    fresh = [crate for crate, moment in zip(document["crates"], told, strict=True) if moment > since]
    purls, diagnostics = collect_items(fresh, lambda crate: str(make_purl("cargo", crate["name"])))
    following = _next_page(document)
    goes_on = following and following != asked and len(fresh) == len(told) > 0
    return Page(
        items=tuple(dict.fromkeys(purls)),
        next_cursor=f"{since} {newest}?{following}" if goes_on else newest,
        diagnostics=diagnostics,
    )


async def _fetch(context: Context, parameters: str) -> dict[str, Any]:
    response = await context.http.get(f"{api_of(context)}/crates?{parameters}")
    response.raise_for_status()
    document = parse_object(response.content, "the list of crates")
    if not isinstance(document.get("crates"), list):
        raise InvalidResponse("the list of crates must have the list `crates`")
    return document


def _meta(document: dict[str, Any]) -> dict[str, Any]:
    meta = document.get("meta")
    return meta if isinstance(meta, dict) else {}


def _total(document: dict[str, Any]) -> int | None:
    total = _meta(document).get("total")
    return total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None


def _next_page(document: dict[str, Any]) -> str | None:
    """The query of the next page, without its question mark, where it is one of such a list."""
    text = _meta(document).get("next_page")
    if not isinstance(text, str) or not text.startswith("?") or not text.isprintable() or len(text) > MAX_CURSOR:
        return None
    names = {name for name, _ in parse_qsl(text[1:], keep_blank_values=True)}
    return text[1:] if names and names <= _PARAMETERS else None


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|\+00:00)")


def _moments(document: dict[str, Any]) -> list[str]:
    """When each crate was changed, of one spelling, so that they compare as texts."""
    moments = [crate.get("updated_at") if isinstance(crate, dict) else None for crate in document["crates"]]
    return [_spell(moment) for moment in moments]


def _spell(moment: object) -> str:
    if not isinstance(moment, str) or not (found := _MOMENT.fullmatch(moment)):
        raise InvalidResponse("`updated_at` of a crate must be a moment in UTC")
    return f"{moment[:19]}.{(found[1] or '.')[1:]:0<9}Z"
