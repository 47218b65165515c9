"""Answers in which one value is something else than documented: every place, many values, no surprise."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from wump_core import ProviderError
from wump_provider_github.dependents import parse_found_files
from wump_provider_github.files import check_file, decode_content
from wump_provider_github.graphql import read_answer
from wump_provider_github.organizations import add_sponsoring, parse_account
from wump_provider_github.repositories import parse_repository
from wump_provider_github.sboms import Place, parse_sbom
from wump_provider_github.search import Walk, parse_page
from wump_provider_github.sponsorships import parse_sponsorships
from wump_provider_github.status import parse_limits
from wump_provider_github.trees import parse_tree
from wump_provider_github.upstream import check_status, read_list

JUNK = [
    None,
    True,
    0,
    -1,
    2**70,
    1e99,
    "",
    "x",
    "\x00",
    "\ud800",
    "http://[",
    "y" * 5_000,
    [],
    [None],
    [[]],
    {},
    {"a": []},
]
REPOSITORY = {
    "id": 1,
    "full_name": "a/b",
    "owner": {"login": "a", "id": 2, "type": "User"},
    "private": False,
    "visibility": "public",
    "homepage": "x.example",
    "license": {"spdx_id": "MIT"},
    "topics": ["t"],
    "stargazers_count": 5,
    "size": 3,
    "parent": {"full_name": "c/d"},
    "mirror_url": None,
    "created_at": "2020-01-01T00:00:00Z",
}
PACKAGE = {
    "SPDXID": "1",
    "name": "n",
    "versionInfo": "1",
    "externalRefs": [{"referenceType": "purl", "referenceLocator": "pkg:npm/n@1"}],
}
RELATION = {"spdxElementId": "0", "relatedSpdxElement": "1", "relationshipType": "DESCRIBES"}
PROFILE = {"login": "a", "id": 1, "type": "User", "name": "A", "blog": "x.example", "is_verified": True}
ACCOUNT = {"login": "a", "__typename": "User", "hasSponsorsListing": True, "sponsors": {"totalCount": 1}}
FUNDING = {"fundingLinks": [{"platform": "GITHUB", "url": "https://github.com/a"}]}
NODE = {"sponsorEntity": {"login": "b", "url": "https://github.com/b"}, "createdAt": "2020-01-01T00:00:00Z"}
CONNECTION = {"totalCount": 1, "pageInfo": {"hasNextPage": True, "endCursor": "x"}, "nodes": [NODE]}


def answer(body: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, content=json.dumps(body).encode("utf-8", "surrogatepass"))


def search(payload: Any) -> Any:
    return parse_page("github.com", payload, Walk())


def sponsoring(payload: Any) -> Any:
    return add_sponsoring(parse_account("github.com", PROFILE), read_answer(answer(payload)))


def sponsorships(payload: Any) -> Any:
    return parse_sponsorships("github.com", "a", "received", "", read_answer(answer(payload)))


PARSERS: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "repository": (REPOSITORY, lambda payload: parse_repository("github.com", payload)),
    "search": ({"total_count": 3_000, "incomplete_results": False, "items": [REPOSITORY]}, search),
    "code search": (
        {"total_count": 1, "items": [{"path": "p", "url": "https://x.example/?ref=c", "repository": REPOSITORY}]},
        lambda payload: parse_found_files("github.com", payload, 0, 1, 1),
    ),
    "tree": (
        {"sha": "s", "tree": [{"path": "p", "sha": "b", "size": 1, "mode": "100644", "type": "blob"}]},
        lambda payload: parse_tree(payload.get("sha"), read_list(payload, "tree")),
    ),
    "file": (
        {"type": "file", "encoding": "base64", "content": "YQ==", "size": 1, "sha": "s"},
        lambda payload: decode_content(check_file(payload)),
    ),
    "sbom": (
        {"sbom": {"packages": [PACKAGE], "relationships": [RELATION], "documentDescribes": ["0"]}},
        lambda payload: parse_sbom(payload, Place()),
    ),
    "account": (PROFILE, lambda payload: parse_account("github.com", payload)),
    "sponsoring": (
        {
            "data": {"organization": None, "user": ACCOUNT, "repository": FUNDING},
            "errors": [{"type": "NOT_FOUND", "path": ["organization"], "message": "m", "extensions": {"code": "c"}}],
        },
        sponsoring,
    ),
    "sponsorships": ({"data": {"user": {"login": "a", "sponsorshipsAsMaintainer": CONNECTION}}}, sponsorships),
    "limits": ({"resources": {"core": {"limit": 1, "remaining": 1, "reset": 1}}, "rate": {}}, parse_limits),
    "refusal": (
        {"message": "m", "errors": [{"message": "m", "code": "c"}], "block": {"reason": "tos", "created_at": "2020"}},
        lambda payload: check_status(answer(payload, 403)),
    ),
}


def list_places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside a document."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*place, key)
        yield from list_places(child, (*place, key))


def put(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at that place."""
    changed = copy.deepcopy(document)
    target = changed
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    return changed


@pytest.mark.parametrize("name", PARSERS)
def test_any_value_anywhere_is_read_or_refused(name):
    document, parse = PARSERS[name]
    if name != "refusal":
        parse(document)
    for place in list_places(document):
        for junk in JUNK:
            try:
                parse(put(document, place, junk))
            except (ProviderError, ValueError):  # pydantic's and these are what the caller understands
                continue
            except Exception as error:
                pytest.fail(f"{junk!r} at {place}: {type(error).__name__}: {error}")
