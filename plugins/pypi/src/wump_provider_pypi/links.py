"""Links of a project: its home page, its repository, and where it asks for money.

Source: PEP 753 for how labels are normalised and which are well known; Warehouse's project page for labels
that start with a word for funding. Labels are free text, so that more spellings are listed than PEP 753 has.
"""

import string
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import ValidationError
from wump_core import FundingLink, RepositoryClaim, RepositoryUrl, is_code_host, parse_repository_url

from wump_provider_pypi.fields import given, is_storable, quote
from wump_provider_pypi.findings import Findings

MAX_LINKS = 1_000
MAX_FUNDING_LINKS = 100

SOURCE_LABELS = (
    *("source", "repository", "sourcecode", "github"),
    *("code", "repo", "git", "gitlab", "sourcerepository", "githubrepository", "githubrepo", "sources"),
    *("vcs", "scm", "codeberg", "bitbucket"),
)
ISSUES_LABELS = ("issues", "bugs", "issue", "tracker", "issuetracker", "bugtracker", "bugreports")
FUNDING_LABEL_STARTS = ("funding", "sponsor", "donation", "donate")

# Host, start of the path, and the word that platforms' own files use for it.
_FUNDING_PLATFORMS = (
    ("github.com", "/sponsors/", "github"),
    ("opencollective.com", "/", "opencollective"),
    ("patreon.com", "/", "patreon"),
    ("tidelift.com", "/", "tidelift"),
    ("ko-fi.com", "/", "ko_fi"),
    ("liberapay.com", "/", "liberapay"),
    ("buymeacoffee.com", "/", "buy_me_a_coffee"),
    ("thanks.dev", "/", "thanks_dev"),
    ("polar.sh", "/", "polar"),
    ("issuehunt.io", "/", "issuehunt"),
    ("numfocus.org", "/donate", "numfocus"),
)
_DROPPED_FROM_LABELS = str.maketrans("", "", string.punctuation + string.whitespace)


class Link(NamedTuple):
    """One entry of `project_urls`: its label as written and normalised, and its address."""

    label: str
    key: str
    url: str

    @property
    def field(self) -> str:
        """How a diagnostic names it."""
        return f"project_urls.{self.label}"


def normalise_label(label: str) -> str:
    """PEP 753: without ASCII punctuation and whitespace, in lower case."""
    return label.translate(_DROPPED_FROM_LABELS).lower()


def parse_links(project_urls: object, findings: Findings) -> tuple[Link, ...]:
    """The entries of `project_urls` that are text, in document order."""
    if project_urls is None:
        return ()
    if not isinstance(project_urls, dict):
        findings.note(f"expected an object of addresses, found {quote(project_urls)}", field="project_urls")
        return ()
    links = []
    for label, value in list(project_urls.items())[:MAX_LINKS]:
        if url := given(value):
            links.append(Link(str(label), normalise_label(str(label)), url))
        elif value is not None and not isinstance(value, str):
            findings.note(f"expected an address, found {quote(value)}", field=f"project_urls.{label}")
    return tuple(links)


def find_repository(
    links: tuple[Link, ...], home_page: str | None, download_url: str | None, findings: Findings
) -> RepositoryClaim | None:
    """The first link to a known code host: source, issues, home page, download.

    A source link to a host of unknown layout counts only where no such link exists.
    """
    elsewhere: RepositoryUrl | None = None
    for url, is_source in _repository_candidates(links, home_page, download_url):
        repository = parse_repository_url(url)
        if repository is None:
            continue
        if is_code_host(repository.host):
            if claim := _claim(repository):
                return claim
        elif is_source and elsewhere is None:
            elsewhere = repository
    claim = _claim(elsewhere) if elsewhere else None
    if elsewhere and claim is None:
        findings.note(f"{quote(elsewhere.path)} is no repository wump can store", field="project_urls")
    return claim


def find_funding(links: tuple[Link, ...], findings: Findings) -> tuple[FundingLink, ...]:
    """Links whose label or whose platform says that they are about money, in document order."""
    found: dict[str, FundingLink] = {}
    for link in links:
        platform = _platform(link.url)
        if platform is None and not link.key.startswith(FUNDING_LABEL_STARTS):
            continue
        try:
            found.setdefault(link.url, FundingLink(url=link.url, type=platform))
        except ValidationError:
            findings.note(f"{quote(link.url)} is no web address", field=link.field)
    return tuple(found.values())[:MAX_FUNDING_LINKS]


def _repository_candidates(
    links: tuple[Link, ...], home_page: str | None, download_url: str | None
) -> Iterator[tuple[str, bool]]:
    """Addresses in order of preference, each with whether its label claims to be the source."""
    for labels, is_source in ((SOURCE_LABELS, True), (ISSUES_LABELS, False), (("homepage",), False)):
        for label in labels:
            yield from ((link.url, is_source) for link in links if link.key == label)
    yield from ((url, False) for url in (home_page, download_url) if url)
    yield from ((link.url, False) for link in links if link.key == "download")


def _claim(repository: RepositoryUrl) -> RepositoryClaim | None:
    directory = repository.directory
    try:
        return RepositoryClaim(
            host=repository.host,
            path=repository.path,
            owner=repository.owner,
            directory=directory if directory and is_storable(directory) else None,
            verified=False,
        )
    except ValidationError:
        return None


def _platform(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return None
    path = parts.path or "/"
    if parts.scheme not in ("http", "https"):
        return None
    return next((word for site, start, word in _FUNDING_PLATFORMS if host == site and path.startswith(start)), None)
