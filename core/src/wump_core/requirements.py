"""What stands in place of a range, as aggregators hand it on from a manifest: an alias, a repository, a file.

Source: npm's documentation of `dependencies`, and those of yarn and pnpm for their own protocols.
"""

import re
from typing import Any

from wump_core.errors import InvalidPurl
from wump_core.purl import make_purl_text
from wump_core.records import DependencySource
from wump_core.values import read_text

_PLACES: dict[str, DependencySource] = {
    **dict.fromkeys(("git", "ssh", "github", "gitlab", "bitbucket", "gist"), "git"),
    **dict.fromkeys(("http", "https", "jsr"), "url"),
    **dict.fromkeys(("link", "portal"), "link"),
    **dict.fromkeys(("file", "patch"), "path"),
    **dict.fromkeys(("workspace", "catalog"), "workspace"),
}
_PLACE = re.compile(rf"({'|'.join(_PLACES)})(?:\+[a-z]+)?[:@]")
_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w.-]+(?:#.*)?", re.ASCII | re.DOTALL)
"""`owner/name`, which npm takes for a repository on GitHub."""
_PATH_STARTS = ("./", "../", "/", "~/")
_RANGE = re.compile(r"[\^~<>=*\d].*", re.DOTALL)


def read_requirement(ecosystem: str | None, name: object, written: object) -> dict[str, Any]:
    """The fields of a `DependencyRecord` that a name and what is written as its range give.

    These are `purl`, `name`, `alias`, `requirement` and `source`. An alias (`npm:name@range`) is resolved; what comes
    from elsewhere than a registry, or is of an ecosystem that wump doesn't know (null), has no purl.

    Raises:
        InvalidPurl: It is no name, or none that a package of the ecosystem can have.
    """
    if not isinstance(name, str):
        raise InvalidPurl("it has no name")
    requirement, alias = read_text(written), None
    if ecosystem == "npm" and requirement and requirement.startswith("npm:"):
        real, range_ = _split_alias(requirement.removeprefix("npm:"))
        alias, name, requirement = (name if real else None), real or name, range_
    source = _find_source(ecosystem, requirement or "")
    return {
        "purl": make_purl_text(ecosystem, name) if ecosystem and source == "registry" else None,
        "name": name,
        "alias": alias,
        "requirement": requirement,
        "source": source,
    }


def _split_alias(target: str) -> tuple[str | None, str | None]:
    """Name and range of `name`, `@scope/name@range`, or yarn's bare `range` of the key itself, which has no name."""
    if _RANGE.fullmatch(target):
        return None, target
    scope, name = target[:1] if target.startswith("@") else "", target.removeprefix("@")
    name, _, requirement = name.partition("@")
    return scope + name, requirement or None


def _find_source(ecosystem: str | None, requirement: str) -> DependencySource:
    if found := _PLACE.match(requirement):
        return _PLACES[found[1]]
    if ecosystem != "npm":
        return "registry"
    if requirement.startswith(_PATH_STARTS):
        return "path"
    return "git" if _REPOSITORY.fullmatch(requirement) else "registry"
