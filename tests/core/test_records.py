"""Records refuse what must not get in, and name the field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from wump_core import DependencyRecord, FundingLink, InvalidPurl, PackageRecord, RepositoryClaim, make_purl, parse_purl

DEPENDENCY: dict[str, Any] = {"purl": "pkg:npm/b", "name": "b", "scope": "runtime"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("description", "a\x00b"),
        ("description", "\ud800"),
        ("description", "x" * 2001),
        ("homepage", "javascript:alert(1)"),
        ("homepage", "https://"),
        ("homepage", "https://user:secret@host.example/"),
        ("homepage", "https://host.example/a b"),
        ("purl", "pkg:npm/a@1.0"),
        ("purl", "a"),
        ("purl", "pkg:gem/a"),
        ("dependencies", [DEPENDENCY | {"scope": "sometimes"}]),
        ("dependencies", [DEPENDENCY | {"line": 0}]),
        ("dependencies", [DEPENDENCY | {"line": 2**31}]),
        ("dependencies", [DEPENDENCY | {"requirement": "x" * 2001}]),
        ("dependencies", [DEPENDENCY | {"unknown": 1}]),
        ("dependencies", [DEPENDENCY] * 20_001),
        ("surprise", 1),
    ],
)
def test_a_bad_value_is_refused_by_name_and_not_repeated(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        PackageRecord.model_validate({"purl": "pkg:npm/a"} | {field: value})
    assert field in str(caught.value)
    assert "secret" not in str(caught.value)


def test_records_are_frozen() -> None:
    record = PackageRecord(purl="pkg:npm/a")
    with pytest.raises(ValidationError):
        record.description = "changed"  # ty: ignore[invalid-assignment]


def test_unknown_is_not_none() -> None:
    record = PackageRecord(purl="pkg:npm/a")
    assert (record.dependencies, record.funding, record.deprecated) == (None, None, None)
    assert PackageRecord(purl="pkg:npm/a", dependencies=(), funding=()).dependencies == ()


def test_good_values_pass() -> None:
    assert DependencyRecord.model_validate(DEPENDENCY).source == "registry"
    assert FundingLink(url="https://opencollective.com/x").type is None
    assert RepositoryClaim(host="github.com", path="o/n", owner="o").verified is False


def accepts(**fields: Any) -> bool:
    """Whether a dependency may have these fields."""
    try:
        DependencyRecord.model_validate(DEPENDENCY | fields)
    except ValidationError as error:
        return {item["loc"] for item in error.errors()} != {(name,) for name in fields}
    return True


def is_storable(text: str) -> bool:
    """What Postgres and readers take: no half surrogate pair, no control character but tab and line ends."""
    return all(
        character in "\t\n\r" or (ord(character) >= 32 and not 0xD800 <= ord(character) < 0xE000) for character in text
    )


ODD_TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("\x00\x1f\x7f\x85\u2028\ud800\udfff\t\n\r\U0010ffff")))


@given(ODD_TEXTS)
def test_texts_are_what_postgres_can_store(text: str) -> None:
    assert accepts(requirement=text) == is_storable(text)
    assert accepts(name=text) == (is_storable(text) and text != "")


@pytest.mark.parametrize(("field", "most"), [("name", 214), ("resolved_version", 255), ("requirement", 2_000)])
@pytest.mark.parametrize("character", ["x", "é", "\U0001f600"])
def test_texts_are_counted_in_characters(field: str, most: int, character: str) -> None:
    assert accepts(**{field: character * most})
    assert not accepts(**{field: character * (most + 1)})


def is_canonical(text: str) -> bool:
    """The law: a purl is canonical if reading and writing it changes nothing."""
    try:
        return len(text) <= 1_000 and str(parse_purl(text)) == text
    except InvalidPurl:
        return False


PURL_TEXTS = st.one_of(
    st.from_regex(r"pkg:(npm|pypi)/(%40|@)?[a-zA-Z0-9._~!*'()%/-]{1,12}(/[a-zA-Z0-9._~%-]{1,8})?", fullmatch=True),
    st.from_regex(r"pkg:npm/(%40[a-z.]{1,90}/)?[a-z.]{1,215}", fullmatch=True),
    st.from_regex(r"pkg:pypi/[a-z0-9-]{1,215}", fullmatch=True),
    st.text(max_size=30).map("pkg:npm/".__add__),
)


@given(PURL_TEXTS)
def test_purls_are_canonical(text: str) -> None:
    assert accepts(purl=text) == is_canonical(text)


@given(st.sampled_from(["npm", "pypi"]), st.text("abcXYZ019-_.!~*'()@/%", min_size=1, max_size=30))
def test_a_made_purl_is_accepted(ecosystem: str, name: str) -> None:
    try:
        text = str(make_purl(ecosystem, name))
    except InvalidPurl:
        return
    assert accepts(purl=text)


def test_a_refused_purl_says_what_to_do() -> None:
    with pytest.raises(ValidationError, match="make_purl") as caught:
        PackageRecord(purl="pkg:npm/@a/b")
    assert caught.value.error_count() == 1
