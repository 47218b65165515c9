"""The JSON API's answer for a project, read into a package record.

Source: Warehouse's JSON API documentation; core metadata (PEP 566, 639, 753) for what the fields of `info`
mean; PEP 792 for the project status. Only `info` and its `name` are needed; any other value that can't be
read costs its own field and a diagnostic. Mail addresses are never read.
"""

from typing import Any

from packaging.utils import canonicalize_name
from pydantic import ValidationError
from wump_core import DependencyRecord, InvalidResponse, NotFound, PackageRecord, Purl

from wump_provider_pypi.fields import MAX_SHORT, MAX_TEXT, given, is_storable, quote, shorten, without_emails
from wump_provider_pypi.findings import Findings
from wump_provider_pypi.links import Link, find_funding, find_repository, parse_links
from wump_provider_pypi.requirements import Place, parse_requirement

MAX_LICENCE_LENGTH = 100
MAX_LICENCES = 50

_ONLY_SDIST = (
    "the release has no wheel, and the index knows requirements only from wheels or from recent source "
    "distributions: it does not tell whether there are none"
)
_NOT_TOLD = (
    "the index gives no requirements, which it also does where the first uploaded file was a source "
    "distribution without them: it does not tell whether there are none"
)


def parse_package(purl: Purl, payload: object) -> PackageRecord:
    """Read the answer of `/pypi/{project}/json`.

    Raises:
        InvalidResponse: It is no object, has no `info`, or is about another project; the text names the field.
        NotFound: The index says that the project is quarantined.
    """
    info, status = _parse_envelope(purl, payload)
    findings = Findings()
    project_urls = info.get("project_urls")
    links = parse_links(project_urls, findings)
    home_page = _text(info, "home_page", findings)
    dependencies, unknown = _parse_dependencies(purl, info, payload, findings)
    told_links = project_urls is None or isinstance(project_urls, dict)
    classifiers = _classifiers(info, findings)
    return PackageRecord(
        purl=str(purl),
        latest_version=_short(info, "version", findings),
        description=_description(info, findings),
        homepage=_homepage(purl, links, home_page, findings),
        licences=_licences(info, classifiers, findings),
        deprecated=status in ("archived", "deprecated") or "Development Status :: 7 - Inactive" in classifiers,
        repository=find_repository(links, home_page, _text(info, "download_url", findings), findings),
        funding=find_funding(links, findings) if told_links else None,
        dependencies=dependencies,
        dependencies_unknown=unknown,
        diagnostics=findings.diagnostics,
    )


def check_name(purl: Purl, value: object, field: str) -> None:
    """Make sure that an answer is about the project that was asked for.

    Raises:
        InvalidResponse: It is about another one, or does not say.
    """
    if not isinstance(value, str):
        raise InvalidResponse(f"`{field}` must be the project's name, found {quote(value)}")
    if canonicalize_name(value) != purl.name:
        raise InvalidResponse(f"`{field}` is {quote(value)}, but {purl.name!r} was asked for")


def parse_status(payload: dict[str, Any]) -> str | None:
    """The project status marker of PEP 792, which both the JSON API and the simple index carry."""
    marker = payload.get("project-status")
    status = marker.get("status") if isinstance(marker, dict) else marker
    return status if isinstance(status, str) else None


def _parse_envelope(purl: Purl, payload: object) -> tuple[dict[str, Any], str | None]:
    if not isinstance(payload, dict):
        raise InvalidResponse(f"the answer must be an object, found {quote(payload)}")
    info = payload.get("info")
    if not isinstance(info, dict):
        raise InvalidResponse(f"`info` must be an object, found {quote(info)}")
    check_name(purl, info.get("name"), "info.name")
    status = parse_status(payload)
    if status == "quarantined":
        raise NotFound(f"{purl.name} is quarantined")
    return info, status


