"""Trees and files."""

import base64

import httpx
import pytest
import respx
import wump_provider_github as provider
from wump_core import InvalidResponse, NotFound, RateLimited, TreeEntry
from wump_provider_github import trees

REPOSITORY = "https://api.github.com/repos/octo/app"
URL = "https://github.com/octo/app"
COMMIT = "1d004a35a03cee424736a2f549bc662d196a0217"


def blob(path, sha="b1", **fields):
    return {"path": path, "mode": "100644", "type": "blob", "sha": sha, "size": 3, **fields}


def folder(path, sha):
    return {"path": path, "mode": "040000", "type": "tree", "sha": sha}


def serve_trees(folders):
    """Trees by (sha, recursive), and what is missing is not asked for."""
    for (sha, recursive), (entries, truncated) in folders.items():
        route = respx.get(f"{REPOSITORY}/git/trees/{sha}", params={"recursive": "1"} if recursive else {})
        route.respond(json={"sha": COMMIT, "tree": entries, "truncated": truncated})


@respx.mock
def test_a_tree_in_one_request(call):
    entries = [
        folder("src", "t1"),
        blob("src/a.py"),
        blob("link", mode="120000"),
        {"path": "vendor/lib", "mode": "160000", "type": "commit", "sha": "c1"},
        {"path": "broken"},
        {"path": "odd\u0000name", "sha": "b2", "type": "blob"},
    ]
    route = respx.get(f"{REPOSITORY}/git/trees/HEAD").respond(json={"sha": COMMIT, "tree": entries})
    tree = call(provider.fetch_tree, URL, None)
    assert (tree.revision, tree.complete) == (COMMIT, True)
    assert tree.entries == (
        TreeEntry(path="src/a.py", blob="b1", size=3),
        TreeEntry(path="link", blob="b1", size=3, kind="symlink"),
        TreeEntry(path="vendor/lib", blob="c1", kind="submodule"),
    )
    assert [item.field for item in tree.diagnostics] == ["items.3", "items.4"]
    assert route.calls.last.request.url.params["recursive"] == "1"


@respx.mock
def test_a_revision_is_one_segment(call):
    route = respx.get(url__startswith=f"{REPOSITORY}/git/trees/").respond(json={"sha": COMMIT, "tree": []})
    call(provider.fetch_tree, URL, "feature/../x?y")
    assert route.calls.last.request.url.raw_path.endswith(b"/trees/feature%2F..%2Fx%3Fy?recursive=1")


@respx.mock
def test_an_empty_repository_has_no_revision(call):
    respx.get(f"{REPOSITORY}/git/trees/HEAD").respond(409, json={"message": "Git Repository is empty."})
    tree = call(provider.fetch_tree, URL, None)
    assert (tree.revision, tree.entries, tree.complete) == (None, (), True)


@respx.mock
def test_a_cut_list_is_walked_folder_by_folder(call):
    serve_trees(
        {
            ("HEAD", True): ([blob("a/1"), folder("a", "ta")], True),
            (COMMIT, False): ([folder("a", "ta"), folder("b", "tb"), blob("top")], False),
            ("ta", True): ([blob("1"), blob("2")], False),
            ("tb", True): ([blob("x/1")], True),
            ("tb", False): ([folder("x", "tx"), blob("own")], False),
            ("tx", True): ([blob("1"), blob("deep/2")], False),
        }
    )
    tree = call(provider.fetch_tree, URL, None)
    assert sorted(entry.path for entry in tree.entries) == ["a/1", "a/2", "b/own", "b/x/1", "b/x/deep/2", "top"]
    assert (tree.complete, tree.diagnostics) == (True, ())


@respx.mock
def test_a_walk_ends_within_its_bounds(call, monkeypatch):
    monkeypatch.setattr(trees, "MAX_REQUESTS", 5)
    route = respx.get(url__startswith=f"{REPOSITORY}/git/trees/")
    route.respond(json={"sha": COMMIT, "tree": [folder("a", "ta"), folder("b", "tb"), blob("f")], "truncated": True})
    tree = call(provider.fetch_tree, URL, None)
    assert not tree.complete
    assert tree.diagnostics
    assert "f" in {entry.path for entry in tree.entries}
    assert route.call_count == 6


