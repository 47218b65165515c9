"""Specifiers of Deno: `npm:name@range/path`, `jsr:@scope/name@range`.

Source: Deno's manual, Modules and dependencies; the JSR documentation. JSR is a registry of its own, whose packages
have no npm name: they are kept without a purl.
"""

from typing import NamedTuple

from wump_core import DependencySource

_SOURCES: dict[str, DependencySource] = {"npm": "registry", "jsr": "url"}


class Specifier(NamedTuple):
    """A package, and the range behind its name; null where none is written."""

    source: DependencySource
    name: str
    requirement: str | None


def parse_specifier(text: str) -> Specifier | None:
    """Read a specifier; null where it is of another kind."""
    protocol, colon, rest = text.partition(":")
    source = _SOURCES.get(protocol)
    if not colon or source is None:
        return None
    parts = rest.removeprefix("/").split("/")
    width = 2 if parts[0].startswith("@") and len(parts) > 1 else 1
    package = "/".join(parts[:width])
    name, _, requirement = package[1:].partition("@")
    name = package[:1] + name
    return Specifier(source, name, requirement or None) if name else None
