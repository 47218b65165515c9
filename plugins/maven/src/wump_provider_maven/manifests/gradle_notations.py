"""How build scripts name dependencies: as a text, a map, several of them, a variable, an entry of a catalog.

Source: Gradle's documentation of dependency notations, in Groovy and Kotlin; Kotlin's of `kotlin(…)`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple

from wump_provider_maven.interpolation import is_known
from wump_provider_maven.manifests.catalogs import accessor_of
from wump_provider_maven.manifests.configurations import scope_of
from wump_provider_maven.manifests.gradle_variables import PLATFORMS, Variables
from wump_provider_maven.manifests.scripts import Group, Item, list_statements, split

_WRAPPERS = PLATFORMS | frozenset("testFixtures variantOf create dependency changing optional".split())
_HANDLERS = frozenset("project dependencies".split())
_HANDLED = _WRAPPERS | _HANDLERS
_MAX_HANDLERS = 4
"""`project.dependencies.platform(…)`: where a source set has no such function of its own."""

_FILES = frozenset("files fileTree".split())
_PROJECTS = frozenset("project projects".split())
_BUILT_IN = frozenset("gradleApi localGroovy gradleTestKit gradleKotlinDsl npm devNpm peerNpm bundledNpm pod".split())
"""What Gradle itself brings, and packages of other ecosystems."""

_NAMED = frozenset("group name version configuration ext classifier transitive changing module path".split())
_BLANK = re.compile(r"\s")
MAX_LISTED = 20_000
"""Packages that one script names by lists, however often it names these."""

_MAX_NESTING = 3
_SHORTEST_MAP = 10
"""Three names, each with a sign and a value, and what is between."""


class Notation(NamedTuple):
    """A package as it is named; the version is null where none is written, and holds `${` where it isn't known."""

    group: str
    artifact: str
    version: str | None
    line: int


class Local(NamedTuple):
    """A project of the same build, or files."""

    name: str
    source: Literal["workspace", "path"]
    line: int


class Computed(NamedTuple):
    """Something that can't be told without running the script."""

    line: int


Found = Notation | Local | Computed


