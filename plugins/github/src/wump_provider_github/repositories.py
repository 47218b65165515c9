"""Repositories: full, minimal and found ones are one kind of object with more or fewer fields.

Source: GitHub's REST API documentation, "Repositories".
"""

from collections.abc import Mapping
from typing import Any, Literal

from wump_core import (
    Context,
    RepositoryRecord,
    read_address,
    read_count,
    read_flag,
    read_mapping,
    read_text,
    read_time,
)

from wump_provider_github.upstream import fetch_object, find_path

MAX_TOPICS = 100
_KINDS: Mapping[object, Literal["organization", "user"]] = {"Organization": "organization", "User": "user"}


async def fetch_repository(context: Context, url: str) -> RepositoryRecord:
    """Fetch one repository; a renamed or transferred one is found behind a redirect to its id."""
    payload = await fetch_object(context, f"/repos/{find_path(context, url)}")
    return parse_repository(context.settings.code_host or "", payload)


def parse_repository(host: str, payload: Mapping[str, Any]) -> RepositoryRecord:
    """Read a repository's object.

    Raises:
        ValueError, AttributeError: It has no `full_name`, or is no object at all.
    """
    owner = read_mapping(payload.get("owner"))
    path: Any = payload.get("full_name")
    licence = read_mapping(payload.get("license")).get("spdx_id")
    topics = payload.get("topics")
    return RepositoryRecord(
        host=host,
        path=path,
        host_id=read_id(payload.get("id")),
        owner=owner.get("login") or str(path).partition("/")[0],
        owner_id=read_id(owner.get("id")),
        owner_kind=read_kind(owner.get("type")),
        visibility=_read_visibility(payload),
        description=read_text(payload.get("description")),
        homepage=read_address(payload.get("homepage")),
        language=read_text(payload.get("language"), 255),
        licence=None if licence == "NOASSERTION" else read_text(licence, 255),
        topics=tuple(topic for topic in topics[:MAX_TOPICS] if isinstance(topic, str))
        if isinstance(topics, list)
        else None,
        stars=read_count(payload.get("stargazers_count")),
        forks=read_count(payload.get("forks_count")),
        fork=read_flag(payload.get("fork")),
        parent=read_mapping(payload.get("parent")).get("full_name"),
        archived=read_flag(payload.get("archived")),
        template=read_flag(payload.get("is_template")),
        mirror=bool(payload["mirror_url"]) if "mirror_url" in payload else None,
        empty=_read_empty(payload),
        default_branch=read_text(payload.get("default_branch"), 255),
        created_at=read_time(payload.get("created_at")),
        pushed_at=read_time(payload.get("pushed_at")),
    )


def read_id(value: object) -> str | None:
    """GitHub's number of a thing, which outlives its name."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def read_kind(value: object) -> Literal["organization", "user", "unknown"]:
    """The kind of an account, of its `type` or GraphQL's `__typename`; bots and what is yet to come are unknown."""
    return _KINDS.get(value, "unknown") if isinstance(value, str) else "unknown"


def _read_visibility(payload: Mapping[str, Any]) -> Literal["public", "private"] | None:
    """`internal` repositories of an enterprise are not public."""
    visibility = payload.get("visibility")
    if isinstance(visibility, str):
        return "public" if visibility == "public" else "private"
    private = payload.get("private")
    return ("private" if private else "public") if isinstance(private, bool) else None


def _read_empty(payload: Mapping[str, Any]) -> bool | None:
    """`size` is in KB and rounded down, so that zero may also be a small one: only the tree tells for certain."""
    size = read_count(payload.get("size"))
    if size is None:
        return None
    if size == 0:
        return True if "pushed_at" in payload and payload["pushed_at"] is None else None
    return False
