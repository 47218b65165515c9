"""What deps.dev answers becomes records. Pure: values in, values out.

Source: the documentation of the deps.dev API, v3. A missing key, null, "" and [] mean the same there, and whole
numbers may be written as text.
"""

from typing import Any

from wump_core import (
    Diagnostic,
    InvalidResponse,
    PackageRecord,
    Purl,
    RepositoryClaim,
    RepositoryRecord,
    make_purl,
    parse_repository_url,
    read_address,
    read_claim,
    read_count,
    read_flag,
    read_items,
    read_licence,
    read_mapping,
    read_text,
)

from wump_provider_depsdev.requirements import parse_requirements

_VERIFIED = frozenset(("SLSA_ATTESTATION", "PYPI_PUBLISH_ATTESTATION", "RUBYGEMS_PUBLISH_ATTESTATION", "GO_ORIGIN"))
_NOT_AN_EXPRESSION = "non-standard"


def choose_version(purl: Purl, document: Any) -> str:
    """The version that an installer would choose, else the one that was published last.

    Raises:
        InvalidResponse: It is no package, or another one, or has no version.
    """
    key = read_mapping(read_mapping(document).get("packageKey"))
    name = key.get("name")
    if not isinstance(name, str) or str(make_purl(purl.ecosystem, name)) != str(purl):
        raise InvalidResponse(f"the document is not about {purl}")
    versions = [item for item in read_items(document.get("versions")) if isinstance(item, dict) and _number(item)]
    if not versions:
        raise InvalidResponse(f"the document about {purl} has no version")
    default = [item for item in versions if item.get("isDefault") is True]
    chosen = default[0] if default else max(versions, key=lambda item: str(item.get("publishedAt") or ""))
    return str(_number(chosen))


def _number(item: dict[str, Any]) -> str | None:
    return read_text(read_mapping(item.get("versionKey")).get("version"), 255)


def parse_package(purl: Purl, version: Any, requirements: Any) -> PackageRecord:
    """Read a version, and what it requires where that is known. There is no funding and no description.

    Raises:
        InvalidResponse: It is no version.
    """
    if not isinstance(version, dict) or not _number(version):
        raise InvalidResponse(f"the document about {purl} is no version")
    dependencies, diagnostics = parse_requirements(purl.ecosystem, requirements)
    links = {
        str(item.get("label")): item.get("url") for item in read_items(version.get("links")) if isinstance(item, dict)
    }
    return PackageRecord(
        purl=str(purl),
        latest_version=_number(version),
        homepage=read_address(links.get("HOMEPAGE")),
        licences=_parse_licences(version),
        deprecated=read_flag(version.get("isDeprecated")),
        repository=_parse_claim(version, links),
        dependencies=dependencies,
        dependencies_unknown=None if dependencies is not None else _explain(diagnostics),
        diagnostics=diagnostics,
    )


def _explain(diagnostics: tuple[Diagnostic, ...]) -> str:
    return "none of them can be read" if diagnostics else "deps.dev has not read this version yet"


def _parse_licences(version: dict[str, Any]) -> tuple[str, ...] | None:
    found = [read_text(item, 255) for item in read_items(version.get("licenses"))]
    kept = (read_licence(text) or text for text in found if text and text != _NOT_AN_EXPRESSION)
    return tuple(dict.fromkeys(kept))[:50] or None


def _parse_claim(version: dict[str, Any], links: dict[str, Any]) -> RepositoryClaim | None:
    """The project that the version says to come from: an attested one before all others, then links as written."""
    related = [
        item
        for item in read_items(version.get("relatedProjects"))
        if isinstance(item, dict) and item.get("relationType") == "SOURCE_REPO"
    ]
    for item in sorted(related, key=lambda item: str(item.get("relationProvenance")) not in _VERIFIED):
        project = read_text(read_mapping(item.get("projectKey")).get("id"), 255)
        if project and (claim := read_claim(f"https://{project}")):
            return claim.model_copy(update={"verified": str(item.get("relationProvenance")) in _VERIFIED})
    return read_claim(links.get("SOURCE_REPO"))


def parse_project(document: Any, host: str) -> RepositoryRecord:
    """Read a project: what its host said when deps.dev last looked.

    Raises:
        InvalidResponse: It is none, or one of another host.
    """
    identifier = read_text(read_mapping(read_mapping(document).get("projectKey")).get("id"), 512)
    found = parse_repository_url(f"https://{identifier}") if identifier else None
    if found is None or found.host != host:
        raise InvalidResponse(f"the document is about no project of {host}")
    return RepositoryRecord(
        host=found.host,
        path=found.path,
        owner=found.owner,
        visibility="public",
        description=read_text(document.get("description")),
        homepage=read_address(document.get("homepage")),
        licence=read_licence(document.get("license")),
        stars=read_number(document.get("starsCount")),
        forks=read_number(document.get("forksCount")),
    )


def read_number(value: object) -> int | None:
    """A count, which may be written as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 17:
        return read_count(int(value))
    return read_count(value)
