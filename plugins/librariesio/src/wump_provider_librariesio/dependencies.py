"""How Libraries.io writes what something needs.

Source: the kinds that Libraries.io's parsers give.
"""

from typing import Any

from wump_core import Scope, read_requirement, read_text

_SCOPES: dict[str, Scope] = {
    "runtime": "runtime",
    "normal": "runtime",
    "compile": "runtime",
    "provided": "peer",
    "development": "development",
    "develop": "development",
    "dev": "development",
    "test": "test",
    "build": "build",
    "peer": "peer",
    "optional": "optional",
}
"""Scope by `kind`, which each platform spells in its own way."""


def make_dependency_row(
    ecosystem: str | None, name: str, requirement: str | None, kind: str, *, optional: bool
) -> dict[str, Any]:
    """The fields of a `DependencyRecord`; without an ecosystem that wump knows it has no purl.

    Raises:
        InvalidPurl: No package can have that name.
    """
    scope, optional = read_scope(kind, optional=optional)
    row = read_requirement(ecosystem, name, requirement)
    return row | {"scope": scope, "optional": optional, "field": read_text(kind, 255)}


def read_scope(kind: str, *, optional: bool) -> tuple[Scope, bool]:
    """The scope, and whether the dependent works without it."""
    scope = _SCOPES.get(kind.lower(), "unknown")
    optional = optional or scope == "optional"
    return "optional" if optional and scope == "runtime" else scope, optional
