"""Search by words, where the operator says where it answers: its address follows from no other.

Source: the documentation of the search's REST API (solrsearch): `GET …/select` with `q`, `rows`, `start`, `wt=json`.
"""

from typing import Any

from pydantic import Field, field_validator, model_validator
from wump_core import (
    Context,
    InvalidResponse,
    PackageRecord,
    Page,
    ProviderSettings,
    Unavailable,
    collect_items,
    make_purl,
)

PAGE_SIZE = 100
MAX_RESULTS = 5_000
"""Later ones are no answer to a person's question, and each page is a request."""


class MavenSettings(ProviderSettings):
    """`WUMP_PROVIDER_MAVEN_*`."""

    search_url: str | None = Field(
        default=None,
        max_length=2_000,
        description="Where the search answers, without `/select`. Unset: no search.",
    )

    @field_validator("search_url")
    @classmethod
    def _without_slash(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else None

    @model_validator(mode="before")
    @classmethod
    def _may_be_asked(cls, data: Any) -> Any:
        """The search's host is one of those that may be asked; what is allowed for `hosts` is checked there."""
        url = data.get("search_url") if isinstance(data, dict) else None
        return data | {"hosts": (*data.get("hosts", ()), url)} if url else data


async def fetch_page(context: Context, query: str, cursor: str | None) -> Page[PackageRecord]:
    """Fetch one page; the cursor is how many results were shown.

    Raises:
        InvalidResponse: The answer is none of a search.
        ValueError: The cursor is no number.
    """
    if not isinstance(context.settings, MavenSettings) or context.settings.search_url is None:
        raise Unavailable("the search needs the setting WUMP_PROVIDER_MAVEN_SEARCH_URL")
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 7):
        raise ValueError(f"the cursor {cursor[:40]!r} is no number of results")
    start = int(cursor or 0)
    response = await context.http.get(
        f"{context.settings.search_url}/select",
        params={"q": query, "rows": PAGE_SIZE, "start": start, "wt": "json"},
        extensions={"wump_resource": "search"},
    )
    response.raise_for_status()
    return parse_page(response.json(), start)


def parse_page(document: Any, start: int) -> Page[PackageRecord]:
    """Read one page.

    Raises:
        InvalidResponse: It is none.
    """
    answer = document.get("response") if isinstance(document, dict) else None
    found = answer.get("docs") if isinstance(answer, dict) else None
    total = answer.get("numFound") if isinstance(answer, dict) else None
    if not isinstance(found, list) or not isinstance(total, int) or isinstance(total, bool) or total < 0:
        raise InvalidResponse("the answer of the search must hold `response` with `docs` and `numFound`")
    items, diagnostics = collect_items(found, _parse_item)
    shown = start + len(found)
    has_more = bool(found) and shown < total
    return Page(
        items=tuple({item.purl: item for item in items}.values()),
        next_cursor=str(shown) if has_more and shown < MAX_RESULTS else None,
        total=total,
        complete=not has_more or shown < MAX_RESULTS,
        diagnostics=diagnostics,
    )


def _parse_item(item: Any) -> PackageRecord:
    return PackageRecord(
        purl=str(make_purl("maven", f"{item['g']}/{item['a']}")),
        latest_version=item.get("latestVersion") or item.get("v"),
        dependencies_unknown="a search does not tell them",
    )
