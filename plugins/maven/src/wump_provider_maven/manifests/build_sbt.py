"""build.sbt, project/*.sbt and project/*.scala: read, never run.

A dependency is found where it is written, `"group" %% "artifact" % "version" % Scope`, be it in a setting or in a value
that settings use. `%%` adds the Scala version to the artifact's name, and a plugin's has sbt's, too: where the files at
hand don't tell them, there is no purl. `scalaVersion` makes the language's own library a dependency.

Source: sbt's reference manual, "Library dependencies", "Cross-building" and "Using plugins".
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any

from wump_core import InvalidManifest, ManifestRecord

from wump_provider_maven.coordinates import MAX_NAME
from wump_provider_maven.interpolation import is_known
from wump_provider_maven.manifests.expressions import Value
from wump_provider_maven.manifests.gradle_variables import MAX_BLOCK_DEPTH, Variables
from wump_provider_maven.manifests.rows import Findings
from wump_provider_maven.manifests.sbt_modules import (
    SETTING,
    Context,
    Module,
    Modules,
    choose_use,
    find_defined,
    find_setting_configuration,
    find_uses,
    first_value,
    is_bracketed,
    tell_scope,
)
from wump_provider_maven.manifests.scripts import Group, Item, list_statements, split

FORMAT = "build.sbt"

_SKIPPED = frozenset("dependencyOverrides excludeDependencies libraryDependencySchemes evictionErrorLevel".split())
_LISTS = frozenset("Seq List Set Vector".split())
_BUILDING = frozenset("addSbtPlugin addCompilerPlugin compilerPlugin scalafixDependencies".split())
_SCALA_VERSION = re.compile(r"([23])(?:\.(\d{1,3}))?(?:\.(\d{1,3}))?(-[\w.+-]{1,80})?", re.ASCII)
_FIRST_BOUND = 10
"""From 2.10 on, libraries are bound to the minor version of Scala, before to the whole."""
_SBT_VERSION = re.compile(rb"^\s*sbt\.version\s*[=:]\s*([0-9]+)\.([0-9]+)", re.MULTILINE)


def parse_build_sbt(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a build definition.

    Raises:
        InvalidManifest: It is not UTF-8, or nested too deeply.
        NoManifest: It is another file of the definition, and names no dependency.
    """
    reading = _Reading(path, siblings)
    reading.read(content)
    if posixpath.basename(path) not in ("build.sbt", "plugins.sbt"):
        reading.findings.require_something()
    return reading.findings.finish(path, FORMAT, "manifest", needs=reading.needs)


