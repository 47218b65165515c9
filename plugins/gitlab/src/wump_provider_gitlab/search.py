"""Searching projects: of all the instance, or of one owner."""

from urllib.parse import quote

import httpx
from wump_core import Context, Diagnostic, Page, RepositoryQuery, RepositoryRecord, collect_items

from wump_provider_gitlab.pages import MAX_OFFSET, PAGE_SIZE, next_parameters
from wump_provider_gitlab.parse import parse_list, parse_project


async def fetch_page(context: Context, query: RepositoryQuery, cursor: str | None) -> Page[RepositoryRecord]:
    """Fetch one page, the most starred first. The cursor is a list's path and a page's number in it: `projects:2`.

    GitLab filters by text, language, topic and last activity, which a push is one of; stars are filtered here.

    Raises:
        NotFound: There is no such owner.
    """
    path, _, page = (cursor or "").rpartition(":")
    asked = {"order_by": "star_count", "sort": "desc", "per_page": str(PAGE_SIZE), "page": page or "1"}
    asked |= _filters(query)
    path = path or (f"groups/{quote(query.owner, safe='')}/projects" if query.owner else "projects")
    response = await _ask(context, path, asked)
    if response.status_code == httpx.codes.NOT_FOUND and query.owner and not cursor and "/" not in query.owner:
        path = f"users/{quote(query.owner, safe='')}/projects"
        response = await _ask(context, path, asked)
    response.raise_for_status()
    host = context.settings.code_host or ""
    items, diagnostics = collect_items(parse_list(response.json()), lambda item: parse_project(item, host))
    following = _next_page(response, asked)
    # The list falls from star to star: below the lowest that is wanted there is nothing more.
    is_past = query.min_stars is not None and bool(items) and (items[-1].stars or 0) < query.min_stars
    is_cut = following is not None and not is_past and following * PAGE_SIZE > MAX_OFFSET
    total = response.headers.get("x-total", "")
    return Page(
        items=tuple(item for item in items if _fits(item, query)),
        next_cursor=f"{path}:{following}" if following and not is_past and not is_cut else None,
        total=int(total) if total.isdecimal() and not (query.min_stars or query.max_stars) else None,
        complete=not is_cut,
        diagnostics=(*diagnostics, *([Diagnostic(message=f"GitLab shows {MAX_OFFSET} at most")] if is_cut else [])),
    )


async def _ask(context: Context, path: str, asked: dict[str, str]) -> httpx.Response:
    kind = path.partition("/")[0]
    # Shared projects belong to others, those of subgroups don't.
    own = {"include_subgroups": "true", "with_shared": "false"} if kind == "groups" else {}
    return await context.http.get(
        f"{context.settings.base_url}/{path}",
        params=asked | own,
        extensions={
            "wump_resource": {"groups": "group_projects", "users": "user_projects", "projects": "projects"}[kind]
        },
    )


def _next_page(response: httpx.Response, asked: dict[str, str]) -> int | None:
    following = next_parameters(response, asked)
    if following is None:
        return None
    page = following.get("page", "")
    if not page.isdecimal() or int(page) <= int(asked["page"]):
        raise ValueError("the next page has no number that is higher")
    return int(page)


def _filters(query: RepositoryQuery) -> dict[str, str]:
    given = {
        "search": query.text,
        "with_programming_language": query.language,
        "topic": query.topic,
        "last_activity_after": query.pushed_after.isoformat() if query.pushed_after else None,
    }
    return {"visibility": "public"} | {name: value for name, value in given.items() if value}


def _fits(item: RepositoryRecord, query: RepositoryQuery) -> bool:
    stars = item.stars or 0
    return stars >= (query.min_stars or 0) and (query.max_stars is None or stars <= query.max_stars)
