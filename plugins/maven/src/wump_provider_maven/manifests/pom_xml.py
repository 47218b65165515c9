"""pom.xml: what a Maven project depends on and is built with.

A project's parents and modules in the same tree are read with it. What another POM decides that isn't in the tree, a
version managed by a published parent, say, is unknown: the requirement is null, and a diagnostic says who knows it.

Source: Maven's POM reference and its documentation of the dependency mechanism.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from wump_core import InvalidManifest, ManifestRecord

from wump_provider_maven.interpolation import Values, describe_unknown, is_known
from wump_provider_maven.manifests.rows import Findings, make_project
from wump_provider_maven.manifests.tree import Tree
from wump_provider_maven.models import Dependency, Model
from wump_provider_maven.poms import Declared, NotPom, Pom, Section, parse_pom
from wump_provider_maven.scopes import SCOPES
from wump_provider_maven.xml import NotXml

FORMAT = "pom.xml"


def parse_pom_xml(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a POM.

    Raises:
        InvalidManifest: It is no POM.
    """
    try:
        pom, problem = parse_pom(content)
    except (NotXml, NotPom) as error:
        raise InvalidManifest(str(error)) from None
    reading = _Reading(path, pom, siblings)
    if problem:
        reading.findings.note(problem)
    reading.read()
    model = reading.model
    project = make_project(model.group, model.artifact, model.version)
    return reading.findings.finish(path, FORMAT, "manifest", project=project, needs=reading.needs)


