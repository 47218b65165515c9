"""A project object model (POM) as its file states it: nothing inherited, nothing filled in.

Source: Maven's POM reference and its model descriptor (version 4.0.0; 4.1.0 of Maven 4 only adds to it).
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from wump_provider_maven.xml import Element, children, each, line_of, local_name, parse_xml, text_of

PLUGIN_GROUP = "org.apache.maven.plugins"
"""The group of a plugin that names none."""

_MODULES = (("modules", "module"), ("subprojects", "subproject"))
"""What lists the projects of a build, in Maven 3 and 4."""


class NotPom(ValueError):
    """The document is XML, and no POM."""


class Declared(NamedTuple):
    """One dependency, plugin or extension as written. `field` is the path of the elements that it stands under."""

    group: str | None
    artifact: str | None
    version: str | None
    type: str | None
    classifier: str | None
    scope: str | None
    optional: str | None
    line: int | None
    field: str

    @property
    def is_import(self) -> bool:
        """Whether it brings in the managed versions of another POM."""
        return self.scope == "import"


class Parent(NamedTuple):
    """The POM that this one inherits from. `path` is where it may lie in the same tree; empty where it doesn't."""

    group: str | None
    artifact: str | None
    version: str | None
    path: str
    line: int | None


class Section:
    """What a POM states directly, or in one of its profiles."""

    def __init__(self, fields: Mapping[str, Element], place: str = "") -> None:
        """Take the children of the POM's root or of a profile. `place` is what stands before their names."""
        self._fields = fields
        self._place = place
        self.properties = _read_properties(fields.get("properties"))
        """By name, as written. The same name twice: the last one, as in Maven."""
        self.dependencies: tuple[Declared, ...] = ()
        """What it depends on."""
        self.managed: tuple[Declared, ...] = ()
        """Versions and scopes of what may be depended on, and imports of such; none is a dependency by itself."""
        if (element := fields.get("dependencies")) is not None:
            self.dependencies = tuple(_list_declared(element, "dependency", f"{place}dependencies"))
        if (element := fields.get("dependencyManagement")) is not None:
            listed = children(element).get("dependencies")
            self.managed = tuple(_list_declared(listed, "dependency", f"{place}dependencyManagement"))
        self.modules: tuple[str, ...] = ()
        """Paths of the projects that are built together, as written."""
        for name, inner in _MODULES:
            if (element := fields.get(name)) is not None:
                self.modules += tuple(text for item in each(element, inner) if (text := text_of(item)))

    @cached_property
    def plugins(self) -> tuple[Declared, ...]:
        """What the build is made with: plugins with what they are given to run with, extensions and reports."""
        if "build" not in self._fields and "reporting" not in self._fields:
            return ()
        build = self._build
        plugins, managed = build.get("plugins"), children(build.get("pluginManagement")).get("plugins")
        place = f"{self._place}build"
        return (
            *_list_plugins(plugins, f"{place}.plugins", is_used=True),
            *_list_plugins(managed, f"{place}.pluginManagement", is_used=False),
            *_list_declared(build.get("extensions"), "extension", f"{place}.extensions"),
            *_list_declared(
                children(self._fields.get("reporting")).get("plugins"),
                "plugin",
                f"{self._place}reporting.plugins",
                PLUGIN_GROUP,
            ),
        )

    @cached_property
    def managed_plugins(self) -> tuple[Declared, ...]:
        """Versions of plugins that may be used."""
        element = children(self._build.get("pluginManagement")).get("plugins")
        return tuple(_list_declared(element, "plugin", f"{self._place}build.pluginManagement", PLUGIN_GROUP))

    @cached_property
    def _build(self) -> dict[str, Element]:
        return children(self._fields.get("build"))


class Profile(NamedTuple):
    """Part of a POM that holds only under conditions."""

    id: str
    is_active_by_default: bool
    section: Section


