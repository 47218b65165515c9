"""Repository URLs: all the ways one repository is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wump_core import RepositoryUrl, parse_repository_url

SAME = RepositoryUrl("github.com", "owner/name", "owner")


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/owner/name",
        "http://www.github.com/Owner/Name/",
        "https://github.com/owner/name.git",
        "git+https://github.com/owner/name.git#main",
        "git://github.com/owner/name.git",
        "git://github.com:owner/name.git",
        "git+ssh://git@github.com/owner/name.git",
        "git+ssh://git@github.com:owner/name.git",
        "ssh://git@github.com/owner/name",
        "git@github.com:owner/name.git",
        "github.com:owner/name",
        "github.com/owner/name",
        "https://user@github.com/owner/name.git",
        "https://user:password@github.com/owner/name.git",
        "https://github.com:443/owner/name",
        "https://github.com/owner/name/issues?q=is%3Aopen",
        "https://github.com/owner/name#readme",
        "owner/name",
        "owner/name#branch",
        "github:owner/name",
    ],
)
def test_one_repository_in_many_spellings(text: str) -> None:
    assert parse_repository_url(text, shorthands=True) == SAME


@pytest.mark.parametrize(
    ("text", "host", "path", "owner", "directory"),
    [
        ("https://github.com/o/mono/tree/main/packages/x", "github.com", "o/mono", "o", "packages/x"),
        ("https://gitlab.com/Group/Sub/Project.git", "gitlab.com", "group/sub/project", "group/sub", None),
        ("https://gitlab.com/g/p/-/tree/main/docs", "gitlab.com", "g/p", "g", "docs"),
        ("https://gitlab.com/g/p/issues", "gitlab.com", "g/p", "g", None),
        ("gitlab:g/p", "gitlab.com", "g/p", "g", None),
        ("https://gitlab.gnome.example/GNOME/gtk", "gitlab.gnome.example", "GNOME/gtk", "GNOME", None),
        ("bitbucket:o/r", "bitbucket.org", "o/r", "o", None),
        ("https://bitbucket.org/O/R/src/master/lib", "bitbucket.org", "o/r", "o", "lib"),
        ("https://codeberg.org/O/R", "codeberg.org", "o/r", "o", None),
        ("https://git.sr.ht/~user/repo", "git.sr.ht", "~user/repo", "~user", None),
        ("gist:11081aaa281", "gist.github.com", "11081aaa281", None, None),
        ("https://gitbox.example/repos/asf/Foo.git", "gitbox.example", "repos/asf/Foo", None, None),
        ("git@git.example:team/tool.git", "git.example", "team/tool", None, None),
    ],
)
def test_hosts_keep_their_layouts(text: str, host: str, path: str, owner: str | None, directory: str | None) -> None:
    assert parse_repository_url(text, shorthands=True) == RepositoryUrl(host, path, owner, directory)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "none",
        "https://github.com",
        "https://github.com/owner",
        "https://github.com/sponsors/someone",
        "https://github.com/orgs/someone/repositories",
        "https://example.com/home",
        "https://owner.github.io/name/",
        "ftp://github.com/owner/name",
        "file:///owner/name",
        "javascript://github.com/owner/name",
        "../owner/name",
        "https://github.com/../..",
        "https://github.com/owner/%2e%2e",
        "https://github.com/ow ner/name",
        "https://github.com/owner/na\x00me",
        "https://[::1/owner/name",
        "https://github.com/" + "a" * 3000 + "/b",
        "a/b/c",
        "@scope/name",
    ],
)
def test_what_is_no_repository_is_none(text: str) -> None:
    assert parse_repository_url(text, shorthands=True) is None


def test_shorthands_are_read_only_where_they_are_meant() -> None:
    assert parse_repository_url("owner/name") is None


@given(st.text(max_size=100), st.booleans())
def test_any_text_is_read_or_refused_and_stays_what_it_became(text: str, shorthands: bool) -> None:
    found = parse_repository_url(text, shorthands=shorthands)
    if found is not None:
        again = parse_repository_url(found.url)
        assert again is None or (again.host, again.path, again.owner) == (found.host, found.path, found.owner)


@given(
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True),
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,20}", fullmatch=True),
)
def test_a_github_url_reads_back_as_itself(owner: str, name: str) -> None:
    found = parse_repository_url(f"https://github.com/{owner}/{name}")
    if found is not None:
        assert parse_repository_url(found.url) == found


@given(
    st.sampled_from(["github.com", "gitlab.com", "www.github.com", "git.example.org", "example", "github.com:443"]),
    st.lists(st.text(st.sampled_from("aZ0.~+-_%/?#@ "), max_size=8), max_size=4),
)
def test_how_most_are_written_is_read_as_all_others_are(host: str, segments: list[str]) -> None:
    rest = "/".join([host, *segments])

    assert parse_repository_url(f"https://{rest}") == parse_repository_url(f"HTTPS://{rest}")
