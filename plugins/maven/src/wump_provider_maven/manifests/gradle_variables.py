"""Variables of a Gradle build: what a script sets itself, and what the files around it set for it.

The files around it are looked into only when a name is missing; which these are is named in `needs`.

Source: Gradle's documentation of build environment, extra properties and version catalogs.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wump_core import InvalidManifest, decode_text, resolve_path

from wump_provider_maven.manifests.catalogs import Catalog, Library, accessor_of, read_catalog
from wump_provider_maven.manifests.expressions import Evaluator, Value
from wump_provider_maven.manifests.gradle_applied import find_applied, find_place
from wump_provider_maven.manifests.scripts import Group, Item, Statement, list_statements, parse_script, split

MAX_FOLDERS = 10
MAX_VARIABLES = 20_000
MAX_BLOCK_DEPTH = 40
MAX_LATER_ITEMS = 40
MAX_APPLIED = 20
SOURCES = ("buildSrc/src/main/**/*.kt", "buildSrc/src/main/**/*.java")
PLATFORMS = frozenset(("platform", "enforcedPlatform"))
SCRIPTS = ("build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")

_MODIFIERS = frozenset(
    "def val var final const private public internal static lateinit override protected open data lazy".split()
)
_PIECE = ("versionCatalogs", "")
_PROPERTY = re.compile(r"\s*([^\s#!=:][^\s=:]*)\s*[=:]\s*(.*)")
_EXTRA = frozenset("ext extra set project rootProject gradle allprojects subprojects".split())


class Later:
    """An expression whose value wasn't known where it stands: a name in it may be set elsewhere."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items


