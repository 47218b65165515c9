"""What the API says of a crate: everything that the index doesn't, which is all but versions and dependencies.

Source: crates.io's OpenAPI description. A crate's own `repository`, `homepage` and `description` are those of whatever
was published last, be it an old release's fix; each version has its own since November 2024.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from pydantic import ValidationError
from wump_core import (
    DependencyRecord,
    Diagnostic,
    InvalidResponse,
    NotFound,
    PackageRecord,
    Purl,
    RepositoryClaim,
    is_code_host,
    make_printable,
    make_purl,
    parse_repository_url,
)

from wump_provider_cratesio.index import fold
from wump_provider_cratesio.versions import choose_default

MAX_DESCRIPTION = 2_000
MAX_DIAGNOSTICS = 500
_CODE_HOSTS = {"github": "github.com", "gitlab": "gitlab.com"}


def parse_object(content: bytes, what: str) -> dict[str, Any]:
    """Read an answer of the API.

    Raises:
        InvalidResponse: It is no JSON object, or one that tells an error though its status is 200.
    """
    try:
        document = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        raise InvalidResponse(f"{what} can't be read as JSON") from None
    if not isinstance(document, dict):
        raise InvalidResponse(f"{what} must be an object")
    if "errors" in document:
        raise InvalidResponse(f"{what} tells an error")
    return document


def parse_crate(purl: Purl, content: bytes) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The crate and its versions, of an answer about one crate.

    Raises:
        NotFound: The crate is spelled otherwise; the text says how.
        InvalidResponse: It is none, or about another crate.
    """
    document = parse_object(content, "the answer about a crate")
    crate = document.get("crate")
    name = crate.get("name") if isinstance(crate, dict) else None
    if not isinstance(crate, dict) or not isinstance(name, str):
        raise InvalidResponse("the answer about a crate must have `crate.name`")
    if name != purl.name:
        if fold(name) == fold(purl.name):
            raise NotFound(f"the crate is spelled {name[:64]!r}")
        raise InvalidResponse(f"the API was asked for {purl.name} and answers {name[:64]!r}")
    versions = document.get("versions")
    if versions is not None and not isinstance(versions, list):
        raise InvalidResponse("`versions` of a crate must be a list or null")
    return crate, [version for version in versions or () if _is_version(version)]


def _is_version(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("num"), str)


def find_default(crate: Mapping[str, Any], versions: Sequence[Mapping[str, Any]]) -> str | None:
    """The number of the crate's default version. Before there was that word, it follows from all versions."""
    if isinstance(told := crate.get("default_version"), str) and told:
        return told
    position = choose_default((version["num"], version.get("yanked") is True) for version in versions)
    if position is not None:
        return str(versions[position]["num"])
    for key in ("max_stable_version", "max_version"):
        # Without its versions, a crate's highest one is told as 0.0.0.
        if isinstance(told := crate.get(key), str) and told not in ("", "0.0.0"):
            return told
    return None


def make_record(
    purl: Purl,
    crate: Mapping[str, Any],
    version: Mapping[str, Any],
    *,
    number: str | None,
    yanked: bool | None,
    dependencies: tuple[DependencyRecord, ...] | None,
    unknown: str | None = None,
    diagnostics: Sequence[Diagnostic] = (),
) -> PackageRecord:
    """The record of a crate, as its default version describes it, and where that doesn't, the crate.

    Args:
        purl: The crate.
        crate: Its fields.
        version: Those of its default version; empty where they weren't told.
        number: The default version.
        yanked: Whether all versions are yanked; null: not told.
        dependencies: Of that version, or null with the reason `unknown`.
        unknown: Why dependencies are null.
        diagnostics: What could not be read so far.
    """
    notes = list(diagnostics)
    fields: dict[str, Any] = {
        "latest_version": number,
        "description": _describe(_choose(version, crate, "description")),
        "homepage": _choose(version, crate, "homepage"),
        "licences": (version["license"],) if isinstance(version.get("license"), str) and version["license"] else None,
        "deprecated": yanked,
        "repository": _claim(version, crate, notes),
    }
    while True:
        try:
            return PackageRecord(
                purl=str(purl),
                dependencies=dependencies,
                dependencies_unknown=unknown,
                diagnostics=tuple(notes[:MAX_DIAGNOSTICS]),
                **fields,
            )
        except ValidationError as error:
            refused = [
                item for item in error.errors(include_url=False, include_input=False) if item["loc"][0] in fields
            ]
            if not refused:
                raise
            for item in refused:
                if fields.pop(str(item["loc"][0]), None) is not None:
                    notes.insert(0, Diagnostic(field=str(item["loc"][0]), message=f"left out: {item['msg']}"))


def _choose(version: Mapping[str, Any], crate: Mapping[str, Any], key: str) -> Any:
    return version.get(key) or crate.get(key) or None


def _describe(value: object) -> str | None:
    """Of one line, as it is written in prose with line ends, without what can't be stored."""
    if not isinstance(value, str):
        return None
    return make_printable(" ".join(value[: 4 * MAX_DESCRIPTION].split()), MAX_DESCRIPTION) or None


def _claim(version: Mapping[str, Any], crate: Mapping[str, Any], notes: list[Diagnostic]) -> RepositoryClaim | None:
    """Where a trusted publisher built it, which the registry has checked; else what it says, else its home page."""
    if (published := _find_publisher(version)) is not None:
        return published
    declared = _choose(version, crate, "repository")
    if isinstance(declared, str) and (claim := make_claim(declared)):
        return claim
    if declared:
        notes.append(Diagnostic(field="repository", message="names no repository"))
    for key in ("homepage", "documentation"):
        address = _choose(version, crate, key)
        found = make_claim(address) if isinstance(address, str) else None
        if found is not None and is_code_host(found.host):
            return found
    return None


def _find_publisher(version: Mapping[str, Any]) -> RepositoryClaim | None:
    data = version.get("trustpub_data")
    if not isinstance(data, dict):
        return None
    host = _CODE_HOSTS.get(str(data.get("provider")))
    path = data.get("repository") or data.get("project_path")
    return make_claim(f"https://{host}/{path}", verified=True) if host and isinstance(path, str) else None


def make_claim(address: str, *, verified: bool = False) -> RepositoryClaim | None:
    """The repository that an address names; null where it names none."""
    found = parse_repository_url(address)
    if found is None:
        return None
    for inside in (found.directory, None):
        try:
            return RepositoryClaim(
                host=found.host, path=found.path, owner=found.owner, directory=inside, verified=verified
            )
        except ValidationError:
            continue
    return None


def parse_listed(crate: Any) -> PackageRecord:
    """A crate of a list, which tells neither dependencies nor licence."""
    number = find_default(crate, ())
    all_yanked = crate.get("yanked")
    return make_record(
        make_purl("cargo", crate["name"]),
        crate,
        {},
        number=number,
        yanked=all_yanked if isinstance(all_yanked, bool) else None,
        dependencies=None,
        unknown="a list of crates does not tell them",
    )
