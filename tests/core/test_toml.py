"""TOML of strangers: read, or refused with a reason, within bounds of memory."""

import pytest
from wump_core import InvalidManifest, load_toml


def test_a_document() -> None:
    assert load_toml('a.b = [{c = 1}]\n[[d]]\ne = "x.y"') == {"a": {"b": [{"c": 1}]}, "d": [{"e": "x.y"}]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a", "no valid TOML"),
        ("a = 1\na = 2", "no valid TOML"),
        ("a = " + "[" * 20_000, "no valid TOML"),
        ("a" + ".a" * 60_000 + " = 1", "more than 50,000 dots"),
        ("a = [" + "1," * 700_000 + "]", "memory"),
        ("\n" * 3_000_000, "memory"),
    ],
)
def test_what_is_none_or_too_much_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidManifest, match=reason):
        load_toml(text)


def test_dots_in_texts_are_not_counted() -> None:
    assert load_toml('a = "' + "." * 60_000 + '"')
