"""Packages, how many depend on them, and projects."""

import httpx
from wump_core import (
    Context,
    DependentRecord,
    Diagnostic,
    InvalidResponse,
    NotFound,
    PackageRecord,
    Page,
    Purl,
    RepositoryRecord,
    Unavailable,
    parse_repository_url,
)

from wump_provider_depsdev.parse import choose_version, parse_package, parse_project, read_number
from wump_provider_depsdev.settings import DepsDevSettings
from wump_provider_depsdev.systems import make_package_address, quote_segment

_EXPERIMENTAL = "v3alpha"


async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch the version that an installer would choose, and what it declares to need.

    Raises:
        NotFound: deps.dev knows no such package, or not yet.
    """
    address = make_package_address(context, purl)
    version = await _fetch_default_version(context, purl)
    found = await context.http.get(f"{address}/versions/{quote_segment(version)}")
    found.raise_for_status()
    stated = await context.http.get(f"{address}/versions/{quote_segment(version)}:requirements")
    if stated.status_code != httpx.codes.NOT_FOUND:  # published lately, and not read yet
        stated.raise_for_status()
    return parse_package(purl, found.json(), stated.json() if stated.is_success else None)


async def fetch_dependents(context: Context, purl: Purl) -> Page[DependentRecord]:
    """Fetch how many packages depend on the version that an installer would choose. Which ones isn't told.

    The page has a total and no items, and is not complete. The total is of one version, of packages alone, and
    comes from graphs that deps.dev has resolved: an upstream's count, never ours.

    Raises:
        NotFound: deps.dev knows no such package, or has not counted this version yet.
        Unavailable: The experimental part of the API is switched off in the settings.
    """
    settings = context.settings
    if isinstance(settings, DepsDevSettings) and not settings.experimental:
        raise Unavailable("counts are experimental at deps.dev, and WUMP_PROVIDER_DEPSDEV_EXPERIMENTAL is false")
    version = await _fetch_default_version(context, purl)
    address = make_package_address(context, purl, _EXPERIMENTAL)
    response = await context.http.get(f"{address}/versions/{quote_segment(version)}:dependents")
    response.raise_for_status()
    document = response.json()
    total = read_number(document.get("dependentCount")) if isinstance(document, dict) else None
    if total is None:
        raise InvalidResponse("the answer has no `dependentCount`")
    note = f"deps.dev counts packages that depend on version {version}, and names none"
    return Page(items=(), total=total, complete=False, diagnostics=(Diagnostic(message=note[:2_000]),))


async def fetch_repository(context: Context, url: str) -> RepositoryRecord:
    """Fetch what deps.dev knows of a project.

    Raises:
        NotFound: It knows none, or it is on another host than the settings'.
    """
    found = parse_repository_url(url)
    if found is None or found.host != context.settings.code_host:
        raise NotFound(f"{url[:200]} is no repository on {context.settings.code_host}")
    project = quote_segment(f"{found.host}/{found.path}")
    response = await context.http.get(f"{context.settings.base_url}/v3/projects/{project}")
    response.raise_for_status()
    return parse_project(response.json(), found.host)


async def _fetch_default_version(context: Context, purl: Purl) -> str:
    response = await context.http.get(make_package_address(context, purl))
    response.raise_for_status()
    return choose_version(purl, response.json())
