"""Records refuse what must not get in, and name the field."""

from typing import Any

import pytest
from pydantic import ValidationError
from wump_core import DependencyRecord, FundingLink, PackageRecord, RepositoryClaim

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
        ("purl", "pkg:cargo/a"),
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
