"""What ecosyste.ms answers becomes records. Pure: values in, values out.

Source: the OpenAPI descriptions of ecosyste-ms/packages, repos and sponsors. Every field but names may be null.
"""

from typing import Any, Literal

from wump_core import (
    DependencyRecord,
    DependentRecord,
    Diagnostic,
    NotFound,
    OrganizationRecord,
    PackageRecord,
    Purl,
    RepositoryClaim,
    RepositoryRecord,
    Scope,
    SponsorshipRecord,
    collect_items,
    make_purl,
    parse_purl,
    read_address,
    read_claim,
    read_count,
    read_flag,
    read_funding,
    read_items,
    read_licence,
    read_mapping,
    read_requirement,
    read_text,
    read_time,
    read_topics,
)

_PURL_TYPES = {"rubygems": "gem", "packagist": "composer", "go": "golang", "actions": "githubactions"}
"""Purl type by its name of an ecosystem, where they are called differently."""

_SCOPES: dict[str, Scope] = {
    "runtime": "runtime",
    "normal": "runtime",
    "dependencies": "runtime",
    "compile": "runtime",
    "provided": "peer",
    "development": "development",
    "dev": "development",
    "devdependencies": "development",
    "test": "test",
    "build": "build",
    "peer": "peer",
    "peerdependencies": "peer",
    "optional": "optional",
    "optionaldependencies": "optional",
}
"""Scope by `kind`, which each registry spells in its own way."""

_KINDS: dict[str, Literal["organization", "user"]] = {"organization": "organization", "user": "user"}
_GONE = ("removed", "hidden", "unpublished")
_ACTIVE = {"active": True, "inactive": False}


def make_service_name(purl: Purl) -> str:
    """A package's name as it writes it: Maven's two parts with a colon."""
    return purl.name.replace("/", ":") if purl.ecosystem == "maven" else purl.name


def parse_package(purl: Purl, document: dict[str, Any], version: dict[str, Any] | None) -> PackageRecord:
    """Read a package, and its latest version where that was told.

    Raises:
        NotFound: It was removed from its registry.
    """
    if str(document.get("status")) in _GONE:
        raise NotFound(f"ecosyste.ms has it as {document['status']}")
    dependencies, diagnostics = _parse_dependencies(version)
    return PackageRecord(
        purl=str(purl),
        latest_version=read_text(read_mapping(version).get("number") or document.get("latest_release_number"), 255),
        description=read_text(document.get("description")),
        homepage=read_address(document.get("homepage")),
        licences=_parse_licences(document),
        deprecated=True if document.get("status") == "deprecated" else None,
        repository=read_claim(document.get("repository_url")),
        funding=read_funding(document.get("funding_links")),
        dependencies=dependencies,
        dependencies_unknown=None if dependencies is not None else _explain(diagnostics),
        diagnostics=diagnostics,
    )


def _explain(diagnostics: tuple[Diagnostic, ...]) -> str:
    return "none of them can be read" if diagnostics else "ecosyste.ms did not tell them for the latest version"


def _parse_licences(document: dict[str, Any]) -> tuple[str, ...] | None:
    """As SPDX where it could normalise them, else as the registry has them; null where it tells nothing."""
    found = [text for item in read_items(document.get("normalized_licenses")) if (text := read_licence(item))]
    if not found and (text := read_text(document.get("licenses"))):
        found = [text]
    return tuple(dict.fromkeys(found))[:50] or None


def _parse_dependencies(
    version: dict[str, Any] | None,
) -> tuple[tuple[DependencyRecord, ...] | None, tuple[Diagnostic, ...]]:
    stated = read_mapping(version).get("dependencies")
    if not isinstance(stated, list):
        return None, ()
    found, diagnostics = collect_items(stated, _parse_dependency)
    return found if found or not stated else None, diagnostics


def _parse_dependency(item: dict[str, Any]) -> DependencyRecord:
    kind = str(item.get("kind") or "")
    scope = _SCOPES.get(kind.lower(), "unknown")
    optional = item.get("optional") is True or scope == "optional"
    # What it does not know to be of an ecosystem may be anything.
    ecosystem = parse_purl(make_purl_text(item.get("ecosystem"), item["package_name"])).ecosystem
    return DependencyRecord(
        **read_requirement(ecosystem, item["package_name"], item.get("requirements")),
        scope="optional" if optional and scope == "runtime" else scope,
        optional=optional,
        field=read_text(kind, 255),
    )


