"""The change log, beyond what the kit's recordings show."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wump_core import InvalidResponse
from wump_provider_pypi import changes

RECORDED = next(
    (folder for parent in Path(__file__).parents if (folder := parent / "shared" / "payloads" / "pypi").is_dir()),
    Path("nowhere"),
)


def row(name: object, serial: object) -> list[object]:
    return [name, "1.0", 1_725_534_675, "new release", serial]


def test_a_page_holds_no_more_projects_than_it_may() -> None:
    rows = [row(f"p{number // 2}", number) for number in range(30_000)]
    first = changes.parse_rows(rows, 0)
    # Rows of the last project that still fits are read; the next call goes on behind them.
    assert (len(first.items), first.next_cursor) == (10_000, "19999")
    assert len(changes.parse_rows(rows[20_000:], 19_999).items) == 5_000


@pytest.mark.parametrize(
    "rows", [None, {}, [1], [["a", "1", 1, "x"]], [row("a", None)], [row("a", True)], [row("a", -1)], [row("a", 5)]]
)
def test_what_is_no_change_log_is_invalid(rows: object) -> None:
    with pytest.raises(InvalidResponse):
        changes.parse_rows(rows, 5)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html></html>",
        b"<methodResponse></methodResponse>",
        b"<params><param><value><int>x</int></value></param></params>",
        b'<!DOCTYPE a [<!ENTITY a "aaaa">]><params><param><value>&a;</value></param></params>',
        b"<params>" + b"<value><array><data>" * 100_000,
    ],
)
def test_what_is_no_answer_is_invalid(content: bytes) -> None:
    with pytest.raises(InvalidResponse):
        changes._parse_answer(content)


def test_recorded_rows() -> None:
    path = RECORDED / "xmlrpc-changelog-entries.json"
    if not path.exists():
        pytest.skip("the recorded answers aren't here")
    page = changes.parse_rows(json.loads(path.read_text()), 1)
    assert page.items == ("pkg:pypi/py-pcapplusplus", "pkg:pypi/openllm")
    assert page.diagnostics == ()


@given(st.lists(st.tuples(st.sampled_from(["a", "B_b", "b-b", "é", ""]), st.integers(6, 99)), min_size=1))
@settings(deadline=None)
def test_each_project_is_named_once_and_the_serial_is_the_highest(given_rows: list[tuple[str, int]]) -> None:
    page = changes.parse_rows([row(name, serial) for name, serial in given_rows], 5)
    assert len(set(page.items)) == len(page.items)
    assert page.next_cursor == str(max(serial for _, serial in given_rows))
