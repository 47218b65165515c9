"""Repository and funding links, label by label."""

from collections.abc import Mapping

import pytest
from wump_provider_pypi.findings import Findings
from wump_provider_pypi.links import SOURCE_LABELS, find_funding, find_repository, normalise_label, parse_links

GITHUB = "https://github.com/{}/repo"


def repository(
    urls: Mapping[str, str], home_page: str | None = None, download_url: str | None = None
) -> tuple[str, str | None] | None:
    claim = find_repository(parse_links(dict(urls), Findings()), home_page, download_url, Findings())
    return (claim.path, claim.owner) if claim else None


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("Source Code", "sourcecode"),
        ("Bug-Tracker:", "bugtracker"),
        ("Git\tHub", "github"),
        ("What's New?", "whatsnew"),
    ],
)
def test_labels_are_normalised_as_pep_753_says(label: str, key: str) -> None:
    assert normalise_label(label) == key


@pytest.mark.parametrize("label", ["Source", "Source Code", "GitHub", "Repo", "git-hub repository", "V.C.S."])
def test_source_labels_win_whatever_their_spelling(label: str) -> None:
    urls = {"Homepage": GITHUB.format("home"), "Issues": GITHUB.format("bugs"), label: GITHUB.format("me")}
    assert repository(urls) == ("me/repo", "me")


def test_source_labels_are_taken_in_their_own_order() -> None:
    backwards = {label: GITHUB.format(f"o{label}") for label in reversed(SOURCE_LABELS)}
    while backwards:
        best = next(label for label in SOURCE_LABELS if label in backwards)
        assert repository(backwards) == (f"o{best}/repo", f"o{best}")
        del backwards[best]


def test_the_fallbacks_are_issues_then_home_page_then_download() -> None:
    steps: list[tuple[dict[str, str], str | None, str | None]] = [
        ({"Tracker": GITHUB.format("a"), "Homepage": GITHUB.format("b")}, None, None),
        ({"Homepage": GITHUB.format("b")}, GITHUB.format("c"), None),
        ({"Download": GITHUB.format("e")}, GITHUB.format("c"), GITHUB.format("d")),
        ({"Download": GITHUB.format("e")}, "https://home.example", GITHUB.format("d")),
        ({"Download": GITHUB.format("e")}, None, None),
        ({"Docs": GITHUB.format("f"), "Changelog": GITHUB.format("g")}, None, None),
    ]
    assert [repository(*step) for step in steps] == [
        *((f"{owner}/repo", owner) for owner in "abcde"),
        None,
    ]


def test_a_source_on_an_unknown_host_counts_only_as_the_last_resort() -> None:
    elsewhere = {"Source": "https://forge.example/team/project.git", "Code": "https://other.example/a/b"}
    assert repository(elsewhere) == ("team/project", None)
    assert repository(elsewhere, home_page=GITHUB.format("x")) == ("x/repo", "x")
    assert repository({"Homepage": "https://forge.example/team/project"}) is None


@pytest.mark.parametrize("url", ["https://github.com/sponsors/me", "https://github.com/me", "UNKNOWN", "git", ""])
def test_links_that_name_no_repository_are_passed_over(url: str) -> None:
    assert repository({"Source": url}) is None


def test_a_directory_that_cannot_be_stored_is_left_out() -> None:
    links = parse_links({"Source": "https://github.com/o/r/tree/main/a%00b"}, Findings())
    claim = find_repository(links, None, None, Findings())
    assert claim is not None
    assert (claim.path, claim.directory) == ("o/r", None)


def funding(urls: dict[str, str]) -> list[tuple[str, str | None]]:
    return [(link.url, link.type) for link in find_funding(parse_links(urls, Findings()), Findings())]


@pytest.mark.parametrize("label", ["Funding", "Sponsors: me", "donate!", "Donations", "Sponsor (USD)", "FUND-ING"])
def test_funding_labels_need_no_known_platform(label: str) -> None:
    assert funding({label: "https://money.example"}) == [("https://money.example", None)]


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://github.com/sponsors/me", "github"),
        ("https://www.patreon.com/me", "patreon"),
        ("https://opencollective.com/x", "opencollective"),
        ("https://ko-fi.com/x", "ko_fi"),
        ("https://numfocus.org/donate-to-x", "numfocus"),
    ],
)
def test_funding_platforms_need_no_label(url: str, kind: str) -> None:
    assert funding({"Say Thanks": url, "Again": url}) == [(url, kind)]


@pytest.mark.parametrize(
    "url", ["https://github.com/me/sponsors", "https://numfocus.org/about", "https://patreon.com.example/x"]
)
def test_other_links_ask_for_no_money(url: str) -> None:
    assert funding({"Docs": url}) == []


def test_funding_keeps_document_order_and_names_what_it_drops() -> None:
    findings = Findings()
    links = parse_links({"Z": "https://ko-fi.com/z", "Donate": "by post", "Funding": "https://a.example"}, findings)
    assert [link.url for link in find_funding(links, findings)] == ["https://ko-fi.com/z", "https://a.example"]
    assert [diagnostic.field for diagnostic in findings.diagnostics] == ["project_urls.Donate"]
