"""What package.json files beside a lockfile declare, and which workspaces they name."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from wump_core import resolve_path

NAME = "package.json"
MAX_GLOBS = 50
MAX_GLOB_LENGTH = 200
MAX_STARS = 3


class Declared(NamedTuple):
    """One entry of a dependency map: the map's name and the range as written."""

    field: str
    written: str


def read_manifest(content: bytes | None) -> dict[str, Any] | None:
    """The JSON object of a package.json that is only looked into; null where it isn't there or is none."""
    if content is None:
        return None
    try:
        manifest = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return manifest if isinstance(manifest, dict) else None


def list_declared(manifest: Mapping[str, Any]) -> dict[str, Declared]:
    """What it declares, by the name of the entry. Of several maps the one that is installed from counts.

    A name in `dependencies` and `devDependencies` is installed as of the first, one in `optionalDependencies`
    always as of these, and one in `peerDependencies` is only installed where no other map holds it.
    """
    declared: dict[str, Declared] = {}
    for field in ("peerDependencies", "devDependencies", "dependencies", "optionalDependencies"):
        entries = manifest.get(field)
        for name, written in entries.items() if isinstance(entries, dict) else ():
            if isinstance(written, str):
                declared[name] = Declared(field, written)
    return declared


def list_member_globs(path: str, manifest: Mapping[str, Any]) -> list[str]:
    """The globs of the package.json files of the workspaces that a manifest at `path` names, for `needs`.

    Those that leave something out, written with `!`, are not followed: a few more files are looked at.
    """
    workspaces = manifest.get("workspaces")
    patterns = workspaces.get("packages") if isinstance(workspaces, dict) else workspaces
    return resolve_member_globs(path, patterns)


def resolve_member_globs(path: str, patterns: object) -> list[str]:
    """The same from a list of patterns."""
    globs = []
    for pattern in patterns[:MAX_GLOBS] if isinstance(patterns, list) else ():
        if isinstance(pattern, str) and len(pattern) <= MAX_GLOB_LENGTH and not pattern.startswith("!"):
            resolved = resolve_path(path, f"{pattern.rstrip('/')}/{NAME}")
            if resolved is not None and resolved != path:
                globs.append(resolved)
    return globs


def list_members(globs: list[str], siblings: Mapping[str, bytes]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and content of the siblings that one of the globs names."""
    for path, content in sorted(siblings.items()):
        if path.endswith(NAME) and is_named_by(globs, path):
            manifest = read_manifest(content)
            if manifest is not None:
                yield path, manifest


def is_named_by(globs: list[str], path: str) -> bool:
    """Whether one of the globs names the path."""
    return any(_pattern(glob).fullmatch(path) for glob in globs)


@lru_cache(maxsize=256)
def _pattern(glob: str) -> re.Pattern[str]:
    """`*` and `?` stay inside a segment, `**` goes over several; few stars, so that it stays quick."""
    parts = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if len(re.findall(r"\*+", glob)) > MAX_STARS:
        return re.compile("(?!)")
    return re.compile(
        re.sub(r"\*\*/|\*\*|\*|\?|[^*?]+", lambda found: parts.get(found[0]) or re.escape(found[0]), glob)
    )