def _text(info: dict[str, Any], key: str, findings: Findings) -> str | None:
    value = info.get(key)
    text = given(value)
    if value is not None and not isinstance(value, str):
        findings.note(f"expected text, found {quote(value)}", field=key)
    elif text and not is_storable(text):
        findings.note("holds control characters or broken Unicode: left out", field=key)
        return None
    return text


def _short(info: dict[str, Any], key: str, findings: Findings) -> str | None:
    text = _text(info, key, findings)
    if text and len(text) > MAX_SHORT:
        findings.note(f"longer than {MAX_SHORT} characters: left out", field=key)
        return None
    return text


def _description(info: dict[str, Any], findings: Findings) -> str | None:
    summary = _text(info, "summary", findings)
    return shorten(without_emails(summary[: MAX_TEXT * 2]), MAX_TEXT) if summary else None


def _homepage(purl: Purl, links: tuple[Link, ...], home_page: str | None, findings: Findings) -> str | None:
    candidates = [(link.field, link.url) for link in links if link.key == "homepage"]
    if home_page:
        candidates.append(("home_page", home_page))
    for field, url in candidates:
        try:
            PackageRecord(purl=str(purl), homepage=url)
        except ValidationError as error:
            reason = error.errors(include_input=False, include_url=False)[0]["msg"]
            findings.note(f"{quote(url)}: {reason}; left out", field=field)
        else:
            return url
    return None


def _classifiers(info: dict[str, Any], findings: Findings) -> tuple[str, ...]:
    value = info.get("classifiers")
    if value is None:
        return ()
    if not isinstance(value, list):
        findings.note(f"expected a list, found {quote(value)}", field="classifiers")
        return ()
    return tuple(item for item in value if isinstance(item, str) and is_storable(item))


def _licences(info: dict[str, Any], classifiers: tuple[str, ...], findings: Findings) -> tuple[str, ...]:
    """The SPDX expression, else a short `license`, else the classifiers. Long texts are whole licences."""
    if expression := _text(info, "license_expression", findings):
        return (shorten(expression, MAX_TEXT),)
    name = _text(info, "license", findings)
    if name and len(name) <= MAX_LICENCE_LENGTH and len(name.splitlines()) == 1 and without_emails(name) == name:
        return (name,)
    parts = (classifier.rpartition(" :: ")[2] for classifier in classifiers if classifier.startswith("License :: "))
    # "OSI Approved" alone is a family of licences, not one of them.
    names = (shorten(part, MAX_TEXT) for part in parts if part not in ("", "OSI Approved"))
    return tuple(dict.fromkeys(names))[:MAX_LICENCES]


def _parse_dependencies(
    purl: Purl, info: dict[str, Any], payload: object, findings: Findings
) -> tuple[tuple[DependencyRecord, ...] | None, str | None]:
    entries = info.get("requires_dist")
    if entries is not None and not isinstance(entries, list):
        findings.note(f"expected a list, found {quote(entries)}", field="requires_dist")
        return None, "the index's `requires_dist` can't be read"
    if not entries:
        return None, _why_unknown(payload)
    for entry in dict.fromkeys(entry if isinstance(entry, str) else None for entry in entries):
        if findings.stop(field="requires_dist"):
            break
        if entry is None:
            findings.note("an entry is no text", field="requires_dist")
            continue
        dependency, problem = parse_requirement(entry, Place(field="requires_dist"), lenient=True)
        if problem:
            findings.note(problem, field="requires_dist")
        # `package[all]` that needs `package[a]` is how extras are put together, not a dependency.
        if dependency and canonicalize_name(dependency["name"]) != purl.name:
            findings.add(dependency)
    return findings.finish_dependencies(), None


def _why_unknown(payload: object) -> str:
    files = payload.get("urls") if isinstance(payload, dict) else None
    kinds = {file.get("packagetype") for file in files if isinstance(file, dict)} if isinstance(files, list) else set()
    return _ONLY_SDIST if kinds == {"sdist"} else _NOT_TOLD
