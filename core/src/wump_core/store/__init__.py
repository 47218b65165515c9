"""Persistence: one file per noun, each with its tables and its queries.

Functions take a connection first and never commit. A function's first word says what it does: `get_` one row
or None, `list_` several, `add_`, `save_` and `replace_` write.
"""

from wump_core.store import (
    accounts,
    alerts,
    dependencies,
    dependents,
    executions,
    idempotency,
    imports,
    keys,
    organizations,
    packages,
    pauses,
    providers,
    repositories,
    responses,
    retention,
    schedules,
    search,
    sources,
    stats,
    takedowns,
    touches,
)
from wump_core.store.base import make_engine, metadata

__all__ = [
    "accounts",
    "alerts",
    "dependencies",
    "dependents",
    "executions",
    "idempotency",
    "imports",
    "keys",
    "make_engine",
    "metadata",
    "organizations",
    "packages",
    "pauses",
    "providers",
    "repositories",
    "responses",
    "retention",
    "schedules",
    "search",
    "sources",
    "stats",
    "takedowns",
    "touches",
]
