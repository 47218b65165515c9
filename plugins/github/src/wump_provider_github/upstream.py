"""Where GitHub answers, and what its answers mean: the one place that sends requests and reads statuses.

Source: GitHub's REST API documentation, "Rate limits", "Best practices" and "Troubleshooting".
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
from wump_core import (
    Context,
    CredentialsRejected,
    InvalidResponse,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
    parse_repository_url,
    read_items,
    read_mapping,
)

API_VERSION = "2022-11-28"
"""Known to every Enterprise Server in support, and served until March 2028."""

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": API_VERSION}
_SECONDARY_LIMIT_PAGES = ("#about-secondary-rate-limits", "#secondary-rate-limits", "#abuse-rate-limits")
_LIMIT_WORDS = ("rate limit", "abuse detection")
_KNOWN_WORDS = re.compile(
    r"bad credentials|requires authentication|require you to be authenticated|resource not accessible by [a-z ]{5,40}"
    r"|resource protected by organization saml enforcement|(?:secondary |api )?rate limit(?: already)? exceeded"
    r"|secondary rate limit|abuse detection|validation failed|cannot be searched"
    r"|only the first 1000 search results|git repository is empty|repository access blocked|not found|server error",
    re.IGNORECASE,
)
_WORD = re.compile(r"[a-z][a-z_]{1,30}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_PERMISSIONS = re.compile(r"[a-z_]{1,40}=[a-z]{1,10}(?:[;,] ?[a-z_]{1,40}=[a-z]{1,10}){0,5}")
_LONGEST_WAIT = timedelta(days=1)
_WAIT_WITHOUT_A_WORD = timedelta(seconds=60)


def find_path(context: Context, url: str) -> str:
    """`owner/name` of a repository's web address, ready for an API address.

    Raises:
        NotFound: It is no repository's address on this provider's host.
    """
    host = context.settings.code_host
    repository = parse_repository_url(url)
    if repository is None or repository.host != host or repository.path.count("/") != 1:
        raise NotFound(f"no repository of {host}: expected https://{host}/owner/name")
    return quote(repository.path)


def check_host(context: Context, host: str) -> None:
    """Refuse accounts of another host.

    Raises:
        NotFound: The host isn't the one that this provider knows.
    """
    if host != context.settings.code_host:
        raise NotFound(f"this provider knows the accounts of {context.settings.code_host}, not of {host}"[:300])


async def fetch(
    context: Context,
    path: str,
    *,
    params: Mapping[str, str | int] | None = None,
    resource: str = "core",
    accept: str | None = None,
    follow: bool = True,
) -> httpx.Response:
    """One GET below the base URL, whatever its status.

    Args:
        path: With a leading slash, quoted.
        resource: Which of GitHub's limits it counts for.
        accept: Another media type than the JSON of the API.
        follow: Whether to go where a redirect points: a renamed repository's address.
    """
    return await context.http.get(
        f"{context.settings.base_url}{path}",
        params=params,
        headers=_HEADERS | ({"Accept": accept} if accept else {}),
        follow_redirects=follow,
        extensions={"wump_resource": resource},
    )


async def fetch_object(
    context: Context, path: str, *, params: Mapping[str, str | int] | None = None, resource: str = "core"
) -> dict[str, Any]:
    """One GET, checked and read; see `check_status` and `read_object` for what it raises."""
    response = await fetch(context, path, params=params, resource=resource)
    check_status(response)
    return read_object(response)


def read_json(response: httpx.Response) -> Any:
    """The body as JSON.

    Raises:
        InvalidResponse: It is something else, such as a proxy's page.
    """
    try:
        return response.json()
    except (ValueError, RecursionError):
        kind = response.headers.get("content-type", "").partition(";")[0][:60] or "something without a type"
        raise InvalidResponse(f"answered with {kind} that is no JSON (HTTP {response.status_code})") from None


def read_object(response: httpx.Response) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        InvalidResponse: It is something else.
    """
    body = read_json(response)
    if not isinstance(body, dict):
        raise InvalidResponse(f"answered with a JSON {type(body).__name__} instead of an object")
    return body


