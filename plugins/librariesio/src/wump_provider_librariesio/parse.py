"""What Libraries.io answers becomes records. Pure: values in, values out.

Source: Libraries.io's API documentation. Answers of old lack what was added later, so that any key may be absent.
"""

from typing import Any, Literal

from wump_core import (
    DependencyRecord,
    DependentRecord,
    Diagnostic,
    InvalidResponse,
    NotFound,
    OrganizationRecord,
    PackageRecord,
    Purl,
    RepositoryClaim,
    RepositoryRecord,
    collect_items,
    make_purl,
    read_address,
    read_claim,
    read_count,
    read_flag,
    read_funding,
    read_items,
    read_licence,
    read_mapping,
    read_text,
    read_time,
    read_topics,
)

from wump_provider_librariesio.addresses import ECOSYSTEMS
from wump_provider_librariesio.dependencies import make_dependency_row

_KINDS: dict[str, Literal["organization", "user"]] = {
    "organisation": "organization",
    "organization": "organization",
    "user": "user",
}
GONE = ("Removed", "Hidden")
_DEPRECATED = ("Deprecated", "Unmaintained")


def parse_package(purl: Purl, document: Any) -> PackageRecord:
    """Read a project with `dependencies`, or without, as in a search.

    Raises:
        InvalidResponse: It is none, or another one.
        NotFound: It was removed from its platform.
    """
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise InvalidResponse(f"the document about {purl} has no `name`")
    if parse_purl_of(document) != str(purl):
        raise InvalidResponse(f"the document is not about {purl}")
    if document.get("status") in GONE:
        raise NotFound(f"Libraries.io has it as {document['status']}")
    dependencies, diagnostics = _parse_dependencies(document.get("dependencies"))
    return PackageRecord(
        purl=str(purl),
        latest_version=read_text(document.get("latest_release_number"), 255),
        description=read_text(document.get("description")),
        homepage=read_address(document.get("homepage")),
        licences=_parse_licences(document),
        deprecated=True if document.get("status") in _DEPRECATED else None,
        repository=read_claim(document.get("repository_url")),
        funding=read_funding(document.get("funding_urls")),
        dependencies=dependencies,
        dependencies_unknown=None if dependencies is not None else _explain(diagnostics),
        diagnostics=diagnostics,
    )


def parse_found_package(document: dict[str, Any]) -> PackageRecord:
    """Read one result of a search.

    Raises:
        ValueError, KeyError: It is none, was removed, or is of a platform that wump doesn't know.
    """
    purl = make_purl(ECOSYSTEMS[str(document["platform"]).lower()], document["name"])
    try:
        return parse_package(purl, document)
    except NotFound as error:
        raise ValueError(str(error)) from None


def parse_purl_of(document: dict[str, Any]) -> str | None:
    """The purl of a project; null where wump doesn't know its platform, or it can't have the name.

    Raises:
        ValueError: The name can't be one of the platform's.
    """
    ecosystem = ECOSYSTEMS.get(str(document.get("platform")).lower())
    return str(make_purl(ecosystem, document["name"])) if ecosystem else None


def _explain(diagnostics: tuple[Diagnostic, ...]) -> str:
    return "none of them can be read" if diagnostics else "Libraries.io did not tell them"


def _parse_licences(document: dict[str, Any]) -> tuple[str, ...] | None:
    found = [text for item in read_items(document.get("normalized_licenses")) if (text := read_licence(item))]
    if not found and (text := read_text(document.get("licenses"))):
        found = [text]
    return tuple(dict.fromkeys(found))[:50] or None


def _parse_dependencies(value: object) -> tuple[tuple[DependencyRecord, ...] | None, tuple[Diagnostic, ...]]:
    if not isinstance(value, list):
        return None, ()
    found, diagnostics = collect_items(value, parse_dependency)
    return found if found or not value else None, diagnostics


def parse_dependency(item: dict[str, Any]) -> DependencyRecord:
    """Read what a project or a repository needs. Packages of platforms that wump doesn't know have no purl.

    Raises:
        ValueError, KeyError: It is none.
    """
    name = item.get("project_name") or item["name"]
    ecosystem = ECOSYSTEMS.get(str(item.get("platform")).lower())
    requirement, kind = read_text(item.get("requirements")), str(item.get("kind") or "")
    return DependencyRecord(
        **make_dependency_row(ecosystem, name, requirement, kind, optional=item.get("optional") is True)
    )


