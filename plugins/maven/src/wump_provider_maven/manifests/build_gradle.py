"""build.gradle, build.gradle.kts and settings.gradle: read, never run.

Dependencies of every block, with the configuration as their group; plugins, by id, and the tools that some run; what
Spring's plugin imports and manages. Versions come from the script's own variables, `gradle.properties`, catalogs, and
the scripts around it. What is computed is a diagnostic.

Source: Gradle's documentation of dependencies, plugins, platforms and catalogs, in both languages; Kotlin's of
source sets; that of Spring's dependency management plugin.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence

from wump_core import ManifestRecord, Scope

from wump_provider_maven.coordinates import MAX_NAME, make_name
from wump_provider_maven.interpolation import is_known
from wump_provider_maven.manifests.catalogs import Catalog
from wump_provider_maven.manifests.configurations import TOOLS, scope_of
from wump_provider_maven.manifests.gradle_loops import MAX_ROUNDS, find_loop
from wump_provider_maven.manifests.gradle_notations import Computed, Local, Notation, Notations
from wump_provider_maven.manifests.gradle_places import Place
from wump_provider_maven.manifests.gradle_variables import MAX_BLOCK_DEPTH, SCRIPTS, Around, Variables
from wump_provider_maven.manifests.rows import Findings
from wump_provider_maven.manifests.scripts import Group, Item, Statement, list_statements, split

FORMAT = "build.gradle"
PLUGIN_SUFFIX = ".gradle.plugin"

_CONTROL = frozenset("if else for while when try catch finally switch do with run apply each let also".split())
_SKIPPED = frozenset(
    "constraints components modules artifactTypes attributesSchema registerTransform exclude substitute".split()
)
_PINNING = frozenset(
    "resolutionStrategy versionCatalogs repositories configurations dependencySubstitution"
    " dependencyVerification".split()
)
_COORDINATES = re.compile(r"([^\W\d][\w.-]*):(\w[\w.-]*):([^\s:/@]*[\d+}][^\s:/@]*)(?::[\w.-]+)?(?:@\w+)?")
_MODIFIERS = frozenset("def val var final String const".split())


def parse_build_gradle(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """Read a script.

    Raises:
        InvalidManifest: It is not UTF-8, or nested too deeply.
        NoManifest: It is no `build.gradle`, and names no dependency.
    """
    variables = Variables()
    items = variables.read(content)
    variables.around = Around(path, siblings, variables)
    reading = _Reading(variables)
    reading.collect_managed(items, Place())
    reading.walk(items, Place())
    reading.add_defined()
    for name, catalog in variables.catalogs.items():
        add_catalog(catalog, reading.findings, f"versionCatalogs.{name}")
    if posixpath.basename(path) not in SCRIPTS:
        reading.findings.require_something()
    return reading.findings.finish(path, FORMAT, "manifest", needs=variables.around.needs)


class _Reading:
    """One script under reading."""

    def __init__(self, variables: Variables) -> None:
        self.findings = Findings()
        self._evaluate = variables.evaluator.evaluate
        self._notations = Notations(variables)
        self._variables = variables
        self._rounds = MAX_ROUNDS
        self._managed: dict[tuple[str, str], str] = {}
        self._defined: list[Notation] = []

    def walk(self, items: Sequence[Item], place: Place, depth: int = 0) -> None:
        """All statements of a block, and of the blocks in it."""
        if depth > MAX_BLOCK_DEPTH:
            return
        for statement in list_statements(items):
            head = statement[0]
            inner = place if head.text in _CONTROL else place.enter(statement)
            if place.blocks[-1:] == ("dependencies",) and not place.is_managed:
                if head.text in _SKIPPED or self._walk_loop(statement, place, depth):
                    continue
                if head.text not in _CONTROL and inner.blocks[-1] != "dependencies":
                    self._add_statement(statement, place)
                    continue
            elif place.blocks[-1:] == ("plugins",) and head.text not in _CONTROL:
                self._add_plugin(statement)
                continue
            elif place.blocks[-1:] == ("imports",) and head.text == "mavenBom":
                self._add_entries(statement[1:], place, "mavenBom", "build")
                continue
            elif head.kind == "word" and _is_adding(statement):
                self._add_call(statement, place)
                continue
            elif not place.is_managed and not _PINNING & set(place.blocks):
                self._read_elsewhere(statement, place)
            for item in statement:
                if isinstance(item, Group) and item.opening == "{":
                    self.walk(item.items, inner, depth + 1)

    def _walk_loop(self, statement: Statement, place: Place, depth: int) -> bool:
        """Walk the block of a loop for each of its values; whether it is one."""
        loop = find_loop(statement, self._evaluate)
        if loop is None or len(loop.values) > self._rounds:
            return False
        self._rounds -= len(loop.values)
        before = self._variables.get((loop.name,))
        for value in loop.values:
            self._variables.set((loop.name,), value)
            self.walk(loop.items, place, depth + 1)
        self._variables.set((loop.name,), f"${{{loop.name}}}" if before is None else before)
        return True

    def collect_managed(self, items: Sequence[Item], place: Place, depth: int = 0) -> None:
        """The versions that constraints and Spring's plugin give to what names none."""
        if depth > MAX_BLOCK_DEPTH:
            return
        for statement in list_statements(items):
            if place.is_managed and place.blocks[-1] in ("dependencies", "constraints"):
                for found in (*self._notations.read(statement[1:]), *self._read_set(statement)):
                    if isinstance(found, Notation) and found.version is not None and is_known(found.version):
                        self._managed.setdefault((found.group, found.artifact), found.version)
            inner = place.enter(statement)
            for item in statement:
                if isinstance(item, Group) and item.opening == "{":
                    self.collect_managed(item.items, inner, depth + 1)

    def _read_set(self, statement: Statement) -> Iterator[Notation]:
        """`dependencySet(group: "g", version: "1") { entry "a" }` of Spring's plugin."""
        if statement[0].text != "dependencySet" or len(statement) < 3:
            return
        arguments, entries = statement[1], statement[2]
        if not isinstance(arguments, Group) or not isinstance(entries, Group):
            return
        parts = split(arguments.items, ",")
        values = [self._evaluate(part[2:] if len(part) > 2 else part) for part in parts]
        group, version = (value if isinstance(value, str) else "" for value in (*values, None, None)[:2])
        if len(values) == 1:
            group, _, version = group.partition(":")
        for entry in list_statements(entries.items):
            name = self._evaluate(entry[1:2]) if entry[0].text == "entry" else None
            if isinstance(name, str):
                yield Notation(group, name, version, entry[0].line)

    def _read_elsewhere(self, statement: Statement, place: Place) -> None:
        """What names packages outside of a block of dependencies: a configuration in a function, or a variable."""
        head = statement[0]
        if head.text in ("toolVersion", "version") and (tool := TOOLS.get((place.blocks[-1:], head.text))):
            version = self._notations.read_version([item for item in statement[1:] if not item.is_sign("=")])
            self._add(Notation(*tool, version or "${…}", head.line), "build", place.blocks[-1])
            return
        if not place.blocks and head.text in ("id", "kotlin") and "version" in dict(_list_plugin_calls(statement)):
            self._add_plugin(statement)  # a piece of another script
            return
        found = list(self._list_coordinates(statement, 0))
        if head.text == "dependencySet":
            self._defined += self._read_set(statement)
        elif head.text == "kotlin" and not place.blocks:
            self._defined += [module for module in self._notations.read(statement) if isinstance(module, Notation)]
        elif found and head.kind == "word" and len(statement) > 1 and scope_of(head.text) != "unknown":
            self._add_entries(statement[1:], place, head.text, None)
        elif isinstance(head, Group) or len(statement) == 1 or any(map(_is_defining, statement)):
            self._defined += found

    def add_defined(self) -> None:
        """Packages that variables hold and nothing here uses: who does other scripts say, so that scope is unknown."""
        used = {row["name"] for row in self.findings.rows}
        for found in self._defined:
            if make_name(found.group, found.artifact) not in used:
                self._add(found, "unknown", "")

    def _list_coordinates(self, items: Sequence[Item], depth: int) -> Iterator[Notation]:
        """Texts of the form `group:artifact:version`, and such maps, in a statement, but for its blocks."""
        if (mapped := self._notations.read_map(items) or self._notations.read_map(items[1:])) is not None:
            yield mapped
            return
        if any(item.is_sign("+") for item in items):
            assigned = next((at + 1 for at, item in enumerate(items) if item.is_sign("=")), 0)
            if joined := list(self._read_coordinates(items[assigned:])):
                yield from joined
                return
        for item in items:
            if isinstance(item, Group) and item.opening != "{" and depth < MAX_BLOCK_DEPTH:
                yield from self._list_coordinates(item.items, depth + 1)
            elif item.kind in ("string", "literal") and ":" in item.text:
                yield from self._read_coordinates((item,))

    def _read_coordinates(self, items: Sequence[Item]) -> Iterator[Notation]:
        text = self._evaluate(items)
        if isinstance(text, str) and (match := _COORDINATES.fullmatch(text)):
            yield Notation(match[1], match[2], match[3], items[0].line)

    def _add_statement(self, statement: Statement, place: Place) -> None:
        """`configuration arguments`, with or without brackets; the name may be a text."""
        at = 0
        while at + 2 < len(statement) and statement[at + 1].is_sign(".") and statement[at + 2].kind == "word":
            at += 2
        head = statement[at]
        if head.text in _MODIFIERS or any(item.is_sign("=", "+=") for item in statement):
            return  # a variable
        if head.kind == "word" and head.text == "add":
            self._add_call(statement, place)
        elif head.kind in ("word", "string", "literal") and len(statement) > at + 1:
            self._add_entries(statement[at + 1 :], place, head.text, None)

    def _add_call(self, statement: Statement, place: Place) -> None:
        """`add("configuration", notation)`."""
        at = next((n for n, item in enumerate(statement) if item.text == "add"), 0)
        group = statement[at + 1] if at + 1 < len(statement) else None
        parts = split(group.items if isinstance(group, Group) else statement[at + 1 :], ",")
        name = self._evaluate(parts[0]) if parts else None
        if isinstance(name, str) and len(parts) > 1:
            rest = [item for item in statement[at + 2 :] if isinstance(item, Group)]
            self._add_entries([*parts[1], *rest], place, name, None)

    def _add_entries(self, items: Sequence[Item], place: Place, name: str, scope: Scope | None) -> None:
        """What a configuration is given."""
        configuration, told = place.tell_configuration(name)
        scope = told if scope is None else scope
        for found in self._notations.read(items):
            if isinstance(found, Notation):
                self._add(found, scope, configuration)
            elif isinstance(found, Computed):
                if scope == "unknown":
                    continue  # a call of something else, as likely as not
                self.findings.note("a dependency that is computed was left out", configuration, found.line)
            else:
                self._add_local(found, scope, configuration)

    def _add(self, found: Notation, scope: Scope, configuration: str) -> None:
        version, line = found.version, found.line
        if not (is_known(found.group) and is_known(found.artifact)):
            name = f"{found.group}:{found.artifact}"
            self.findings.note(f"{name[:200]} can't be told without running the script", configuration, line)
            return
        if version is None:
            version = self._managed.get((found.group, found.artifact))
        elif not is_known(version):
            message = f"the version of {found.group}:{found.artifact}, {version}, is not told by the files at hand"
            self.findings.note(message, configuration or None, line)
            version = None
        groups = (configuration[:MAX_NAME],) if configuration else ()
        self.findings.add(found.group, found.artifact, version, scope, line=line, groups=groups, field="dependencies")

    def _add_local(self, found: Local, scope: Scope, configuration: str) -> None:
        if is_known(found.name):
            groups = (configuration[:MAX_NAME],)
            self.findings.add_local(
                found.name, scope, line=found.line, source=found.source, groups=groups, field="dependencies"
            )

    def _add_plugin(self, statement: Statement) -> None:
        """`id("x") version "1"`, `kotlin("jvm") version "1"`, `alias(libs.plugins.x)`."""
        head, line = statement[0], statement[0].line
        calls = dict(_list_plugin_calls(statement))
        if head.text == "alias" and (argument := calls.get("alias")):
            if (entry := self._notations.find_plugin(argument)) is None:
                self.findings.note("a plugin of a catalog that is not at hand was left out", "plugins", line)
            else:
                add_plugin(self.findings, *entry, line, "plugins")
            return
        name = self._evaluate(calls.get(head.text, ()))
        if not isinstance(name, str) or head.text not in ("id", "kotlin"):
            return
        name = f"org.jetbrains.kotlin.{name}" if head.text == "kotlin" else name
        if "." not in name and "version" not in calls:
            return  # a plugin of Gradle itself
        version = self._notations.read_version(calls["version"]) if "version" in calls else None
        if version is None and "version" in calls:
            self.findings.note(f"the version of the plugin {name} is not told by the files at hand", "plugins", line)
        add_plugin(self.findings, name, version, line, "plugins")


