"""Reverse dependencies: the crates whose default version depends on a crate.

Source: crates.io's OpenAPI description. `dependencies` name the crate that was asked about, and by `version_id` the
version that depends on it; who that is stands in `versions`, one entry for all rows of a version.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from wump_core import Context, DependentRecord, InvalidResponse, Page, Purl, collect_items, make_purl_text

from wump_provider_cratesio.crates import make_claim, parse_object
from wump_provider_cratesio.dependencies import choose_scope, text_or_null
from wump_provider_cratesio.settings import api_of

PAGE_SIZE = 100
MAX_PAGES = 200
"""Behind these the API refuses; the dump has all."""


async def fetch_page(context: Context, purl: Purl, cursor: str | None) -> Page[DependentRecord]:
    """Fetch a page of dependents, the most downloaded first; the cursor is the page's number.

    Raises:
        NotFound: There is no such crate.
        InvalidResponse: The answer is no list of reverse dependencies.
    """
    number = int(cursor or 1)
    response = await context.http.get(
        f"{api_of(context)}/crates/{quote(purl.name)}/reverse_dependencies",
        params={"per_page": PAGE_SIZE, "page": number},
    )
    response.raise_for_status()
    return parse_page(response.content, number)


def parse_page(content: bytes, number: int = 1) -> Page[DependentRecord]:
    """Read one page.

    Raises:
        InvalidResponse: It is none; the text names the field.
    """
    document = parse_object(content, "the list of reverse dependencies")
    rows, versions = document.get("dependencies"), document.get("versions")
    if not isinstance(rows, list):
        raise InvalidResponse("the list of reverse dependencies must have the list `dependencies`")
    if not isinstance(versions, list):
        raise InvalidResponse("the list of reverse dependencies must have the list `versions`: it names the dependents")
    by_id = {
        version["id"]: version
        for version in versions
        if isinstance(version, dict) and isinstance(version.get("id"), int)
    }
    items, diagnostics = collect_items(rows, lambda row: _parse_row(row, by_id))
    meta = document.get("meta")
    total = meta.get("total") if isinstance(meta, dict) else None
    is_full = len(rows) >= PAGE_SIZE
    return Page(
        items=items,
        next_cursor=str(number + 1) if is_full and number < MAX_PAGES else None,
        total=total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None,
        complete=not (is_full and number >= MAX_PAGES),
        diagnostics=diagnostics,
    )


def _parse_row(row: Any, versions: Mapping[Any, Mapping[str, Any]]) -> DependentRecord:
    version = versions.get(row["version_id"])
    if version is None:
        raise ValueError("`version_id` names no entry of `versions`: who depends is not told")
    repository = version.get("repository")
    kind = text_or_null(row.get("kind"), "kind") or "normal"
    return DependentRecord(
        purl=make_purl_text("cargo", version["crate"]),
        repository=make_claim(repository) if isinstance(repository, str) else None,
        requirement=text_or_null(row.get("req"), "req"),
        scope=choose_scope(kind, optional=row.get("optional") is True),
        direct=True,
        revision=text_or_null(version.get("num"), "num"),
    )
