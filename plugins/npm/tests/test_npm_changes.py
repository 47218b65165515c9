"""The feed of changes and the search, beyond what the kit's recordings show."""

import json

import pytest
from wump_core import InvalidResponse
from wump_provider_npm import changes, search
from wump_provider_npm.changes import NpmSettings


def feed(last: object, *names: object) -> bytes:
    return json.dumps({"results": [{"seq": 1, "id": name} for name in names], "last_seq": last}).encode()


def test_a_feed_that_began_anew_says_so() -> None:
    page = changes.parse_page(feed(12, "a", "b", "a"), "90000")
    assert (page.items, page.next_cursor, page.complete) == (("pkg:npm/a", "pkg:npm/b"), "12", False)
    assert page.diagnostics[0].field == "last_seq"


def test_a_sequence_may_be_a_text() -> None:
    assert changes.parse_page(feed("13-g1AAA", "a"), "12-g1AAA").next_cursor == "13-g1AAA"


@pytest.mark.parametrize("last", [None, True, "", "x" * 201, [], 1.5])
def test_a_sequence_that_is_none_is_refused(last: object) -> None:
    with pytest.raises(InvalidResponse, match="last_seq"):
        changes.parse_page(feed(last, "a"), "1")


def test_what_names_no_package_is_diagnosed() -> None:
    page = changes.parse_page(feed(2, "a", "_design/x", None, {}), "1")
    assert page.items == ("pkg:npm/a",)
    assert [item.field for item in page.diagnostics] == ["items.1", "items.2", "items.3"]


def test_the_feeds_host_may_be_asked() -> None:
    settings = NpmSettings(changes_url="https://changes.registry.example/feed/", hosts=("files.registry.example",))
    assert settings.changes_url == "https://changes.registry.example/feed"
    assert settings.hosts == ("files.registry.example", "https://changes.registry.example/feed/")
    assert NpmSettings().hosts == ()


@pytest.mark.parametrize("url", ["ftp://changes.registry.example", "https://me:secret@changes.registry.example"])
def test_a_feed_must_be_a_plain_address(url: str) -> None:
    with pytest.raises(ValueError, match="hosts"):
        NpmSettings(changes_url=url)


def found(count: int, total: object) -> bytes:
    return json.dumps({"objects": [{"package": {"name": f"p{n}"}} for n in range(count)], "total": total}).encode()


@pytest.mark.parametrize(
    ("seen", "count", "total", "cursor", "complete"),
    [
        (0, 250, 5_000, "250", True),
        (750, 250, 5_000, None, False),
        (750, 250, 1_000, None, True),
        (0, 3, 3, None, True),
        (250, 0, 5_000, None, True),
        (0, 20, None, "20", True),
        (0, 20, "many", "20", True),
    ],
)
def test_a_search_ends_where_the_registry_does(
    seen: int, count: int, total: object, cursor: str | None, complete: bool
) -> None:
    page = search.parse_page(found(count, total), seen)
    assert (len(page.items), page.next_cursor, page.complete) == (count, cursor, complete)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'{"objects":{}}', b"[" * 100_000])
def test_an_answer_that_is_no_search_is_invalid(content: bytes) -> None:
    with pytest.raises(InvalidResponse):
        search.parse_page(content, 0)
