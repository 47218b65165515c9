"""What the API answers becomes records. Pure: values in, values out."""

from typing import Any

from wump_core import (
    DependencyRecord,
    PackageRecord,
    Purl,
    RepositoryClaim,
    collect_items,
    make_purl,
    parse_repository_url,
)


def parse_package(purl: Purl, document: Any) -> PackageRecord:
    """Read the answer about one package.

    Raises:
        ValueError: It is none. wump makes an `InvalidResponse` of it.
    """
    if not isinstance(document, dict) or document.get("name") != purl.name:
        raise ValueError(f"the answer is not about {purl}")
    dependencies = document.get("dependencies")
    if not isinstance(dependencies, list):
        return PackageRecord(purl=str(purl), dependencies_unknown="the API does not tell them")
    items, diagnostics = collect_items(dependencies, _parse_dependency)
    return PackageRecord(
        purl=str(purl),
        latest_version=document.get("version"),
        description=document.get("description"),
        repository=_parse_repository(document.get("repository")),
        dependencies=items,
        diagnostics=diagnostics,
    )


def _parse_dependency(item: Any) -> DependencyRecord:
    return DependencyRecord(
        purl=str(make_purl("npm", item["name"])),
        name=item["name"],
        requirement=item.get("range"),
        scope="development" if item.get("dev") else "runtime",
    )


def _parse_repository(address: Any) -> RepositoryClaim | None:
    found = parse_repository_url(address) if isinstance(address, str) else None
    return RepositoryClaim(host=found.host, path=found.path, owner=found.owner) if found else None
