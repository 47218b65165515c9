"""Accounts: REST, GraphQL with its errors, FUNDING.yml without a token, and sponsorships."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx
import wump_provider_github as provider
from wump_core import (
    CredentialsRejected,
    Diagnostic,
    FundingLink,
    InvalidResponse,
    NotFound,
    OrganizationRecord,
    RateLimited,
    SponsorshipRecord,
    Unavailable,
)

API = "https://api.github.com"
PROFILE = {
    "login": "Octo-Org",
    "id": 47,
    "type": "Organization",
    "name": "Octo",
    "description": "We build.",
    "blog": "www.octo.example/about",
    "location": "The clouds",
    "email": "someone@octo.example",
    "is_verified": False,
    "public_repos": 47,
    "followers": 5,
    "created_at": "2019-02-14T16:18:52Z",
    "archived_at": None,
}
RECORD = OrganizationRecord(
    host="github.com",
    login="Octo-Org",
    host_id="47",
    kind="organization",
    name="Octo",
    description="We build.",
    website="https://www.octo.example/about",
    location="The clouds",
    public_repositories=47,
    followers=5,
    created_at=datetime(2019, 2, 14, 16, 18, 52, tzinfo=UTC),
)
SPONSORING: dict[str, Any] = {
    "organization": {
        "__typename": "Organization",
        "login": "Octo-Org",
        "hasSponsorsListing": True,
        "isVerified": True,
        "sponsors": {"totalCount": 12},
        "sponsoring": {"totalCount": 3},
    },
    "user": None,
    "repository": {"fundingLinks": [{"platform": "OPEN_COLLECTIVE", "url": "https://opencollective.com/octo"}]},
}
NO_USER = {"type": "NOT_FOUND", "path": ["user"], "message": "Could not resolve to a User with the login of 'x'."}
OWN = FundingLink(url="https://github.com/sponsors/Octo-Org", type="github")
COLLECTIVE = FundingLink(url="https://opencollective.com/octo", type="open_collective")


def serve_profile(profile=PROFILE):
    respx.get(f"{API}/orgs/octo-org").respond(json=profile)
    return respx.post(f"{API}/graphql")


@respx.mock
def test_every_field_of_an_organization(call):
    route = serve_profile().respond(json={"data": SPONSORING, "errors": [NO_USER]})
    record = call(provider.fetch_organization, "github.com", "octo-org")
    assert record == RECORD.model_copy(
        update={
            "verified_domain": "www.octo.example",
            "sponsorable": True,
            "sponsors": 12,
            "sponsoring": 3,
            "funding": (OWN, COLLECTIVE),
        }
    )
    request = route.calls.last.request
    assert json.loads(request.content)["variables"] == {"login": "Octo-Org"}
    assert request.extensions["wump_resource"] == "graphql"
    assert request.extensions["wump_idempotent"] is True


@respx.mock
def test_a_person_is_found_behind_a_404(call):
    respx.get(f"{API}/orgs/ann").respond(404)
    profile = {"login": "ann", "id": 1, "type": "User", "bio": "Hi.", "blog": "", "email": "ann@x.example"}
    respx.get(f"{API}/users/ann").respond(json=profile)
    data = {"organization": None, "user": {"hasSponsorsListing": False}, "repository": None}
    missing = {"type": "NOT_FOUND", "path": ["repository"], "message": "none"}
    respx.post(f"{API}/graphql").respond(json={"data": data, "errors": [missing]})
    assert call(provider.fetch_organization, "github.com", "ann") == OrganizationRecord(
        host="github.com", login="ann", host_id="1", kind="user", description="Hi.", sponsorable=False, funding=()
    )


@respx.mock
def test_what_graphql_may_not_tell_stays_unknown(call):
    data: dict[str, Any] = SPONSORING | {"repository": None}
    data["organization"] = data["organization"] | {"sponsors": None, "hasSponsorsListing": False, "isVerified": False}
    errors = [{"type": "FORBIDDEN", "path": ["repository"], "message": "no"}, NO_USER]
    serve_profile(PROFILE | {"is_verified": True}).respond(json={"data": data, "errors": errors})
    record = call(provider.fetch_organization, "github.com", "octo-org")
    assert (record.funding, record.sponsors, record.sponsoring, record.sponsorable) == (None, None, 3, False)
    assert record.verified_domain == "www.octo.example"


NO_TOKEN = [
    httpx.Response(401, json={"message": "This endpoint requires you to be authenticated."}),
    httpx.Response(403, json={"message": "API rate limit exceeded"}, headers={"x-ratelimit-limit": "0"}),
    httpx.Response(200, json={"data": None, "errors": [{"type": "FORBIDDEN", "message": "SAML"}]}),
]


@pytest.mark.parametrize("refusal", NO_TOKEN)
@respx.mock
def test_without_a_token_the_owners_file_is_read(call, refusal):
    serve_profile().mock(return_value=refusal)
    contents = f"{API}/repos/octo-org/.github/contents"
    respx.get(f"{contents}/.github/FUNDING.yml").respond(404)
    content = base64.b64encode(b"open_collective: octo\n").decode()
    respx.get(f"{contents}/FUNDING.yml").respond(json={"type": "file", "encoding": "base64", "content": content})
    record = call(provider.fetch_organization, "github.com", "octo-org")
    assert record == RECORD.model_copy(update={"funding": (COLLECTIVE,)})


@respx.mock
def test_a_limit_of_graphql_is_one_where_there_is_a_token(call):
    serve_profile().respond(429)
    respx.get(url__startswith=f"{API}/repos/octo-org/.github/contents").respond(404)
    assert call(provider.fetch_organization, "github.com", "octo-org").funding == ()
    with pytest.raises(RateLimited):
        call(provider.fetch_organization, "github.com", "octo-org", token="t")


@respx.mock
def test_without_such_a_file_there_is_no_funding(call):
    serve_profile().respond(401)
    respx.get(url__startswith=f"{API}/repos/octo-org/.github/contents").respond(404)
    assert call(provider.fetch_organization, "github.com", "octo-org").funding == ()


@respx.mock
def test_an_account_that_graphql_does_not_see_is_still_one(call):
    data = {"organization": None, "user": None, "repository": None}
    serve_profile().respond(json={"data": data, "errors": [NO_USER]})
    assert call(provider.fetch_organization, "github.com", "octo-org") == RECORD


@respx.mock
def test_no_account_is_not_found(call):
    respx.get(f"{API}/orgs/nobody").respond(404)
    respx.get(f"{API}/users/nobody").respond(404)
    with pytest.raises(NotFound):
        call(provider.fetch_organization, "github.com", "nobody")


@pytest.mark.parametrize("hook", [provider.fetch_organization, provider.fetch_sponsorships])
def test_accounts_of_another_host_are_not_asked_for(call, hook):
    arguments = ("gitlab.com", "x") if hook is provider.fetch_organization else ("gitlab.com", "x", None)
    with pytest.raises(NotFound, match=r"github\.com, not of gitlab\.com"):
        call(hook, *arguments)


LIMITED = [
    {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]},
    {"errors": [{"type": "RATE_LIMIT", "code": "graphql_rate_limit", "message": "already exceeded"}]},
    {"data": {"user": None}, "errors": [{"code": "graphql_rate_limit", "message": "x"}]},
    {"errors": [{"message": "You have exceeded a secondary rate limit."}]},
]


@pytest.mark.parametrize("body", LIMITED)
@respx.mock
def test_a_limit_in_a_200_is_a_limit(call, body, seconds_left):
    respx.post(f"{API}/graphql").respond(json=body, headers={"retry-after": "7"})
    with pytest.raises(RateLimited) as caught:
        call(provider.fetch_sponsorships, "github.com", "ann", None)
    assert seconds_left(caught.value) < 8


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"data": {"organization": None, "user": None}, "errors": [NO_USER]}, NotFound),
        ({"data": None, "errors": [{"type": "INSUFFICIENT_SCOPES", "message": "read:user"}]}, CredentialsRejected),
        ({"errors": [{"extensions": {"code": "undefinedField"}, "message": "no such field"}]}, InvalidResponse),
        ({"data": None, "errors": [{"type": "SOMETHING_NEW", "message": "x"}]}, InvalidResponse),
        ({"errors": []}, InvalidResponse),
        ([], InvalidResponse),
    ],
)
@respx.mock
def test_errors_without_data(call, body, error):
    respx.post(f"{API}/graphql").respond(json=body)
    with pytest.raises(error):
        call(provider.fetch_sponsorships, "github.com", "ann", None)


def connection(name, nodes, *, following=None, total=2):
    info = {"hasNextPage": following is not None, "endCursor": following}
    account = {"__typename": "User", "login": "Ann", name: {"totalCount": total, "pageInfo": info, "nodes": nodes}}
    return {"data": {"organization": None, "user": account}, "errors": [NO_USER | {"path": ["organization"]}]}


def node(field, entity, **fields):
    return {field: entity, "createdAt": "2021-01-02T03:04:05Z", "isActive": True, "isOneTimePayment": False, **fields}


TOO_HEAVY = [
    httpx.Response(200, json={"data": None, "errors": [{"type": "RESOURCE_LIMITS_EXCEEDED", "message": "x"}]}),
    httpx.Response(200, json={"errors": [{"type": "MAX_NODE_LIMIT_EXCEEDED", "message": "x"}]}),
    httpx.Response(502, json={"data": None, "errors": [{"message": "Something went wrong while executing"}]}),
    httpx.Response(504, html="<html>nginx</html>"),
]


@pytest.mark.parametrize("refusal", TOO_HEAVY)
@respx.mock
def test_what_is_too_heavy_is_asked_for_less(call, refusal):
    route = respx.post(f"{API}/graphql")
    route.side_effect = [refusal, refusal, httpx.Response(200, json=connection("sponsorshipsAsSponsor", []))]
    assert call(provider.fetch_sponsorships, "github.com", "ann", None).next_cursor == "received:"
    assert [json.loads(sent.request.content)["variables"]["first"] for sent in route.calls] == [100, 50, 25]
    route.side_effect = [refusal] * 10
    with pytest.raises(Unavailable):
        call(provider.fetch_sponsorships, "github.com", "ann", None)


@respx.mock
def test_sponsorships_given_then_received(call):
    acme = {"__typename": "Organization", "login": "Acme", "url": "https://github.com/Acme"}
    pages = [
        connection(
            "sponsorshipsAsSponsor",
            [node("sponsorable", acme), node("sponsorable", acme, privacyLevel="PRIVATE"), None],
            following="Mg",
        ),
        connection("sponsorshipsAsSponsor", []),
        connection("sponsorshipsAsMaintainer", [node("sponsorEntity", {"url": "https://github.com/bob"})], total=1),
    ]
    route = respx.post(f"{API}/graphql").mock(side_effect=[httpx.Response(200, json=page) for page in pages])
    found, cursor = [], None
    for _ in pages:
        page = call(provider.fetch_sponsorships, "github.com", "ann", cursor)
        cursor = page.next_cursor
        found.append((page.items, cursor, page.total, page.complete, len(page.diagnostics)))
    born: dict[str, Any] = {"active": True, "one_time": False, "created_at": datetime(2021, 1, 2, 3, 4, 5, tzinfo=UTC)}
    given = SponsorshipRecord(
        host="github.com",
        sponsor="Ann",
        sponsor_kind="user",
        maintainer="Acme",
        maintainer_kind="organization",
        **born,
    )
    received = SponsorshipRecord(host="github.com", sponsor="bob", maintainer="Ann", maintainer_kind="user", **born)
    assert found == [
        ((given,), "given:Mg", 2, True, 1),
        ((), "received:", 2, True, 0),
        ((received,), None, 1, True, 0),
    ]
    assert [json.loads(sent.request.content)["variables"]["after"] for sent in route.calls] == [None, "Mg", None]


@respx.mock
def test_a_part_that_is_forbidden_makes_the_page_incomplete(call):
    body = connection("sponsorshipsAsSponsor", [])
    body["data"]["user"]["sponsorshipsAsSponsor"] = None
    body["errors"] = [{"type": "FORBIDDEN", "path": ["user", "sponsorshipsAsSponsor"], "message": "no"}]
    respx.post(f"{API}/graphql").respond(json=body)
    page = call(provider.fetch_sponsorships, "github.com", "ann", None)
    assert (page.items, page.complete, page.next_cursor) == ((), False, "received:")
    assert page.diagnostics == (
        Diagnostic(field="user.sponsorshipsAsSponsor", message="GitHub did not tell this (FORBIDDEN)"),
    )


@respx.mock
def test_enterprise_server_has_graphql_beside_rest(call):
    route = respx.post("https://ghe.example/api/graphql").respond(json=connection("sponsorshipsAsSponsor", []))
    settings = {"base_url": "https://ghe.example/api/v3", "code_host": "ghe.example"}
    call(provider.fetch_sponsorships, "ghe.example", "ann", None, **settings)
    assert route.called


def test_a_foreign_cursor_is_refused(call):
    with pytest.raises(InvalidResponse, match="begin again"):
        call(provider.fetch_sponsorships, "github.com", "ann", "taken:x")