class _Reading:
    """One file under reading."""

    def __init__(self, path: str, siblings: Mapping[str, bytes]) -> None:
        self.findings = Findings()
        self.needs: list[str] = []
        self.variables = Variables()
        self._path = path
        self._siblings = siblings
        folder = posixpath.dirname(path)
        self._is_meta = posixpath.basename(folder) == "project" and path.endswith(".sbt")
        self._root = posixpath.dirname(folder) if posixpath.basename(folder) == "project" else folder
        self._around: Variables | None = None
        self._scala: str | None = None
        self._modules = Modules(self._text)
        self._items: list[Item] = []
        self._around_items: list[list[Item]] = []
        self._uses: dict[str, set[str]] | None = None

    def read(self, content: bytes) -> None:
        """Everything of the file."""
        self._items = self.variables.read(content)
        self._find_scala(self._items)
        self._add_scala(self._items)
        # What `project/*.sbt` depends on, the build itself is made with.
        self._walk(self._items, Context(SETTING if self._is_meta else None), 0)

    def _walk(self, items: Sequence[Item], context: Context, depth: int) -> None:
        """Every dependency in a block and the brackets in it."""
        if depth > MAX_BLOCK_DEPTH:
            return
        for statement in list_statements(items):
            for part in split(statement, ","):
                if not any(item.kind == "word" and item.text in _SKIPPED for item in part):
                    self._read_part(part, context, depth)

    def _read_part(self, part: Sequence[Item], context: Context, depth: int) -> None:
        configuration = find_setting_configuration(part)
        here = context._replace(configuration=configuration) if configuration else context
        if (module := self._modules.read(part, here)) is not None:
            if module.configuration is None:
                module = module._replace(configuration=self._find_use(part))
            self._add(module, context.building)
            if is_bracketed(part):
                return
        for at, item in enumerate(part):
            if not isinstance(item, Group):
                continue
            called = part[at - 1].text if at and part[at - 1].kind == "word" else ""
            following = part[at + 1 : at + 4]
            for mapped in self._modules.read_mapped(item, following):
                self._add(mapped, context.building)
            inner = self._modules.map_context(following, here)
            if called in _LISTS and inner.configuration is None:
                inner = inner._replace(configuration=self._find_use(part))
            self._walk(item.items, inner._replace(building=called) if called in _BUILDING else inner, depth + 1)

    def _find_use(self, part: Sequence[Item]) -> str | None:
        """The configuration for which others take the value that is defined here."""
        name = find_defined(part)
        if name is None:
            return None
        if self._uses is None:
            self._uses = {}
            for around in (self._items, *self._look_around_for_uses()):
                find_uses(around, self._uses)
        return choose_use(self._uses.get(name, set()))

    def _look_around_for_uses(self) -> list[list[Item]]:
        """The items of the build definition that uses the values of `project/*.scala`."""
        if not self._path.endswith(".scala"):
            return []
        self._look_around()
        return self._around_items

    def _add(self, found: Module, building: str | None) -> None:
        version = found.version
        if version is not None and not is_known(version):
            message = f"the version of {found.group}:{found.artifact} is not told by the files at hand"
            self.findings.note(message, SETTING, found.line)
            version = None
        configuration, scope = tell_scope(found.configuration or "")
        field = building or SETTING
        fields: dict[str, Any] = {"groups": (configuration[:MAX_NAME],)} if configuration else {}
        suffix = self._find_suffix(found, building)
        before = len(self.findings.rows)
        artifact = found.artifact + (suffix or "")
        if suffix is None:
            message = f"which Scala version {found.group}:{found.artifact} is for is not told by the files at hand"
            self.findings.note(message, field, found.line)
            fields["purl"] = None
        self.findings.add(
            found.group, artifact, version, "build" if building else scope, line=found.line, field=field, **fields
        )
        for row in self.findings.rows[before:]:
            row["name"] = f"{found.group}:{found.artifact}"[:MAX_NAME]

    def _find_suffix(self, found: Module, building: str | None) -> str | None:
        """What is added to an artifact's name; null where it isn't known."""
        if building == "addSbtPlugin":
            sbt = self._find_sbt()
            return {"0": "_2.10_0.13", "1": "_2.12_1.0", "2": "_sbt2_3"}.get(sbt or "")
        if found.sign == "%":
            return ""
        if self._is_meta:
            scala = {"0": "2.10", "1": "2.12", "2": "3"}.get(self._find_sbt() or "")
            return f"_{scala}" if scala else None
        if self._scala is None:
            self._look_around()
        return f"_{self._scala}" if self._scala else None

    def _find_sbt(self) -> str | None:
        """The major version of sbt."""
        place = posixpath.join(self._root, "project", "build.properties")
        self.needs.append(place)
        match = _SBT_VERSION.search(self._siblings.get(place, b""))
        return match[1].decode() if match else None

    def _find_scala(self, items: Sequence[Item]) -> None:
        """Look for the part of the Scala version that compiled code is bound to: `2.13`, or `3`."""
        for name in ("scalaVersion", "crossScalaVersions"):
            if self._scala is None and (stated := _find_setting(items, name)):
                value = self._evaluate(stated)
                value = value[0] if isinstance(value, list) and value else value
                self._scala = _find_bound(value) if isinstance(value, str) else None

    def _add_scala(self, items: Sequence[Item]) -> None:
        """The library of the language, which sbt adds in the version that the file states, unless it says not to."""
        stated, added = _find_setting(items, "scalaVersion"), _find_setting(items, "autoScalaLibrary")
        version = self._text(stated) if stated else None
        if not stated or (added and added[0].text == "false"):
            return
        if version is None or not _SCALA_VERSION.fullmatch(version):
            self.findings.note("the version of Scala is not told by the files at hand", "scalaVersion", stated[0].line)
            return
        name = "scala3-library_3" if version.startswith("3") else "scala-library"
        self.findings.add("org.scala-lang", name, version, "runtime", line=stated[0].line, field="scalaVersion")

    def _text(self, items: Sequence[Item]) -> str | None:
        value = self._evaluate(items)
        return value if isinstance(value, str) else None

    def _evaluate(self, items: Sequence[Item]) -> Value:
        value = self.variables.evaluator.evaluate(items)
        if value is None or (isinstance(value, str) and not is_known(value)):
            path = self.variables.evaluator.read_path(items) if items and items[0].kind == "word" else None
            value = self._look_around().get(path) if path else value
        return value

    def _look_around(self) -> Variables:
        """The other files of the build definition."""
        if self._around is None:
            self._around = Variables()
            build = posixpath.join(self._root, "build.sbt")
            self.needs += [
                place for place in (build, posixpath.join(self._root, "project", "*.scala")) if place != self._path
            ]
            project = posixpath.join(self._root, "project", "")
            sources = [name for name in self._siblings if name.startswith(project) and name.endswith(".scala")]
            for place in (*sources, build):
                if place == self._path or place not in self._siblings:
                    continue
                try:
                    items = self._around.read(self._siblings[place])
                except InvalidManifest:
                    continue  # it has a record of its own, which says so
                self._around_items.append(items)
                self._find_scala(items)
        return self._around


def _find_bound(version: str) -> str | None:
    """What a library's name says of a Scala version: `2.13`, `3`, and all of what came before a first release."""
    match = _SCALA_VERSION.fullmatch(version)
    if match is None:
        return None
    major, minor, patch, before = match.groups()
    is_early = before is not None and int(patch or 0) == 0 and (major == "2" or minor == "0")
    if is_early or (major == "2" and int(minor or 0) < _FIRST_BOUND):
        return version
    return "3" if major == "3" else f"{major}.{minor}"


def _find_setting(items: Sequence[Item], name: str, depth: int = 0) -> list[Item] | None:
    """What `name := …` sets, wherever in a definition it stands; the first one counts."""
    for at, item in enumerate(items):
        if isinstance(item, Group):
            if depth <= MAX_BLOCK_DEPTH and (found := _find_setting(item.items, name, depth + 1)):
                return found
        elif item.kind == "word" and item.text == name:
            for offset in range(at + 1, min(at + 4, len(items))):
                if items[offset].is_sign(":="):
                    return first_value(items[offset + 1 : offset + 12])
    return None