def add_plugin(findings: Findings, name: str, version: str | None, line: int | None, field: str) -> None:
    """A plugin, whose package is the marker that Gradle finds it by."""
    before = len(findings.rows)
    findings.add(name, f"{name}{PLUGIN_SUFFIX}", version, "build", line=line, field=field)
    for row in findings.rows[before:]:
        row["name"] = name[:214]


def add_catalog(catalog: Catalog, findings: Findings, field: str) -> None:
    """The entries of a catalog. Who asks for a library other files say, so that its scope is unknown."""
    for entry in (*catalog.libraries.values(), *catalog.plugins.values()):
        version = entry.version if is_known(entry.version) else None
        if entry.version is not None and version is None:
            findings.note(f"the version of {entry.group}, {entry.version}, is not told here", field, entry.line)
        if entry.artifact is None:
            add_plugin(findings, entry.group, version, entry.line, field)
        else:
            findings.add(entry.group, entry.artifact, version, "unknown", line=entry.line, field=field)


def _is_defining(item: Item) -> bool:
    return item.is_sign("=", "+=", "+", ":") or item.text == "to"


def _is_adding(statement: Statement) -> bool:
    """`dependencies.add("x", …)` outside of a block."""
    texts = [item.text for item in statement[:4]]
    return texts[0] == "dependencies" and "add" in texts


def _list_plugin_calls(statement: Statement) -> Iterator[tuple[str, Sequence[Item]]]:
    """Each call with its arguments, which end where the next one begins."""
    for at, item in enumerate(statement[:-1]):
        if item.kind != "word" or item.text not in ("id", "kotlin", "alias", "version"):
            continue
        following = statement[at + 1]
        if isinstance(following, Group) and following.opening == "(":
            yield item.text, following.items
        elif not following.is_sign("."):
            rest = range(at + 2, len(statement))
            end = next((n for n in rest if statement[n].text in ("version", "apply")), len(statement))
            yield item.text, statement[at + 1 : end]
