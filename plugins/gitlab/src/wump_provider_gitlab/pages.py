"""GitLab's pages: where the next one is.

GitLab answers with `Link`, with `x-next-page`, or with both, whichever was asked for. The address in `Link` may name
another host or port where a proxy stands before the instance: only its query is believed.
"""

import re
from urllib.parse import parse_qsl, urlsplit

import httpx

PAGE_SIZE = 100
MAX_OFFSET = 50_000
"""Behind so many rows GitLab answers 405 to a page by number."""


def next_parameters(response: httpx.Response, asked: dict[str, str]) -> dict[str, str] | None:
    """What to ask for after this page; null at the end.

    Raises:
        ValueError: The address of the next page can't be read, or is that of this page.
    """
    link = response.links.get("next", {}).get("url")
    if link:
        following = dict(parse_qsl(urlsplit(link).query, keep_blank_values=True, max_num_fields=50))
        following.pop("private_token", None)
    elif page := response.headers.get("x-next-page", "").strip():
        following = asked | {"page": page}
    else:
        return None
    if following == asked:
        raise ValueError("the next page is the same page")
    return following


def next_page(response: httpx.Response, asked: dict[str, str]) -> int | None:
    """The number of the page after this one, where pages are asked for by number; null at the end.

    Raises:
        ValueError: It is no number, or not a higher one.
    """
    following = next_parameters(response, asked)
    if following is None:
        return None
    page = parse_number(following.get("page", ""))
    if page is None or page <= int(asked["page"]):
        raise ValueError("the next page has no number that is higher")
    return page


def parse_total(response: httpx.Response) -> int | None:
    """How many rows there are in all; null where GitLab doesn't tell, as with more than 10,000."""
    return parse_number(response.headers.get("x-total", ""))


def parse_number(text: str) -> int | None:
    """A number as GitLab and our cursors write it; null where it is none."""
    text = text.strip()
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None
