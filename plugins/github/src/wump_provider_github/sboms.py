"""The dependency graph, as the SBOM that GitHub computes: asked for, waited for, and fetched from where it was put.

Older Enterprise Servers only have the synchronous form, which is the fallback. The file names dependencies and
little else: neither scopes nor, for certain, which are direct.

Source: GitHub's REST API documentation, "Software bill of materials (SBOM)"; SPDX 2.3, clauses 7 and 11.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx
from wump_core import (
    Context,
    DependencyRecord,
    InvalidManifest,
    InvalidResponse,
    NotFound,
    Page,
    Unavailable,
    make_dependencies,
    read_items,
    read_mapping,
    read_spdx,
)

from wump_provider_github.settings import STORAGE
from wump_provider_github.upstream import check_status, fetch, find_path, read_list, read_object

MAX_ITEMS = 10_000
"""As many as a page holds."""
MAX_WAITS = 200
_REPORT = re.compile(r"/fetch-report/([A-Za-z0-9-]{1,64})(?:[/?#]|$)")
_CURSOR = re.compile(r"(?:report:([A-Za-z0-9-]{1,64}):(\d{1,4})|sbom):(\d{1,7})", re.ASCII)
_EXACT = re.compile(r"[vV]?\d[\w.+!-]*", re.ASCII)
_OLD_PREFIX = re.compile(
    r"(?:actions|cargo|composer|go|maven|npm|nuget|pip|pub|rubygems|rust|swift):(?=.)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a caller is: the report (null: the old form), how often it was waited for, items already shown."""

    report: str | None = None
    waits: int = 0
    offset: int = 0

    def make_cursor(self) -> str:
        """The place as text."""
        return f"report:{self.report}:{self.waits}:{self.offset}" if self.report else f"sbom:{self.offset}"

    @classmethod
    def read_cursor(cls, cursor: str) -> Self:
        """The place of a text.

        Raises:
            InvalidResponse: It was not made here.
        """
        found = _CURSOR.fullmatch(cursor)
        if found is None:
            raise InvalidResponse("the cursor can't be read: begin again without one")
        return cls(found[1], int(found[2] or 0), int(found[3]))


async def fetch_dependency_graph(context: Context, url: str, cursor: str | None) -> Page[DependencyRecord]:
    """Ask for a report, or for what became of it.

    Raises:
        NotFound: No such repository, or its dependency graph is off.
        Unavailable: The report was waited for too often.
    """
    graph = f"/repos/{find_path(context, url)}/dependency-graph/sbom"
    if cursor is None:
        report = await _start_report(context, graph)
        if report is not None:
            return _wait(Place(report))
        return await _fetch_old_form(context, graph, Place())
    place = Place.read_cursor(cursor)
    if place.report is None:
        return await _fetch_old_form(context, graph, place)
    return await _fetch_report(context, graph, place)


async def _start_report(context: Context, graph: str) -> str | None:
    """The id of a new report; null where the server knows only the old form."""
    response = await fetch(context, f"{graph}/generate-report", resource="dependency_sbom")
    if response.status_code in (404, 405, 410):
        return None
    _check_graph(response)
    found = _REPORT.search(str(read_object(response).get("sbom_url")))
    if found is None:
        raise InvalidResponse("the address of the report can't be read")
    return found[1]


def _wait(place: Place) -> Page[DependencyRecord]:
    return Page[DependencyRecord](items=(), next_cursor=place.make_cursor())


async def _fetch_report(context: Context, graph: str, place: Place) -> Page[DependencyRecord]:
    """The report: not yet there, behind a redirect, or the answer itself."""
    address = f"{graph}/fetch-report/{place.report}"
    response = await fetch(context, address, resource="dependency_sbom", follow=False)
    if response.status_code in (201, 202):
        if place.waits >= MAX_WAITS:
            raise Unavailable("the report was not ready in time")
        return _wait(Place(place.report, place.waits + 1, place.offset))
    if response.status_code == 404:
        raise InvalidResponse("the report is gone, after a week at most: begin again without a cursor")
    if response.is_redirect:
        response = await _fetch_stored(context, response)
    _check_graph(response)
    return parse_sbom(read_object(response), place)


async def _fetch_stored(context: Context, redirect: httpx.Response) -> httpx.Response:
    """The file at its temporary address, which takes no token: it is on another host, and signed."""
    target = urljoin(str(redirect.url), redirect.headers.get("location", ""))
    if urlsplit(target).scheme not in ("https", redirect.url.scheme):
        raise InvalidResponse("the report was put at an address without https")
    return await context.http.get(
        target, follow_redirects=False, extensions={"wump_credential": False, "wump_resource": STORAGE}
    )


async def _fetch_old_form(context: Context, graph: str, place: Place) -> Page[DependencyRecord]:
    response = await fetch(context, graph, resource="dependency_sbom")
    _check_graph(response)
    return parse_sbom(read_object(response), place)


def _check_graph(response: httpx.Response) -> None:
    """A graph that is off, as it is on forks, answers 404, or a 403 that says so."""
    if response.status_code == 403 and b"dependency graph" in response.content[:10_000].lower():
        raise NotFound("its dependency graph is off (HTTP 403)")
    try:
        check_status(response)
    except NotFound as error:
        raise NotFound(f"{error}; or its dependency graph is off") from None


def parse_sbom(payload: Mapping[str, Any], place: Place) -> Page[DependencyRecord]:
    """Read an SPDX document, with or without GitHub's outer `sbom`: one page of its packages.

    Packages of ecosystems that wump doesn't know keep their name and have no purl.
    """
    document = read_mapping(payload.get("sbom")) or dict(payload)
    try:
        found = read_spdx(document | {"packages": _tidy(document)})
    except InvalidManifest as error:
        raise InvalidResponse(str(error)) from None
    shown = found.rows[place.offset : place.offset + MAX_ITEMS]
    items, diagnostics = make_dependencies(shown)
    end = place.offset + len(shown)
    return Page[DependencyRecord](
        items=tuple(items),
        next_cursor=Place(place.report, place.waits, end).make_cursor() if end < len(found.rows) else None,
        total=len(found.rows),
        diagnostics=(*diagnostics, *found.diagnostics)[:500],
    )


def _tidy(document: Mapping[str, Any]) -> list[Any]:
    """The packages without prefixes of old, and without the repository itself where none is described."""
    relations = map(read_mapping, read_items(document.get("relationships")))
    described = document.get("documentDescribes") or any(
        item.get("relationshipType") == "DESCRIBES" for item in relations
    )
    kept = []
    for item in read_list(document, "packages"):
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str):
            kept.append(item)
        elif described or not name.startswith("com.github."):
            kept.append(item | {"name": _OLD_PREFIX.sub("", name, count=1)})
    return kept
