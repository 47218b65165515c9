"""The sparse index: every version of a crate with its dependencies, and nothing else about it.

Source: Cargo's documentation, "Registry Index": paths, the fields of a line, and that a line with a newer `v` than is
known is passed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from wump_core import (
    Context,
    DependencyRecord,
    Diagnostic,
    InvalidResponse,
    NotFound,
    Purl,
    collect_items,
)

from wump_provider_cratesio.dependencies import find_features, make_dependency, text_or_null
from wump_provider_cratesio.versions import choose_default

NEWEST_FORMAT = 2
MAX_LINES = 50_000
_GONE = (404, 410, 451)


@dataclass(frozen=True, slots=True)
class IndexedVersion:
    """A line of the index. `entry` is the whole of it."""

    number: str
    yanked: bool
    entry: Mapping[str, Any]


async def fetch_versions(context: Context, index_url: str, purl: Purl) -> list[IndexedVersion]:
    """Fetch all versions of a crate, in the order of publication.

    Raises:
        NotFound: The index knows no such crate, or spells it otherwise.
        InvalidResponse: The answer is no file of an index.
    """
    response = await context.http.get(f"{index_url}/{make_path(purl.name)}", extensions={"wump_resource": "index"})
    if response.status_code in _GONE:
        raise NotFound(f"the index knows no crate named {purl.name}")
    response.raise_for_status()
    return parse_versions(purl, response.content)


def make_path(name: str) -> str:
    """Where a crate's file stands in an index."""
    name = name.lower()
    if len(name) < 4:
        return f"{len(name)}/{name[0]}/{name}" if len(name) == 3 else f"{len(name)}/{name}"
    return f"{name[:2]}/{name[2:4]}/{name}"


def parse_versions(purl: Purl, content: bytes) -> list[IndexedVersion]:
    """Read a crate's file of the index.

    Raises:
        NotFound: The crate is spelled otherwise; the text says how.
        InvalidResponse: It is none, or not about this crate.
    """
    lines = [line for line in content.split(b"\n", MAX_LINES + 1) if line.strip()]
    if len(lines) > MAX_LINES:
        raise InvalidResponse(f"the index has more than {MAX_LINES:,} versions of {purl.name}")
    versions = [version for line in lines if (version := _parse_line(purl, line))]
    if not versions:
        raise InvalidResponse(f"the index's file of {purl.name} holds no version that can be read")
    return versions


def _parse_line(purl: Purl, line: bytes) -> IndexedVersion | None:
    try:
        entry = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        raise InvalidResponse("a line of the index can't be read as JSON") from None
    if not isinstance(entry, dict):
        raise InvalidResponse("a line of the index must be an object")
    known_format = entry.get("v", 1)
    if not isinstance(known_format, int) or known_format > NEWEST_FORMAT:
        return None
    name, number = entry.get("name"), entry.get("vers")
    if not isinstance(name, str) or not isinstance(number, str):
        raise InvalidResponse("a line of the index must have the texts `name` and `vers`")
    if name != purl.name:
        if fold(name) == fold(purl.name):
            raise NotFound(f"the crate is spelled {name[:64]!r}")
        raise InvalidResponse(f"the index was asked for {purl.name} and answers {name[:64]!r}")
    return IndexedVersion(number, entry.get("yanked") is True, entry)


def fold(name: str) -> str:
    """What two crates' names may not have in common."""
    return name.lower().replace("-", "_")


def choose_version(versions: Sequence[IndexedVersion], wanted: object = None) -> IndexedVersion:
    """The wanted version where the index has it, else the crate's default version."""
    for version in reversed(versions):
        if version.number == wanted:
            return version
    position = choose_default((version.number, version.yanked) for version in versions)
    return versions[position or 0]


def parse_dependencies(version: IndexedVersion) -> tuple[tuple[DependencyRecord, ...], tuple[Diagnostic, ...]]:
    """The dependencies of a version; those that can't be read are in the diagnostics.

    Raises:
        InvalidResponse: `deps` is no list.
    """
    entries = version.entry.get("deps")
    if entries is None:
        entries = []
    if not isinstance(entries, list):
        raise InvalidResponse("`deps` of the index must be a list")
    features: dict[str, Any] = {}
    for key in ("features", "features2"):
        if isinstance(table := version.entry.get(key), dict):
            features |= table
    groups = find_features(features)
    return collect_items(entries, lambda entry: _parse_dependency(entry, groups))


def _parse_dependency(entry: Any, groups: Mapping[str, tuple[str, ...]]) -> DependencyRecord:
    name = entry["name"]
    return make_dependency(
        crate=text_or_null(entry.get("package"), "package") or name,
        alias=name,
        requirement=text_or_null(entry.get("req"), "req"),
        kind=text_or_null(entry.get("kind"), "kind") or "normal",
        optional=entry.get("optional") is True,
        target=text_or_null(entry.get("target"), "target"),
        groups=groups.get(name, ()),
        foreign=bool(entry.get("registry")),
    )
