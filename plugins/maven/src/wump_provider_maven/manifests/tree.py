"""POMs beside a POM in the same tree: its parents by relative path, and the modules that are built with it.

Pure: what isn't among the siblings is named in `needs`.
"""

import posixpath
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from wump_core import resolve_path

from wump_provider_maven.models import MAX_PARENTS, Model
from wump_provider_maven.poms import NotPom, Parent, Pom, Section, parse_pom
from wump_provider_maven.xml import NotXml

MAX_MODULES = 80
"""POMs of modules that are looked into for one file."""


class Lineage(NamedTuple):
    """A POM with those of its parents that are in the tree, nearest first, and where they lie."""

    poms: list[Pom]
    paths: list[str]
    needs: list[str]


class Tree:
    """The POMs among the siblings, each read once."""

    def __init__(self, path: str, pom: Pom, siblings: Mapping[str, bytes]) -> None:
        self._siblings = siblings
        self._read: dict[str, Pom | None] = {path: pom}

    def get(self, path: str) -> Pom | None:
        """The POM at a path; null where it isn't at hand, or is none."""
        if path not in self._read:
            content = self._siblings.get(path)
            try:
                self._read[path] = None if content is None else parse_pom(content)[0]
            except (NotXml, NotPom):
                self._read[path] = None
        return self._read[path]

    def is_asked_for(self, path: str) -> bool:
        """Whether the caller looked for it already."""
        return path in self._siblings

    def follow_parents(self, path: str) -> Lineage:
        """From the POM at a path upwards, as long as the next one is the parent that is meant."""
        pom = self._read[path]
        lineage = Lineage([pom] if pom else [], [path], [])
        while pom is not None and pom.parent is not None and len(lineage.poms) < MAX_PARENTS:
            above = find_pom(path, pom.parent.path) if pom.parent.path else None
            if above is None or above in lineage.paths:
                break
            if not self.is_asked_for(above) and above not in self._read:
                lineage.needs.append(above)
            found = self.get(above)
            if found is None or not _is_meant(found, pom.parent):
                break
            lineage.poms.append(found)
            lineage.paths.append(above)
            path, pom = above, found
        return lineage

    def has_modules(self, path: str) -> bool:
        """Whether others are built with the POM at a path."""
        pom = self.get(path)
        return pom is not None and any(section.modules for section in _list_sections(pom))

    def find_modules(self, path: str) -> tuple[dict[tuple[str, str], str], list[str]]:
        """All modules below a POM by group and artifact, with their paths; and what is needed to tell."""
        found: dict[tuple[str, str], str] = {}
        needs: list[str] = []
        waiting, seen = [path], {path}
        while waiting and len(seen) <= MAX_MODULES:
            here = waiting.pop(0)
            pom = self.get(here)
            if pom is None:
                needs += [] if self.is_asked_for(here) else [here]
                continue
            if (name := _name_of(pom)) is not None:
                found.setdefault(name, here)
            for below in _list_modules(here, pom):
                if below not in seen and len(seen) < MAX_MODULES:
                    seen.add(below)
                    waiting.append(below)
        return found, needs


def find_pom(origin: str, target: str) -> str | None:
    """The POM that another one names by a relative path, which may be that of a folder."""
    if not target.endswith(".xml"):
        target = posixpath.join(target, "pom.xml")
    return resolve_path(origin, target)


def _list_sections(pom: Pom) -> Iterator[Section]:
    yield pom.body
    for profile in pom.profiles:
        yield profile.section


def _list_modules(path: str, pom: Pom) -> Iterator[str]:
    for module in (module for section in _list_sections(pom) for module in section.modules):
        if (below := find_pom(path, module)) is not None:
            yield below


def _is_meant(pom: Pom, parent: Parent) -> bool:
    """Whether the POM at a parent's path is that parent: Maven looks into repositories otherwise."""
    above = pom.parent
    group = pom.group or (above.group if above else None)
    version = pom.version or (above.version if above else None)
    if (group, pom.artifact) != (parent.group, parent.artifact):
        return False
    is_literal = all(
        text is not None and "${" not in text and text[:1] not in "[(" for text in (version, parent.version)
    )
    return not is_literal or version == parent.version


def _name_of(pom: Pom) -> tuple[str, str] | None:
    model = Model([pom])
    return (model.group, model.artifact) if model.group and model.artifact else None
