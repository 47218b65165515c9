"""Requirement texts and markers."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.requirements import Requirement
from wump_core import make_dependencies, make_purl
from wump_provider_pypi.markers import parse_marker
from wump_provider_pypi.requirements import PLAIN, PLAIN_REFERENCE, Place, is_marker, make_dependency, parse_requirement


def read(text: str) -> tuple:
    dependency, _ = parse_requirement(text, Place(), lenient=True)
    assert dependency is not None
    [record], refused = make_dependencies([dependency])
    assert not refused
    return record.name, record.requirement, record.marker, record.scope, record.source


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("requests", ("requests", None, None, "runtime", "registry")),
        ("PySocks (!=1.5.7,>=1.5.6) ; extra == 'socks'",
         ("PySocks", "!=1.5.7,>=1.5.6", "extra == 'socks'", "optional", "registry")),
        ("a[x, y]>=2,  <3;python_version<'3'", ("a", ">=2,  <3", "python_version<'3'", "runtime", "registry")),
        ("a ()", ("a", None, None, "runtime", "registry")),
        ("a @ git+https://github.com/o/a@v1 ; os_name == 'nt'",
         ("a", "git+https://github.com/o/a@v1", "os_name == 'nt'", "runtime", "git")),
        ("a@https://github.com/o/a", ("a", "https://github.com/o/a", None, "runtime", "git")),
        ("a @ https://github.com/o/a/archive/x.zip",
         ("a", "https://github.com/o/a/archive/x.zip", None, "runtime", "url")),
        ("a @ https://me:secret@files.example/a.whl",
         ("a", "https://****@files.example/a.whl", None, "runtime", "url")),
        ("a @ file:///srv/a", ("a", "file:///srv/a", None, "runtime", "path")),
        ("a>=1\n    ; extra == 'x'", ("a", ">=1", "extra == 'x'", "optional", "registry")),
    ],
)  # fmt: skip
def test_text_is_kept_as_written(text: str, expected: tuple) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a>=1.0.*", ("a", ">=1.0.*", None, "runtime", "registry")),
        ("a>=1.0.*; extra == 'dev'", ("a", ">=1.0.*", "extra == 'dev'", "optional", "registry")),
        ("a>=1; extra == 'dev", ("a", ">=1", None, "unknown", "registry")),
        ("a[_odd_]>1", ("a", ">1", None, "runtime", "registry")),
        ("a ^1.2", ("a", "^1.2", None, "runtime", "registry")),
        ("a'>=1", ("a", "'>=1", None, "runtime", "registry")),
        ("a>1; python > '3'", ("a", ">1", None, "runtime", "registry")),
        ("a; '\\d' == os_name", ("a", None, None, "runtime", "registry")),
        ("a>1\x00", ("a", ">1\ufffd", None, "runtime", "registry")),
    ],
)
def test_the_leading_name_survives_what_is_invalid(text: str, expected: tuple) -> None:
    assert read(text) == expected
    assert parse_requirement(text, Place(), lenient=True)[1]


@pytest.mark.parametrize(
    "text", ["", "-a", "'a'", "a/b", "https://x.example/a", "a_>=1", "é", "a+b", "a" * 215, "a" * 5_000]
)
def test_without_a_name_there_is_only_a_problem(text: str) -> None:
    dependency, problem = parse_requirement(text, Place(), lenient=True)
    assert dependency is None
    assert problem


def test_long_requirements_are_bounded() -> None:
    dependency, problem = parse_requirement("a; " + "(" * 5_000, Place())
    assert dependency is not None
    assert (dependency["scope"], "requirement" in dependency) == ("unknown", False)
    assert problem is not None
    assert "4,000" in problem
    marker = " or ".join(f"os_name == '{number}'" for number in range(150))
    dependency, problem = parse_requirement(f"a; {marker}", Place())
    assert dependency is not None
    assert len(dependency["marker"]) == 2_000
    assert problem is not None
    assert "cut" in problem


@pytest.mark.parametrize(
    ("marker", "needs_extra", "extras"),
    [
        ("extra == 'a'", True, ("a",)),
        ("'A_b' == extra", True, ("a-b",)),
        ("extra != 'a'", False, ()),
        ("python_version < '3'", False, ()),
        ("extra == 'a' and os_name == 'nt'", True, ("a",)),
        ("extra == 'a' or os_name == 'nt'", False, ("a",)),
        ("os_name == 'nt' or extra == 'b' and extra == 'a'", False, ("a", "b")),
        ("(os_name == 'nt' or extra == 'b') and extra == 'a'", True, ("a", "b")),
        ("os_name == 'nt' and (extra == 'b' or (extra == 'a'))", True, ("a", "b")),
        ("os_name == 'extra and or ('", False, ()),
    ],
)
def test_a_marker_tells_which_extras_it_demands(marker: str, needs_extra: bool, extras: tuple) -> None:
    assert Marker(marker)  # only valid markers are asked about
    assert parse_marker(marker) == (needs_extra, extras)


atoms = st.sampled_from(["extra == 'a'", "extra != 'a'", "extra == 'b'", "os_name == 'p'", "sys_platform == 'p'"])
expressions = st.recursive(
    atoms, lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({' '.join(t)})")
)


@given(left=expressions, operator=st.sampled_from(["and", "or"]), right=expressions)
@settings(deadline=None)
def test_without_extras_packaging_agrees_in_some_environment(left: str, operator: str, right: str) -> None:
    """Each environment variable stands for its comparisons, so that trying both values is exhaustive."""
    marker = f"{left} {operator} {right}"
    environments = itertools.product(("p", "q"), repeat=2)
    possible = any(
        Marker(marker).evaluate({"extra": "", "os_name": one, "sys_platform": two}) for one, two in environments
    )
    assert parse_marker(marker).needs_extra is not possible


@given(st.text(max_size=60) | st.text(alphabet="ab1-_.[](){}<>=!~;,@ '\"\\#and orextra:/\n\x00", max_size=60))
@settings(deadline=None, max_examples=400)
def test_reading_never_raises_and_never_loses_a_valid_requirement(text: str) -> None:
    dependency, problem = parse_requirement(text, Place(), lenient=True)
    assert dependency is not None or problem
    try:
        expected = Requirement(text)
    except (ValueError, RecursionError, SyntaxWarning, DeprecationWarning):
        return
    if dependency is None:
        assert expected.name.endswith(("_", "-", "."))  # names that the naming rules forbid
    else:
        assert dependency["name"] == expected.name


@given(st.from_regex(PLAIN, fullmatch=True, alphabet=st.characters(max_codepoint=126)))
@settings(deadline=None, max_examples=120)
def test_what_is_plain_is_what_packaging_reads(text: str) -> None:
    plain = PLAIN.fullmatch(text)
    assert plain is not None
    if plain["marker"] and not is_marker(plain["marker"]):
        return
    expected = Requirement(text)
    assert (expected.name, bool(expected.marker)) == (plain["name"], bool(plain["marker"]))
    written = sorted(str(specifier) for specifier in Requirement(f"a {plain['requirement'] or ''}").specifier)
    assert sorted(str(specifier) for specifier in expected.specifier) == written


@given(st.from_regex(PLAIN_REFERENCE, fullmatch=True), st.sampled_from(["", " ; os_name == 'a'"]))
@settings(deadline=None, max_examples=60)
def test_a_plain_reference_is_what_packaging_reads(text: str, marker: str) -> None:
    plain = PLAIN_REFERENCE.fullmatch(text.partition(";")[0].rstrip() + marker)
    assert plain is not None
    expected = Requirement(plain.group())
    assert (expected.name, expected.url, bool(expected.marker)) == (plain["name"], plain["url"], bool(plain["marker"]))


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,12}[A-Za-z0-9])?", fullmatch=True))
def test_purls_are_those_of_the_core(name: str) -> None:
    dependency, _ = make_dependency(name, Place())
    assert dependency is not None
    assert dependency["purl"] == str(make_purl("pypi", name))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["os_name", "extra", "python_version", "bad_name"]),
            st.sampled_from(["==", "<", ">=", "!=", "in", "~="]),
            st.sampled_from(["'a'", '"3.8"', "''", "'b", "c"]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from([" and ", " or ", " and(", " "]),
)
def test_a_marker_is_valid_where_packaging_says_so(comparisons: list, joint: str) -> None:
    text = joint.join(" ".join(parts) for parts in comparisons)
    try:
        Marker(text)
    except ValueError:
        assert not is_marker(text)
    else:
        assert is_marker(text)


@pytest.mark.parametrize(
    "text", ["some words here", "a=1", "a>>1", "a=>1", "in=vali===d{}", "a==", "a 1.0", "==1.0", "-foo==1", "pkg_==1"]
)
def test_a_line_of_a_repository_that_is_no_requirement_is_left_out(text: str) -> None:
    dependency, problem = parse_requirement(text, Place())
    assert (dependency, bool(problem)) == (None, True)


@pytest.mark.parametrize(
    ("text", "requirement"),
    [("a==dev", "==dev"), ("a>=1.0.*", ">=1.0.*"), ("a # why", None), ("a>1 # why", ">1"), ("a ^1.2", "^1.2")],
)
def test_a_requirement_that_only_some_tools_take_is_kept_and_told(text: str, requirement: str | None) -> None:
    dependency, problem = parse_requirement(text, Place())
    assert dependency is not None
    assert (dependency.get("requirement"), bool(problem)) == (requirement, True)
