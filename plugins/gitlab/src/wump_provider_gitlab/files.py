"""Trees and files of a project."""

import re
from urllib.parse import quote

import httpx
from wump_core import Context, Diagnostic, NotFound, TreeRecord, collect_items

from wump_provider_gitlab.pages import PAGE_SIZE, next_parameters
from wump_provider_gitlab.parse import parse_entry, parse_list, parse_object
from wump_provider_gitlab.projects import project_address

MAX_TREE_PAGES = 250
"""A call has 300 requests; a tree of more than 25,000 files and directories is cut."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


async def fetch_tree(context: Context, url: str, revision: str | None) -> TreeRecord:
    """Fetch all entries at one commit, so that a push in between changes nothing.

    Raises:
        NotFound: There is no such project or revision.
    """
    address, _ = project_address(context, url)
    commit = await _fetch_commit(context, address, revision)
    if commit is None:
        return TreeRecord(revision=None, entries=())
    asked: dict[str, str] | None = {
        "ref": commit, "recursive": "true", "per_page": str(PAGE_SIZE), "pagination": "keyset",
    }  # fmt: skip
    raw = []
    for _ in range(MAX_TREE_PAGES):
        response = await context.http.get(f"{address}/repository/tree", params=asked)
        response.raise_for_status()
        raw += parse_list(response.json())
        asked = next_parameters(response, asked)
        if asked is None:
            break
    entries, diagnostics = collect_items(raw, parse_entry)
    return TreeRecord(
        revision=commit,
        entries=tuple(entry for entry in entries if entry is not None),
        complete=asked is None,
        diagnostics=diagnostics
        if asked is None
        else (*diagnostics[:400], Diagnostic(message=f"only the first {MAX_TREE_PAGES * PAGE_SIZE} entries were read")),
    )


async def _fetch_commit(context: Context, address: str, revision: str | None) -> str | None:
    """The commit of a branch or tag; null in an empty project."""
    if revision is not None and _COMMIT.fullmatch(revision):
        return revision
    response = await context.http.get(f"{address}/repository/commits/{quote(revision or 'HEAD', safe='')}")
    if response.status_code == httpx.codes.NOT_FOUND and revision is None and await _is_empty(context, address):
        return None
    response.raise_for_status()
    return str(parse_object(response.json(), "id")["id"])


async def _is_empty(context: Context, address: str) -> bool:
    """Whether the project is there, and holds nothing."""
    response = await context.http.get(address, extensions={"wump_resource": "project"})
    response.raise_for_status()
    project = parse_object(response.json(), "path_with_namespace")
    return bool(project.get("empty_repo", project.get("default_branch") is None))


async def fetch_file(context: Context, url: str, revision: str, path: str) -> bytes:
    """Fetch one file.

    Raises:
        NotFound: There is no such project, revision or file, or it is a directory.
    """
    address, _ = project_address(context, url)
    if not path or path.startswith("/"):
        raise NotFound("a file's path starts at the root, without `/`")
    response = await context.http.get(
        f"{address}/repository/files/{quote(path, safe='')}/raw",
        params={"ref": revision},
        extensions={"wump_resource": "files"},
    )
    response.raise_for_status()
    return response.content
