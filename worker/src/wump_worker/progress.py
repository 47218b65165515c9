"""How far a long command is: on a terminal a bar with the time that is left, elsewhere a line now and then."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_SECONDS = 10.0
"""Between two lines about one stage."""


class Advance(Protocol):
    """Is told how far a stage is.

    Args:
        stage: What is done.
        done: How much of it is done.
        total: Of how much; null: unknown.
        detail: What else there is to say.
        of_bytes: Whether bytes are counted.
    """

    def __call__(
        self, stage: str, done: int, total: int | None, /, detail: str = "", *, of_bytes: bool = False
    ) -> None:
        """Tell it."""


def tell_nobody(stage: str, done: int, total: int | None, /, detail: str = "", *, of_bytes: bool = False) -> None:
    """Is told, and does nothing."""


@contextmanager
def showing_progress(console: Console) -> Generator[Advance]:
    """Show on this console what is told."""
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[amount]}")),
        *(TextColumn("{task.fields[detail]}"), TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn()),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Shown(bar).advance


class _Shown:
    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._stage = ""
        self._task = TaskID(0)
        self._line_at = float("-inf")

    def advance(self, stage: str, done: int, total: int | None, /, detail: str = "", *, of_bytes: bool = False) -> None:
        """Bring the bar up to date, or print a line where one is due."""
        amount = _describe_amount(done, total, of_bytes=of_bytes)
        if stage != self._stage:
            if self._stage:
                self._bar.update(self._task, visible=False)
            self._stage, self._line_at = stage, float("-inf")
            self._task = self._bar.add_task(stage, total=total, amount=amount, detail=detail)
        (task,) = (task for task in self._bar.tasks if task.id == self._task)
        if done < task.completed:
            self._bar.reset(self._task)  # it begins anew, and so does the guess at its end
        self._bar.update(self._task, completed=done, total=total, amount=amount, detail=detail)
        if not self._bar.console.is_terminal and time.monotonic() - self._line_at >= LINE_SECONDS:
            self._line_at = time.monotonic()
            self._bar.console.print(f"wump: {_describe(task)}", markup=False)


def _describe_amount(done: int, total: int | None, *, of_bytes: bool) -> str:
    done_text, total_text = (decimal(number or 0) if of_bytes else f"{number or 0:,}" for number in (done, total))
    return f"{done_text} of {total_text}" if total else done_text if done else ""


def _describe(task: Task) -> str:
    """Such as `reading: 1.2 GB of 2.4 GB, data/versions.csv, 1,200,000 rows, 0:02:10 left`."""
    left = task.time_remaining
    parts = [task.fields["amount"], task.fields["detail"], f"{timedelta(seconds=int(left))} left" if left else ""]
    return ": ".join(filter(None, (task.description, ", ".join(filter(None, parts)))))