def parse_dependent(item: dict[str, Any]) -> DependentRecord:
    """Read a package that depends on another one. Which range it asks for isn't told.

    Raises:
        ValueError, KeyError: It is none, was removed, or is of a platform that wump doesn't know.
    """
    found = parse_found_package(item)
    return DependentRecord(purl=found.purl, repository=found.repository, direct=True, revision=found.latest_version)


def parse_dependent_repository(item: dict[str, Any]) -> DependentRecord:
    """Read a repository of which a published package depends on another one.

    Raises:
        ValueError, KeyError: It is none, private, or on a host without a known name.
    """
    if item.get("private") is True:
        raise ValueError("it is private")
    host = _host_of(item)
    path = item["full_name"]
    return DependentRecord(repository=RepositoryClaim(host=host, path=path, owner=path.rpartition("/")[0] or None))


def parse_repository(document: Any) -> RepositoryRecord:
    """Read a repository. Whether it is archived isn't told.

    Raises:
        InvalidResponse: It is none.
        NotFound: It is gone from its host.
    """
    if not isinstance(document, dict) or not isinstance(document.get("full_name"), str):
        raise InvalidResponse("the answer is no repository")
    if document.get("status") in GONE:
        raise NotFound(f"Libraries.io has it as {document['status']}")
    private = read_flag(document.get("private"))
    return RepositoryRecord(
        host=_host_of(document),
        path=document["full_name"],
        host_id=_read_id(document),
        owner=document["full_name"].rpartition("/")[0] or None,
        visibility=None if private is None else "private" if private else "public",
        description=read_text(document.get("description")),
        homepage=read_address(document.get("homepage")),
        language=read_text(document.get("language"), 255),
        licence=read_licence(document.get("license")),
        topics=read_topics(document.get("keywords")),
        stars=read_count(document.get("stargazers_count")),
        forks=read_count(document.get("forks_count")),
        fork=read_flag(document.get("fork")),
        parent=_read_parent(document),
        default_branch=read_text(document.get("default_branch"), 255),
        created_at=read_time(document.get("created_at")),
        pushed_at=read_time(document.get("pushed_at")),
        funding=read_funding(document.get("funding_urls")),
    )


DOMAINS = {"github": "github.com", "gitlab": "gitlab.com", "bitbucket": "bitbucket.org"}


def _host_of(document: dict[str, Any]) -> str:
    """The host's name. `host_domain` is null for the public ones."""
    host = DOMAINS.get(str(document.get("host_type")).lower())
    if host is None or document.get("host_domain") not in (None, "", host):
        raise ValueError("it is on a host without a known name")
    return host


def _read_id(document: dict[str, Any]) -> str | None:
    """The host's own id, a text or a number."""
    found = document.get("uuid") or document.get("github_id")
    return read_text(str(found) if isinstance(found, int) else found, 255)


def _read_parent(document: dict[str, Any]) -> str | None:
    """The path that it is a fork of; null where that is no path of its host."""
    path = read_text(document.get("source_name"), 255)
    return path if path and read_claim(f"https://{_host_of(document)}/{path}") else None


def parse_owner(document: Any, host: str) -> OrganizationRecord:
    """Read an account. Its mail address is not read.

    Raises:
        InvalidResponse: It is none.
        NotFound: It wants to be hidden.
    """
    if not isinstance(document, dict) or not isinstance(document.get("login"), str):
        raise InvalidResponse("the answer is no account")
    if document.get("hidden") is True:
        raise NotFound("Libraries.io hides it")
    return OrganizationRecord(
        host=host,
        login=document["login"],
        host_id=_read_id(document),
        kind=_KINDS.get(str(document.get("user_type")).lower(), "unknown"),
        name=read_text(document.get("name"), 255),
        description=read_text(document.get("bio")),
        website=read_address(document.get("blog")),
        location=read_text(document.get("location"), 255),
    )


def parse_switched_off(document: Any) -> str | None:
    """What Libraries.io says in place of a list that it has switched off; null where it is a list."""
    return None if isinstance(document, list) else read_text(read_mapping(document).get("message"), 500) or "no list"
