"""The dependency list: what GitLab's dependency scanning found, where a project has it and the tier for it.

Source: GitLab's REST API documentation, "Dependencies API". It says neither which are direct nor in which scope.
"""

from typing import Any

from wump_core import Context, DependencyRecord, Diagnostic, InvalidPurl, Page, collect_items, make_printable, make_purl

from wump_provider_gitlab.addresses import make_project_address
from wump_provider_gitlab.pages import PAGE_SIZE, next_page, parse_number, parse_total
from wump_provider_gitlab.parse import parse_list

_MANAGERS = {
    "npm": ("npm", "yarn", "pnpm"),
    "pypi": ("pip", "pipenv", "setuptools", "poetry", "uv"),
    "maven": ("maven", "gradle", "sbt"),
    "gem": ("bundler",),
    "golang": ("go",),
}
_ECOSYSTEMS = {manager: ecosystem for ecosystem, managers in _MANAGERS.items() for manager in managers}
"""Purl type by GitLab's `package_manager`, where they are called differently."""


async def fetch_page(context: Context, url: str, cursor: str | None) -> Page[DependencyRecord]:
    """Fetch one page. The cursor is its number.

    An empty list is not complete: GitLab gives one too where nothing was scanned.

    Raises:
        NotFound: There is no such project, or it has no such list.
        ValueError: The cursor is no number.
    """
    page = parse_number(cursor or "1")
    if not page:
        raise ValueError(f"the cursor {str(cursor)[:40]!r} is no page's number")
    asked = {"per_page": str(PAGE_SIZE), "page": str(page)}
    response = await context.http.get(f"{make_project_address(context, url)}/dependencies", params=asked)
    response.raise_for_status()
    found, diagnostics = collect_items(
        parse_list(response.json()), lambda item: (item.get("package_manager"), parse_dependency(item))
    )
    following = next_page(response, asked)
    is_empty = not found and not diagnostics and page == 1
    if is_empty:
        diagnostics = (Diagnostic(message="GitLab lists no dependency: there is none, or nothing was scanned"),)
    unnamed = dict.fromkeys(make_printable(str(manager), 200) for manager, record in found if record.purl is None)
    return Page(
        items=tuple(record for _, record in found),
        next_cursor=str(following) if following else None,
        total=None if is_empty else parse_total(response),
        complete=not is_empty,
        diagnostics=(
            *diagnostics,
            *(Diagnostic(field="package_manager", message=f"packages of {name} have no purl") for name in unnamed),
        ),
    )


def parse_dependency(item: dict[str, Any]) -> DependencyRecord:
    """Read one row. Which are direct isn't told, and most of a lock file's aren't.

    Raises:
        ValueError, KeyError: It is none.
    """
    return DependencyRecord(
        purl=_make_purl(str(item.get("package_manager")), item["name"]),
        name=item["name"],
        resolved_version=item.get("version") or None,
        scope="unknown",
        direct=False,
        field=item.get("dependency_file_path") or None,
    )


def _make_purl(manager: str, name: str) -> str | None:
    """Null for an ecosystem that wump doesn't know, and for what is none of its names."""
    try:
        return str(make_purl(_ECOSYSTEMS.get(manager, manager), name))
    except InvalidPurl:
        return None
