"""What a bill of materials holds, however it is written: whose it is, and packages by their package URLs.

Source: the purl specification.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote

from wump_core.errors import InvalidPurl
from wump_core.purl import ECOSYSTEMS, make_purl_text
from wump_core.records import Diagnostic, Project, Scope
from wump_core.values import read_text

MAX_PACKAGES = 50_000
"""Of one bill. Those behind them are counted, and left out."""

_CODE_HOSTS = frozenset(("github", "gitlab", "bitbucket"))
_EXACT = re.compile(r"[vV]?\d[\w.+!~-]*", re.ASCII)
_ELSEWHERE = re.compile(r"(?:^|&)(vcs_url|repository_url)=[^&]", re.IGNORECASE)

Row = dict[str, Any]
"""The fields of a `DependencyRecord`."""


@dataclass(frozen=True, slots=True)
class Sbom:
    """What a bill says: whose it is, what is in it, each with its package URL as written, and what is unread."""

    project: Project | None
    rows: list[Row]
    locators: list[str]
    diagnostics: tuple[Diagnostic, ...]


class Package(NamedTuple):
    """One entry, before its package URL is read."""

    identifier: str
    locator: str | None
    name: str
    version: str | None
    scope: Scope
    field: str


def make_project(name: object, version: object) -> Project | None:
    """Whose the bill is; null: it doesn't say."""
    known = read_text(name, 214)
    return Project(name=known, version=read_text(version, 255)) if known else None


def collect(project: Project | None, packages: Iterable[Package], direct: set[str]) -> Sbom:
    """Rows of those that have a package URL; the others are counted, and those of unknown ecosystems by ecosystem."""
    rows: list[Row] = []
    locators: list[str] = []
    diagnostics: list[Diagnostic] = []
    without, unknown, read = 0, Counter[str](), 0
    for package in packages:
        if not package.locator:
            without += 1
            continue
        read += 1
        if read > MAX_PACKAGES:
            continue
        name = package.name or unquote(package.locator)
        try:
            ecosystem, purl, source = read_locator(package.locator)
        except InvalidPurl as error:
            diagnostics.append(Diagnostic(field=package.field, message=str(error)[:500]))
            if not package.locator.startswith("pkg:"):
                continue
            ecosystem, purl, source = None, None, "registry"
            name = _locator_name(package.locator)  # it can't be one there, and is kept as it is written
        if ecosystem is not None and purl is None and source == "registry":
            unknown[ecosystem] += 1
        locators.append(package.locator)
        is_direct = not direct or package.identifier in direct
        rows.append({"purl": purl, "name": name[:214], "source": source, "direct": is_direct, **_describe(package)})
    counts = _tell_counts(without, read - MAX_PACKAGES)
    return Sbom(project, rows, locators, (*counts, *diagnostics, *_tell_unknown(unknown)))


def _describe(package: Package) -> Row:
    version = package.version or _locator_version(package.locator or "")
    exact = version is not None and _EXACT.fullmatch(version) is not None and ".*" not in version
    return {
        "requirement": None if exact else version,
        "resolved_version": version if exact else None,
        "scope": package.scope,
        "optional": package.scope == "optional",
        "field": package.field,
    }


def _tell_counts(without: int, more: int) -> Iterator[Diagnostic]:
    if more > 0:
        yield Diagnostic(message=f"packages beyond the first {MAX_PACKAGES:,}: {more:,}")
    if without:
        yield Diagnostic(message=f"entries without a package URL: {without:,}")


def _tell_unknown(unknown: Mapping[str, int]) -> Iterator[Diagnostic]:
    for ecosystem, count in sorted(unknown.items())[:50]:
        why = "they come from another registry" if ecosystem in ECOSYSTEMS else "wump doesn't know this ecosystem"
        yield Diagnostic(field=ecosystem, message=f"{why}: packages without a purl: {count:,}")


def read_locator(locator: str) -> tuple[str, str | None, str]:
    """Ecosystem, canonical purl, and where the package comes from, of a package URL with all that it may carry.

    The purl is null where wump doesn't know the ecosystem, where the package is a repository, and where a qualifier
    says that it comes from another registry than the public one.

    Raises:
        InvalidPurl: It is none, or its name can't be one of its ecosystem's.
    """
    if not locator.startswith("pkg:"):
        raise InvalidPurl(f"{locator[:80]!r} is no package URL")
    plain, _, rest = locator.removeprefix("pkg:").lstrip("/").partition("#")[0].partition("?")
    elsewhere = {name.lower() for name in _ELSEWHERE.findall(rest)}
    ecosystem, _, name = plain.partition("/")
    ecosystem = ecosystem.lower()
    if ecosystem in _CODE_HOSTS or "vcs_url" in elsewhere:
        return ecosystem, None, "git"
    if ecosystem not in ECOSYSTEMS or "repository_url" in elsewhere:
        return read_text(ecosystem, 40) or "", None, "registry"
    if "@" in name[1:]:
        name = name.rpartition("@")[0]
    name = unquote(name.rstrip("/"))
    if ecosystem == "githubactions":
        # An action in a folder has its path behind the repository that it is known by.
        name = "/".join(name.split("/")[:2])
    return ecosystem, make_purl_text(ecosystem, name), "registry"


def _locator_name(locator: str) -> str:
    path = locator.partition("?")[0].partition("#")[0].partition("/")[2]
    return unquote(path.rpartition("@")[0] if "@" in path[1:] else path) or locator


def _locator_version(locator: str) -> str | None:
    _, found, version = locator.partition("?")[0].partition("#")[0].rpartition("@")
    return read_text(unquote(version), 255) if found and "/" not in version else None
