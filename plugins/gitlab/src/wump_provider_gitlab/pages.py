"""GitLab's pages: where the next one is.

GitLab answers with `Link`, with `x-next-page`, or with both, whichever was asked for. The address in `Link` may name
another host or port where a proxy stands before the instance: only its query is believed.
"""

from urllib.parse import parse_qsl, urlsplit

import httpx

PAGE_SIZE = 100
MAX_OFFSET = 50_000
"""Behind so many rows GitLab answers 405 to a page by number."""


def next_parameters(response: httpx.Response, asked: dict[str, str]) -> dict[str, str] | None:
    """What to ask for after this page; null at the end.

    Raises:
        ValueError: The address of the next page can't be read.
    """
    link = response.links.get("next", {}).get("url")
    if link:
        following = dict(parse_qsl(urlsplit(link).query, keep_blank_values=True, max_num_fields=50))
        following.pop("private_token", None)
    elif page := response.headers.get("x-next-page", "").strip():
        following = asked | {"page": page}
    else:
        return None
    return following if following != asked else None
