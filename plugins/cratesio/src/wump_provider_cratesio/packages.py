"""One crate: versions and dependencies from the sparse index, everything else from the API.

Where there is no index, the API tells the dependencies too, and doesn't show renames.
"""

from typing import Any
from urllib.parse import quote

from wump_core import Context, DependencyRecord, Diagnostic, PackageRecord, ProviderHealth, Purl, collect_items

from wump_provider_cratesio.crates import find_default, make_record, parse_crate, parse_object
from wump_provider_cratesio.dependencies import find_features, make_dependency, text_or_null
from wump_provider_cratesio.index import choose_version, fetch_versions, parse_dependencies
from wump_provider_cratesio.settings import api_of, index_of

_INCLUDE = "default_version"


async def fetch_package(context: Context, purl: Purl) -> PackageRecord:
    """Fetch a crate with the dependencies of its default version.

    Raises:
        NotFound: There is no such crate, or it is spelled otherwise.
        InvalidResponse: An answer is not what crates.io's or Cargo's documentation says.
    """
    index_url = index_of(context)
    if index_url is None:
        return await _fetch_from_api(context, purl)
    indexed = await fetch_versions(context, index_url, purl)
    crate, versions = await _fetch_crate(context, purl)
    chosen = choose_version(indexed, crate.get("default_version"))
    dependencies, diagnostics = parse_dependencies(chosen)
    return make_record(
        purl,
        crate,
        _find_version(versions, chosen.number),
        number=chosen.number,
        yanked=all(version.yanked for version in indexed),
        dependencies=dependencies,
        diagnostics=diagnostics,
    )


async def _fetch_from_api(context: Context, purl: Purl) -> PackageRecord:
    crate, versions = await _fetch_crate(context, purl)
    number = find_default(crate, versions)
    version = _find_version(versions, number)
    all_yanked = crate.get("yanked")
    if not isinstance(all_yanked, bool):
        # Where not all versions are told, they say nothing about all.
        is_whole = isinstance(listed := crate.get("versions"), list) and len(listed) == len(versions) > 0
        all_yanked = all(item.get("yanked") is True for item in versions) if is_whole else None
    if number is None:
        unknown = "the API tells no version of the crate"
        return make_record(purl, crate, {}, number=None, yanked=all_yanked, dependencies=None, unknown=unknown)
    response = await context.http.get(
        f"{api_of(context)}/crates/{quote(purl.name)}/{quote(number, safe='')}/dependencies"
    )
    response.raise_for_status()
    dependencies, diagnostics = parse_api_dependencies(response.content, version.get("features"))
    return make_record(
        purl, crate, version, number=number, yanked=all_yanked, dependencies=dependencies, diagnostics=diagnostics
    )


async def _fetch_crate(context: Context, purl: Purl) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    response = await context.http.get(f"{api_of(context)}/crates/{quote(purl.name)}", params={"include": _INCLUDE})
    response.raise_for_status()
    return parse_crate(purl, response.content)


def _find_version(versions: list[dict[str, Any]], number: str | None) -> dict[str, Any]:
    return next((version for version in versions if version["num"] == number), {})


def parse_api_dependencies(
    content: bytes, features: object = None
) -> tuple[tuple[DependencyRecord, ...], tuple[Diagnostic, ...]]:
    """Read the API's list of a version's dependencies. It names crates, so that renames aren't seen.

    Raises:
        InvalidResponse: It is none.
    """
    entries = parse_object(content, "the answer about dependencies").get("dependencies")
    if not isinstance(entries, list):
        raise ValueError("`dependencies` must be a list")
    groups = find_features(features) if isinstance(features, dict) else {}

    def parse(entry: Any) -> DependencyRecord:
        crate = entry["crate_id"]
        return make_dependency(
            crate=crate,
            alias=None,
            requirement=text_or_null(entry.get("req"), "req"),
            kind=text_or_null(entry.get("kind"), "kind") or "normal",
            optional=entry.get("optional") is True,
            target=text_or_null(entry.get("target"), "target"),
            groups=groups.get(crate, ()),
        )

    return collect_items(entries, parse)


async def fetch_health(context: Context) -> ProviderHealth:
    """Ask the API for what it is; the index is only files."""
    response = await context.http.get(f"{api_of(context)}/site_metadata")
    return ProviderHealth(ok=response.status_code < 500, detail=f"answered {response.status_code}")
