"""A POM together with its parents: what holds for a project after inheritance, as Maven works it out.

Pure: whoever has the POMs, from a tree or from a repository, hands them over, the project's own first.

Source: Maven's documentation of inheritance and of the dependency mechanism, and its model builder: the nearest POM
wins, of imports the first; profiles count where they are active by default.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from wump_provider_maven.interpolation import Values
from wump_provider_maven.poms import Declared, Parent, Pom

MAX_PARENTS = 20
"""Of one POM. Ten have been seen."""

MAX_MANAGED = 100_000
"""Managed versions of one project, those of imports included."""

Key = tuple[str, str, str, str]
"""Group, artifact, type and classifier: what a managed entry is found by."""


class Coordinates(NamedTuple):
    """A POM in a repository."""

    group: str
    artifact: str
    version: str

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


class Managed(NamedTuple):
    """What a managed entry adds to a dependency that leaves it out."""

    version: str | None
    scope: str | None


class Dependency(NamedTuple):
    """One dependency with everything filled in that is known; what isn't known still has its `${…}`, or is null."""

    group: str
    artifact: str
    version: str | None
    type: str
    classifier: str
    scope: str
    optional: bool
    declared: Declared

    @property
    def key(self) -> Key:
        """What it is found by among managed entries."""
        return (self.group, self.artifact, self.type, self.classifier)


class Model:
    """A project's POM and its parents, nearest first."""

    def __init__(self, lineage: Sequence[Pom], *, known: Coordinates | None = None) -> None:
        """Take the POMs.

        Args:
            lineage: The project's own POM, its parent, and so on, as far as they are at hand.
            known: Where the project's POM was found, which tells what it may leave out.
        """
        self.lineage = lineage
        own = lineage[0]
        self._stated = _describe(own, known)
        self._inherited = _merge_properties(lineage)
        self.values = Values(self._stated, self._inherited)
        self.managed: dict[Key, Managed] = {}
        for pom in lineage:
            self._add_managed(entry for section in pom.active_sections for entry in reversed(section.managed))
        self.imports = [
            entry for pom in lineage for section in pom.active_sections for entry in section.managed if entry.is_import
        ]

    @property
    def missing_parent(self) -> Parent | None:
        """The parent that is not at hand."""
        return self.lineage[-1].parent

    @property
    def group(self) -> str | None:
        """The project's own group, filled in."""
        return self._fill(self._stated.get("groupId"))

    @property
    def artifact(self) -> str | None:
        """The project's own artifact id, filled in."""
        return self._fill(self._stated.get("artifactId"))

    @property
    def version(self) -> str | None:
        """The project's own version, filled in."""
        return self._fill(self._stated.get("version"))

    def values_of(self, pom: Pom) -> Values:
        """`${…}` for a POM of the lineage itself: what it says of itself with the properties of the project."""
        return Values(_describe(pom, None), self._inherited)

    def import_managed(self, managed: Mapping[Key, Managed]) -> None:
        """Add the managed entries of another POM; what is there wins."""
        for key, entry in managed.items():
            if len(self.managed) >= MAX_MANAGED:
                return
            self.managed.setdefault(key, entry)

    def complete(self, declared: Declared, values: Values | None = None) -> Dependency | None:
        """One entry, filled in and completed by what is managed; null where it has no name."""
        if declared.group is None or declared.artifact is None:
            return None
        fill = (values or self.values).fill
        group, artifact = fill(declared.group), fill(declared.artifact)
        kind = fill(declared.type) if declared.type else "jar"
        classifier = fill(declared.classifier) if declared.classifier else ""
        version = None if declared.version is None else fill(declared.version)
        scope = None if declared.scope is None else fill(declared.scope)
        if (version is None or scope is None) and (entry := self.managed.get((group, artifact, kind, classifier))):
            version = entry.version if version is None else version
            scope = entry.scope if scope is None else scope
        is_optional = declared.optional is not None and fill(declared.optional) == "true"
        return Dependency(group, artifact, version, kind, classifier, scope or "compile", is_optional, declared)

    def list_dependencies(self) -> list[Dependency]:
        """What the project depends on, its parents' included: of each the nearest statement, in one POM the last."""
        found: dict[Key, Dependency] = {}
        for pom in self.lineage:
            here: dict[Key, Dependency] = {}
            for section in reversed(pom.active_sections):  # what wins comes last
                for declared in section.dependencies:
                    if (dependency := self.complete(declared)) is not None:
                        here[dependency.key] = dependency
            for key, dependency in here.items():
                found.setdefault(key, dependency)
        return list(found.values())

    def _add_managed(self, entries: Iterable[Declared]) -> None:
        for declared in entries:
            if declared.is_import or declared.group is None or declared.artifact is None:
                continue
            fill = self.values.fill
            key = (
                fill(declared.group),
                fill(declared.artifact),
                fill(declared.type or "jar"),
                fill(declared.classifier or ""),
            )
            if key not in self.managed and len(self.managed) < MAX_MANAGED:
                version, scope = declared.version, declared.scope
                self.managed[key] = Managed(
                    None if version is None else fill(version), None if scope is None else fill(scope)
                )

    def _fill(self, text: str | None) -> str | None:
        return None if text is None else self.values.fill(text)


def _describe(pom: Pom, known: Coordinates | None) -> dict[str, str]:
    """What a POM says of itself, by the path that `${project.…}` uses."""
    parent = pom.parent
    version = pom.version or (parent.version if parent else None)
    if known is not None and (version is None or "${" in version):
        version = known.version
    stated = {
        "groupId": pom.group or (parent.group if parent else None) or (known.group if known else None),
        "artifactId": pom.artifact or (known.artifact if known else None),
        "version": version,
        "packaging": pom.text("packaging") or "jar",
        "name": pom.text("name"),
        "url": pom.text("url"),
        "parent.groupId": parent.group if parent else None,
        "parent.artifactId": parent.artifact if parent else None,
        "parent.version": parent.version if parent else None,
    }
    return {name: text for name, text in stated.items() if text is not None}


def _merge_properties(lineage: Sequence[Pom]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for pom in reversed(lineage):
        for section in reversed(pom.active_sections):
            merged |= section.properties
    return merged
