"""Accounts: the REST API counts, GraphQL knows of sponsoring and funding, and without a token FUNDING.yml is read.

Source: GitHub's REST API documentation, "Organizations" and "Users"; its public GraphQL schema, `Sponsorable`.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from wump_core import (
    Context,
    CredentialsRejected,
    FundingLink,
    NotFound,
    OrganizationRecord,
    RateLimited,
    read_address,
    read_count,
    read_domain,
    read_flag,
    read_mapping,
    read_text,
    read_time,
)

from wump_provider_github.accounts import pick_account, write_query
from wump_provider_github.files import check_file, decode_content
from wump_provider_github.funding import parse_funding_file, parse_funding_links
from wump_provider_github.graphql import Answer, TooHeavy, ask
from wump_provider_github.repositories import read_id, read_kind
from wump_provider_github.upstream import check_host, check_status, fetch, fetch_object, read_json, read_object

_COUNTS = "hasSponsorsListing sponsors(first:1){totalCount} sponsoring(first:1){totalCount}"
_FUNDING = ' repository(owner:$login,name:".github"){fundingLinks{platform url}}'
_FUNDING_FILES = (".github/FUNDING.yml", "FUNDING.yml")


async def fetch_organization(context: Context, host: str, login: str) -> OrganizationRecord:
    """Fetch one account: two requests for an organization, three for a person, two more without a token.

    Raises:
        NotFound: There is no such account, or the host is another one.
    """
    check_host(context, host)
    name = quote(login, safe="")
    response = await fetch(context, f"/orgs/{name}")
    if response.status_code == 404:
        profile = await fetch_object(context, f"/users/{name}")
    else:
        check_status(response)
        profile = read_object(response)
    record = parse_account(host, profile)
    try:
        return add_sponsoring(record, await _ask_sponsoring(context, record.login))
    except (CredentialsRejected, RateLimited) as error:
        if isinstance(error, RateLimited) and getattr(context.settings, "token", ()):
            raise  # without a token there is nothing to wait for
        context.log.info("github.graphql_refused", login=record.login)
        return record.model_copy(update={"funding": await _fetch_funding(context, name)})
    except NotFound:
        return record


async def _ask_sponsoring(context: Context, login: str) -> Answer:
    try:
        query = write_query(f"{_COUNTS} ...on Organization{{isVerified websiteUrl}}", beside=_FUNDING)
        return await ask(context, query, {"login": login})
    except TooHeavy:
        return await ask(context, write_query("hasSponsorsListing", beside=_FUNDING), {"login": login})


def parse_account(host: str, profile: Mapping[str, Any]) -> OrganizationRecord:
    """Read an organization's or a person's object of the REST API. Addresses of mail are not kept."""
    website = read_address(profile.get("blog"))
    return OrganizationRecord(
        host=host,
        login=profile.get("login"),  # ty: ignore[invalid-argument-type]
        host_id=read_id(profile.get("id")),
        kind=read_kind(profile.get("type")),
        name=read_text(profile.get("name"), 255),
        description=read_text(profile.get("description")) or read_text(profile.get("bio")),
        website=website,
        verified_domain=read_domain(website) if profile.get("is_verified") is True else None,
        location=read_text(profile.get("location"), 255),
        public_repositories=read_count(profile.get("public_repos")),
        followers=read_count(profile.get("followers")),
        created_at=read_time(profile.get("created_at")),
        archived_at=read_time(profile.get("archived_at")),
    )


def add_sponsoring(record: OrganizationRecord, answer: Answer) -> OrganizationRecord:
    """Add what GraphQL tells. What it could not answer stays unknown."""
    account = pick_account(answer)
    sponsorable = read_flag(account.get("hasSponsorsListing"))
    website = record.website or read_address(account.get("websiteUrl"))
    changes: dict[str, Any] = {
        "sponsorable": sponsorable,
        "sponsors": read_count(read_mapping(account.get("sponsors")).get("totalCount")),
        "sponsoring": read_count(read_mapping(account.get("sponsoring")).get("totalCount")),
        "funding": _read_funding(record.login, sponsorable, answer),
        "website": website,
    }
    if account.get("isVerified") is True:
        changes["verified_domain"] = read_domain(website)
    return OrganizationRecord.model_validate(record.model_dump() | changes)


def _read_funding(login: str, sponsorable: bool | None, answer: Answer) -> tuple[FundingLink, ...] | None:
    """The links of the owner's `.github` repository, and its page of sponsors; null where neither was told."""
    repository = answer.data.get("repository")
    error = answer.find_error("repository")
    if repository is None and error is not None and error.get("type") != "NOT_FOUND":
        return None
    links = parse_funding_links(read_mapping(repository).get("fundingLinks"))
    own = FundingLink(url=f"https://github.com/sponsors/{login}", type="github")
    if sponsorable and not any(link.type == "github" and login.lower() in link.url.lower() for link in links):
        links = (own, *links)
    return links


async def _fetch_funding(context: Context, login: str) -> tuple[FundingLink, ...]:
    """FUNDING.yml of the owner's `.github` repository; empty where there is none."""
    for path in _FUNDING_FILES:
        response = await fetch(context, f"/repos/{login}/.github/contents/{path}")
        try:
            check_status(response)
            file = check_file(read_json(response))
        except NotFound:
            continue
        return parse_funding_file(decode_content(file))[0]
    return ()
