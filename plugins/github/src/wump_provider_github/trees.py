"""Trees: all files of a revision. GitHub cuts long lists, which are then walked folder by folder.

Source: GitHub's REST API documentation, "Git database", "Trees".
"""

import time
from collections import deque
from collections.abc import Iterable
from typing import Any, Literal
from urllib.parse import quote

from wump_core import Context, Diagnostic, NotFound, TreeEntry, TreeRecord, collect_items, read_count

from wump_provider_github.upstream import check_status, fetch, fetch_object, find_path, read_list, read_object

MAX_ENTRIES = 200_000
"""As many as a record holds."""
MAX_DIAGNOSTICS = 500
MAX_REQUESTS = 100
MAX_SECONDS = 30.0
"""A call has 45 seconds: what was found until then is better than nothing."""
_SYMLINK_MODE = "120000"


async def fetch_tree(context: Context, url: str, revision: str | None) -> TreeRecord:
    """Fetch all paths in one request, or as many more as a cut list needs, within bounds."""
    path = find_path(context, url)
    place = f"/repos/{path}/git/trees/{quote(revision or 'HEAD', safe='')}"
    response = await fetch(context, place, params={"recursive": 1})
    if response.status_code == 409:
        return TreeRecord(revision=None, entries=())
    check_status(response)
    root = read_object(response)
    raw_entries = read_list(root, "tree")
    if root.get("truncated") is not True:
        return parse_tree(root.get("sha"), raw_entries)
    found = {entry["path"]: entry for entry in raw_entries if _has_path(entry)}
    whole = await _walk(context, f"/repos/{path}/git/trees/", str(root.get("sha")), found)
    return parse_tree(root.get("sha"), found.values(), complete=whole)


async def _walk(context: Context, trees: str, root: str, found: dict[str, dict[str, Any]]) -> bool:
    """Add what a cut list lacks: each folder as a whole, and folder by folder where that is cut too.

    Returns whether all of it was reached.
    """
    deadline = time.monotonic() + MAX_SECONDS
    requests = 0
    waiting: deque[tuple[str, str, bool]] = deque([("", root, False)])
    while waiting:
        if requests >= MAX_REQUESTS or len(found) > 2 * MAX_ENTRIES or time.monotonic() > deadline:
            return False
        prefix, sha, recursive = waiting.popleft()
        requests += 1
        try:
            payload = await fetch_object(
                context, f"{trees}{quote(sha, safe='')}", params={"recursive": 1} if recursive else None
            )
        except NotFound:
            return False
        if recursive and payload.get("truncated") is True:
            waiting.append((prefix, sha, False))
            continue
        for entry in read_list(payload, "tree"):
            if _has_path(entry):
                path = prefix + entry["path"]
                found[path] = entry | {"path": path}
                if entry.get("type") == "tree" and not recursive:
                    waiting.append((f"{path}/", str(entry.get("sha")), True))
    return True


def _has_path(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("path"), str)


def parse_tree(revision: object, raw_entries: Iterable[Any], *, complete: bool = True) -> TreeRecord:
    """Read the entries of a tree; folders are left out, since they show in the paths of their files."""
    files = [raw for raw in raw_entries if not (isinstance(raw, dict) and raw.get("type") == "tree")]
    entries, diagnostics = collect_items(files[:MAX_ENTRIES], _parse_entry)
    if not complete or len(files) > MAX_ENTRIES:
        complete = False
        diagnostics = (
            *diagnostics[: MAX_DIAGNOSTICS - 1],
            Diagnostic(message="the tree has more files than could be listed"),
        )
    return TreeRecord(
        revision=str(revision) if revision else None, entries=entries, complete=complete, diagnostics=diagnostics
    )


def _parse_entry(raw: Any) -> TreeEntry:
    return TreeEntry(path=raw["path"], blob=raw["sha"], size=read_count(raw.get("size")), kind=_read_kind(raw))


def _read_kind(raw: Any) -> Literal["file", "symlink", "submodule"]:
    if raw.get("type") == "commit":
        return "submodule"
    return "symlink" if raw.get("mode") == _SYMLINK_MODE else "file"