def read_list(payload: Mapping[str, Any], name: str) -> list[Any]:
    """A field that must be a list.

    Raises:
        InvalidResponse: It is something else, or missing.
    """
    found = payload.get(name)
    if not isinstance(found, list):
        raise InvalidResponse(f"the answer has no list `{name}`")
    return found


def check_status(response: httpx.Response) -> None:
    """Let answers of 2xx and 3xx pass.

    Raises:
        RateLimited: A primary or secondary limit, in any of the ways that GitHub says so.
        NotFound: Missing, private (which GitHub doesn't tell apart), or blocked, with the reason.
        CredentialsRejected: The token is bad, or is not allowed to do this.
        Unavailable: GitHub fails on its side.
        InvalidResponse: A request that GitHub does not understand.
    """
    if response.status_code < 400:
        return
    raise _read_error(response, _read_error_body(response))


def _read_error(response: httpx.Response, body: Mapping[str, Any]) -> ProviderError:
    status, reason = response.status_code, _describe(body)
    if status in (403, 429) and is_limit(response, body):
        return RateLimited(f"a limit is spent (HTTP {status}: {reason})", find_retry(response))
    if (block := body.get("block")) is not None or status == 451:
        return NotFound(_describe_block(block))
    if status in (404, 410):
        return NotFound(f"there is none, it is private, or the token may not see it (HTTP {status})")
    if status in (401, 403):
        return CredentialsRejected(f"refused (HTTP {status}: {reason}{_describe_permission(response)})")
    if status >= 500 or status in (408, 425):
        return Unavailable(f"GitHub fails on its side (HTTP {status})")
    return InvalidResponse(f"the request was refused (HTTP {status}: {reason})")


def is_limit(response: httpx.Response, body: Mapping[str, Any]) -> bool:
    """Whether a 403 or 429 is about a limit; without any of these marks a 403 is about a permission."""
    words = str(body.get("message")).lower()
    return (
        response.status_code == 429
        or response.headers.get("x-ratelimit-remaining") == "0"
        or "retry-after" in response.headers
        or "gh-limited-by" in response.headers
        or any(word in words for word in _LIMIT_WORDS)
        or str(body.get("documentation_url", "")).endswith(_SECONDARY_LIMIT_PAGES)
    )


def find_retry(response: httpx.Response) -> datetime:
    """When to ask again: `Retry-After`, else the reset of a spent limit, else in a minute; at most in a day."""
    now = datetime.now(UTC)
    after = response.headers.get("retry-after", "")
    reset = response.headers.get("x-ratelimit-reset", "")
    moment = now + _WAIT_WITHOUT_A_WORD
    if _is_number(after):
        moment = now + timedelta(seconds=int(after))
    elif response.headers.get("x-ratelimit-remaining") == "0" and _is_number(reset):
        moment = datetime.fromtimestamp(int(reset), UTC)
    return min(max(moment, now + timedelta(seconds=1)), now + _LONGEST_WAIT)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10


def _read_error_body(response: httpx.Response) -> dict[str, Any]:
    """The body of an error, which may be a web page: empty then."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _describe(body: Mapping[str, Any]) -> str:
    """What is known of the reason. GitHub's own words are not repeated: an upstream may send a secret back."""
    parts = [body, *read_items(body.get("errors"))[:5]]
    texts = [part.get("message") if isinstance(part, dict) else part for part in parts]
    phrases = [found[0] for text in texts if isinstance(text, str) and (found := _KNOWN_WORDS.search(text[:2_000]))]
    codes = [code for part in parts if isinstance(part, dict) and (code := _read_word(part.get("code")))]
    return "; ".join(dict.fromkeys(phrases + codes)) or "no known reason"


def _describe_block(block: object) -> str:
    """Why and since when a repository is blocked."""
    fields = read_mapping(block)
    reason, since = _read_word(fields.get("reason")), _DAY.match(str(fields.get("created_at")))
    return f"blocked by GitHub ({reason or 'no known reason'}{f', since {since[0]}' if since else ''})"


def _read_word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def _describe_permission(response: httpx.Response) -> str:
    wanted = response.headers.get("x-accepted-github-permissions", "")
    return f"; it wants the permission {wanted}" if _PERMISSIONS.fullmatch(wanted) else ""