class Variables:
    """Names and values, filled by walking scripts.

    `around` is asked for what isn't known, once it is set: not before the script itself was walked.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._catalogs: dict[str, Catalog] = {}
        self.platforms: dict[str, Sequence[Item]] = {}
        """Variables of this script that hold a platform, with the call that makes it."""
        self.scripts: list[Sequence[Item]] = []
        self.catalog_files: list[tuple[str, str]] = []
        self.evaluator = Evaluator(self.get)
        self.around: Around | None = None

    def get(self, path: Sequence[str]) -> Value:
        """The value of `a.b.c`; null where it isn't known here or around."""
        value = self._find(path)
        if isinstance(value, Later):
            value = self._work_out(path, value)
        if value is None and self.around is not None:
            value = self.around.get(path)
        return self.evaluator.fill(value) if isinstance(value, str) else value

    @property
    def catalogs(self) -> Mapping[str, Catalog]:
        """The catalogs that the script itself writes."""
        return self._catalogs

    def find_catalog(self, name: str) -> Catalog | None:
        """The catalog that `name.…` means, here or around."""
        found = self._catalogs.get(name)
        return self.around.find_catalog(name) if found is None and self.around is not None else found

    def add_catalog(self, name: str, catalog: Catalog) -> None:
        """Take a catalog that was read from a file."""
        self._catalogs[name] = catalog

    def set(self, path: Sequence[str], value: Value | Later) -> None:
        """Set `a.b.c`."""
        if value is None or not path or len(self._values) >= MAX_VARIABLES:
            return
        where = self._values
        for name in path[:-1]:
            inner = where.get(name)
            if not isinstance(inner, dict):
                inner = where[name] = {}
            where = inner
        where[path[-1]] = value

    def read(self, content: bytes) -> list[Item]:
        """Take the variables of a script; the answer is its items.

        Raises:
            InvalidManifest: It can't be taken apart.
        """
        items = parse_script(decode_text(content))
        self._walk(items, (), 0)
        return items

    def read_properties(self, content: bytes) -> None:
        """Take a `gradle.properties`."""
        for line in content.decode("utf-8", "replace").splitlines():
            if (match := _PROPERTY.match(line)) is not None:
                self.set((match[1],), match[2].strip() or None)

    def _find(self, path: Sequence[str]) -> Value:
        value: Any = self._values
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
            if value is None:
                break
        if value is None and len(path) > 1:
            value = self._values.get(".".join(path))
        return value

    def _work_out(self, path: Sequence[str], later: Later) -> Value:
        """The value of an expression, once; one that needs itself has none."""
        items, later.items = later.items, ()
        value = self.evaluator.evaluate(items)
        self.set(path, value)
        return value

    def _walk(self, items: Sequence[Item], names: tuple[str, ...], depth: int) -> None:
        if depth > MAX_BLOCK_DEPTH:
            return
        for statement in list_statements(items):
            head = statement[0].text
            self._take(statement, _PIECE if depth == 0 and _is_piece(statement) else names)
            inside = ()
            if head in ("object", "class", "enum", "interface") and len(statement) > 1:
                inside = (*names, statement[1].text)
            elif len(statement) > 3 and statement[-2].text == "new":  # Scala's `val versions = new { … }`
                inside = (*names, *(self._read_target(statement[:-3]) or ())[:1])
            elif head in ("versionCatalogs", *_catalog_names(names)):
                inside = (*names, head)
            if statement[0].kind == "word" and "versionCatalogs" in names and head in ("create", "register"):
                inside = (*names, _first_text(statement, self.evaluator) or "")
            for item in statement:
                if isinstance(item, Group) and item.opening == "{":
                    self._walk(item.items, inside, depth + 1)

    def _take(self, statement: Statement, names: tuple[str, ...]) -> None:
        """A variable, a property, or an entry of a catalog."""
        if names[:1] == ("versionCatalogs",) and len(names) > 1:
            self._take_entry(statement, names[1])
        if (parts := _split_assignment(statement, "=")) is not None:
            if path := self._read_target(parts[0]):
                self._assign(path, names, self._evaluate(parts[1]))
                if _is_platform(parts[1]):
                    self.platforms[path[-1]] = parts[1]
        elif (parts := _split_assignment(statement, "+=")) is not None:
            self._add_to(self._read_target(parts[0]) or (), self.evaluator.evaluate(parts[1]))
        elif (arguments := _find_call(statement, "set")) is not None or (
            arguments := _find_call(statement, "extra")
        ) is not None:
            self._take_set(statement, arguments)
        elif statement[0].text == "apply" and (applied := find_applied(statement)) and len(self.scripts) < MAX_APPLIED:
            self.scripts.append(applied)

    def _add_to(self, path: Sequence[str], added: Value) -> None:
        """`libs += [a: "g:a:1"]`: entries that are added to a map."""
        if path and isinstance(added, dict):
            for key, value in added.items():
                self.set((*path, key), value)

    def _take_set(self, statement: Statement, arguments: Sequence[list[Item]]) -> None:
        """`ext.set("name", value)` and `val name by extra(value)`."""
        words = [item.text for item in statement if item.kind == "word"]
        if "by" in words and arguments:
            name = words[words.index("by") - 1]
            self.set((name,), self._evaluate(arguments[0]))
        elif len(arguments) == 2 and isinstance(name := self.evaluator.evaluate(arguments[0]), str):
            self.set((name,), self._evaluate(arguments[1]))

    def _evaluate(self, items: Sequence[Item]) -> Value | Later:
        value = self.evaluator.evaluate(items)
        return Later(items) if value is None and len(items) <= MAX_LATER_ITEMS else value

    def _assign(self, path: list[str], names: tuple[str, ...], value: Value | Later) -> None:
        self.set(path, value)
        if names and names[0] != "versionCatalogs":
            for at in range(len(names)):
                self.set((*names[at:], *path), value)

    def _read_target(self, items: Sequence[Item]) -> list[str] | None:
        """What is assigned to, without modifiers, types and the holder's name."""
        items = [item for item in items if not (item.kind == "word" and item.text in _MODIFIERS)]
        colon = next((at for at, item in enumerate(items) if item.is_sign(":")), None)
        items = items[:colon]
        for at in range(len(items) - 1, 0, -1):  # `String name`: the type comes first
            if items[at].kind == "word" and items[at - 1].kind == "word":
                items = items[at:]
                break
        path = self.evaluator.read_path(items) if items else None
        while path and len(path) > 1 and path[0] in _EXTRA:
            path.pop(0)
        return path

    def _take_entry(self, statement: Statement, name: str) -> None:
        """`version("a", "1")`, `library("a", "g:a:v")`, `library(…).versionRef("a")`, `plugin`, `bundle`, `from`."""
        catalog = self._catalogs.setdefault(name, Catalog())
        calls = list(_list_calls(statement, self.evaluator))
        if not calls:
            return
        verb, arguments = calls[0]
        if verb == "alias" and len(calls) > 1:  # `alias("a").to("g:a:v")`, as Gradle 7.0 to 7.3 write it
            (verb, named), calls = calls[1], calls[1:]
            verb, arguments = {"to": "library", "toPluginId": "plugin"}.get(verb, verb), arguments[:1] + named
        if verb == "from":
            self._take_catalog_file(statement, name)
            return
        texts = [item for item in arguments if isinstance(item, str)]
        later = {call: found[0] for call, found in calls[1:] if found and isinstance(found[0], str)}
        if verb == "version" and len(texts) == 2:
            catalog.versions[accessor_of(texts[0])] = texts[1]
        elif verb in ("library", "plugin") and len(texts) >= 2:
            version = later.get("version") or catalog.find_version(str(later.get("versionRef", "")))
            line = statement[0].line
            if verb == "plugin":
                entry = Library(texts[1], None, version, line)
            elif len(texts) > 2:
                entry = Library(texts[1], texts[2], version, line)
            else:
                group, _, rest = texts[1].partition(":")
                artifact, _, written = rest.partition(":")
                entry = Library(group, artifact, written or version, line)
            entries = catalog.plugins if verb == "plugin" else catalog.libraries
            entries[accessor_of(texts[0])] = entry
        elif verb == "bundle" and texts and len(arguments) > 1 and isinstance(arguments[1], list):
            catalog.bundles[accessor_of(texts[0])] = [
                accessor_of(item) for item in arguments[1] if isinstance(item, str)
            ]

    def _take_catalog_file(self, statement: Statement, name: str) -> None:
        """`from(files("../gradle/tools.versions.toml"))`: a catalog in a file with a name of its own."""
        group = statement[1] if len(statement) > 1 else None
        arguments = _find_call(group.items, "files") if isinstance(group, Group) else None
        if arguments and isinstance(place := self.evaluator.evaluate(arguments[0]), str):
            self.catalog_files.append((name, place))


