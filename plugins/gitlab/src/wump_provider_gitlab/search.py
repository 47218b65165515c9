"""Searching projects: of all the instance, or of one owner."""

from typing import Any

import httpx
from wump_core import Context, Diagnostic, Page, RepositoryQuery, RepositoryRecord, collect_items

from wump_provider_gitlab.addresses import quote_segment
from wump_provider_gitlab.pages import MAX_OFFSET, PAGE_SIZE, next_page, parse_number, parse_total
from wump_provider_gitlab.parse import has_language, is_active_after, parse_list, parse_project
from wump_provider_gitlab.projects import fetch_languages

LANGUAGE_PAGE_SIZE = 20
"""Where the languages of each project must be asked for: a call has 45 seconds."""

Place = tuple[str, int]
"""Which list (`projects`, `groups` or `users`), and the number of a page in it; as a cursor, `groups:2`."""


async def fetch_page(context: Context, query: RepositoryQuery, cursor: str | None) -> Page[RepositoryRecord]:
    """Fetch one page, the most starred first.

    GitLab filters by text, and but for a group's projects by language, topic and last activity, which a push is one
    of. All else is filtered here.

    Only public projects are asked for, so that all found are public.

    Raises:
        NotFound: There is no such owner.
        ValueError: The cursor is none of this search.
    """
    place = _parse_cursor(cursor, query)
    asked = _make_parameters(query, place)
    response = await _ask(context, query, place, asked)
    if response.status_code == httpx.codes.NOT_FOUND and cursor is None and query.owner and "/" not in query.owner:
        place = ("users", 1)
        asked = _make_parameters(query, place)
        response = await _ask(context, query, place, asked)
    response.raise_for_status()
    host = context.settings.code_host or ""
    found, diagnostics = collect_items(
        parse_list(response.json()), lambda item: (item, parse_project(item, host, public=True))
    )
    following = next_page(response, asked)
    # The list falls from star to star: below the lowest that is wanted there is nothing more.
    is_past = bool(found) and found[-1][1].stars is not None and found[-1][1].stars < (query.min_stars or 0)
    is_cut = following is not None and not is_past and following * int(asked["per_page"]) > MAX_OFFSET
    if is_cut:
        diagnostics = (*diagnostics[:400], Diagnostic(message=f"GitLab shows {MAX_OFFSET:,} projects at most"))
    return Page(
        items=await _choose(context, query, place, found),
        next_cursor=f"{place[0]}:{following}" if following and not is_past and not is_cut else None,
        total=None if _filters_here(query, place) else parse_total(response),
        complete=not is_cut,
        diagnostics=diagnostics,
    )


def _parse_cursor(cursor: str | None, query: RepositoryQuery) -> Place:
    kinds = ("groups", "users") if query.owner else ("projects",)
    if cursor is None:
        return kinds[0], 1
    kind, _, number = cursor.partition(":")
    page = parse_number(number)
    if kind not in kinds or not page:
        raise ValueError(f"the cursor {cursor[:40]!r} is none of this search")
    return kind, page


def _make_parameters(query: RepositoryQuery, place: Place) -> dict[str, str]:
    kind, page = place
    asked = {"order_by": "star_count", "sort": "desc", "per_page": str(PAGE_SIZE), "page": str(page)}
    given = {"visibility": "public", "search": query.text}
    if kind == "groups":
        # Shared projects belong to others, those of subgroups don't.
        given |= {"include_subgroups": "true", "with_shared": "false"}
        if query.language:
            asked["per_page"] = str(LANGUAGE_PAGE_SIZE)
    else:
        given |= {
            "with_programming_language": query.language,
            "topic": query.topic,
            "last_activity_after": query.pushed_after.isoformat() if query.pushed_after else None,
        }
    return asked | {name: value for name, value in given.items() if value}


async def _ask(context: Context, query: RepositoryQuery, place: Place, asked: dict[str, str]) -> httpx.Response:
    path = f"{place[0]}/{quote_segment(query.owner)}/projects" if query.owner else "projects"
    return await context.http.get(
        f"{context.settings.base_url}/{path}",
        params=asked,
        extensions={"wump_resource": "owners" if query.owner else "projects"},
    )


def _filters_here(query: RepositoryQuery, place: Place) -> bool:
    """Whether GitLab's own count is of more than what is wanted."""
    return bool(
        query.min_stars
        or query.max_stars is not None
        or (place[0] == "groups" and (query.topic or query.language or query.pushed_after))
    )


async def _choose(
    context: Context, query: RepositoryQuery, place: Place, found: tuple[tuple[Any, RepositoryRecord], ...]
) -> tuple[RepositoryRecord, ...]:
    """What fulfils the parts of the query that GitLab didn't filter by."""
    chosen = [(item, record) for item, record in found if _fits_stars(query, record)]
    if place[0] != "groups":
        return tuple(record for _, record in chosen)
    if query.topic:
        topic = query.topic.casefold()
        chosen = [pair for pair in chosen if topic in (name.casefold() for name in pair[1].topics or ())]
    if query.pushed_after:
        chosen = [pair for pair in chosen if is_active_after(pair[0], query.pushed_after)]
    if not query.language:
        return tuple(record for _, record in chosen)
    languages = [(item, record, await fetch_languages(context, item)) for item, record in chosen]
    return tuple(
        parse_project(item, record.host, shares, public=True)
        for item, record, shares in languages
        if has_language(shares, query.language)
    )


def _fits_stars(query: RepositoryQuery, record: RepositoryRecord) -> bool:
    """Unknown stars are neither few nor many."""
    if record.stars is None:
        return not query.min_stars and query.max_stars is None
    return (query.min_stars or 0) <= record.stars and (query.max_stars is None or record.stars <= query.max_stars)
