"""Workspaces of npm, Yarn and Bun: a dependency on another workspace of the same tree is none on the registry.

Source: npm's and Yarn's documentation of `workspaces`. Whether the workspace's own version fits the range is not
looked at: where it doesn't, the tree still means its own package. pnpm links workspaces only where it is told so
with `workspace:`, so that there is nothing to find out.
"""

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from wump_core import DependencyRecord

from wump_provider_npm.manifests.declared import NAME, is_named_by, list_member_globs, list_members, read_manifest

MAX_FOLDERS = 20


def mark_members(
    path: str, manifest: Mapping[str, Any], records: tuple[DependencyRecord, ...], siblings: Mapping[str, bytes]
) -> tuple[tuple[DependencyRecord, ...], list[str]]:
    """Mark the records that name a workspace of the tree; the second answer is what is wanted to tell."""
    if not any(record.source == "registry" for record in records):
        return records, []
    needs, names = [], set()
    for place, root in [(path, manifest), *_list_roots(path, siblings)]:
        needs.append(place)
        globs = list_member_globs(place, root or {})
        if root is None or not (place == path or is_named_by(globs, path)):
            continue
        needs += globs
        names.update(member.get("name") for _, member in list_members(globs, siblings))
        names.update({root.get("name")} if globs else ())
    marked = tuple(
        record.model_copy(update={"purl": None, "source": "workspace"})
        if record.source == "registry" and record.name in names
        else record
        for record in records
    )
    return marked, needs[1:]


def _list_roots(path: str, siblings: Mapping[str, bytes]) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """The package.json files above, of which one may name this one as its workspace."""
    folder = posixpath.dirname(path)
    for _ in range(MAX_FOLDERS):
        if not folder:
            return
        folder = posixpath.dirname(folder)
        place = posixpath.join(folder, NAME)
        yield place, read_manifest(siblings.get(place))
