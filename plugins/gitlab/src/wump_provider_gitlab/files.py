"""Trees and files of a project."""

import asyncio
import re
from typing import Any

import httpx
from wump_core import Context, Diagnostic, NotFound, TreeEntry, TreeRecord, collect_items

from wump_provider_gitlab.addresses import make_project_address, quote_segment
from wump_provider_gitlab.pages import PAGE_SIZE, next_parameters
from wump_provider_gitlab.parse import parse_entry, parse_list, parse_object

MAX_TREE_PAGES = 250
"""A call has 300 requests; a tree of more than 25,000 files and directories is cut."""
MAX_TREE_SECONDS = 30.0
"""A call has 45 seconds: what was read by then is worth more than nothing."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HIDDEN = (httpx.codes.FORBIDDEN, httpx.codes.NOT_FOUND)


async def fetch_tree(context: Context, url: str, revision: str | None) -> TreeRecord:
    """Fetch all entries at one commit, so that a push in between changes nothing.

    Raises:
        NotFound: There is no such project or revision, or its code may not be seen.
    """
    address = make_project_address(context, url)
    commit = revision
    if revision is None or not _COMMIT.fullmatch(revision):
        response = await context.http.get(f"{address}/repository/commits/{quote_segment(revision or 'HEAD')}")
        if response.status_code in _HIDDEN and await _is_empty(context, address, revision, response.status_code):
            return TreeRecord(revision=None, entries=())
        response.raise_for_status()
        address = _locate(response)
        commit = str(parse_object(response.json(), "id")["id"])
    raw, is_complete = await _fetch_entries(context, address, str(commit))
    parsed, diagnostics = collect_items(raw, parse_entry)
    entries = {entry.path: entry for entry in parsed if isinstance(entry, TreeEntry)}
    if not is_complete:
        diagnostics = (*diagnostics[:400], Diagnostic(message=f"only the first {len(raw):,} entries were read"))
    return TreeRecord(revision=commit, entries=tuple(entries.values()), complete=is_complete, diagnostics=diagnostics)


async def _is_empty(context: Context, address: str, revision: str | None, status: int) -> bool:
    """Whether a revision can't be found because there is none at all.

    Raises:
        NotFound: The project can't be seen, or its code can't.
    """
    response = await context.http.get(address, extensions={"wump_resource": "project"})
    response.raise_for_status()
    project = parse_object(response.json(), "path_with_namespace")
    if status == httpx.codes.FORBIDDEN:
        if "default_branch" not in project:
            raise NotFound("its code is not for everybody")
        return False
    if "empty_repo" in project:
        return bool(project["empty_repo"])
    # An empty project may name the branch that its first commit will make.
    branch = project.get("default_branch", False)
    return branch is not False and (revision is None or branch in (None, revision))


async def _fetch_entries(context: Context, address: str, commit: str) -> tuple[list[Any], bool]:
    """All entries as GitLab writes them, and whether these are all."""
    raw: list[Any] = []
    asked = {"ref": commit, "recursive": "true", "per_page": str(PAGE_SIZE), "pagination": "keyset"}
    clock = asyncio.get_running_loop().time
    until = clock() + MAX_TREE_SECONDS
    for _ in range(MAX_TREE_PAGES):
        response = await context.http.get(f"{address}/repository/tree", params=asked)
        response.raise_for_status()
        address = _locate(response)
        raw += parse_list(response.json())
        following = next_parameters(response, asked)
        if following is None:
            return raw, True
        if clock() > until:
            break
        asked = following
    return raw, False


def _locate(response: httpx.Response) -> str:
    """Where the project is now: each request to an old path is redirected, which would double their number."""
    return str(response.url).partition("/repository/")[0]


async def fetch_file(context: Context, url: str, revision: str, path: str) -> bytes:
    """Fetch one file; of a file in LFS, its pointer.

    Raises:
        NotFound: There is no such project, revision or file, or it is a directory.
    """
    address = make_project_address(context, url)
    response = await context.http.get(
        f"{address}/repository/files/{quote_segment(path)}/raw",
        params={"ref": revision},
        extensions={"wump_resource": "files"},
    )
    response.raise_for_status()
    return response.content
