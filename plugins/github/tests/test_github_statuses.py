"""Statuses: what GitHub says went wrong, in all its ways, becomes the error that is right."""

import time

import httpx
import pytest
import respx
import wump_provider_github as provider
from wump_core import CredentialsRejected, InvalidResponse, NotFound, RateLimited, Unavailable, make_purl
from wump_provider_github.upstream import check_status

REPOSITORY = "https://api.github.com/repos/octo/app"
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
BLOCK = {"message": "Repository access blocked", "block": {"reason": "tos", "created_at": "2021-06-08T01:02:15Z"}}


def refuse(status, body=None, headers=None, html=None):
    if html:
        return httpx.Response(status, headers=headers, html=html)
    return httpx.Response(status, headers=headers, json=body or {})


LIMITS = {
    "primary 403": refuse(403, {"message": "API rate limit exceeded for x"}, {"x-ratelimit-remaining": "0"}),
    "primary 429": refuse(429, {"message": "API rate limit exceeded for x"}, {"x-ratelimit-remaining": "0"}),
    "by the header alone": refuse(403, {"message": "Forbidden"}, {"x-ratelimit-remaining": "0"}),
    "secondary with Retry-After": refuse(403, {"message": SECONDARY}, {"retry-after": "30"}),
    "secondary without any header": refuse(403, {"message": SECONDARY}, {"x-ratelimit-remaining": "4000"}),
    "secondary by its page": refuse(
        403, {"message": "Forbidden", "documentation_url": "https://docs.github.com/rest#secondary-rate-limits"}
    ),
    "old words": refuse(403, {"message": "You have triggered an abuse detection mechanism."}),
    "429 as a web page": refuse(429, html="<h1>Whoa there!</h1>"),
    "limited by a header of its own": refuse(403, {"message": "Forbidden"}, {"gh-limited-by": "search"}),
}


@pytest.mark.parametrize("answer", LIMITS.values(), ids=LIMITS)
def test_limits_are_recognised(answer, seconds_left):
    with pytest.raises(RateLimited) as caught:
        check_status(answer)
    assert 0 < seconds_left(caught.value) <= 61


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120),
        ({"retry-after": "120", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "RESET"}, 120),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "RESET"}, 1_800),
        ({"x-ratelimit-remaining": "17", "x-ratelimit-reset": "RESET"}, 60),
        ({"retry-after": "soon"}, 60),
        ({"retry-after": "9" * 9}, 86_400),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "12"}, 1),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1e99"}, 60),
    ],
)
def test_the_wait_is_what_github_says(headers, seconds, seconds_left):
    reset = str(int(time.time()) + 1_800)
    answer = refuse(429, headers={name: value.replace("RESET", reset) for name, value in headers.items()})
    with pytest.raises(RateLimited) as caught:
        check_status(answer)
    assert abs(seconds_left(caught.value) - seconds) < 5


OTHERS = [
    (refuse(401, {"message": "Bad credentials"}), CredentialsRejected, "Bad credentials"),
    (refuse(403, {"message": "Resource not accessible by integration"}), CredentialsRejected, "not accessible"),
    (
        refuse(403, {"message": "Resource not accessible"}, {"x-accepted-github-permissions": "contents=read"}),
        CredentialsRejected,
        "contents=read",
    ),
    (refuse(403, html="<h1>proxy</h1>"), CredentialsRejected, "no known reason"),
    (refuse(403, BLOCK), NotFound, r"\(tos, since 2021-06-08\)"),
    (refuse(451, BLOCK), NotFound, "tos"),
    (refuse(451, html="<h1>Unavailable</h1>"), NotFound, "blocked"),
    (refuse(404, {"message": "Not Found", "status": "404"}), NotFound, "private"),
    (refuse(410, {"message": "Gone"}), NotFound, "410"),
    (refuse(422, {"message": "Validation Failed", "errors": [{"code": "invalid"}]}), InvalidResponse, "invalid"),
    (refuse(400, {"message": "geheim"}), InvalidResponse, "400: no known reason"),
    (refuse(500, {"error": "Server Error"}), Unavailable, "500"),
    (refuse(502, html="<html>Unicorn!</html>"), Unavailable, "502"),
    (refuse(503, {"message": "down"}), Unavailable, "503"),
    (refuse(404, {"message": ["odd"], "errors": {"also": "odd"}}), NotFound, "404"),
]


@pytest.mark.parametrize(("answer", "error", "words"), OTHERS)
def test_other_refusals_say_what_to_do(answer, error, words):
    with pytest.raises(error, match=words):
        check_status(answer)


@pytest.mark.parametrize("body", [b"", b"<html>Sign in to the proxy</html>", b"[" * 100_000, b'{"full_name": 1', b"[]"])
@respx.mock
def test_what_is_no_object_is_an_invalid_response(call, body):
    respx.get(REPOSITORY).respond(200, content=body, headers={"content-type": "text/html"})
    with pytest.raises(InvalidResponse):
        call(provider.fetch_repository, "https://github.com/octo/app")


@respx.mock
def test_every_request_names_the_version_and_what_it_counts_for(call):
    route = respx.get("https://api.github.com/search/code").respond(json={"total_count": 0, "items": []})
    call(provider.fetch_dependents, make_purl("npm", "x"), None)
    request = route.calls.last.request
    assert request.headers["x-github-api-version"] == "2022-11-28"
    assert request.headers["accept"] == "application/vnd.github+json"
    assert "authorization" not in request.headers
    assert request.extensions["wump_resource"] == "code_search"
