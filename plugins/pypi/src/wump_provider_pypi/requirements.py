"""Requirements as Python writes them, read into rows: dictionaries with the fields of a dependency record.

Source: the dependency specifiers specification (PEP 508), with the parentheses of older metadata. Text is
kept as written: `packaging` judges whether it is valid, but never rewrites it. What is not valid is read
leniently, for the index serves what was uploaded before it checked: the leading name is an edge all the same.
"""

import re
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from wump_core import DependencySource, Scope, is_code_host, parse_repository_url

from wump_provider_pypi.fields import MAX_NAME, MAX_TEXT, is_storable, make_storable, quote, shorten
from wump_provider_pypi.markers import MarkerMeaning, parse_marker

MAX_REQUIREMENT_LENGTH = 4_000
MAX_PLAIN_LENGTH = 500
MAX_GROUPS = 100

ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")

_NAME = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?=\Z|[\s\[(<>=!~^;,@'\"])", re.ASCII)
_WHOLE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_CANONICAL_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_EXTRAS = re.compile(r"\s*\[[^\]]*\]")
_COMMENT = re.compile(r"\s#")
_PLAUSIBLE = re.compile(
    r"\s*(?:\[[\w\s.,-]*\]\s*)?(?:\Z|[@;(]|(?:[<>=!~]=|===|[<>~^])\s*[^\s<>=!~^,;\['\"][^,;\[]*(?:[,;]|\Z))"
)
"""What may stand behind a name. Versions that only older tools take, such as `==dev`, are no reason to doubt."""
_LINE_BREAK = re.compile(r"[\r\n]+[ \t]*")
_USER = re.compile(r"://[^/@\s]*@")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]*@(?=[^/\s])")

# What nearly all requirements look like. Whatever fits is valid, so that `packaging`, which takes twenty times as
# long, need not be asked; a test holds this against it.
_VERSION = r"[0-9]+(?:\.[0-9]+)*"
_RELEASE = rf"{_VERSION}(?:(?:a|b|c|rc)[0-9]+)?(?:\.post[0-9]+|-[0-9]+)?(?:\.dev[0-9]+)?"
_PLAIN_VERSION = rf"v?(?:[0-9]+!)?{_RELEASE}"
_CLAUSE = (
    rf"(?:==[ \t]*{_VERSION}\.\*|~=[ \t]*[0-9]+\.{_RELEASE}|[<>]=?[ \t]*{_PLAIN_VERSION}"
    rf"|(?:[!=]=|===)[ \t]*{_PLAIN_VERSION}(?:\+[a-z0-9]+(?:\.[a-z0-9]+)*)?)"
)
_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_NAME_AND_EXTRAS = (
    rf"(?P<name>{_WORD})(?![A-Za-z0-9_.-])(?:[ \t]*\[[ \t]*{_WORD}(?:[ \t]*,[ \t]*{_WORD})*[ \t]*\])?[ \t]*"
)
_MARKER = r"(?:;[ \t]*(?P<marker>[^#\\\n]*[^#\\\s]))?"
PLAIN = re.compile(
    rf"{_NAME_AND_EXTRAS}(?P<bracket>\()?(?P<requirement>{_CLAUSE}(?:[ \t]*,[ \t]*{_CLAUSE})*)?(?(bracket)\))"
    rf"[ \t]*{_MARKER}",
    re.ASCII,
)
"""A requirement in its plain form; its marker, if any, is still to be judged."""

PLAIN_REFERENCE = re.compile(
    rf"{_NAME_AND_EXTRAS}@[ \t]*(?P<url>[A-Za-z][A-Za-z0-9+.-]*://[!#-&(-:<-\[\]-~]+)(?:[ \t]+{_MARKER})?", re.ASCII
)
"""A direct reference in its plain form; its marker, if any, is still to be judged."""

_VARIABLE = (
    r"(?:os_name|sys_platform|platform_machine|platform_system|platform_python_implementation|implementation_name"
    r"|python_version|python_full_version|extra)"
)
_COMPARISON = rf"{_VARIABLE}[ \t]*(?:[<>=!]=|[<>])[ \t]*(?:'[^'\\\n]*'|\"[^\"\\\n]*\")"
_PLAIN_MARKER = re.compile(rf"{_COMPARISON}(?:[ \t]+(?:and|or)[ \t]+{_COMPARISON})*", re.ASCII)


_NO_CHOICE = MarkerMeaning(needs_extra=False, extras=())


class Place(NamedTuple):
    """Where a requirement stands, and what that alone says of it."""

    field: str | None = None
    line: int | None = None
    scope: Scope = "runtime"
    groups: tuple[str, ...] = ()
    optional: bool = False


Row = dict[str, Any]
"""The fields of a `DependencyRecord`, without those that have their default."""


Reading: TypeAlias = tuple[Row | None, str | None]
"""What became of one entry: a row, a problem, or both where only a part could be read; neither for what is nothing."""


class _Parts(NamedTuple):
    """A requirement taken apart. `readable` is false where its marker may say anything."""

    requirement: str | None
    marker: str | None = None
    url: bool = False
    readable: bool = True


def parse_requirement(text: str, place: Place, *, lenient: bool = False) -> Reading:
    """Read one requirement; never raises.

    Args:
        lenient: Keep the leading name whatever follows it. The index serves what was uploaded before it checked; in a
            file of a repository such a line is no requirement.
    """
    plain = PLAIN.fullmatch(text) if len(text) <= MAX_PLAIN_LENGTH else None
    if plain and (not plain["marker"] or is_marker(plain["marker"])):
        return make_dependency(plain["name"], place, requirement=plain["requirement"], marker=plain["marker"])
    if "@" in text and (reference := parse_reference(text, place)):
        return reference
    whole = text
    text = make_storable(_LINE_BREAK.sub(" ", text[:MAX_REQUIREMENT_LENGTH])).strip()
    match = _NAME.match(text)
    if match is None:
        return None, f"{quote(text)} does not start with a package name"
    name, rest = match["name"], text[match.end() :]
    problem = _problem_of(whole, text)
    if problem and (comment := _COMMENT.search(rest)):
        rest = rest[: comment.start()]
    if problem and not lenient and not _PLAUSIBLE.match(rest):
        return None, f"{quote(text)} is no requirement: left out"
    if extras := _EXTRAS.match(rest):
        rest = rest[extras.end() :]
    parts = _take_apart(rest.strip(), valid=problem is None)
    row, doubt = make_dependency(
        name,
        place,
        requirement=parts.requirement,
        marker=parts.marker,
        source=classify_url(parts.requirement or "") if parts.url else "registry",
        readable=parts.readable and len(whole) <= MAX_REQUIREMENT_LENGTH,
    )
    return row, problem or doubt


def parse_reference(text: str, place: Place, form: re.Pattern[str] = PLAIN_REFERENCE) -> Reading | None:
    """Read a direct reference in its plain form; null where it isn't one."""
    plain = form.fullmatch(text) if len(text) <= MAX_PLAIN_LENGTH else None
    if plain is None or (plain["marker"] and not is_marker(plain["marker"])):
        return None
    name, url, marker = plain.group("name", "url", "marker")
    return make_dependency(name, place, requirement=url, marker=marker, source=classify_url(url))


def canonical_name(name: str) -> str:
    """The name by PEP 503; most are written so."""
    return name if _CANONICAL_NAME.fullmatch(name) else canonicalize_name(name)


@lru_cache(maxsize=4_096)  # the same packages are asked for everywhere
def _purl_of(name: str) -> str | None:
    if _CANONICAL_NAME.fullmatch(name):
        return f"pkg:pypi/{name}"
    return f"pkg:pypi/{canonicalize_name(name)}" if _WHOLE_NAME.fullmatch(name) else None


def leading_name(text: str) -> str | None:
    """The name that a requirement starts with."""
    match = _NAME.match(text)
    return match["name"] if match else None


def make_dependency(
    name: str,
    place: Place,
    *,
    requirement: str | None = None,
    resolved_version: str | None = None,
    marker: str | None = None,
    source: DependencySource = "registry",
    readable: bool = True,
) -> Reading:
    """A row from the parts of a requirement, within the records' bounds: the one place where they are made.

    Args:
        readable: False where the marker could not be read, so that the scope can't be told either.
    """
    problem = meaning = None
    if marker and (meaning := _read_marker(marker)) is None:
        problem = f"{quote(name)}: {quote(marker)} is no valid marker: left out"
        readable, marker = "extra" not in marker, None
    field, line, scope, groups, optional = place
    row: Row = {"purl": None, "name": name, "scope": scope, "field": field, "line": line}
    if source == "registry":
        row["purl"] = purl = _purl_of(name) if len(name) <= MAX_NAME else None
        if purl is None:
            return None, f"{quote(name)} is no package name: expected ASCII letters, digits, `-`, `_` and `.`"
    else:
        row["source"], row["name"] = source, shorten(name, MAX_NAME)
    if groups:
        row["groups"] = _join_groups(groups)
    if optional:
        row["optional"] = True
    if resolved_version:
        row["resolved_version"] = resolved_version
    if requirement:
        row["requirement"] = without_credentials(requirement) if "@" in requirement else requirement
    if meaning:
        row["marker"] = marker
        if meaning != _NO_CHOICE:
            _add_choice(row, meaning)
    if (requirement and len(requirement) > MAX_TEXT) or (marker and len(marker) > MAX_TEXT):
        problem = problem or f"{quote(name)} has more text than {MAX_TEXT:,} characters: cut"
        row |= {key: shorten(row[key], MAX_TEXT) for key in ("requirement", "marker") if key in row}
    if not readable and scope == "runtime":
        row["scope"] = "unknown"
    return row, problem


@lru_cache(maxsize=1_024)
def _read_marker(text: str) -> MarkerMeaning | None:
    """What a marker demands; null where it is not valid."""
    return parse_marker(text) if is_marker(text) else None


def _add_choice(row: Row, meaning: MarkerMeaning) -> None:
    if meaning.extras:
        row["groups"] = _join_groups((*row.get("groups", ()), *meaning.extras))
    if meaning.needs_extra:
        row["optional"] = True
        row["scope"] = "optional" if row["scope"] == "runtime" else row["scope"]


@lru_cache(maxsize=256)  # all of a table have the same
def _join_groups(groups: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({shorten(group, MAX_NAME) for group in groups})[:MAX_GROUPS])


def classify_url(url: str) -> DependencySource:
    """What a direct reference points to: a git repository, a path, or a file on the web."""
    lower = url.strip().lower()
    if lower.startswith(("git+", "git:", "git@", "ssh:")):
        return "git"
    if lower.startswith("file:"):
        return "path"
    path = lower.partition("#")[0].partition("?")[0].rstrip("/")
    if path.endswith(".git") or (not path.endswith(ARCHIVES) and _is_repository(url, path)):
        return "git"
    return "url" if "://" in lower or lower.startswith("${") else "path"


def _is_repository(url: str, path: str) -> bool:
    """Whether it is the repository itself, and not a file that its host serves."""
    repository = parse_repository_url(url)
    return repository is not None and is_code_host(repository.host) and path.endswith(repository.path.lower())


def without_credentials(url: str) -> str:
    """The address with `****` for whatever stands before an @, as pip prints it; `git@` over SSH stays."""
    if not _USER.search(url):
        return url
    try:
        if urlsplit(url).scheme.lower().endswith("ssh"):
            return re.sub(r"(?<=://)([^/:@\s]*):[^/@\s]*@", r"\1:****@", url)
    except ValueError:
        pass
    return _CREDENTIALS.sub("****@", url)


def _problem_of(whole: str, text: str) -> str | None:
    if len(whole) > MAX_REQUIREMENT_LENGTH:
        return f"{quote(text)} is longer than {MAX_REQUIREMENT_LENGTH:,} characters: only its start was read"
    if not _is_valid(Requirement, text):
        return f"{quote(text)} is no valid requirement: kept with the text as written"
    return None


@lru_cache(maxsize=1_024)
def is_marker(text: str) -> bool:
    """Whether it is a valid marker that can be stored. Few are ever written, so that the last ones are remembered."""
    if not is_storable(text):
        return False
    return _PLAIN_MARKER.fullmatch(text) is not None or ("\\" not in text and _is_valid(Marker, text))


def _is_valid(kind: type[Requirement] | type[Marker], text: str) -> bool:
    # The grammar knows no backslash in a string; packaging would hand it to Python's own string reader.
    if "\\" in text.partition(";")[2]:
        return False
    try:
        kind(text)
    except (ValueError, RecursionError):
        return False
    return True


def _take_apart(rest: str, *, valid: bool) -> _Parts:
    if rest.startswith("@"):
        url, *tail = rest[1:].split(maxsplit=1) or [""]
        marker = tail[0].strip().removeprefix(";").strip() if tail else ""
        readable = valid or not marker or is_marker(marker)
        return _Parts(url or None, marker if marker and readable else None, url=True, readable=readable)
    specifier, semicolon, marker = (part.strip() for part in rest.partition(";"))
    if semicolon and not valid and not is_marker(marker):
        # It may ask for an extra: then the scope can't be told.
        return _Parts(_without_brackets(specifier), readable="extra" not in marker)
    return _Parts(_without_brackets(specifier), marker or None)


def _without_brackets(specifier: str) -> str | None:
    if specifier.startswith("(") and specifier.endswith(")"):
        specifier = specifier[1:-1].strip()
    return specifier or None
