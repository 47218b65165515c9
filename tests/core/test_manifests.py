"""What plugins that read manifests share: choosing a format, bounds, paths, records out of rows."""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from wump_core import (
    Diagnostic,
    Format,
    InvalidManifest,
    ManifestRecord,
    NoManifest,
    choose_format,
    decode_text,
    list_globs,
    make_manifest,
    manifests,
    parse_with,
    resolve_path,
)
from wump_core.manifests import choose_siblings, fits, is_ending
from wump_core.noise import mark_path
from wump_core.records import MAX_DIAGNOSTICS, MAX_NEEDS

ROW: dict[str, Any] = {"purl": "pkg:npm/a", "name": "a", "scope": "runtime", "line": 3, "field": "dependencies"}


def parse(path: str, content: bytes, siblings: Mapping[str, bytes]) -> ManifestRecord:
    """A parser that shows what it was given, and fails where it is asked to."""
    if content == b"deep":
        return parse(path, content, siblings)
    if content == b"huge":
        raise MemoryError
    return make_manifest(path, format="list", ecosystem="npm", kind="manifest", needs=siblings)


LIST = Format("list", ("*.list", "lists/*.txt"), "manifest", 10, "Names.", parse)
SCRIPT = Format("script", ("*.py",), "manifest", 100, "Scripts.", parse, marker=b"# ///")
FORMATS = (LIST, SCRIPT)


@pytest.mark.parametrize(
    ("glob", "path", "expected"),
    [
        ("package.json", "package.json", True),
        ("package.json", "a/b/package.json", True),
        ("package.json", "a/my-package.json", False),
        ("package.json", "package.json/a", False),
        ("package.json", "Package.json", False),
        ("requirements*.txt", "x/requirements-dev.txt", True),
        ("requirements*.txt", "requirements/dev.txt", False),
        ("requirements/*.txt", "a/requirements/dev.txt", True),
        ("requirements/*.txt", "requirements/a/dev.txt", False),
        (".github/workflows/*.yml", ".github/workflows/ci.yml", True),
        ("packages/**/package.json", "packages/package.json", True),
        ("packages/**/package.json", "packages/a/b/package.json", True),
        ("a/**/b/**/c*d*e", "a/x/b/b/y/cxdyde", True),
        ("a/**/b/**/c*d*e", "a/x/b/b/y/cxdydf", False),
        ("a/**/b", "a/b", True),
        ("a/**/b", "ab", False),
        ("a/**/b", "a/xb", False),
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("**/a", "a", True),
        ("**/**/a", "b/a", True),
        ("*a*b", "xaxbab", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("a+(b).txt", "a+(b).txt", True),
        ("a.txt", "a.txt\n", False),
    ],
)
def test_globs_fit_last_segments(glob: str, path: str, expected: bool) -> None:
    assert fits((glob,), path) is expected
    assert fits(("never", glob), path) is expected


def fits_slowly(glob: str, path: str) -> bool:
    """What a glob means, segment by segment."""
    if not glob or not path:
        return glob == path

    def match(parts: list[str], names: list[str]) -> bool:
        if not parts:
            return not names
        if parts[0] == "**":
            return any(match(parts[1:], names[at:]) for at in range(len(names))) if parts[1:] else bool(names)
        return bool(names) and fnmatchcase(names[0], parts[0]) and match(parts[1:], names[1:])

    return match(glob.split("/"), path.split("/"))


NAMES = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=5).map("/".join)
GLOBS = st.lists(st.one_of(st.just("**"), st.text("ab?*", min_size=1, max_size=4)), min_size=1, max_size=5)


@given(GLOBS.map("/".join), NAMES)
def test_globs_mean_what_they_say(glob: str, path: str) -> None:
    assume(not any("**" in part and part != "**" for part in glob.split("/")))
    assert (choose_siblings([glob], [path], most=1) == [path]) == fits_slowly(glob, path) or glob == path


@pytest.mark.parametrize("glob", ["**/a/" * 400 + "b", "*a" * 900 + "b", "*/" * 900 + "b", "**/*a*a/" * 200 + "b"])
def test_a_hostile_glob_takes_no_time(glob: str) -> None:
    assert choose_siblings([glob], ["a/" * 1_000 + "c", "a" * 3_000] * 10, most=9) == []