class _Reading:
    """One POM under reading."""

    def __init__(self, path: str, pom: Pom, siblings: Mapping[str, bytes]) -> None:
        self.findings = Findings()
        self._pom = pom
        self._tree = Tree(path, pom, siblings)
        lineage = self._tree.follow_parents(path)
        self.needs = lineage.needs
        self.model = Model(lineage.poms)
        self._modules = self._find_modules(lineage.paths[-1])
        self._imported: dict[str, Model | None] = {path: None}
        self._missing_imports = self._follow_imports(self.model)

    @cached_property
    def _plugins(self) -> dict[tuple[str, str], str]:
        """The versions of plugins that this POM and its parents state, the nearest one's."""
        fill = self.model.values.fill
        return {
            (fill(item.group or ""), fill(item.artifact or "")): fill(item.version)
            for above in reversed(self.model.lineage)
            for item in (*above.body.managed_plugins, *above.body.plugins)
            if item.version
        }

    def read(self) -> None:
        """Everything that this POM states, then what it inherits from the tree."""
        self._add_parent()
        values = self.model.values
        self._add_section(self._pom.body, values, ())
        for profile in self._pom.profiles:
            self._add_section(profile.section, values.over(profile.section.properties), (profile.id[:214],))
        self._add_inherited()

    def _add_section(self, section: Section, values: Values, groups: tuple[str, ...]) -> None:
        seen = {}
        for declared in section.dependencies:
            if (dependency := self._complete(declared, values)) is not None:
                seen[(dependency.key, dependency.scope)] = dependency  # of two the last counts, as in Maven
        for dependency in seen.values():
            self._add(dependency, groups)
        for declared in section.managed:
            if declared.is_import and (dependency := self._complete(declared, values)) is not None:
                self._add(dependency, groups)
        for declared in section.plugins:
            self._add_plugin(declared, values, groups)

    def _complete(self, declared: Declared, values: Values) -> Dependency | None:
        dependency = self.model.complete(declared, values)
        if dependency is None:
            self.findings.note("an entry without groupId or artifactId was left out", declared.field, declared.line)
        return dependency

    def _add(self, found: Dependency, groups: tuple[str, ...], *, is_inherited: bool = False) -> None:
        declared = found.declared
        field, line = (f"parent.{declared.field}", None) if is_inherited else (declared.field, declared.line)
        scope = SCOPES.get(found.scope)
        if scope is None:
            self.findings.note(f"the scope of {found.group}:{found.artifact} is unknown to Maven", field, line)
        fields: dict[str, Any] = {"field": field}
        if groups:
            fields["groups"] = groups
        if found.optional:
            fields["optional"] = True
        if found.scope == "system":
            fields |= {"purl": None, "source": "path"}
        elif (found.group, found.artifact) in self._modules:
            fields |= {"purl": None, "source": "workspace"}
        requirement = self._tell_requirement(found, field, line)
        self.findings.add(found.group, found.artifact, requirement, scope or "unknown", line=line, **fields)

    def _tell_requirement(self, found: Dependency, field: str, line: int | None) -> str | None:
        version = found.version
        if is_known(version):
            return version
        name = f"{found.group}:{found.artifact}"
        outside = self._outside
        if version is not None:
            where = f", it may come from {outside}" if outside else ""
            self.findings.note(
                f"the version of {name}, {describe_unknown(version)}, is not known here{where}", field, line
            )
        elif outside:
            self.findings.note(f"the version of {name} is managed outside of this tree: by {outside}", field, line)
        else:
            self.findings.note(f"{name} has no version, and none is managed", field, line)
        return None

    @cached_property
    def _outside(self) -> str:
        """Who may know what isn't known here: parent and imports that are not in the tree."""
        parent = self.model.missing_parent
        names = [f"the parent {parent.group}:{parent.artifact}:{parent.version}"] if parent else []
        names += [f"the import {name}" for name in self._missing_imports[:3]]
        return " or ".join(names)

    def _add_parent(self) -> None:
        parent = self._pom.parent
        if parent is None or parent.group is None or parent.artifact is None:
            return
        fill = self.model.values.fill
        group, artifact, version = fill(parent.group), fill(parent.artifact), fill(parent.version or "")
        is_here = len(self.model.lineage) > 1
        fields = {"purl": None, "source": "workspace"} if is_here else {}
        requirement = version if version and is_known(version) else None
        if version and requirement is None and not is_here:
            message = f"the version of the parent, {describe_unknown(version)}, is not known here"
            self.findings.note(message, "parent", parent.line)
        self.findings.add(group, artifact, requirement, "build", line=parent.line, field="parent", **fields)

    def _add_plugin(self, declared: Declared, values: Values, groups: tuple[str, ...]) -> None:
        if declared.group is None or declared.artifact is None:
            self.findings.note("an entry without groupId or artifactId was left out", declared.field, declared.line)
            return
        group, artifact = values.fill(declared.group), values.fill(declared.artifact)
        version = values.fill(declared.version) if declared.version else self._plugins.get((group, artifact))
        if version is None and (entry := self.model.managed.get((group, artifact, "jar", ""))) is not None:
            version = entry.version if "annotationProcessorPaths" in declared.field else None
        fields: dict[str, Any] = {"field": declared.field}
        if groups:
            fields["groups"] = groups
        if (group, artifact) in self._modules:
            fields |= {"purl": None, "source": "workspace"}
        requirement = version if version and is_known(version) else None
        if requirement is None and (version or self.model.missing_parent):
            outside = self._outside or describe_unknown(version or "")
            message = f"the version of {group}:{artifact} is not known here: it may come from {outside}"
            self.findings.note(message, declared.field, declared.line)
        self.findings.add(group, artifact, requirement, "build", line=declared.line, **fields)

    def _add_inherited(self) -> None:
        """What parents in the tree make every child depend on."""
        if len(self.model.lineage) > 1:
            own = {id(item) for section in self._pom.active_sections for item in section.dependencies}
            for dependency in self.model.list_dependencies():
                if id(dependency.declared) not in own:
                    self._add(dependency, (), is_inherited=True)

    def _find_modules(self, top: str) -> dict[tuple[str, str], str]:
        """The modules of the build, where something used may be one: it has a group of the project, or one below."""
        if not self._tree.has_modules(top):
            return {}
        groups = tuple(f"{group}." for group in (self.model.group, *(pom.group for pom in self.model.lineage)) if group)
        fill = self.model.values.fill
        if not any(item.group and f"{fill(item.group)}.".startswith(groups) for item in self._list_used()):
            return {}
        modules, needs = self._tree.find_modules(top)
        self.needs += needs
        return modules

    def _list_used(self) -> Iterator[Declared]:
        """All that this POM names, and what its parents in the tree import."""
        for section in (self._pom.body, *(profile.section for profile in self._pom.profiles)):
            yield from section.dependencies
            yield from section.managed
            yield from section.plugins
        for pom in self.model.lineage[1:]:
            for section in pom.active_sections:
                yield from (item for item in section.managed if item.is_import)

    def _follow_imports(self, model: Model) -> list[str]:
        """Add what imports that lie in the tree manage; the names of the others."""
        missing = []
        for entry in model.imports:
            group, artifact = model.values.fill(entry.group or ""), model.values.fill(entry.artifact or "")
            imported = self._import(self._modules.get((group, artifact)))
            if imported is None:
                missing.append(f"{group}:{artifact}")
            else:
                model.import_managed(imported.managed)
        return missing

    def _import(self, place: str | None) -> Model | None:
        """The model of a module with its own imports, worked out once; one that imports itself finds nothing there."""
        if place is not None and place not in self._imported:
            self._imported[place] = None
            lineage = self._tree.follow_parents(place)
            if lineage.poms:
                model = Model(lineage.poms)
                self._follow_imports(model)
                self._imported[place] = model
        return None if place is None else self._imported[place]
