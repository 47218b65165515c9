"""build.sbt, project/*.sbt and project/*.scala: read, never run.

A dependency is found where it is written, `"group" %% "artifact" % "version" % Scope`, be it in a setting or in a value
that settings use. `%%` adds the Scala version to the artifact's name, and a plugin's has sbt's, too: where the files at
hand don't tell them, there is no purl. `scalaVersion` makes the language's own library a dependency.

Source: sbt's reference manual, "Library dependencies", "Cross-building" and "Using plugins".
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wump_core import InvalidManifest, ManifestRecord, Scope

from wump_provider_maven.coordinates import MAX_NAME
from wump_provider_maven.interpolation import is_known
from wump_provider_maven.manifests.configurations import scope_of
from wump_provider_maven.manifests.expressions import Value
from wump_provider_maven.manifests.gradle_variables import MAX_BLOCK_DEPTH, Variables
from wump_provider_maven.manifests.rows import Findings
from wump_provider_maven.manifests.scripts import Group, Item, list_statements, split

FORMAT = "build.sbt"

_SCOPES: Mapping[str, Scope] = {
    "compile": "runtime",
    "runtime": "runtime",
    "default": "runtime",
    "provided": "peer",
    "test": "test",
    "it": "test",
    "integrationtest": "test",
    "optional": "optional",
    "plugin": "build",
    "scalafix": "build",
    "protobuf": "build",
    "compileinternal": "build",
}
_SIGNS = ("%", "%%", "%%%")
_ASSIGNING = ("+=", "++=", ":=", "=")
_SKIPPED = frozenset("dependencyOverrides excludeDependencies libraryDependencySchemes evictionErrorLevel".split())
_BUILDING = frozenset("addSbtPlugin addCompilerPlugin compilerPlugin scalafixDependencies".split())
_NAME = re.compile(r"[0-9.-]*[A-Za-z_][\w.-]*", re.ASCII)
_SCALA_VERSION = re.compile(r"([23])(?:\.(\d{1,3}))?(?:\.(\d{1,3}))?(-[\w.+-]{1,80})?", re.ASCII)
_FIRST_BOUND = 10
"""From 2.10 on, libraries are bound to the minor version of Scala, before to the whole."""
_SBT_VERSION = re.compile(rb"^\s*sbt\.version\s*[=:]\s*([0-9]+)\.([0-9]+)", re.MULTILINE)


class Module(NamedTuple):
    """A dependency as written. `sign` tells whether the artifact's name gets the Scala version."""

    group: str
    artifact: str
    sign: str
    version: Value
    configuration: str | None
    line: int


