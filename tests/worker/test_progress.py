"""How far a long command is: a bar on a terminal, lines elsewhere."""

import io
import re

import pytest
from rich.console import Console
from wump_worker import progress
from wump_worker.progress import showing_progress


def make_console(*, is_terminal: bool) -> tuple[Console, io.StringIO]:
    shown = io.StringIO()
    return Console(file=shown, force_terminal=is_terminal, width=160, highlight=False, soft_wrap=True), shown


def test_elsewhere_than_on_a_terminal_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    console, shown = make_console(is_terminal=False)
    with showing_progress(console) as advance:
        advance("reading", 0, None)
        advance("reading", 1_500_000, 3_000_000, "data/[x].csv, 7 rows", of_bytes=True)  # too soon
        monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
        advance("reading", 2_000_000, 3_000_000, "data/[x].csv, 9,000 rows", of_bytes=True)
        advance("saving", 1_000, 4_000)
        advance("deriving", 0, None)
    first, second, third, last = shown.getvalue().splitlines()
    assert (first, third, last) == ("wump: reading", "wump: saving: 1,000 of 4,000", "wump: deriving")
    assert re.fullmatch(r"wump: reading: 2\.0 MB of 3\.0 MB, data/\[x\]\.csv, 9,000 rows(, \d:\d\d:\d\d left)?", second)


def test_on_a_terminal_there_is_a_bar_of_the_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TERM", raising=False)
    console, shown = make_console(is_terminal=True)
    with showing_progress(console) as advance:
        advance("reading", 2_000_000, 3_000_000, "data/x.csv, 9,000 rows", of_bytes=True)
        advance("reading", 1_000_000, 3_000_000, "data/y.csv, 1 rows", of_bytes=True)
        advance("saving", 1_000, 4_000)
    assert "saving" in shown.getvalue()
    assert "1,000 of 4,000" in shown.getvalue()
    assert "data/x.csv" not in shown.getvalue().rpartition("saving")[2]
