"""What a member of a uv workspace has from the workspace's root: where packages come from.

Source: uv's manual (workspaces). The nearest pyproject.toml above with `[tool.uv.workspace]` is the root of those that
its `members` name and its `exclude` doesn't. Its sources apply to every package for which a member names none itself,
not even another index.
"""

import posixpath
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from packaging.utils import canonicalize_name
from wump_core import InvalidManifest, choose_siblings, resolve_path

from wump_provider_pypi.manifests.document import Document, Sources
from wump_provider_pypi.manifests.tools import uv_sources

NAME = "pyproject.toml"
MAX_FOLDERS = 20
MAX_GLOBS = 50
MAX_GLOB_LENGTH = 200


def inherit_sources(path: str, document: Document, siblings: Mapping[str, bytes]) -> tuple[Sources, tuple[str, ...]]:
    """The sources that the workspace gives to a project, and the paths of what is wanted to tell."""
    if "/" not in path or document.table("tool", "uv", "workspace"):
        return {}, ()
    needs: tuple[str, ...] = ()
    for place in islice(_list_above(path), MAX_FOLDERS):
        needs += (place,)
        root = _read(siblings.get(place))
        workspace = root.table("tool", "uv", "workspace") if root else {}
        if root and workspace:
            own = set(map(canonicalize_name, document.table("tool", "uv", "sources")))
            found = uv_sources(root) if _is_member(path, place, workspace) else {}
            return {name: source for name, source in found.items() if name not in own}, needs
    return {}, needs


def _list_above(path: str) -> Iterator[str]:
    folder = posixpath.dirname(path)
    while folder:
        folder = posixpath.dirname(folder)
        yield posixpath.join(folder, NAME)


def _read(content: bytes | None) -> Document | None:
    """A file that is only looked into: what is wrong with it is told where it is read for itself."""
    try:
        return None if content is None else Document(content)
    except InvalidManifest:
        return None


def _is_member(path: str, root: str, workspace: dict[str, Any]) -> bool:
    return _names(root, workspace.get("members"), path) and not _names(root, workspace.get("exclude"), path)


def _names(root: str, patterns: object, path: str) -> bool:
    """Whether patterns of the root, which name folders, name the folder of a file."""
    written = patterns[:MAX_GLOBS] if isinstance(patterns, list) else ()
    texts = (text for text in written if isinstance(text, str) and len(text) <= MAX_GLOB_LENGTH)
    globs = [glob for text in texts if (glob := resolve_path(root, f"{text.rstrip('/')}/{NAME}"))]
    return path in choose_siblings(globs, (path,), most=MAX_GLOBS)