def parse_build_sbt(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a build definition.

    Raises:
        InvalidManifest: It is not UTF-8, or nested too deeply.
        NoManifest: It is another file of the definition, and names no dependency.
    """
    reading = _Reading(path, siblings)
    items = reading.variables.read(content)
    reading.find_scala(items)
    reading.add_scala(items)
    reading.walk(items, None, 0)
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
        self._version: str | None = None

    def walk(self, items: Sequence[Item], building: str | None, depth: int) -> None:
        """Every dependency in a block and the brackets in it; `building` is the call that makes it one of the build."""
        if depth > MAX_BLOCK_DEPTH:
            return
        for statement in list_statements(items):
            for part in split(statement, ","):
                if any(item.kind == "word" and item.text in _SKIPPED for item in part):
                    continue
                if (module := self._read_module(part)) is not None:
                    self._add(module, building)
                    if _is_bracketed(part):
                        continue
                for at, item in enumerate(part):
                    if isinstance(item, Group):
                        called = part[at - 1].text if at and part[at - 1].kind == "word" else ""
                        outer, self._version = self._version, self._read_mapped(part[at + 1 :]) or self._version
                        self.walk(item.items, called if called in _BUILDING else building, depth + 1)
                        self._version = outer

    def _read_mapped(self, following: Sequence[Item]) -> str | None:
        """The version of `Seq(…).map(_ % version)`."""
        if len(following) < 3 or following[1].text != "map" or not isinstance(following[2], Group):
            return None
        parts = split(following[2].items, "%")
        return self._text(parts[1]) if len(parts) == 2 and parts[0][-1].text == "_" else None

    def _read_module(self, part: Sequence[Item]) -> Module | None:
        signs = [item.text for item in part if item.is_sign(*_SIGNS)]
        if not signs:
            return None
        start = max((at + 1 for at, item in enumerate(part) if item.is_sign(*_ASSIGNING)), default=0)
        operands = split(part[start:], *_SIGNS)
        if len(operands) < 2 or len(operands[0]) > 12 or any(sign != "%" for sign in signs[1:]):
            return None
        if _is_bracketed(part):
            bracket, stated = operands[0][-1], operands[1][-1]
            inner = self._read_module(bracket.items) if isinstance(bracket, Group) else None
            return inner and inner._replace(configuration=inner.configuration or stated.text)
        group, artifact = self._text(_last(operands[0])), self._text(_first(operands[1]))
        if group is None or artifact is None or not (_NAME.fullmatch(group) and _NAME.fullmatch(artifact)):
            return None
        version = self._text(_first(operands[2])) if len(operands) > 2 else self._version
        stated = _first(operands[3]) if len(operands) > 3 else []
        configuration = self._text(stated) if stated and stated[0].kind != "word" else None
        configuration = configuration or (stated[-1].text if stated else None)
        if len(operands) > 2 and version is None:
            version = "${…}"
        return Module(group, artifact, signs[0], version, configuration, operands[0][-1].line)

    def _add(self, found: Module, building: str | None) -> None:
        version = found.version if isinstance(found.version, str) else None
        if version is not None and not is_known(version):
            message = f"the version of {found.group}:{found.artifact} is not told by the files at hand"
            self.findings.note(message, "libraryDependencies", found.line)
            version = None
        configuration = (found.configuration or "").partition("->")[0].partition(",")[0].strip()
        scope: Scope = _SCOPES.get(configuration.lower()) or (scope_of(configuration) if configuration else "runtime")
        field = building or "libraryDependencies"
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

    def find_scala(self, items: Sequence[Item]) -> None:
        """Look for the part of the Scala version that compiled code is bound to: `2.13`, or `3`."""
        for name in ("scalaVersion", "crossScalaVersions"):
            if self._scala is None and (stated := _find_setting(items, name)):
                value = self._evaluate(stated)
                value = value[0] if isinstance(value, list) and value else value
                self._scala = _find_bound(value) if isinstance(value, str) else None

    def add_scala(self, items: Sequence[Item]) -> None:
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
                self.find_scala(items)
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


def _is_bracketed(part: Sequence[Item]) -> bool:
    """`("group" % "artifact" % "1" classifier "x") % Test`."""
    at = next((at for at, item in enumerate(part) if item.is_sign("%")), 0)
    before = part[at - 1] if at else None
    return isinstance(before, Group) and before.opening == "(" and (at < 2 or part[at - 2].kind != "word")


def _first(items: Sequence[Item]) -> list[Item]:
    """The value that an operand begins with: a text, something in brackets, or a path."""
    found: list[Item] = []
    for item in items:
        if not found or item.is_sign(".") or found[-1].is_sign("."):
            found.append(item)
        else:
            break
    return found


def _last(items: Sequence[Item]) -> list[Item]:
    """The value that an operand ends with."""
    start = len(items) - 1
    while start > 1 and items[start - 1].is_sign("."):
        start -= 2
    return list(items[start:])


def _find_setting(items: Sequence[Item], name: str, depth: int = 0) -> list[Item] | None:
    """What `name := …` sets, wherever in a definition it stands; the first one counts."""
    for at, item in enumerate(items):
        if isinstance(item, Group):
            if depth <= MAX_BLOCK_DEPTH and (found := _find_setting(item.items, name, depth + 1)):
                return found
        elif item.kind == "word" and item.text == name:
            for offset in range(at + 1, min(at + 4, len(items))):
                if items[offset].is_sign(":="):
                    return _first(items[offset + 1 : offset + 12])
    return None
