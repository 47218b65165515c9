"""Where a writer's time goes: what it waits for each statement, seen from the client."""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from unittest.mock import patch

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from wump_core.records import PackageRecord

SHOWN = 8
_VERB = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM|CREATE TEMPORARY TABLE IF NOT EXISTS|SELECT\b.*?FROM) ([\w.]+)")
_LOCKED = re.compile(r"FOR (UPDATE|SHARE|NO KEY UPDATE)")

Save = Callable[[AsyncEngine, Sequence[PackageRecord]], Awaitable[None]]


async def profile_statements(
    engine: AsyncEngine, batches: Sequence[Sequence[PackageRecord]], save: Save
) -> list[tuple[str, float, float]]:
    """Save batch by batch; returns (statement, milliseconds, calls) per batch, the slowest first."""
    spent: dict[str, float] = defaultdict(float)
    calls: Counter[str] = Counter()
    started = 0.0

    def before(*_: Any) -> None:
        nonlocal started
        started = time.perf_counter()

    def after(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        name = name_statement(statement)
        spent[name] += time.perf_counter() - started
        calls[name] += 1

    dialect = engine.sync_engine.dialect
    do_commit = dialect.do_commit

    def commit(connection: Any) -> None:
        before()
        do_commit(connection)
        after(None, None, "COMMIT")

    event.listen(engine.sync_engine, "before_cursor_execute", before)
    event.listen(engine.sync_engine, "after_cursor_execute", after)
    begun, used = time.perf_counter(), time.process_time()
    try:
        with patch.object(dialect, "do_commit", commit):
            for batch in batches:
                await save(engine, batch)
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", before)
        event.remove(engine.sync_engine, "after_cursor_execute", after)
    whole, used, count = time.perf_counter() - begun, time.process_time() - used, len(batches)
    slowest = sorted(spent.items(), key=lambda item: -item[1])[:SHOWN]
    found = [(name, seconds * 1000 / count, calls[name] / count) for name, seconds in slowest]
    shown = {name for name, _, _ in found}
    others = sum(seconds for name, seconds in spent.items() if name not in shown)
    other_calls = sum(number for name, number in calls.items() if name not in shown)
    found.append(("other statements", others * 1000 / count, other_calls / count))
    found.append(
        ("outside of statements: Python, BEGIN, rows by COPY", (whole - sum(spent.values())) * 1000 / count, 0)
    )
    found.append(("all of it", whole * 1000 / count, sum(calls.values()) / count))
    found.append(("of which the client's own CPU", used * 1000 / count, 0))
    return found


def name_statement(statement: str) -> str:
    """A statement in a few words: what it does to which table."""
    text = " ".join(statement.split())
    match = _VERB.search(text)
    if match is None:
        return text[:40]
    verb = "SELECT" if match[1].startswith("SELECT") else match[1].removesuffix(" IF NOT EXISTS")
    locked = _LOCKED.search(text)
    return f"{verb} {match[2]}" + (f" FOR {locked[1]}" if locked and verb == "SELECT" else "")