class Around:
    """The files around a script that may set what it uses, looked into when a name is missing."""

    def __init__(self, path: str, siblings: Mapping[str, bytes], own: Variables) -> None:
        """Take the script's path, the files at hand, and what the script sets and applies."""
        self._path = path
        self._siblings = siblings
        self._own = own
        self._files: Variables | None = None
        self._sources: Variables | None = None
        self.needs: list[str] = []

    def get(self, path: Sequence[str]) -> Value:
        """The value of a name; those with a capital may be constants of the build's own sources."""
        value = self._look_around().get(path)
        if value is None and path[0][:1].isupper():
            if self._sources is None:
                self._sources = self._read_sources()
            value = self._sources.get(path)
        return value

    def find_catalog(self, name: str) -> Catalog | None:
        """A catalog of a TOML file or of the settings."""
        return self._look_around().find_catalog(name)

    def _look_around(self) -> Variables:
        """From the root of the tree down to the script's folder, then what it applies; what is read last wins."""
        if self._files is not None:
            return self._files
        found = self._files = Variables()  # what is asked while files are read is answered by those before
        for place in _list_places(self._path):
            self._read(place, found)
            self._read_applied(found, place, found)
            self._read_catalogs(found, place)
        self._read_applied(self._own, self._path, found)
        return found

    def _read_applied(self, script: Variables, origin: str, found: Variables) -> None:
        applied, script.scripts = script.scripts, []
        for items in applied:
            if (place := find_place(items, script.evaluator, origin)) is not None:
                self._read(place, found)

    def _read_catalogs(self, found: Variables, origin: str) -> None:
        """Catalogs in files that settings name, under the name that they give them."""
        files, found.catalog_files = found.catalog_files[:MAX_APPLIED], []
        for name, script in files:
            if (place := resolve_path(origin, script)) is not None:
                self._read(place, found, catalog=name)

    def _read_sources(self) -> Variables:
        found = Variables()
        self.needs += SOURCES
        for place in [name for name in self._siblings if "buildSrc/src/" in name and name.endswith((".kt", ".java"))]:
            self._read(place, found)
        return found

    def _read(self, place: str, found: Variables, catalog: str | None = None) -> None:
        if place == self._path:
            return
        self.needs.append(place)
        content = self._siblings.get(place)
        if content is None:
            return
        try:
            if place.endswith(".properties"):
                found.read_properties(content)
            elif place.endswith(".toml"):
                found.add_catalog(catalog or posixpath.basename(place).partition(".")[0], read_catalog(content))
            else:
                found.read(content)
        except InvalidManifest:
            return  # it has a record of its own, which says so


