"""Which repository a project's POMs name as its own. Pure.

A value is read as the POM that declares it means it: Maven would append the artifact's id to an inherited address,
which gives addresses that don't exist. A parent of another project (a foundation's, a framework's) names its own
repository and not this one's, so that only parents of the same project are asked, of the same group or version; but
for addresses that leave a part to those that inherit them.

Source: Maven's POM reference ("SCM", "Issue Management") and the SCM URL format.
"""

import re
from collections.abc import Iterator, Sequence

from wump_core import RepositoryClaim, is_code_host, parse_repository_url

from wump_provider_maven.models import Model
from wump_provider_maven.poms import Pom

_SCM = re.compile(r"(?:scm[:|])?(?:(?P<system>[a-z]{2,12})[:|](?!//))?", re.IGNORECASE)
_NOT_GIT = frozenset("svn cvs hg bzr bazaar perforce clearcase accurev starteam tfs vss".split())
_VARIABLE = re.compile(r"\$\{([^{}]+)\}")
_GITWEB = re.compile(r"^(https?://[^?\s]+?)/?\?p=([\w./-]+).*")
_ARTIFACT = frozenset(("project.artifactId", "pom.artifactId", "artifactId"))
MAX_DIRECTORY = 255
MAX_VARIABLES = 50
_PLACES = (("scm", "url"), ("scm", "connection"), ("scm", "developerConnection"))
_PAGES = (("issueManagement", "url"), ("url",), ("organization", "url"))


def parse_repository(model: Model) -> RepositoryClaim | None:
    """The first address that names a repository, of the nearest POM that has one; always a claim."""
    own = list(list_own(model))
    for pom in model.lineage:
        values = model.values_of(pom if pom in own else own[-1])
        for address, is_any_host in _list_addresses(pom):
            if pom not in own and not _is_meant_for_children(address, own, model):
                continue
            found = parse_repository_url(_GITWEB.sub(r"\1/\2", values.fill(address)))
            if found is not None and (is_any_host or is_code_host(found.host)):
                directory = found.directory if found.directory and len(found.directory) <= MAX_DIRECTORY else None
                return RepositoryClaim(host=found.host, path=found.path, owner=found.owner, directory=directory)
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


def _is_meant_for_children(address: str, own: Sequence[Pom], model: Model) -> bool:
    """Whether another project's parent leaves a part of its address to those that inherit it."""
    names = _VARIABLE.findall(address)
    for name in names:  # grows while it is walked
        if name in _ARTIFACT or any(name in pom.body.properties for pom in own):
            return True
        texts = (pom.body.properties[name] for pom in model.lineage if name in pom.body.properties)
        if len(names) < MAX_VARIABLES:
            names += _VARIABLE.findall(next(texts, ""))[:MAX_VARIABLES]
    return False


def _list_addresses(pom: Pom) -> Iterator[tuple[str, bool]]:
    """Addresses as written, without what says that they are of SCM, each with whether any host may have it."""
    for place in _PLACES:
        if text := pom.text(*place):
            match = _SCM.match(text)
            system = (match["system"] or "").lower() if match else ""
            yield text[match.end() if match else 0 :], system not in _NOT_GIT
    for place in _PAGES:
        if text := pom.text(*place):
            yield text, False
