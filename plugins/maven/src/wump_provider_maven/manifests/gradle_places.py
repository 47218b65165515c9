"""Where a statement of a Gradle script stands: in which blocks, of which source set or suite of tests.

Source: Gradle's documentation of dependencies, constraints and the JVM Test Suite plugin; Kotlin's of source sets.
"""

from typing import NamedTuple

from wump_core import Scope

from wump_provider_maven.manifests.configurations import scope_of
from wump_provider_maven.manifests.scripts import Group, Statement

_NAMING = frozenset("named create register getByName maybeCreate".split())
_ANY = frozenset("all configureEach each matching whenObjectAdded withType".split())
"""How a block stands for several, whose names are not told."""


class Place(NamedTuple):
    """The blocks around a statement, the outermost first."""

    blocks: tuple[str, ...] = ()

    def enter(self, statement: Statement) -> "Place":
        """The place inside of a statement's block."""
        return Place((*self.blocks, *_name_blocks(statement)))

    @property
    def is_managed(self) -> bool:
        """Whether what stands here only says which version counts."""
        return "dependencyManagement" in self.blocks or "constraints" in self.blocks

    def tell_configuration(self, name: str) -> tuple[str, Scope]:
        """The whole name of a configuration that is called `name` here, and what it is for."""
        suite = self._find_inside("suites")
        owner = suite or self._find_inside("sourceSets")
        if owner in _ANY:
            owner = "test" if suite else ""
        configuration = owner + name[:1].upper() + name[1:] if owner else name
        return configuration, "test" if suite else scope_of(configuration)

    def _find_inside(self, container: str) -> str:
        """The name of the block directly inside of this one, where there is one around the statement's own."""
        if container not in self.blocks:
            return ""
        at = self.blocks.index(container) + 1
        return self.blocks[at] if at < len(self.blocks) - 1 else ""


def _name_blocks(statement: Statement) -> tuple[str, ...]:
    """What a block is called: `dependencies`, the name that `val x by getting` gives, or `register("x")`.

    `main.dependencies { … }` is a block in another one.
    """
    words: list[str] = []
    is_naming = False
    for item in statement:
        if isinstance(item, Group) and item.opening == "{":
            break
        if item.kind == "word":
            words.append(item.text)
            is_naming = is_naming or item.text in _NAMING
        elif isinstance(item, Group) and is_naming:
            inside = [part.text for part in item.items if part.kind in ("string", "literal")]
            words[-1:] = inside[:1] or words[-1:]
            is_naming = False
    if "by" in words[1:]:
        return (words[words.index("by") - 1],)
    return tuple(words[-2:] if words[-1:] == ["dependencies"] else words[-1:]) or ("",)
