"""The simple index's answer for a project: all that many mirrors and proxies serve.

Source: PEP 691 (JSON), 700 (`versions`), 592 (yanked files), 792 (project status). It tells versions and
files, neither requirements nor links, so that most of the record stays unknown.
"""

from typing import Any

from packaging.utils import parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from wump_core import Diagnostic, InvalidResponse, NotFound, PackageRecord, Purl

from wump_provider_pypi.fields import MAX_SHORT, given, is_storable, quote
from wump_provider_pypi.parse import check_name, parse_status

ACCEPT = "application/vnd.pypi.simple.v1+json"
MAX_FILES = 50_000

_NO_JSON_API = "this index has no JSON API, so that it does not tell {}"


def parse_simple_project(purl: Purl, payload: object) -> PackageRecord:
    """Read the answer of `/simple/{project}/`.

    Raises:
        InvalidResponse: It is no object, or is about another project; the text names the field.
        NotFound: The project is quarantined, or has neither files nor versions.
    """
    if not isinstance(payload, dict):
        raise InvalidResponse(f"the simple index must answer an object, found {quote(payload)}")
    check_name(purl, payload.get("name"), "name")
    if parse_status(payload) == "quarantined":
        raise NotFound(f"{purl.name} is quarantined")
    files, versions = _objects(payload.get("files")), payload.get("versions")
    if not files and not versions:
        raise NotFound(f"the index lists {purl.name} without any release")
    return PackageRecord(
        purl=str(purl),
        latest_version=_latest_version(files, versions),
        dependencies_unknown=_NO_JSON_API.format("the requirements"),
        diagnostics=(Diagnostic(message=_NO_JSON_API.format("description, links, licences or requirements")),),
    )


def _objects(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)][:MAX_FILES] if isinstance(value, list) else []


def _latest_version(files: list[dict[str, Any]], versions: object) -> str | None:
    """The newest final version that is not yanked, else the newest pre-release, else what is left."""
    offered: dict[Version, bool] = {}  # whether one of its files is not yanked
    for file in files:
        if (version := _version_of_file(file.get("filename"))) is not None:
            # The value is `false`, `true` or a reason, and a reason may be empty.
            offered[version] = offered.get(version, False) or file.get("yanked") in (None, False)
    written: dict[Version, str] = {version: str(version) for version in offered}
    for text in versions[:MAX_FILES] if isinstance(versions, list) else ():
        if (version := _version(given(text) or "")) is not None:
            written[version] = text.strip()
            offered.setdefault(version, True)
    if not offered:
        return None
    newest = max(offered, key=lambda version: (offered[version], not version.is_prerelease, version))
    return written[newest]


def _version_of_file(filename: object) -> Version | None:
    if not isinstance(filename, str):
        return None
    try:
        return parse_wheel_filename(filename)[1] if filename.endswith(".whl") else parse_sdist_filename(filename)[1]
    except ValueError:
        return None  # an egg, an installer, or a name from before the rules


def _version(text: str) -> Version | None:
    if len(text) > MAX_SHORT or not is_storable(text):
        return None
    try:
        return Version(text)
    except InvalidVersion:
        return None
