"""Libraries.io's names of platforms and hosts, and the pages of its lists.

Source: Libraries.io's API documentation. Names of platforms ignore case; a `/` in a name is written `%2F`.
"""

import re
from urllib.parse import quote

import httpx
from wump_core import Context, InvalidResponse, NotFound, Purl, parse_repository_url, read_count

PAGE_SIZE = 100
MAX_PAGE = 300
"""Behind it Libraries.io answers 404."""

PLATFORMS = {"npm": "npm", "pypi": "pypi", "maven": "maven", "cargo": "cargo"}
"""Its name of a platform, in small letters, by purl type."""
ECOSYSTEMS = {platform: ecosystem for ecosystem, platform in PLATFORMS.items()}
_HOSTS = {"github.com": "github", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket"}


def make_package_address(context: Context, purl: Purl) -> str:
    """The address of a package."""
    name = purl.name.replace("/", ":") if purl.ecosystem == "maven" else purl.name
    return f"{context.settings.base_url}/{PLATFORMS[purl.ecosystem]}/{quote_segment(name)}"


def make_repository_address(context: Context, url: str) -> str:
    """The address of a repository, named by its web address.

    Raises:
        NotFound: It is no repository's address, or one of another host than the settings'.
    """
    found = parse_repository_url(url)
    if found is None or found.path.count("/") != 1:
        raise NotFound(f"{url[:200]} is no repository that Libraries.io can name")
    owner, _, name = found.path.partition("/")
    return f"{make_owner_address(context, found.host, owner)}/{quote_segment(name)}"


def make_owner_address(context: Context, host: str, login: str) -> str:
    """The address of an account.

    Raises:
        NotFound: It is on another host than the settings', or on one that Libraries.io doesn't know.
    """
    if host != context.settings.code_host or host not in _HOSTS:
        raise NotFound(f"{host[:200]} is not {context.settings.code_host}, or Libraries.io doesn't know it")
    return f"{context.settings.base_url}/{_HOSTS[host]}/{quote_segment(login)}"


def quote_segment(text: str) -> str:
    """One segment of an address.

    Raises:
        NotFound: It is empty or a dot segment, and would lead elsewhere.
    """
    if text in ("", ".", ".."):
        raise NotFound(f"nothing has the name {text!r}")
    return quote(text, safe="")


def parse_page_number(cursor: str) -> int:
    """The number of a page, as our cursors write it.

    Raises:
        ValueError: It is none, or one that Libraries.io doesn't have.
    """
    if not re.fullmatch(r"[1-9][0-9]{0,2}", cursor) or int(cursor) > MAX_PAGE:
        raise ValueError(f"the cursor {cursor[:40]!r} is no page from 1 to {MAX_PAGE}")
    return int(cursor)


def parse_list(document: object) -> list[object]:
    """The answer, if it is a list.

    Raises:
        InvalidResponse: It is none, as where a message stands in its place.
    """
    if not isinstance(document, list) or (document and not any(isinstance(item, dict) for item in document)):
        raise InvalidResponse("the answer is no list of objects")
    return document


def has_next(response: httpx.Response, found: list[object]) -> bool:
    """Whether there is a page behind this one. Of the link only its being there counts: it holds the key."""
    return bool(found) and "next" in response.links


def parse_total(response: httpx.Response) -> int | None:
    """How many there are in all, where that is told."""
    text = response.headers.get("total", "")
    return read_count(int(text)) if re.fullmatch(r"[0-9]{1,12}", text) else None
