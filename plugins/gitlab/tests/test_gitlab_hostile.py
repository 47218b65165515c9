"""Answers that are none: whatever the JSON, a parser gives a record or a ValueError, and so wump an InvalidResponse."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wump_provider_gitlab import parse

PROJECT = {
    "id": 1,
    "path_with_namespace": "acme/widget",
    "namespace": {"id": 2, "kind": "group", "full_path": "acme"},
    "owner": {"id": 3},
    "license": {"key": "mit"},
    "forked_from_project": {"path_with_namespace": "acme/origin"},
    "visibility": "public",
    "description": "",
    "topics": ["cli"],
    "star_count": 4,
    "forks_count": 5,
    "archived": False,
    "mirror": None,
    "empty_repo": False,
    "default_branch": "main",
    "created_at": "2020-01-01T00:00:00.000Z",
}
GROUP = {"id": 1, "full_path": "acme", "name": "Acme", "description": "", "created_at": "2020-01-01T00:00:00.000Z"}
PERSON = {"id": 1, "username": "someone", "name": "", "bio": "", "website_url": "", "location": None, "followers": 2}
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
VALUES = PLAIN | st.lists(PLAIN, max_size=2) | st.dictionaries(st.text(max_size=3), PLAIN, max_size=2)


def spoil(document: dict[str, Any], keys: list[str], value: Any) -> Any:
    """The document with another value there, or in place of all of it."""
    if not keys:
        return value
    spoiled = copy.deepcopy(document)
    part = spoiled
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    return spoiled


def list_places(document: dict[str, Any]) -> list[list[str]]:
    return [[key] for key in document] + [
        [key, inner] for key, part in document.items() if isinstance(part, dict) for inner in part
    ]


@pytest.mark.parametrize(
    ("read", "document", "keys"),
    [
        (read, document, keys)
        for read, document in (
            (parse.parse_project, PROJECT),
            (parse.parse_group, GROUP),
            (parse.parse_user, PERSON),
        )
        for keys in [[], *list_places(document)]
    ],
)
@pytest.mark.parametrize("value", [None, True, 7, -1.5, 10**400, "", "\ud800", "x" * 3_000, [], [7], {}, {"x": []}])
def test_a_parser_raises_only_value_errors(
    read: Callable[..., Any], document: dict[str, Any], keys: list[str], value: Any
) -> None:
    try:
        record = read(spoil(document, keys, value), "gitlab.com")
    except ValueError:
        return
    assert record.host == "gitlab.com"


@given(moment=VALUES, languages=VALUES, name=st.text(max_size=5))
def test_filters_and_languages_never_raise(moment: Any, languages: Any, name: str) -> None:
    assert not parse.is_active_after({"last_activity_at": moment}, datetime.max.replace(tzinfo=UTC))
    assert parse.has_language(languages, name) in (True, False)
    assert parse.parse_project(PROJECT, "gitlab.com", languages).stars == 4


@pytest.mark.parametrize(
    ("written", "website"),
    [
        ("https://someone.example", "https://someone.example"),
        (" http://social.example:8443/@someone?a=[b]#c ", "http://social.example:8443/@someone?a=[b]#c"),
        ("someone.example", "https://someone.example"),
        ("https://[", None),
        ("https://me:secret@someone.example", None),
        ("https://some one.example", None),
        ("javascript:alert(1)//https://x.example", None),
        ("https://someone.example/\u200b", None),
        (7, None),
    ],
)
def test_a_website_that_is_none_costs_only_itself(written: Any, website: str | None) -> None:
    record = parse.parse_user(PERSON | {"website_url": written}, "gitlab.com")
    assert (record.login, record.website) == ("someone", website)