def test_siblings_are_named_or_found() -> None:
    tree = ["package.json", "packages/a/package.json", "packages/b/package.json", "packages/b/c/package.json"]
    needs = ["packages/*/package.json", "pnpm-workspace.yaml", "packages/b/package.json"]
    expected = ["pnpm-workspace.yaml", "packages/b/package.json", "packages/a/package.json"]
    assert choose_siblings(needs, tree, most=10) == expected
    assert choose_siblings(needs, iter(tree), most=2) == expected[:2]
    assert choose_siblings(["packages/**/package.json"], tree, most=10) == tree[1:]
    assert choose_siblings([], tree, most=10) == []


def test_no_glob_fits_nothing() -> None:
    assert not fits((), "")


def test_a_format_looks_at_the_end_of_a_path() -> None:
    format_ = Format("deep", ("a/*/c/d.x",), "manifest", 10, "Names.", parse)
    assert choose_format((format_,), "x/y/a/b/c/d.x") is format_
    assert choose_format((format_,), "b/c/d.x") is None
    other = replace(format_, globs=("d.*",))
    assert choose_format((format_, other), "x/y/a/b/c/d.x") is format_
    assert choose_format((format_, other), "b/c/d.x") is other
    for glob in ("**/x", "a/b/c/d/e.x"):
        with pytest.raises(ValueError, match="segments"):
            Format("deeper", (glob,), "manifest", 10, "Names.", parse)


def test_a_format_is_chosen_by_name_and_marker() -> None:
    assert choose_format(FORMATS, "a/lists/x.txt") is LIST
    assert choose_format(FORMATS, "x.txt") is None
    assert list_globs(FORMATS) == ("*.list", "lists/*.txt", "*.py")
    assert [is_ending(glob) for glob in list_globs(FORMATS)] == [True, False, True]
    assert parse_with(FORMATS, "a.py", b"# /// script", {}).path == "a.py"
    with pytest.raises(NoManifest, match="script"):
        parse_with(FORMATS, "a.py", b"print()", {})


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("x.txt", b"", r"no known format .*\*\.list"),
        ("x.list", b"12345678901", "larger than 10 bytes, the most that is read of a list"),
        ("x.list", b"deep", "nested too deeply"),
        ("x.list", b"huge", "more memory"),
        ("a\x00.list", b"", "its path"),
        ("\ud800.list", b"", "its path"),
        ("a/" * 1000 + "x.list", b"", "2,000 characters"),
    ],
)
def test_what_can_not_be_read_says_why(path: str, content: bytes, reason: str) -> None:
    with pytest.raises(InvalidManifest, match=reason):
        parse_with(FORMATS, path, content, {})


def test_siblings_have_the_bounds_of_their_format() -> None:
    siblings = {"b.list": b"x" * 10, "c.list": b"x" * 11, "d.py": b"x" * 100, "e.py": b"x" * 101, "f": b"x" * 11}
    assert parse_with(FORMATS, "x.list", b"", siblings).needs == ("b.list", "d.py")


@pytest.mark.parametrize(
    ("origin", "target", "expected"),
    [
        ("requirements.txt", "dev.txt", "dev.txt"),
        ("a/b/r.txt", "../c.txt", "a/c.txt"),
        ("a/r.txt", r"sub\c.txt", "a/sub/c.txt"),
        ("a/r.txt", "./c.txt ", "a/c.txt"),
        ("package.json", "packages/*/package.json", "packages/*/package.json"),
        ("a/r.txt", "../../c.txt", None),
        ("a/r.txt", "..", None),
        ("r.txt", ".", None),
        ("r.txt", "", None),
        ("r.txt", "/etc/passwd", None),
        ("r.txt", r"\\server\share", None),
        ("r.txt", r"C:\c.txt", None),
        ("r.txt", "https://host.example/c.txt", None),
        ("r.txt", "file:c.txt", None),
        ("r.txt", "${HOME}/c.txt", None),
        ("r.txt", "c\x00.txt", None),
        ("r.txt", "x" * 2001, None),
    ],
)
def test_a_named_file_lies_inside_the_tree(origin: str, target: str, expected: str | None) -> None:
    assert resolve_path(origin, target) == expected


