"""What stands in place of a range: only a range, or an alias, is of a package in a registry."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wump_core import DependencyRecord, InvalidPurl, read_requirement


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("^1.2.3 || 2.x", ("x", None, "registry")),
        ("", ("x", None, "registry")),
        (None, ("x", None, "registry")),
        ("latest", ("x", None, "registry")),
        ("npm:real@^1.0.0", ("real", "x", "registry")),
        ("npm:@scope/real@^1.0.0", ("@scope/real", "x", "registry")),
        ("npm:@scope/real", ("@scope/real", "x", "registry")),
        ("npm:^1.0.0", ("x", None, "registry")),
        ("owner/name#main", ("x", None, "git")),
        ("github:owner/name", ("x", None, "git")),
        ("git+https://host.example/a/b.git", ("x", None, "git")),
        ("git@host.example:a/b.git", ("x", None, "git")),
        ("https://host.example/a.tgz", ("x", None, "url")),
        ("file:../x", ("x", None, "path")),
        ("../x", ("x", None, "path")),
        ("link:./x", ("x", None, "link")),
        ("workspace:^", ("x", None, "workspace")),
    ],
)
def test_what_npm_writes(written: str | None, expected: tuple[str, str | None, str]) -> None:
    found = read_requirement("npm", "x", written)
    assert (found["name"], found["alias"], found["source"]) == expected
    assert (found["purl"] is None) == (found["source"] != "registry")


def test_other_ecosystems_have_neither_aliases_nor_shorthands() -> None:
    assert read_requirement("cargo", "x", "a/b")["purl"] == "pkg:cargo/x"
    assert read_requirement("pypi", "X_y", "git+https://host.example/x")["purl"] is None
    assert read_requirement(None, "x", "^1") == {
        "purl": None,
        "name": "x",
        "alias": None,
        "requirement": "^1",
        "source": "registry",
    }


@given(st.sampled_from(("npm", "pypi", "cargo", "maven", None)), st.text(), st.one_of(st.none(), st.text()))
def test_whatever_is_written_gives_a_record_or_says_why_not(ecosystem: str | None, name: str, written: Any) -> None:
    try:
        found = read_requirement(ecosystem, name, written)
    except InvalidPurl:
        return
    if found["purl"] is not None:
        assert DependencyRecord(scope="runtime", **found).purl == found["purl"]
