"""Persistence: one file per noun, each with its tables and its queries.

Functions take a connection first and never commit. A function's first word says what it does: `get_` one row
or None, `list_` several, `add_`, `save_` and `replace_` write.
"""

from wump_core.store import (
    accounts,
    dependencies,
    dependents,
    executions,
    packages,
    providers,
    repositories,
    responses,
    sources,
)
from wump_core.store.base import make_engine, metadata

__all__ = [
    "accounts",
    "dependencies",
    "dependents",
    "executions",
    "make_engine",
    "metadata",
    "packages",
    "providers",
    "repositories",
    "responses",
    "sources",
]
