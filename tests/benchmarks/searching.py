"""Search over all names: the time of the slowest hundredth, for names as people type them."""

import random
from collections.abc import Callable, Iterator

from wump_core.store import search
from wump_core.store.search import replace_search_names

from benchmarks.bench import Bench, timed_ms
from benchmarks.measure import Measurement, percentile

LIMIT = 50
LETTERS = "abcdefghijklmnopqrstuvwxyz"
Typed = Callable[[str, random.Random], str]


def _swap(name: str, drawn: random.Random) -> str:
    place = drawn.randrange(len(name) - 1)
    return f"{name[:place]}{name[place + 1]}{name[place]}{name[place + 2 :]}"


TYPED: dict[str, Typed] = {
    "the name": lambda name, drawn: name,
    "its beginning": lambda name, drawn: name[: drawn.randint(2, len(name))],
    "two letters exchanged": _swap,
    "one letter too many": lambda name, drawn: f"{name}{drawn.choice(LETTERS)}",
    "nothing that is there": lambda name, drawn: "".join(drawn.choices(LETTERS, k=12)),
}


async def measure_search(bench: Bench) -> Measurement:
    """Packages and organizations as `GET /search` asks for them, each query once."""
    found = Measurement("search", "Search among all packages and organizations: 99th percentile of queries")
    async with bench.engine.begin() as connection:
        await replace_search_names(connection)
    slowest = 0.0
    for title, typed in TYPED.items():
        values = [await _search_ms(bench, query) for query in _list_queries(bench, typed)]
        slowest = max(slowest, percentile(values, 0.99))
        found.add_figure(title, "ms", values)
        found.add_figure(f"{title}, 99th percentile", "ms", [percentile(values, 0.99)])
    found.add_bar("slowest 99th percentile, ms", [slowest], at_most=50)
    found.notes.append(
        f"{bench.size.calls_for_p99:,} different queries of each kind, half of them for names of packages, half for"
        " logins; each asks for both. The names of the graph differ in their numbers only, which is as hard as it gets"
    )
    return found


def _list_queries(bench: Bench, typed: Typed) -> Iterator[str]:
    drawn = random.Random(bench.seed)
    for number in range(bench.size.calls_for_p99):
        package = f"p-{drawn.randint(1, bench.size.packages)}"
        yield typed(package if number % 2 else f"org-{drawn.randint(1, bench.size.organizations)}", drawn)


async def _search_ms(bench: Bench, query: str) -> float:
    async def both() -> None:
        await search.search_packages(bench.connection, query, ecosystem=None, limit=LIMIT)
        await search.search_organizations(bench.connection, query, limit=LIMIT)

    return await timed_ms(both)
