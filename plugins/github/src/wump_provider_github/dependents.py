"""Dependents: GitHub lists none, so its code search is asked for manifests that name a package.

What it finds is a hint and no more: the name stands there. Such a repository is worth reading.

Source: GitHub's REST API documentation, "Search", "Search code".
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from wump_core import (
    Context,
    DependentRecord,
    Diagnostic,
    InvalidResponse,
    Page,
    Purl,
    RepositoryClaim,
    Unavailable,
    collect_items,
    parse_repository_url,
    read_count,
    read_mapping,
)

from wump_provider_github.upstream import fetch_object, read_list

PAGE_SIZE = 100
MAX_RESULTS = 1_000
MANIFESTS: Mapping[str, tuple[str, ...]] = {
    "npm": ("filename:package.json",),
    "pypi": (
        "filename:pyproject.toml",
        "filename:requirements.txt",
        "filename:setup.py",
        "filename:setup.cfg",
        "filename:Pipfile",
    ),
    "githubactions": ("path:.github/workflows extension:yml", "path:.github/workflows extension:yaml"),
    "cargo": ("filename:Cargo.toml",),
    "maven": ("filename:pom.xml", "filename:build.gradle", "filename:build.gradle.kts"),
}
"""By ecosystem, which files name its packages. One search each, in this order."""
_CURSOR = re.compile(r"(\d{1,2}):(\d{1,2})", re.ASCII)


async def fetch_dependents(context: Context, purl: Purl, cursor: str | None) -> Page[DependentRecord]:
    """Fetch one page of one of the searches; the cursor is `search:page`.

    Raises:
        Unavailable: No manifest of this ecosystem is known here.
        CredentialsRejected: There is no token, which the code search needs.
    """
    searches = MANIFESTS.get(purl.ecosystem)
    if searches is None:
        raise Unavailable(f"GitHub's code search is not asked for {purl.ecosystem}")
    at, page = _read_cursor(cursor, len(searches))
    payload = await fetch_object(
        context,
        "/search/code",
        params={"q": f"{_describe_name(purl)} {searches[at]}", "per_page": PAGE_SIZE, "page": page},
        resource="code_search",
    )
    return parse_found_files(context.settings.code_host or "", payload, at, page, len(searches))


def _read_cursor(cursor: str | None, searches: int) -> tuple[int, int]:
    found = _CURSOR.fullmatch(cursor or "0:1")
    if found is None or int(found[1]) >= searches or not 1 <= int(found[2]) <= MAX_RESULTS // PAGE_SIZE:
        raise InvalidResponse("the cursor can't be read: begin again without one")
    return int(found[1]), int(found[2])


def _describe_name(purl: Purl) -> str:
    """What a manifest must hold. Maven's two parts stand on two lines."""
    parts = re.split(r"[/:]", purl.name) if purl.ecosystem == "maven" else [purl.name]
    return " ".join(f'"{part}"' for part in parts)


def parse_found_files(
    host: str, payload: Mapping[str, Any], at: int, page: int, searches: int
) -> Page[DependentRecord]:
    """Read one answer. More than a thousand files of one search can't be reached: the page is incomplete then."""
    raw_items = read_list(payload, "items")
    total = read_count(payload.get("total_count")) or 0
    public = [raw for raw in raw_items if read_mapping(read_mapping(raw).get("repository")).get("private") is not True]
    items, diagnostics = collect_items(public, lambda raw: _parse_file(host, raw))
    if total > MAX_RESULTS:
        message = f"{total:,} files were found, of which {MAX_RESULTS:,} can be reached"
        diagnostics = (*diagnostics, Diagnostic(message=message))
    if raw_items and page * PAGE_SIZE < min(total, MAX_RESULTS):
        following = f"{at}:{page + 1}"
    else:
        following = f"{at + 1}:1" if at + 1 < searches else None
    return Page[DependentRecord](
        items=items,
        next_cursor=following,
        total=total if searches == 1 else None,
        complete=payload.get("incomplete_results") is not True and total <= MAX_RESULTS,
        diagnostics=diagnostics,
    )


def _parse_file(host: str, raw: Mapping[str, Any]) -> DependentRecord:
    path = raw["repository"]["full_name"]
    found = parse_repository_url(f"https://{host}/{path}")
    if found is None:
        raise ValueError("the file is in no repository that can be named")
    return DependentRecord(
        repository=RepositoryClaim(host=found.host, path=found.path, owner=found.owner or path.partition("/")[0]),
        certain=False,
        path=raw["path"],
        revision=_read_revision(raw.get("url")),
    )


def _read_revision(url: object) -> str | None:
    """The commit that was searched: `ref` of the file's address."""
    values = parse_qs(urlsplit(url).query).get("ref") if isinstance(url, str) else None
    return values[0] if values else None
