"""Dependencies as build definitions of sbt write them: `"group" %% "artifact" % "version" % Scope`.

Source: sbt's reference manual, "Library dependencies" and "Scopes".
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from wump_core import Scope

from wump_provider_maven.manifests.configurations import choose_strongest, scope_of
from wump_provider_maven.manifests.gradle_variables import MAX_BLOCK_DEPTH
from wump_provider_maven.manifests.scripts import Group, Item, split

SETTING = "libraryDependencies"
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
_NAME = re.compile(r"[0-9.-]*[A-Za-z_][\w.-]*", re.ASCII)
_END_OF_NAME = re.compile(r"->|[,;]")
_LONGEST_OPERAND = 12
_LONGEST_BRACKET = 100
_MAX_USES = 20
"""Of one value. Every further one says nothing that these don't."""


class Module(NamedTuple):
    """A dependency as written. `sign` tells whether the artifact's name gets the Scala version.

    The version is null where none is written, and holds `${` where it isn't known.
    """

    group: str
    artifact: str
    sign: str
    version: str | None
    configuration: str | None
    line: int


class Context(NamedTuple):
    """What holds for all that stands in brackets: the call that makes it a part of the build, and what `map` adds."""

    building: str | None = None
    configuration: str | None = None
    version: str | None = None


class Modules:
    """Reads them, given what works out a text: null where it can't be told."""

    def __init__(self, read_text: Callable[[Sequence[Item]], str | None]) -> None:
        self._text = read_text

    def read(self, part: Sequence[Item], context: Context) -> Module | None:
        """The dependency that a part of a statement writes; null where it is something else."""
        signs = [item.text for item in part if item.is_sign(*_SIGNS)]
        if not signs or part[-1].is_sign(*_SIGNS):
            return None
        start = max((at + 1 for at, item in enumerate(part) if item.is_sign(*_ASSIGNING)), default=0)
        operands = split(part[start:], *_SIGNS)
        if len(operands) < 2 or len(operands[0]) > _LONGEST_OPERAND or any(sign != "%" for sign in signs[1:]):
            return None
        if isinstance(bracket := operands[0][0], Group) and bracket.opening == "(":
            inner = self.read(bracket.items, context) if len(bracket.items) <= _LONGEST_BRACKET else None
            return inner and inner._replace(configuration=inner.configuration or self._configuration(operands[1]))
        group, artifact = self._text(_last(operands[0])), self._text(first_value(operands[1]))
        if group is None or artifact is None or not (_NAME.fullmatch(group) and _NAME.fullmatch(artifact)):
            return None
        version = self._text(first_value(operands[2])) or "${…}" if len(operands) > 2 else context.version
        configuration = self._configuration(operands[3]) if len(operands) > 3 else None
        line = operands[0][-1].line
        return Module(group, artifact, signs[0], version, configuration or context.configuration, line)

    def read_mapped(self, listed: Group, following: Sequence[Item]) -> Iterator[Module]:
        """`Seq("a", "b").map("group" %% _ % version)`."""
        if (mapped := _find_mapped(following)) is None or len(mapped.items) > _LONGEST_BRACKET:
            return
        operands = split(mapped.items, *_SIGNS)
        if len(operands) < 2 or _is_placeholder(operands[0]) or not _is_placeholder(operands[1][:1]):
            return
        module: Module | None = None
        for name in split(listed.items, ","):
            artifact = self._text(name)
            if artifact is None or not _NAME.fullmatch(artifact):
                continue
            module = module or self.read(_fill_placeholder(mapped.items, name), Context())
            if module is not None:
                yield module._replace(artifact=artifact, line=name[0].line)

    def map_context(self, following: Sequence[Item], context: Context) -> Context:
        """The context of a list behind which `.map(_ % version % Test)` stands."""
        mapped = _find_mapped(following)
        operands = split(mapped.items, *_SIGNS) if mapped else []
        if len(operands) < 2 or not _is_placeholder(operands[0]):
            return context
        if (configuration := _known_configuration(operands[1])) is not None:
            return context._replace(configuration=configuration)
        configuration = self._configuration(operands[2]) if len(operands) > 2 else context.configuration
        return context._replace(version=self._text(operands[1]) or context.version, configuration=configuration)

    def _configuration(self, operand: Sequence[Item]) -> str | None:
        stated = first_value(operand)
        return (self._text(stated) if stated[0].kind != "word" else None) or stated[-1].text or None


