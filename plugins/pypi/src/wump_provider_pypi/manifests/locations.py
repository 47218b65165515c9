"""What is installed from a place instead of the index: URLs, paths, repositories.

Source: pip's manual (VCS support; local project installs), the wheel and source distribution file names.
"""

import posixpath
import re
from urllib.parse import unquote

from wump_provider_pypi.fields import make_storable, quote
from wump_provider_pypi.requirements import ARCHIVES, Place, Reading, classify_url, make_dependency

_SCHEME = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|file:|git@|git\+)")
_DIRECT_REFERENCE = re.compile(r"(?!git@)[A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\])?\s*@", re.ASCII)
_EXTRAS_AT_END = re.compile(r"\[[^\[\]]*\]\Z")
_END_OF_NAME = re.compile(r"[\[<>=!~;\s]")
_VERSION_IN_NAME = re.compile(r"-(?=\d)")
_NO_NAMES = ("", ".", "..")


def is_direct_reference(text: str) -> bool:
    """Whether it is `name @ location`."""
    return _DIRECT_REFERENCE.match(text) is not None


def is_location(text: str) -> bool:
    """Whether pip would take it for a URL or a path, and not for a name."""
    if _SCHEME.match(text):
        return True
    before_marker = text.partition(";")[0].strip()
    first = before_marker.partition(" ")[0]
    is_archive = before_marker.lower().rstrip("]").partition("[")[0].endswith(ARCHIVES)
    return first.startswith(".") or "/" in first or "\\" in first or is_archive


def parse_location(text: str, place: Place) -> Reading:
    """Read a URL or a path: an editable install, an archive, a repository. The project itself is nothing."""
    # A marker stands after a blank, since a URL may hold semicolons.
    location, _, marker = text.partition(" ;" if " ;" in text else "; ")
    location, fragment = location.strip().strip("\"'").partition("#")[::2]
    location = location if _SCHEME.match(location) else _EXTRAS_AT_END.sub("", location)
    name = (fragment and _egg_name(fragment)) or _name_of_location(location)
    if not name:
        return None, None
    if not name[0].isalnum() and not any(map(str.isalnum, name)):
        return None, f"{quote(text)} names no project: left out"
    requirement = make_storable(f"{location}#{fragment}" if fragment else location)
    source = classify_url(requirement)
    marker = make_storable(marker.strip()) if marker else marker
    return make_dependency(make_storable(name), place, requirement=requirement, marker=marker, source=source)


def _egg_name(fragment: str) -> str:
    for part in fragment.split("&"):
        key, _, value = part.partition("=")
        if key == "egg":
            return _END_OF_NAME.split(unquote(value).strip(), maxsplit=1)[0]
    return ""


def _name_of_location(location: str) -> str:
    """The project's name as far as the last part of an address says it; empty for the project itself."""
    path = location.replace("\\", "/").partition("?")[0]
    if scheme := _SCHEME.match(path):
        path = path[scheme.end() :]
    last = path.rpartition("/")[2]
    if last in _NO_NAMES:  # it may stand before: `./sub/`, `sub/.`
        last = posixpath.normpath(path).rpartition("/")[2] if path else ""
    if last in _NO_NAMES:
        return ""
    stem = last.partition("@")[0] or last
    lower = stem.lower()
    if lower.endswith(".git"):
        return stem[: -len(".git")]
    if lower.endswith(ARCHIVES):
        ending = next(ending for ending in ARCHIVES if lower.endswith(ending))
        # `name-1.0-py3-none-any.whl`, `name-1.0.tar.gz`: the version starts with the first digit after a dash.
        return _VERSION_IN_NAME.split(stem[: -len(ending)], maxsplit=1)[0]
    return stem
