"""What each tier may do, how often, and what each operation costs: the two tables that the gate reads."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Area = Literal["read", "export", "write", "operate"]
HOUR_SECONDS = 3_600
BURST_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Tier:
    """What its callers may do. Requests are counted in units of cost; null: not limited."""

    areas: frozenset[Area]
    per_hour: int | None
    per_burst: int | None
    meaning: str


_TO_READ: frozenset[Area] = frozenset(("read",))
_TO_WORK: frozenset[Area] = frozenset(("read", "export", "write"))
_ALL: frozenset[Area] = frozenset(("read", "export", "write", "operate"))
TIERS: Mapping[str, Tier] = {
    "anonymous": Tier(_TO_READ, 600, 60, "without a key, where WUMP_API_ANONYMOUS allows it; counted by address"),
    "free": Tier(_TO_READ, 1_000, 60, "a key to read with"),
    "standard": Tier(_TO_WORK, 10_000, 300, "a key to work with"),
    "premium": Tier(_TO_WORK, 100_000, 2_000, "a key for a service that many use"),
    "operator": Tier(_ALL, 1_000_000, 10_000, "a key of whoever runs wump"),
    "local": Tier(_TO_WORK, None, None, "without a key, from the machine that the API runs on"),
    "process": Tier(_ALL, None, None, "wump's own commands, without an address"),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """What a request asks for: its area, and what it costs."""

    area: Area
    cost: int


_READING = ("GET", "HEAD")
_READ = Operation("read", 1)
_EXPORT = Operation("export", 20)
_WRITE = Operation("write", 5)
_STREAM = re.compile(rb"(?:^|&)format=(?:ndjson|csv)(?:&|$)")
OPERATIONS: tuple[tuple[tuple[str, ...], re.Pattern[str], Operation], ...] = (
    (
        ("*",),
        re.compile(r"/api/v1/(?:keys|jobs|pauses|schedules|alerts|takedowns|cache)(?:/.*)?"),
        Operation("operate", 1),
    ),
    (("POST",), re.compile(r"/api/v1/packages/lookup"), Operation("read", 20)),
    (_READING, re.compile(r"/api/v1/search"), Operation("read", 5)),
    (_READING, re.compile(r"/api/v1/packages/.*/dependents/facets"), Operation("read", 2)),
)
"""Methods, path and operation of those that are not as their method says; the first that fits counts."""


@lru_cache(10_000)
def describe_operation(method: str, path: str, query: bytes) -> Operation:
    """What a request below /api/v1 asks for."""
    for methods, pattern, operation in OPERATIONS:
        if (method in methods or methods == ("*",)) and pattern.fullmatch(path):
            return operation
    if method not in _READING:
        return _WRITE
    return _EXPORT if query and _STREAM.search(query) else _READ