class Notations:
    """Reads them with the variables of a script."""

    def __init__(self, variables: Variables) -> None:
        self._variables = variables
        self._evaluate = variables.evaluator.evaluate
        self._platforms = variables.platforms
        self._left = MAX_LISTED

    def read(self, items: Sequence[Item]) -> Iterator[Found]:
        """Everything that the arguments of a configuration name, with or without brackets and a closure."""
        items = list(items)
        closure = items[-1] if items and isinstance(items[-1], Group) and items[-1].opening == "{" else None
        items = items[:-1] if closure else items
        if len(items) == 1 and isinstance(items[0], Group) and items[0].opening == "(":
            items = items[0].items
        parts = split(items, ",")
        named = {part[0].text: part[2:] for part in parts if _is_named(part)}
        if "name" in named:
            yield self._from_map(named, parts[0][0].line)
            parts = [part for part in parts if not _is_named(part)]
        if len(parts) in (2, 3) and all(_is_text(part) and ":" not in part[0].text for part in parts):
            yield self._from_triple(parts)
            return
        for part in parts:
            for found in self._from_part(part):
                if isinstance(closure, Group) and isinstance(found, Notation) and found.version is None:
                    found = found._replace(version=self._read_rich_version(closure))  # noqa: PLW2901
                yield found

    def read_map(self, items: Sequence[Item]) -> Notation | None:
        """`group: "g", name: "a", version: "1"`, wherever it stands; null where that isn't all there."""
        parts = [part for part in split(items, ",") if _is_named(part)] if len(items) > _SHORTEST_MAP else []
        named = {part[0].text: part[2:] for part in parts}
        found = self._from_map(named, parts[0][0].line) if named.keys() >= {"group", "name", "version"} else None
        return found if isinstance(found, Notation) and is_known(found.version) else None

    def find_plugin(self, items: Sequence[Item]) -> tuple[str, str | None] | None:
        """Id and version of `libs.plugins.a`; null where no catalog at hand has it."""
        path = self._variables.evaluator.read_path(items)
        catalog = self._variables.find_catalog(path[0]) if path else None
        if path is None or catalog is None or path[1:2] != ["plugins"]:
            return None
        entry = catalog.plugins.get(accessor_of(".".join(path[2:])))
        return None if entry is None else (entry.group, entry.version)

    def read_version(self, items: Sequence[Item]) -> str | None:
        """A version; null where it can't be told."""
        value = self._evaluate(items)
        if isinstance(value, str) and is_known(value):
            return value
        path = self._variables.evaluator.read_path(items)
        if path and len(path) > 2 and path[1] == "versions":
            catalog = self._variables.find_catalog(path[0])
            return catalog.find_version(".".join(path[2:])) if catalog else None
        return None

    def _from_part(self, part: Sequence[Item]) -> Iterator[Found]:
        start = 0
        while start < _MAX_HANDLERS and len(part) > start + 2 and part[start + 2].text in _HANDLED:
            if part[start].text not in _HANDLERS or not part[start + 1].is_sign("."):
                break
            start += 2
        part = part[start:]
        head, rest = part[0], part[1:]
        if isinstance(head, Group):
            yield from self._from_group(head)
        elif not rest and (platform := self._platforms.get(head.text)):
            yield from self._from_platform(platform, head.line)
        elif head.kind != "word" or not rest:
            yield from self._from_value(part)
        elif head.text in _FILES | _PROJECTS:
            yield from self._from_local(head.text, rest, head.line)
        elif head.text == "kotlin" and isinstance(rest[0], Group):
            yield self._from_kotlin(rest[0], head.line)
        elif not rest[0].is_sign(".") and (head.text in _WRAPPERS or scope_of(head.text) != "unknown"):
            yield from self.read(rest)  # also `include(implementation("g:a:1"))`
        elif head.text not in _BUILT_IN:
            yield from self._from_value(part)

    def _from_platform(self, call: Sequence[Item], line: int) -> Iterator[Found]:
        """A variable that holds a platform. One that holds another such variable ends there."""
        platforms, self._platforms = self._platforms, {}
        try:
            yield from [found._replace(line=line) for found in self._from_part(call)]
        finally:
            self._platforms = platforms

    def _from_group(self, group: Group) -> Iterator[Found]:
        parts = split(group.items, ",")
        if group.opening == "(":
            yield from self.read([group])
        elif parts and all(_is_named(part) for part in parts):
            yield self._from_map({part[0].text: part[2:] for part in parts}, group.line)
        elif group.opening == "[":
            for part in parts:
                yield from self._from_part(part)

    def _from_value(self, part: Sequence[Item]) -> Iterator[Found]:
        """A text, or what a variable or a catalog holds."""
        line = part[0].line
        path = self._variables.evaluator.read_path(part) if part[0].kind == "word" else None
        value = self._evaluate(part)
        if value is None and path and len(path) > 1 and (entries := self._find_entries(path, line)):
            yield from entries
            return
        found = self._take(_read_value(value, line))
        if not found:  # a text behind words that aren't known
            texts = (self._evaluate((item,)) for item in part if item.kind in ("string", "literal"))
            found = [notation for text in texts for notation in _read_value(text, line)]
        yield from found
        if not found:
            yield Computed(line)

    def _from_map(self, named: Mapping[str, Sequence[Item]], line: int) -> Found:
        group, artifact = (self._evaluate(named.get(name, ())) for name in ("group", "name"))
        if not isinstance(group, str) or not isinstance(artifact, str):
            return (
                Local(artifact, "path", line) if isinstance(artifact, str) and "group" not in named else Computed(line)
            )
        version = (self.read_version(named["version"]) or "${…}") if "version" in named else None
        return Notation(group, artifact, version, line)

    def _from_triple(self, parts: Sequence[Sequence[Item]]) -> Found:
        """`("group", "name", "version")`, as Kotlin may write it."""
        texts = [text for part in parts if isinstance(text := self._evaluate(part), str)]
        return Notation(texts[0], texts[1], texts[2] if len(texts) > 2 else None, parts[0][0].line)

    def _from_kotlin(self, group: Group, line: int) -> Found:
        """`kotlin("stdlib")`: a module of Kotlin itself."""
        parts = [part[2:] if _is_named(part) else part for part in split(group.items, ",")]
        name = self._evaluate(parts[0]) if parts else None
        if not isinstance(name, str):
            return Computed(line)
        version = (self.read_version(parts[1]) or "${…}") if len(parts) > 1 else None
        return Notation("org.jetbrains.kotlin", f"kotlin-{name}", version, line)

    def _from_local(self, kind: str, rest: Sequence[Item], line: int) -> Iterator[Found]:
        if kind == "projects":
            yield Local(":" + ":".join(item.text for item in rest if item.kind == "word"), "workspace", line)
            return
        parts = split(rest[0].items if isinstance(rest[0], Group) else rest, ",")
        parts.sort(key=lambda part: part[0].text != "dir")
        values = [self._evaluate(part[2:] if _is_named(part) or part[0].text == "dir" else part) for part in parts]
        for value in values if kind == "files" else values[:1]:
            if isinstance(value, str) and value:
                yield Local(value, "path" if kind in _FILES else "workspace", line)

    def _take(self, several: Iterable[Any]) -> list[Any]:
        """All of a list that a script names; nothing once lists that are named again and again come to too many."""
        found = list(islice(several, max(self._left, 1) + 1))
        if len(found) > 1:
            self._left -= len(found)
        return [] if len(found) > 1 and self._left < 0 else found

    def _find_entries(self, path: Sequence[str], line: int) -> list[Found]:
        """What a catalog holds under `libs.a.b` or `libs.bundles.a`."""
        catalog = self._variables.find_catalog(path[0])
        if catalog is None:
            return []
        if path[1] == "bundles":
            names = self._take(catalog.bundles.get(accessor_of(".".join(path[2:])), ()))
        else:
            names = [accessor_of(".".join(path[1:]))]
        entries = [catalog.libraries[name] for name in names if name in catalog.libraries]
        return [Notation(item.group, item.artifact or "", item.version, line) for item in entries]

    def _read_rich_version(self, closure: Group) -> str | None:
        """`{ version { strictly("1.0") } }`: the strictest of what is said."""
        stated: dict[str, Any] = {}
        for statement in list_statements(closure.items):
            if statement[0].text == "version" and len(statement) > 1 and isinstance(statement[1], Group):
                for inner in list_statements(statement[1].items):
                    stated[inner[0].text] = self._evaluate(inner[1:])
        values = (stated.get(name) for name in ("strictly", "require", "prefer"))
        return next((value for value in values if isinstance(value, str)), None)


def _read_value(value: Any, line: int, depth: int = 0) -> Iterator[Notation]:
    """What a text, a list or a map of dependencies names."""
    if isinstance(value, str):
        parts = value.partition("@")[0].strip().split(":")
        if len(parts) >= 2 and parts[0] and parts[1] and not _BLANK.search(parts[0] + parts[1]):
            yield Notation(parts[0], parts[1], (parts[2] or None) if len(parts) > 2 else None, line)
    elif isinstance(value, dict) and isinstance(value.get("group"), str) and isinstance(value.get("name"), str):
        version = value.get("version")
        yield Notation(value["group"], value["name"], version if isinstance(version, str) else None, line)
    elif isinstance(value, list | dict) and depth < _MAX_NESTING:
        for item in value if isinstance(value, list) else value.values():
            yield from _read_value(item, line, depth + 1)


def _is_named(part: Sequence[Item]) -> bool:
    """`name: value`, or Kotlin's `name = value`."""
    return len(part) > 2 and part[1].is_sign(":", "=") and part[0].text in _NAMED


def _is_text(part: Sequence[Item]) -> bool:
    return len(part) == 1 and part[0].kind in ("string", "literal")
