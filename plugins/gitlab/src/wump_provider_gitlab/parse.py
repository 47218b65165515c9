"""What GitLab answers becomes records. Pure: values in, values out.

Source: GitLab's REST API documentation: projects, groups, users, repositories. An answer without a token, and any in
a list with `simple`, lacks many keys: what is absent is unknown. Where a key is there, null and "" say "none".

A ValueError is what wump calls an invalid response; in a list it costs only its item.
"""

from datetime import datetime
from typing import Any, Literal

from wump_core import (
    OrganizationRecord,
    RepositoryRecord,
    TreeEntry,
    read_address,
    read_licence,
    read_mapping,
    read_text,
    read_topics,
)

_OWNER_KINDS: dict[str, Literal["organization", "user"]] = {"group": "organization", "user": "user"}
# Internal projects are seen by whoever has an account.
_VISIBILITIES: dict[str, Literal["public", "private"]] = {
    "public": "public",
    "internal": "private",
    "private": "private",
}
_SYMLINK_MODE = "120000"


def parse_object(document: Any, key: str, kind: type = str) -> dict[str, Any]:
    """The answer, if it is an object that has a text, or another kind of value, under this key.

    Raises:
        ValueError: It is none; the text names the key.
    """
    if not isinstance(document, dict) or not isinstance(document.get(key), kind) or not document[key]:
        raise ValueError(f"the answer is no object with `{key}`")
    return document


def parse_list(document: Any) -> list[Any]:
    """The answer, if it is a list in which there are objects; a bad item among them is `collect_items`' business.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(document, list) or (document and not any(isinstance(item, dict) for item in document)):
        raise ValueError("the answer is no list of objects")
    return document


def parse_project(document: Any, host: str, languages: Any = None, *, public: bool = False) -> RepositoryRecord:
    """Read a project, and the shares of its languages, where they were asked for.

    `public` says that everybody sees it, where the answer itself may not tell. There is no time of the last push:
    `last_activity_at` counts issues, too.

    Raises:
        ValueError: It is no project, or a value is of the wrong type.
    """
    project = parse_object(document, "path_with_namespace")
    namespace = read_mapping(project.get("namespace"))
    owner_kind = _OWNER_KINDS.get(str(namespace.get("kind")), "unknown")
    # A person's namespace has an id of its own, which is not the person's.
    owner_id = namespace.get("id") if owner_kind == "organization" else read_mapping(project.get("owner")).get("id")
    is_full = "visibility" in project
    parent = project.get("forked_from_project")
    return RepositoryRecord(
        host=host,
        path=project["path_with_namespace"],
        host_id=_identifier(project.get("id")),
        owner=namespace.get("full_path") or project["path_with_namespace"].rpartition("/")[0] or None,
        owner_id=_identifier(owner_id),
        owner_kind=owner_kind,
        visibility=_VISIBILITIES.get(str(project.get("visibility")), "public" if public else None),
        description=read_text(project.get("description"), 2_000),
        language=_most_used(languages),
        licence=read_licence(read_mapping(project.get("license")).get("key")),
        topics=read_topics(project.get("topics", project.get("tag_list"))),
        stars=project.get("star_count"),
        forks=project.get("forks_count"),
        fork=parent is not None if parent is not None or is_full else None,
        parent=read_mapping(parent).get("path_with_namespace"),
        archived=_flag(project, "archived"),
        mirror=_flag(project, "mirror"),
        empty=_flag(project, "empty_repo"),
        default_branch=project.get("default_branch") or None,
        created_at=project.get("created_at"),
    )


def parse_group(document: Any, host: str) -> OrganizationRecord:
    """Read a group. GitLab has no website, location or sponsorship of one.

    Raises:
        ValueError: It is no group, or a value is of the wrong type.
    """
    group = parse_object(document, "full_path")
    return OrganizationRecord(
        host=host,
        login=group["full_path"],
        host_id=_identifier(group.get("id")),
        kind="organization",
        name=read_text(group.get("name"), 255),
        description=read_text(group.get("description"), 2_000),
        created_at=group.get("created_at"),
    )


def parse_user(document: Any, host: str) -> OrganizationRecord:
    """Read a person; what is only told with a token is null without one, and mail addresses are not read.

    Raises:
        ValueError: It is no person, or a value is of the wrong type.
    """
    user = parse_object(document, "username")
    return OrganizationRecord(
        host=host,
        login=user["username"],
        host_id=_identifier(user.get("id")),
        kind="user",
        name=read_text(user.get("name"), 255),
        description=read_text(user.get("bio"), 2_000),
        website=read_address(user.get("website_url")),
        location=read_text(user.get("location"), 255),
        followers=user.get("followers"),
        created_at=user.get("created_at"),
    )


def parse_entry(item: dict[str, Any]) -> TreeEntry | None:
    """Read one entry of a tree; null for a directory.

    Raises:
        ValueError, KeyError: It is none.
    """
    if item["type"] == "tree":
        return None
    kind = "submodule" if item["type"] == "commit" else "symlink" if item.get("mode") == _SYMLINK_MODE else "file"
    return TreeEntry(path=item["path"], blob=item["id"], kind=kind)


def is_active_after(project: dict[str, Any], moment: datetime) -> bool:
    """Whether something happened in it after that moment; not where GitLab doesn't tell."""
    try:
        return datetime.fromisoformat(str(project.get("last_activity_at"))) > moment
    except (ValueError, TypeError):
        return False


def has_language(languages: Any, name: str) -> bool:
    """Whether a part of a project is in that language."""
    return name.casefold() in map(str.casefold, read_mapping(languages))


def _identifier(value: Any) -> str | None:
    return str(value) if isinstance(value, int | str) else None


def _flag(document: dict[str, Any], key: str) -> bool | None:
    """GitLab's null is "no"; an absent key is not told."""
    return bool(document[key]) if key in document else None


def _most_used(languages: Any) -> str | None:
    shares = {name: share for name, share in read_mapping(languages).items() if isinstance(share, int | float)}
    return read_text(max(shares, key=lambda name: shares[name]), 255) if shares else None