def make_purl_text(ecosystem: object, name: str) -> str:
    """The purl of a package that it names.

    Raises:
        ValueError: wump doesn't know the ecosystem, or the name can't be one of its names.
    """
    known = str(ecosystem or "").lower()
    return str(make_purl(_PURL_TYPES.get(known, known), name))


def parse_dependent(item: dict[str, Any]) -> DependentRecord:
    """Read a package that depends on another one. Which range it asks for isn't told.

    Raises:
        ValueError, KeyError: It is none, or was removed.
    """
    if str(item.get("status")) in _GONE:
        raise ValueError(f"ecosyste.ms has it as {item['status']}")
    return DependentRecord(
        purl=make_purl_text(item.get("ecosystem"), item["name"]),
        repository=read_claim(item.get("repository_url")),
        direct=True,
        revision=read_text(item.get("latest_release_number"), 255),
    )


def parse_dependent_repository(item: dict[str, Any], host: str) -> DependentRecord:
    """Read a repository whose manifests named a package when they were read, which may be long ago.

    Raises:
        ValueError, KeyError: It is none.
    """
    return DependentRecord(
        repository=RepositoryClaim(host=host, path=item["full_name"], owner=item["full_name"].rpartition("/")[0]),
        certain=False,
        revision=read_text(item.get("latest_commit_sha"), 255),
    )


def parse_repository(item: dict[str, Any], host: str) -> RepositoryRecord:
    """Read a repository.

    Raises:
        NotFound: It is gone from its host.
        ValueError, KeyError: It is none.
    """
    if str(item.get("status")) in _GONE:
        raise NotFound(f"ecosyste.ms has it as {item['status']}")
    parent = read_text(item.get("source_name"), 255)
    return RepositoryRecord(
        host=host,
        path=item["full_name"],
        host_id=_read_id(item),
        owner=item["full_name"].rpartition("/")[0] or None,
        visibility="public",
        description=read_text(item.get("description")),
        homepage=read_address(item.get("homepage")),
        language=read_text(item.get("language"), 255),
        licence=read_licence(item.get("license")),
        topics=read_topics(item.get("topics")),
        stars=read_count(item.get("stargazers_count")),
        forks=read_count(item.get("forks_count")),
        fork=read_flag(item.get("fork")),
        parent=parent if parent and read_claim(f"https://{host}/{parent}") else None,
        archived=read_flag(item.get("archived")),
        template=read_flag(item.get("template")),
        default_branch=read_text(item.get("default_branch"), 255),
        created_at=read_time(item.get("created_at")),
        pushed_at=read_time(item.get("pushed_at")),
    )


def _read_id(item: dict[str, Any]) -> str | None:
    """The host's own id, a text or a number."""
    found = item.get("uuid")
    return read_text(str(found) if isinstance(found, int) else found, 255)


def parse_owner(owner: dict[str, Any], account: dict[str, Any] | None, host: str) -> OrganizationRecord:
    """Read an account, and what the sponsor service says of it. Its mail address is not read.

    Raises:
        ValueError, KeyError: It is none.
    """
    sponsors = read_mapping(account)
    return OrganizationRecord(
        host=host,
        login=owner["login"],
        host_id=_read_id(owner),
        kind=_KINDS.get(str(owner.get("kind")).lower(), "unknown"),
        name=read_text(owner.get("name"), 255),
        description=read_text(owner.get("description")),
        website=read_address(owner.get("website")),
        location=read_text(owner.get("location"), 255),
        public_repositories=read_count(owner.get("repositories_count")),
        sponsorable=read_flag(
            sponsors.get("has_sponsors_listing", read_mapping(owner.get("metadata")).get("has_sponsors_listing"))
        ),
        sponsors=read_count(sponsors.get("sponsors_count")),
        sponsoring=read_count(sponsors.get("sponsorships_count")),
        funding=read_funding(owner.get("funding_links")),
    )


def parse_sponsorship(item: dict[str, Any], host: str) -> SponsorshipRecord:
    """Read who funds whom: `funder` and `maintainer` tell the direction, not where it is listed.

    Raises:
        ValueError, KeyError: It is none.
    """
    return SponsorshipRecord(
        host=host,
        sponsor=item["funder"]["login"],
        maintainer=item["maintainer"]["login"],
        active=_ACTIVE.get(str(item.get("status"))),
        created_at=read_time(item.get("created_at")),
    )
