"""Figures with their spread, bars that are met or not, and runs that alternate with their baseline."""

import math
import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Run = Callable[[], Awaitable[float]]


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured: the median of several runs, and their spread."""

    label: str
    unit: str
    median: float
    low: float
    high: float
    runs: int


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure was held against. `value` is the median of the runs' own values."""

    label: str
    value: float
    low: float
    high: float
    limit: float
    at_most: bool
    met: bool


@dataclass(slots=True)
class Measurement:
    """One question, its figures, its bars, and what should be known to read them."""

    name: str
    title: str
    figures: list[Figure] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add_figure(self, label: str, unit: str, values: Sequence[float]) -> None:
        """Keep the median and the spread of these runs."""
        self.figures.append(
            Figure(
                label, unit, _short(statistics.median(values)), _short(min(values)), _short(max(values)), len(values)
            )
        )

    def add_bar(
        self, label: str, values: Sequence[float], *, at_most: float | None = None, at_least: float | None = None
    ) -> None:
        """Hold the median of these runs against a bar; exactly one kind of bar is given."""
        limit = at_most if at_most is not None else at_least
        if limit is None:
            raise ValueError("a bar needs a limit")
        median = statistics.median(values)
        met = median <= limit if at_most is not None else median >= limit
        spread = _short(median), _short(min(values)), _short(max(values))
        self.bars.append(Bar(label, *spread, limit=_short(limit), at_most=at_most is not None, met=met))

    def document(self) -> dict[str, Any]:
        """As it is written to JSON."""
        return asdict(self)


async def alternate(rounds: int, *runs: Run) -> list[list[float]]:
    """Run each in turn, round by round, so that what disturbs the machine disturbs all alike."""
    values: list[list[float]] = [[] for _ in runs]
    for _ in range(rounds):
        for run, found in zip(runs, values, strict=True):
            found.append(await run())
    return values


def ratios(values: Sequence[float], baselines: Sequence[float]) -> list[float]:
    """Value over baseline of the same round."""
    return [value / baseline for value, baseline in zip(values, baselines, strict=True)]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of all does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _short(value: float) -> float:
    """Four digits are more than these figures are good for."""
    return float(f"{value:.4g}") if abs(value) < 1000 else float(round(value))
