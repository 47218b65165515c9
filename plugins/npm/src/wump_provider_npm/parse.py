"""A packument becomes a package record. Pure: bytes in, record out.

Source: npm/registry `docs/responses/package-metadata.md` and npm's `package.json` documentation.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from wump_core import InvalidResponse, NotFound, PackageRecord, Purl

from wump_provider_npm.dependencies import parse_dependencies
from wump_provider_npm.diagnostics import Diagnostics, make_printable
from wump_provider_npm.funding import parse_funding
from wump_provider_npm.packuments import Packument
from wump_provider_npm.repositories import parse_repository
from wump_provider_npm.versions import choose_latest

MAX_DESCRIPTION_LENGTH = 2_000
MAX_LICENCES = 50

_COPIED_FIELDS = ("description", "homepage", "repository", "bugs", "funding", "collective")
_LICENCE_FIELDS = ("license", "licenses")


def parse_package(purl: Purl, content: bytes) -> PackageRecord:
    """Read a packument, full, abbreviated or rebuilt by a proxy.

    Raises:
        InvalidResponse: It is no packument, or one of another package.
        NotFound: It is what remains of an unpublished package.
    """
    packument = Packument(content)
    if packument.get("name") != purl.name:
        raise InvalidResponse(f"the document is not about {purl}: it has another name, or none")
    _reject_remains(packument)
    tags = packument.get("dist-tags")
    latest = choose_latest(tags.get("latest") if isinstance(tags, dict) else None, packument.versions)
    if latest is None:
        raise InvalidResponse(f"the document about {purl} has no versions, and does not say why")
    own_manifest = packument.get_manifest(latest)
    manifest = _complete(own_manifest, packument)
    diagnostics = Diagnostics()
    fields: dict[str, Any] = {
        "purl": str(purl),
        "latest_version": latest,
        "description": _parse_description(manifest, diagnostics),
        "homepage": _parse_homepage(manifest, diagnostics),
        "licences": _parse_licences(manifest, packument, diagnostics),
        "deprecated": _parse_deprecated(manifest, packument, diagnostics),
        "repository": parse_repository(manifest, diagnostics, checked=_is_repository_checked(own_manifest)),
        "funding": parse_funding(manifest, diagnostics),
        "dependencies": parse_dependencies(manifest, purl.name, diagnostics),
    }
    return build_record(fields, diagnostics)


def reject_unpublished(content: bytes) -> None:
    """Read the body of a 404: the registry sends what remains of an unpublished package with that status.

    Raises:
        NotFound: It is such a document; the text says since when.
    """
    try:
        packument = Packument(content)
    except InvalidResponse:
        return  # any other 404: its body may be a page for people
    _reject_remains(packument)


def _reject_remains(packument: Packument) -> None:
    times = packument.get("time")
    unpublished = times.get("unpublished") if isinstance(times, dict) else None
    if packument.versions or not unpublished:
        return
    moment = unpublished.get("time") if isinstance(unpublished, dict) else None
    when = make_printable(moment, 40) if isinstance(moment, str) else "an unknown day"
    raise NotFound(f"unpublished on {when}")


def _complete(manifest: Mapping[str, Any], packument: Packument) -> dict[str, Any]:
    """Add the document's own copies of what the manifest lacks; old manifests lack a good deal."""
    completed = dict(manifest)
    groups = [*((field,) for field in _COPIED_FIELDS), _LICENCE_FIELDS]
    for group in groups:
        if all(manifest.get(field) is None for field in group):
            completed.update({field: packument.get(field) for field in group})
    return completed


def _parse_description(manifest: Mapping[str, Any], diagnostics: Diagnostics) -> str | None:
    description = manifest.get("description")
    if description is None or isinstance(description, str):
        return (description or "").strip()[:MAX_DESCRIPTION_LENGTH] or None
    diagnostics.add("description", "must be a text")
    return None


def _parse_homepage(manifest: Mapping[str, Any], diagnostics: Diagnostics) -> str | None:
    """An empty one is none. Whether it is a web address, the record decides."""
    homepage = manifest.get("homepage")
    if homepage is None or isinstance(homepage, str):
        return (homepage or "").strip() or None
    diagnostics.add("homepage", "must be a text")
    return None


def _parse_licences(
    manifest: Mapping[str, Any], packument: Packument, diagnostics: Diagnostics
) -> tuple[str, ...] | None:
    """`license` as text or `{type}`, and the `licenses` array of old packages.

    Null in an abbreviated document, which leaves them out; those are told by their `modified` without `time`.
    """
    licences: dict[str, None] = {}
    for field in _LICENCE_FIELDS:
        value = manifest.get(field)
        for item in value if isinstance(value, list) else [] if value is None else [value]:
            name = item.get("type") if isinstance(item, dict) else item
            if isinstance(name, str):
                licences[name.strip()] = None
            else:
                diagnostics.add(field, "must be a text or an object with a type")
    licences.pop("", None)
    if len(licences) > MAX_LICENCES:
        diagnostics.add("licenses", f"only the first {MAX_LICENCES} licences were kept")
    is_abbreviated = "modified" in packument and "time" not in packument
    return tuple(licences)[:MAX_LICENCES] or (None if is_abbreviated else ())


def _parse_deprecated(manifest: Mapping[str, Any], packument: Packument, diagnostics: Diagnostics) -> bool | None:
    """Whether the version is deprecated; an empty message takes a deprecation back.

    The registry leaves the key out of versions that aren't; proxies that rebuild the document leave it out of
    all. So its absence says something only in an original, which has `_rev` or `maintainers`.
    """
    deprecated = manifest.get("deprecated")
    if isinstance(deprecated, str | bool):
        return bool(deprecated)
    if deprecated is not None:
        diagnostics.add("deprecated", "must be a text")
        return None
    return False if "_rev" in packument or "maintainers" in packument else None


def _is_repository_checked(manifest: Mapping[str, Any]) -> bool:
    """Whether the registry compared this manifest's own `repository` with the build that published it."""
    value: Any = manifest
    for key in ("dist", "attestations", "provenance", "predicateType"):
        value = value.get(key) if isinstance(value, dict) else None
    return bool(value) and manifest.get("repository") is not None


def build_record(fields: dict[str, Any], diagnostics: Diagnostics) -> PackageRecord:
    """Build the record; what its types refuse is left out and diagnosed, so that one bad value sinks nothing."""
    while True:
        try:
            return PackageRecord(**fields, diagnostics=diagnostics.finish())
        except ValidationError as error:
            for mistake in reversed(error.errors(include_url=False, include_input=False)):
                field, *place = mistake["loc"]
                if field not in fields or field == "purl":
                    raise
                diagnostics.add(str(field), mistake["msg"])
                if place and isinstance(fields[field], tuple):
                    index = int(place[0])
                    fields[field] = fields[field][:index] + fields[field][index + 1 :]
                else:
                    del fields[field]
