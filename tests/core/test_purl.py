"""Package URLs: canonical names per ecosystem, and clear words about what is wrong."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL
from wump_core import InvalidPurl, Purl, make_purl, make_purl_text, parse_purl

NPM_PART = st.text("abcXYZ019-_.!~*'()", min_size=1, max_size=20)
NPM_NAMES = st.one_of(NPM_PART.filter(lambda name: name[0] not in "._"), st.builds("@{}/{}".format, NPM_PART, NPM_PART))
MAVEN_NAMES = st.from_regex(
    r"[A-Za-z0-9_-]{1,5}(\.[A-Za-z0-9_-]{1,5}){0,3}/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,9}", fullmatch=True
)
PYPI_NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,30}[A-Za-z0-9])?", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("pkg:npm/express", "pkg:npm/express"),
        ("pkg:npm/express@4.18.2", "pkg:npm/express"),
        ("pkg:NPM/express", "pkg:npm/express"),
        ("pkg:npm/JSONStream", "pkg:npm/JSONStream"),
        ("pkg:npm/%40babel/core@7.0.0", "pkg:npm/%40babel/core"),
        ("pkg:npm/@babel/core@7.0.0", "pkg:npm/%40babel/core"),
        ("pkg:npm/@babel%2Fcore", "pkg:npm/%40babel/core"),
        ("npm:@babel/core", "pkg:npm/%40babel/core"),
        ("npm:@babel%2Fcore@7", "pkg:npm/%40babel/core"),
        ("npm:express@4", "pkg:npm/express"),
        ("npm:-", "pkg:npm/-"),
        ("npm:2112", "pkg:npm/2112"),
        ("pkg:pypi/Zope.Interface", "pkg:pypi/zope-interface"),
        ("pypi:ruamel_yaml--clib", "pkg:pypi/ruamel-yaml-clib"),
        ("  npm:express ", "pkg:npm/express"),
        ("pkg:cargo/Inflector@0.11.4", "pkg:cargo/Inflector"),
        ("cargo:serde_json", "pkg:cargo/serde_json"),
        ("pkg:maven/org.Example_a/Some.thing-b_2.13@1.0", "pkg:maven/org.Example_a/Some.thing-b_2.13"),
        ("maven:org.example:thing@1.0", "pkg:maven/org.example/thing"),
        ("maven:org.example/thing", "pkg:maven/org.example/thing"),
        ("maven:junit:junit", "pkg:maven/junit/junit"),
        ("pkg:githubactions/Swatinem/rust-cache@v2", "pkg:githubactions/swatinem/rust-cache"),
        ("pkg:githubactions/Actions/Checkout@v4", "pkg:githubactions/actions/checkout"),
    ],
)
def test_what_is_written_becomes_canonical(text: str, canonical: str) -> None:
    assert str(parse_purl(text)) == canonical


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("express", "npm:express"),
        ("", "ecosystem"),
        ("pkg:npm", "names no package"),
        ("pkg:npm/", "package"),
        ("npm:", "1 to 214"),
        ("npm:" + "a" * 215, "1 to 214"),
        ("pkg:npm/" + "a" * 1000, "at most 1000"),
        ("gem:rails", "unknown ecosystem 'gem'"),
        ("pkg:gem/rails", "unknown ecosystem 'gem'"),
        ("cargo:9lives", "crate's name"),
        ("cargo:" + "a" * 65, "crate's name"),
        ("pkg:cargo/a/b", "crate's name"),
        ("maven:junit", "group:artifact"),
        ("maven:org..example:thing", "group:artifact"),
        ("maven:../x:thing", "group:artifact"),
        ("maven:org.example:..", "group:artifact"),
        ("maven:org/example:thing", "group:artifact"),
        ("maven:org.example:thing:1.0", "group:artifact"),
        ("maven:org.example:${thing}", "group:artifact"),
        ("npm:.hidden", "npm package name"),
        ("npm:a b", "npm package name"),
        ("npm:a/b", "npm package name"),
        ("npm:a\x00b", "npm package name"),
        ("pkg:npm/%00", "npm package name"),
        ("npm:../../etc/passwd", "npm package name"),
        ("githubactions:checkout", "owner/repository"),
        ("githubactions:actions/..", "owner/repository"),
        ("githubactions:actions/checkout/init", "owner/repository"),
        ("pypi:-requests", "Python package name"),
        ("pypi:requests[extra]", "Python package name"),
        ("pypi:ré", "Python package name"),
        ("pkg:githubactions/actions", "owner/repository"),
        ("pkg:githubactions/github/codeql-action/init", "owner/repository"),
        ("pkg:npm/express?repository_url=x", "qualifiers"),
        ("pkg:npm/express#sub", "subpath"),
    ],
)
def test_what_is_wrong_is_named(text: str, word: str) -> None:
    with pytest.raises(InvalidPurl, match=word.replace("(", r"\(")):
        parse_purl(text)


@given(
    st.one_of(
        st.tuples(st.just("npm"), NPM_NAMES),
        st.tuples(st.just("pypi"), PYPI_NAMES),
        st.tuples(st.just("maven"), MAVEN_NAMES),
    )
)
def test_canonical_text_reads_back_as_itself(name: tuple[str, str]) -> None:
    purl = make_purl(*name)
    assert parse_purl(str(purl)) == purl
    assert make_purl(purl.ecosystem, purl.name) == purl
    assert parse_purl(f"{purl.ecosystem}:{purl.name}") == purl


@given(st.text(max_size=200))
def test_nothing_but_invalid_purl_is_raised(text: str) -> None:
    with contextlib.suppress(InvalidPurl):
        assert isinstance(parse_purl(text), Purl)


def attempt(make: Callable[[str, str], Any], ecosystem: str, name: str) -> str:
    """The text of what is made, or of the refusal."""
    try:
        return str(make(ecosystem, name))
    except InvalidPurl as error:
        return f"refused: {error}"


@given(
    st.sampled_from(["npm", "pypi", "maven", "githubactions", "cargo"]), st.text("abcXYZ019-_.!~*'()@/% é", max_size=30)
)
def test_the_fast_way_writes_what_the_slow_way_does(ecosystem: str, name: str) -> None:
    assert attempt(make_purl_text, ecosystem, name) == attempt(make_purl, ecosystem, name)


@given(NPM_NAMES)
def test_names_are_quoted_as_packageurl_quotes_them(name: str) -> None:
    namespace, _, last = name.rpartition("/")
    neutral = PackageURL(type="generic", namespace=namespace or None, name=last).to_string()
    assert str(make_purl("npm", name)) == neutral.replace("generic", "npm", 1)
