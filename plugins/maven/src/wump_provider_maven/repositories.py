"""Which repository a project's POMs name as its own. Pure.

A value is read as the POM that declares it means it: Maven would append the artifact's id to an inherited address,
which gives addresses that don't exist. A parent of another project (a foundation's, a framework's) names its own
repository and not this one's, so that only parents of the same project are asked: of the same group or version.

Source: Maven's POM reference ("SCM", "Issue Management") and the SCM URL format.
"""

import re
from collections.abc import Iterator

from wump_core import RepositoryClaim, is_code_host, parse_repository_url

from wump_provider_maven.models import Model
from wump_provider_maven.poms import Pom

_SCM = re.compile(r"(?:scm[:|])?(?:(?P<system>[a-z]{2,12})[:|](?!//))?", re.IGNORECASE)
_NOT_GIT = frozenset("svn cvs hg bzr bazaar perforce clearcase accurev starteam tfs vss".split())
_PLACES = (("scm", "url"), ("scm", "connection"), ("scm", "developerConnection"))
_PAGES = (("issueManagement", "url"), ("url",), ("organization", "url"))


def parse_repository(model: Model) -> RepositoryClaim | None:
    """The first address that names a repository, of the nearest POM that has one; always a claim."""
    for pom in list_own(model):
        for address, is_any_host in _list_addresses(pom, model):
            found = parse_repository_url(address)
            if found is not None and (is_any_host or is_code_host(found.host)):
                return RepositoryClaim(
                    host=found.host, path=found.path, owner=found.owner, directory=_bounded(found.directory)
                )
    return None


def list_own(model: Model) -> Iterator[Pom]:
    """The project's POM, and those parents that belong to the same project."""
    for pom in model.lineage:
        group, version = coordinates_of(pom)
        if pom is model.lineage[0] or group == model.group or (version is not None and version == model.version):
            yield pom


def coordinates_of(pom: Pom) -> tuple[str | None, str | None]:
    """A POM's own group and version, as written."""
    parent = pom.parent
    return pom.group or (parent.group if parent else None), pom.version or (parent.version if parent else None)


def _list_addresses(pom: Pom, model: Model) -> Iterator[tuple[str, bool]]:
    """Addresses as their POM means them, each with whether it may be on a host that isn't known for code."""
    fill = model.values_of(pom).fill
    for place in _PLACES:
        if text := pom.text(*place):
            match = _SCM.match(text)
            system = (match["system"] or "").lower() if match else ""
            yield fill(text[match.end() if match else 0 :]), system not in _NOT_GIT
    for place in _PAGES:
        if text := pom.text(*place):
            yield fill(text), False


def _bounded(directory: str | None) -> str | None:
    return directory if directory and len(directory) <= 255 else None
