"""Pipfile and Pipfile.lock, alone and beside each other."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

PIPFILE = """\
[[source]]
url = "https://registry.example/simple"

[packages]
alpha = ">=1"
"Dotted.Name" = {version = "*", extras = ["x"], os_name = "== 'nt'", markers = "python_version > '3'"}
forked = {git = "https://github.com/me/forked.git", ref = "v1"}
local = {path = ".", editable = true}

[dev-packages]
tester = "*"

[docs]
writer = "==4"

[requires]
python_version = "3.12"
"""
PIPFILE_LOCK = {
    "_meta": {"hash": {"sha256": "0"}, "sources": [{"name": "x", "url": "https://registry.example/simple"}]},
    "default": {
        "alpha": {"hashes": ["sha256:0"], "index": "x", "version": "==1.5"},
        "beta": {"markers": "os_name == 'nt'", "version": "==2.1"},
        "forked": {"git": "https://github.com/me/forked.git", "ref": "0123"},
        "wheel-of-ours": {"file": "https://files.example/w-1-py3-none-any.whl"},
    },
    "develop": {"tester": {"index": "x", "version": "==8"}, "beta": {"version": "==2.1"}},
    "docs": {"writer": {"version": "==4"}},
}


def test_pipfile(parse: Any, row: Any) -> None:
    record = parse("Pipfile", PIPFILE)
    assert [row(d) for d in record.dependencies] == [
        ("alpha", ">=1", None, "runtime", True, (), 5),
        ("Dotted.Name", "*", None, "runtime", True, (), 6),
        ("forked", "https://github.com/me/forked.git@v1", None, "runtime", True, (), 7),
        ("local", ".", None, "runtime", True, (), 8),
        ("tester", "*", None, "development", True, (), 11),
        ("writer", "==4", None, "development", True, ("docs",), 14),
    ]
    assert record.dependencies[1].marker == "(python_version > '3') and os_name == 'nt'"
    assert record.dependencies[1].purl == "pkg:pypi/dotted-name"
    assert [d.source for d in record.dependencies[2:4]] == ["git", "path"]


def test_extras_may_stand_in_the_key_of_a_pipfile(parse: Any) -> None:
    record = parse("Pipfile", '[packages]\n"alpha[x][y]" = "==1"\n"[x]" = "*"\n')
    assert [(d.name, d.requirement, d.line) for d in record.dependencies] == [("alpha", "==1", 2)]
    assert [d.line for d in record.diagnostics] == [3]


def test_pipfile_lock_alone_and_beside_its_manifest(parse: Any, row: Any, assert_lines: Any) -> None:
    text = json.dumps(PIPFILE_LOCK, indent=4)
    alone = parse("Pipfile.lock", text)
    assert [row(d) for d in alone.dependencies] == [
        ("alpha", "==1.5", "1.5", "runtime", True, (), 14),
        ("beta", "==2.1", "2.1", "runtime", False, (), 21),
        ("forked", "https://github.com/me/forked.git@0123", None, "runtime", True, (), 25),
        ("wheel-of-ours", "https://files.example/w-1-py3-none-any.whl", None, "runtime", True, (), 29),
        ("tester", "==8", "8", "development", True, (), 34),
        ("beta", "==2.1", "2.1", "development", False, (), 38),
        ("writer", "==4", "4", "development", True, ("docs",), 43),
    ]
    beside = parse("Pipfile.lock", text, Pipfile=PIPFILE)
    assert [(d.name, d.requirement, d.direct) for d in beside.dependencies if d.source == "registry"] == [
        ("alpha", ">=1", True),
        ("beta", "==2.1", False),
        ("tester", "*", True),
        ("beta", "==2.1", False),
        ("writer", "==4", True),
    ]
    assert (beside.status, beside.needs) == ("ok", ("Pipfile",))
    assert_lines(beside, text)


def test_a_pipfile_lock_that_stands_neither_one_key_to_a_line_nor_on_one_has_no_lines(parse: Any) -> None:
    text = json.dumps(PIPFILE_LOCK)
    assert {d.line for d in parse("Pipfile.lock", text).dependencies} == {1}
    assert {d.line for d in parse("Pipfile.lock", f"\n{text}{' ' * 1_000}").dependencies} == {None}


package_names = st.sampled_from(["six", "flask", "a", "hash", "version"])
packages = st.dictionaries(
    package_names,
    st.sampled_from(["==1", "*", '": {', "a\nb", '"six": {', '"flask":']).map(lambda text: {"version": text}),
)


@given(
    st.dictionaries(st.sampled_from(["_meta", "default", "develop", "Docs", "docs"]), packages),
    st.booleans(),
    st.integers(0, 60),
)
@settings(deadline=None)
def test_a_line_of_a_pipfile_lock_is_that_of_the_key(
    parse: Any, document: dict[str, dict[str, dict[str, str]]], ordered: bool, padding: int
) -> None:
    document["default"] = document.get("default", {}) | {
        f"pad{number}": {"version": "==1"} for number in range(padding)
    }
    text = json.dumps(document, indent=4, sort_keys=ordered)
    lines, right, category = text.split("\n"), set(), ""
    for number, line in enumerate(lines, 1):
        category = line.strip(' ":{}[],') if line.startswith('    "') else category
        if line.startswith('        "'):
            right.add((category, line.strip(' ":{}'), number))
    found = {(d.field, d.name, d.line) for d in parse("Pipfile.lock", text).dependencies}
    assert {entry for entry in found if entry[2]} <= right
    if ordered and all(document.values()) and "\\" not in text:  # as Pipenv writes them
        assert all(entry[2] for entry in found)
