"""What was measured, for a terminal and as a page of the docs."""

from collections.abc import Mapping, Sequence
from typing import Any

_BAR_HEAD = ("bar", "value", "limit", "met")
_HEAD = """# Performance

What wump costs, measured against baselines in the same run. Made by

```sh
uv run python tests/benchmarks/run.py --json docs/performance.json
uv run python tests/benchmarks/run.py --size large --keep FOLDER --json docs/performance-large.json \\
    --only first_load popularity depth filters grouping growth partitions partitioned_load
uv run python tests/benchmarks/run.py --docs
```

The first starts servers of its own in a temporary folder, migrates, makes a graph from a seed, and removes all of it
at the end. The second does so at the large size, and keeps the graph for another run. The third makes this page. No
test asserts a time: read ratios, which carry from machine to machine, before rates, which don't.
"""
_SIZES = """## Sizes

| size | packages that others need | repositories | organizations | dependencies | for |
|---|---|---|---|---|---|
| `tiny` | 1,000 | 2,000 | 1,000 | 30 thousand | the smoke test among the tests |
| `small` | 100,000 | 200,000 | 120,000 | 3 million | the default |
| `large` | 1,000,000 | 2,000,000 | 300,000 | 30 million | about 75 GB of disk and hours |

Each repository publishes one package, which states what it needs. Popularity is Zipf's, and about half of all
repositories use the hottest package. The embedded servers run as they do for anyone: durable, with their defaults.
`--core` takes less than five minutes on two cores: what design and speed stand or fall with, in fewer rounds.
`--only NAME …` runs some of the measurements, `--seed` makes another graph, `--keep FOLDER` keeps it and goes on with
the one that is there.
"""
# What profiles of these measurements show. Left out where every bar is met.
_REASONS: Mapping[str, str] = {
    "serving": (
        "The API's process is bound by its processor: it takes about 0.1 ms more than the bare app for a request, half"
        " of which goes into the layers of FastAPI and Starlette."
    ),
    "writing": (
        "Each statement of a package becomes a row of three tables and an entry of some nine indexes, of which four"
        " are touched at random places; COPY fills one table with two indexes, one of them at random. A page is"
        " written to the log whole when it is first touched after a checkpoint: 9 to 13 kB a statement."
    ),
}


def print_measurement(found: Mapping[str, Any], seconds: float) -> None:
    """The figures and the bars, as text."""
    print(f"\n{found['name']}: {found['title']} ({seconds:g} s)")
    for figure in _shown_figures(found):
        print(f"  {figure['label']:<60} {_spread(figure)} {figure['unit']}")
    for bar in found["bars"]:
        print(f"  {'MET   ' if bar['met'] else 'MISSED'} {bar['label']}: {_spread(bar, 'value')}, bar {_limit(bar)}")
    for note in found["notes"]:
        print(f"  ({note})", flush=True)


def make_page(*documents: Mapping[str, Any]) -> str:
    """The page of the docs, from one run or several."""
    parts = [_HEAD, _summary(documents), "## What was measured on what\n", *map(_machine, documents), _SIZES]
    for document in documents:
        parts += [_section(found, document["size"]) for found in document["measurements"].values()]
    return "\n".join(parts)


def _summary(documents: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            document["size"],
            f"[{found['name']}](#{_anchor(_title(found, document['size']))}): {bar['label']}",
            *_bar_cells(bar),
        )
        for document in documents
        for found in document["measurements"].values()
        for bar in found["bars"]
    ]
    return "## Bars\n\n" + _table(("size", *_BAR_HEAD), rows)


def _machine(document: Mapping[str, Any]) -> str:
    machine, graph, seconds = document["machine"], document["graph"], document["seconds"]
    settings = ", ".join(f"`{name}` {value}" for name, value in machine["postgres_settings"].items())
    packages = ", ".join(f"{name} {value}" for name, value in machine["packages"].items())
    sizes = ", ".join(f"{table['rows']:,} {name}" for name, table in graph.items() if "checksum" in table)
    return (
        f"On {document['date']}, size `{document['size']}`, seed {document['seed']}:"
        f" {sizes}. The run took {sum(seconds.values()) / 60:.0f} minutes.\n\n"
        f"- {machine['cores']} cores, {machine['cpu']}, {machine['memory_gb']} GB, {machine['system']}; load"
        f" {machine['load_at_start']} at the start and {machine['load_at_end']} at the end\n"
        f"- Postgres {machine['postgres']}: {settings}\n- Python {machine['python']}, {packages}\n"
    )


def _title(found: Mapping[str, Any], size: str) -> str:
    """Headings must differ: the default size goes without saying."""
    return found["title"] if size == "small" else f"Size {size}: {found['title']}"


def _section(found: Mapping[str, Any], size: str) -> str:
    parts = [f"## {_title(found, size)}\n"]
    if found["figures"]:
        rows = [
            (figure["label"], _spread(figure), figure["unit"], str(figure["runs"])) for figure in _shown_figures(found)
        ]
        parts.append(_table(("what", "median [spread]", "unit", "runs"), rows))
    if found["bars"]:
        parts.append(_table(_BAR_HEAD, [(bar["label"], *_bar_cells(bar)) for bar in found["bars"]]))
    parts += [f"{note}.\n" for note in found["notes"]]
    if found["name"] in _REASONS and not (found["bars"] and all(bar["met"] for bar in found["bars"])):
        parts.append(f"Where the time goes: {_REASONS[found['name']]}\n")
    return "\n".join(parts)


def _shown_figures(found: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """All figures; of the filters, which are many, the slowest and those that touch most."""
    if found["name"] != "filters":
        return found["figures"]
    tails = [figure for figure in found["figures"] if "percentile" in figure["label"]]
    touched = [figure for figure in found["figures"] if figure["unit"] == "buffers"]
    return [
        figure for figures in (tails, touched) for figure in sorted(figures, key=lambda figure: -figure["median"])[:8]
    ]


def _bar_cells(bar: Mapping[str, Any]) -> tuple[str, str, str]:
    return _spread(bar, "value"), _limit(bar), "yes" if bar["met"] else "**no**"


def _limit(bar: Mapping[str, Any]) -> str:
    return f"{'≤' if bar['at_most'] else '≥'} {_number(bar['limit'])}"


def _spread(item: Mapping[str, Any], median: str = "median") -> str:
    if item["low"] == item["high"]:
        return _number(item[median])
    return f"{_number(item[median])} [{_number(item['low'])}..{_number(item['high'])}]"


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _anchor(title: str) -> str:
    return "".join(letter for letter in title.lower() if letter.isalnum() or letter in "- _").replace(" ", "-")