@given(st.text("ab./\\*", max_size=20), st.text("ab./\\*:$", max_size=20))
def test_no_path_climbs_out(origin: str, target: str) -> None:
    path = resolve_path(origin.strip("/"), target)
    assert path is None or (not path.startswith("/") and ".." not in path.split("/") and path != ".")


@pytest.mark.parametrize("content", ["é".encode(), "\ufeffé".encode()])
def test_text_is_read_with_and_without_mark(content: bytes) -> None:
    assert decode_text(content) == "é"


def test_what_is_no_text_says_where() -> None:
    with pytest.raises(InvalidManifest, match="byte 3"):
        decode_text(b"abc\xff")


def test_rows_become_a_record() -> None:
    record = make_manifest("p", format="list", ecosystem="npm", kind="manifest", dependencies=[ROW, ROW | {"line": 4}])
    assert (record.status, record.diagnostics) == ("ok", ())
    assert [(item.name, item.line, item.source) for item in record.dependencies] == [
        ("a", 3, "registry"),
        ("a", 4, "registry"),
    ]


def test_a_bad_row_is_left_out_by_name_and_line() -> None:
    rows = [ROW, ROW | {"name": "x" * 300}, ROW | {"scope": "never", "line": 0, "field": "\x00"}, ROW | {"name": "z"}]
    record = make_manifest("p", format="list", ecosystem="npm", kind="manifest", dependencies=rows)
    assert [item.name for item in record.dependencies] == ["a", "z"]
    assert record.status == "partial"
    name, scope = record.diagnostics
    assert (name.field, name.line) == ("dependencies", 3)
    assert "name: must be a text of 1 to 214 characters" in name.message
    assert (scope.field, scope.line) == ("\\u0000", None)


def test_what_is_too_much_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_MANIFEST_DEPENDENCIES", 50)
    rows = [ROW] * 57
    needs = [f"{number}.txt" for number in range(MAX_NEEDS + 3)]
    record = make_manifest("p", format="list", ecosystem="npm", kind="manifest", dependencies=rows, needs=needs)
    assert (len(record.dependencies), len(record.needs)) == (50, MAX_NEEDS)
    assert [item.message[:9] for item in record.diagnostics] == ["7 more de", "3 more fi"]


def test_too_many_diagnostics_are_counted() -> None:
    found = [Diagnostic(message=str(number)) for number in range(MAX_DIAGNOSTICS + 2)]
    record = make_manifest("p", format="list", ecosystem="npm", kind="manifest", diagnostics=found)
    assert len(record.diagnostics) == MAX_DIAGNOSTICS
    assert record.diagnostics[-1].message == "3 more diagnostics were left out"


def test_reading_stops_after_too_many_bad_rows() -> None:
    rows = [ROW | {"name": ""}] * 150_000 + [ROW]
    record = make_manifest("p", format="list", ecosystem="npm", kind="manifest", dependencies=rows)
    assert record.dependencies == ()
    assert record.diagnostics[0].message == "after too many bad entries, 149,001 were not read"
    assert len(record.diagnostics) == MAX_DIAGNOSTICS


@pytest.mark.parametrize(
    ("path", "mark"),
    [
        ("package.json", None),
        ("docs", None),
        ("examples.json", None),
        ("src/app/package.json", None),
        ("tests/package.json", None),
        ("node_modules/a/package.json", "vendored"),
        ("src/Vendor/a/setup.py", "vendored"),
        ("examples/vendor/package.json", "vendored"),
        ("vendor/a/examples/package.json", "vendored"),
        ("examples/a/package.json", "example"),
        ("test/fixtures/package.json", "example"),
        ("docs/requirements.txt", "example"),
        ("src/test/resources/pom.xml", "example"),
    ],
)
def test_paths_are_marked(path: str, mark: str | None) -> None:
    assert mark_path(path) == mark