def tell_scope(configuration: str) -> tuple[str, Scope]:
    """The first configuration of `compile;test->test`, and what it is for."""
    name = _END_OF_NAME.split(configuration, maxsplit=1)[0].strip()
    return name, _SCOPES.get(name.lower()) or (scope_of(name) if name else "runtime")


def find_setting_configuration(part: Sequence[Item]) -> str | None:
    """`Test / libraryDependencies += …`, and the older `libraryDependencies in Test`."""
    for at, item in enumerate(part[:_LONGEST_OPERAND]):
        if item.kind == "word" and item.text == SETTING:
            if at > 1 and part[at - 1].is_sign("/"):
                return _known_configuration(part[at - 2 : at - 1])
            if at + 2 < len(part) and part[at + 1].text == "in":
                inside = part[at + 2]
                return _known_configuration(inside.items if isinstance(inside, Group) else [inside])
            return None
    return None


def find_defined(part: Sequence[Item]) -> str | None:
    """The name that `lazy val name: Type = …` gives to what follows."""
    at = next((at for at, item in enumerate(part[:4]) if item.text == "val"), None)
    return part[at + 1].text or None if at is not None and at + 1 < len(part) else None


def find_uses(items: Sequence[Item], found: dict[str, set[str]], depth: int = 0) -> None:
    """Add as which configurations values are used: `name % Test`, `name.map(_ % Test)`; empty text for any other."""
    for at, item in enumerate(items):
        if isinstance(item, Group):
            if depth <= MAX_BLOCK_DEPTH:
                find_uses(item.items, found, depth + 1)
        elif item.kind == "word" and not (at and items[at - 1].text in ("val", "def")):
            following = items[at + 1 : at + 4]
            if following and following[0].is_sign(".") and following[1:2] and following[1].text != "map":
                continue  # a holder of values
            before = at
            while before > 1 and items[before - 1].is_sign("."):
                before -= 2
            is_operand = before > 0 and items[before - 1].is_sign(*_SIGNS)
            uses = found.setdefault(item.text, set())
            if len(uses) < _MAX_USES:
                uses.add("" if is_operand else _find_use(following))


def choose_use(uses: set[str]) -> str | None:
    """The configuration in which a value is used everywhere, of several the strongest; null where there is none."""
    if not uses or "" in uses:
        return None
    scopes = {tell_scope(name)[1]: name for name in sorted(uses)}
    return scopes[choose_strongest(scopes, "runtime")]


def first_value(items: Sequence[Item]) -> list[Item]:
    """The value that an operand begins with: a text, something in brackets, or a path."""
    found: list[Item] = []
    for item in items:
        if not found or item.is_sign(".") or found[-1].is_sign("."):
            found.append(item)
        else:
            break
    return found


def is_bracketed(part: Sequence[Item]) -> bool:
    """`("group" % "artifact" % "1" classifier "x") % Test`."""
    start = max((at + 1 for at, item in enumerate(part) if item.is_sign(*_ASSIGNING)), default=0)
    return start < len(part) and isinstance(part[start], Group)


def _find_use(following: Sequence[Item]) -> str:
    if following and following[0].is_sign("%"):
        return _known_configuration(following[1:2]) or ""
    mapped = _find_mapped(following)
    operands = split(mapped.items, "%") if mapped else []
    is_scoped = len(operands) == 2 and _is_placeholder(operands[0])
    return (_known_configuration(operands[1]) if is_scoped else None) or ""


def _known_configuration(items: Sequence[Item]) -> str | None:
    """A word or text that names one of sbt's configurations."""
    text = items[0].text if items and items[0].kind in ("word", "string", "literal") else ""
    return text if tell_scope(text)[0].lower() in _SCOPES else None


def _find_mapped(following: Sequence[Item]) -> Group | None:
    """What stands in the brackets of `.map(…)` or `map (…)`."""
    at = 1 if following and following[0].is_sign(".") else 0
    if len(following) < at + 2 or following[at].text != "map":
        return None
    mapped = following[at + 1]
    return mapped if isinstance(mapped, Group) else None


def _is_placeholder(operand: Sequence[Item]) -> bool:
    return len(operand) == 1 and operand[0].text == "_"


def _fill_placeholder(items: Sequence[Item], name: Sequence[Item]) -> list[Item]:
    at = next((at for at, item in enumerate(items) if item.text == "_"), len(items))
    return [*items[:at], *name, *items[at + 1 :]]


def _last(items: Sequence[Item]) -> list[Item]:
    """The value that an operand ends with."""
    start = len(items) - 1
    while start > 1 and items[start - 1].is_sign("."):
        start -= 2
    return list(items[start:])