@respx.mock
def test_a_limit_in_the_middle_of_a_walk_is_one(call):
    serve_trees({("HEAD", True): ([], True)})
    respx.get(f"{REPOSITORY}/git/trees/{COMMIT}").respond(429)
    with pytest.raises(RateLimited):
        call(provider.fetch_tree, URL, None)


@pytest.mark.parametrize("body", [{}, {"tree": None}, {"tree": {}}])
@respx.mock
def test_no_list_is_invalid(call, body):
    respx.get(f"{REPOSITORY}/git/trees/HEAD").respond(json=body)
    with pytest.raises(InvalidResponse, match="tree"):
        call(provider.fetch_tree, URL, None)


def file(content=b"abc", **fields):
    text = base64.encodebytes(content).decode()
    return {"type": "file", "encoding": "base64", "size": len(content), "content": text, "sha": "b1", **fields}


LARGE = {"encoding": "none", "content": "", "size": 1_500_000}


@respx.mock
def test_a_small_file_comes_in_the_json(call):
    route = respx.get(f"{REPOSITORY}/contents/docs/a%20b%23.md").respond(json=file(bytes(range(256))))
    assert call(provider.fetch_file, URL, "v1", "docs/a b#.md") == bytes(range(256))
    assert route.calls.last.request.url.params["ref"] == "v1"


@respx.mock
def test_an_empty_file_is_empty(call):
    respx.get(f"{REPOSITORY}/contents/x").respond(json=file(b""))
    assert call(provider.fetch_file, URL, "v1", "x") == b""


@respx.mock
def test_a_large_file_comes_raw(call):
    def answer(request):
        if request.headers["accept"] == "application/vnd.github.raw+json":
            return httpx.Response(200, content=b"large", headers={"content-type": "application/vnd.github.raw; x"})
        return httpx.Response(200, json=file() | LARGE)

    respx.get(f"{REPOSITORY}/contents/x").mock(side_effect=answer)
    assert call(provider.fetch_file, URL, "v1", "x") == b"large"


@respx.mock
def test_or_as_a_blob(call):
    respx.get(f"{REPOSITORY}/contents/x").respond(json=file() | LARGE)
    respx.get(f"{REPOSITORY}/git/blobs/b1").respond(json={"content": "YWJj\nZGVm\n", "encoding": "base64"})
    assert call(provider.fetch_file, URL, "v1", "x") == b"abcdef"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([{"type": "file", "name": "a"}], "folder"),
        ({"type": "symlink", "target": "../x", "sha": "b"}, "symlink"),
        ({"type": "submodule", "submodule_git_url": "git://x"}, "submodule"),
        ({"type": "file", "size": 0, "submodule_git_url": "git://x"}, "submodule"),
        ({"type": "dir"}, "dir"),
    ],
)
@respx.mock
def test_what_is_no_file_is_not_found(call, body, words):
    respx.get(f"{REPOSITORY}/contents/x").respond(json=body)
    with pytest.raises(NotFound, match=words):
        call(provider.fetch_file, URL, "v1", "x")


@pytest.mark.parametrize("path", ["", "/", "/etc/passwd", "a/../../b", "a//b", "a/", "./a", ".."])
def test_a_path_stays_in_the_tree(call, path):
    with pytest.raises(NotFound, match="path"):
        call(provider.fetch_file, URL, "v1", path)


@pytest.mark.parametrize("content", [None, 7, "a*b", "abc"])
@respx.mock
def test_content_that_can_not_be_decoded_is_invalid(call, content):
    respx.get(f"{REPOSITORY}/contents/x").respond(json=file() | {"content": content})
    respx.get(f"{REPOSITORY}/git/blobs/b1").respond(json={"content": content})
    with pytest.raises(InvalidResponse):
        call(provider.fetch_file, URL, "v1", "x")