class Pom:
    """One POM."""

    def __init__(self, root: Element) -> None:
        """Take the root element.

        Raises:
            NotPom: It is the root of something else.
        """
        if local_name(root) != "project":
            raise NotPom("its root is no `project`")
        self.fields = children(root)
        self.body = Section(self.fields)
        self.group = text_of(self.fields.get("groupId"))
        self.artifact = text_of(self.fields.get("artifactId"))
        self.version = text_of(self.fields.get("version"))
        self.parent = _read_parent(self.fields.get("parent"))
        self.profiles = tuple(_read_profile(item) for item in each(self.fields.get("profiles"), "profile"))
        """Its profiles, in order."""
        self.active_sections = (*(item.section for item in self.profiles if item.is_active_by_default), self.body)
        """What holds without conditions: the profiles that are active by default, which win, and the rest."""

    def text(self, *path: str) -> str | None:
        """The text of the element at this path below the root."""
        fields = self.fields
        for name in path[:-1]:
            fields = children(fields.get(name))
        return text_of(fields.get(path[-1]))


def parse_pom(content: bytes) -> tuple[Pom, str | None]:
    """Read a POM; the text says what is wrong with it where it isn't well-formed XML.

    Raises:
        NotXml, NotPom: It is none.
    """
    root, problem = parse_xml(content)
    return Pom(root), problem


def _read_properties(element: Element | None) -> dict[str, str]:
    return {} if element is None else {local_name(child): text_of(child) or "" for child in element}


def _read_parent(element: Element | None) -> Parent | None:
    if element is None:
        return None
    fields = children(element)
    stated = fields.get("relativePath")
    path = "../pom.xml" if stated is None else text_of(stated) or ""
    group, artifact = text_of(fields.get("groupId")), text_of(fields.get("artifactId"))
    return Parent(group, artifact, text_of(fields.get("version")), path, line_of(fields.get("artifactId")))


def _read_profile(element: Element) -> Profile:
    fields = children(element)
    name = text_of(fields.get("id")) or "default"
    active = text_of(children(fields.get("activation")).get("activeByDefault"))
    return Profile(name, active == "true", Section(fields, f"profiles.{name}."))


def _list_declared(element: Element | None, name: str, field: str, group: str | None = None) -> Iterator[Declared]:
    for item in each(element, name):
        yield _make_declared(item, children(item), field, group)


def _make_declared(element: Element, fields: Mapping[str, Element], field: str, group: str | None = None) -> Declared:
    get = fields.get
    artifact = get("artifactId")
    return Declared(
        text_of(get("groupId")) or group,
        text_of(artifact),
        text_of(get("version")),
        text_of(get("type")),
        text_of(get("classifier")),
        text_of(get("scope")),
        text_of(get("optional")),
        line_of(artifact if artifact is not None else element),
        field,
    )


def _list_plugins(plugins: Element | None, field: str, *, is_used: bool) -> Iterator[Declared]:
    """Plugins and what they are given: dependencies of their own, and packages in their configuration.

    Of plugins that are only managed, the processors alone: the compiler's plugin is part of every build.
    """
    for plugin in each(plugins, "plugin"):
        fields = children(plugin)
        if is_used:
            yield _make_declared(plugin, fields, field, PLUGIN_GROUP)
            yield from _list_declared(fields.get("dependencies"), "dependency", f"{field}.dependencies")
        for configuration in _list_configurations(fields):
            yield from _list_configured(configuration, field, is_used=is_used)


def _list_configured(configuration: Element, field: str, *, is_used: bool) -> Iterator[Declared]:
    """Packages that a plugin is told to work with: annotation processors, files to copy, signatures to check with."""
    for artifact in configuration.iter("{*}artifactId"):
        holder = artifact.getparent()
        fields = children(holder)
        if local_name(holder) in ("path", "annotationProcessorPath") and "groupId" in fields:
            yield _make_declared(holder, fields, f"{field}.annotationProcessorPaths")
        elif is_used and {"groupId", "version"} <= fields.keys():
            yield _make_declared(holder, fields, f"{field}.configuration")


def _list_configurations(plugin: Mapping[str, Element]) -> Iterator[Element]:
    if (configuration := plugin.get("configuration")) is not None:
        yield configuration
    if (executions := plugin.get("executions")) is not None:
        for execution in each(executions, "execution"):
            if (configuration := children(execution).get("configuration")) is not None:
                yield configuration