def _list_places(path: str) -> Iterator[str]:
    """From the root of the tree down to the script's folder: what is read last wins."""
    folder = posixpath.dirname(path)
    folders = [folder]
    while folder and len(folders) < MAX_FOLDERS:
        folder = posixpath.dirname(folder)
        folders.append(folder)
    for folder in reversed(folders):
        yield posixpath.join(folder, "gradle.properties")
        for name in SCRIPTS:
            yield posixpath.join(folder, name)
        yield posixpath.join(folder, "gradle", "libs.versions.toml")


def _is_piece(statement: Statement) -> bool:
    """An entry of a catalog that stands alone: a piece of another script."""
    return (
        statement[0].text in ("library", "alias", "version") and len(statement) > 1 and isinstance(statement[1], Group)
    )


def _is_platform(items: Sequence[Item]) -> bool:
    """`platform(libs.bom)`."""
    if len(items) != 2 or items[0].text not in PLATFORMS or not isinstance(items[1], Group):
        return False
    inside = items[1].items
    return len(inside) <= MAX_LATER_ITEMS and not any(item.is_sign(",") for item in inside)


def _catalog_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return () if names != ("versionCatalogs",) else ("libs", "deps", "testLibs", "androidx", "kotlinx", "tools")


def _split_assignment(statement: Statement, sign: str) -> tuple[Statement, Statement] | None:
    for at, item in enumerate(statement):
        if item.is_sign(sign):
            return (statement[:at], statement[at + 1 :]) if at else None
        if item.is_sign("=", "+=", "->") or (isinstance(item, Group) and item.opening == "{"):
            return None
    return None


def _find_call(statement: Statement, name: str) -> list[list[Item]] | None:
    """The arguments of the call of this name in a statement."""
    for at in range(len(statement) - 1):
        item, following = statement[at], statement[at + 1]
        if item.kind == "word" and item.text == name and isinstance(following, Group) and following.opening in "({":
            return split(following.items, ",")
    return None


def _list_calls(statement: Statement, evaluator: Evaluator) -> Iterator[tuple[str, list[Value]]]:
    """The calls of a chain with the values of their arguments."""
    for at in range(len(statement)):
        item = statement[at]
        following = statement[at + 1] if at + 1 < len(statement) else None
        if item.kind != "word" or following is None:
            continue
        if isinstance(following, Group) and following.opening == "(":
            yield item.text, [evaluator.evaluate(part) for part in split(following.items, ",")]
        elif following.kind in ("string", "literal"):
            end = next((n for n in range(at + 1, len(statement)) if statement[n].is_sign(".")), len(statement))
            yield item.text, [evaluator.evaluate(part) for part in split(statement[at + 1 : end], ",")]


def _first_text(statement: Statement, evaluator: Evaluator) -> str | None:
    for _, arguments in _list_calls(statement, evaluator):
        return arguments[0] if arguments and isinstance(arguments[0], str) else None
    return None
