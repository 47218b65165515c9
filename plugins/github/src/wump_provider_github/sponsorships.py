"""Sponsorships: whom an account pays, then who pays it, as far as that is public.

Source: GitHub's public GraphQL schema, `Sponsorable`, `Sponsorship`.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from wump_core import (
    Context,
    InvalidResponse,
    Page,
    SponsorshipRecord,
    collect_items,
    read_count,
    read_flag,
    read_items,
    read_mapping,
    read_time,
)

from wump_provider_github.accounts import pick_account, write_query
from wump_provider_github.graphql import Answer, ask_for_less
from wump_provider_github.repositories import read_kind
from wump_provider_github.upstream import check_host

_ENTITY = "__typename ... on Organization{login url} ... on User{login url}"
_FIELDS = "createdAt isActive isOneTimePayment privacyLevel"
_CONNECTIONS = {
    "given": f"sponsorshipsAsSponsor(first:$first,after:$after){{totalCount pageInfo{{hasNextPage endCursor}}"
    f" nodes{{{_FIELDS} sponsorable{{{_ENTITY}}}}}}}",
    "received": f"sponsorshipsAsMaintainer(first:$first,after:$after){{totalCount pageInfo{{hasNextPage endCursor}}"
    f" nodes{{{_FIELDS} sponsorEntity{{{_ENTITY}}}}}}}",
}
_NAMES = {"given": "sponsorshipsAsSponsor", "received": "sponsorshipsAsMaintainer"}
_EXPECTED = frozenset({"NOT_FOUND"})
"""One of the two kinds of account is never there."""


async def fetch_sponsorships(context: Context, host: str, login: str, cursor: str | None) -> Page[SponsorshipRecord]:
    """Fetch one page; the cursor is `given:` or `received:` with GitHub's own behind it.

    Raises:
        NotFound: There is no such account, or the host is another one.
        InvalidResponse: The cursor was not made here.
    """
    check_host(context, host)
    direction, _, after = (cursor or "given:").partition(":")
    if direction not in _CONNECTIONS:
        raise InvalidResponse("the cursor can't be read: begin again without one")
    query = write_query(_CONNECTIONS[direction], variables=",$first:Int!,$after:String")
    answer = await ask_for_less(context, query, {"login": login, "after": after or None})
    return parse_sponsorships(host, login, direction, after, answer)


def parse_sponsorships(host: str, login: str, direction: str, after: str, answer: Answer) -> Page[SponsorshipRecord]:
    """Read one page of one direction.

    Raises:
        NotFound: There is no such account.
        InvalidResponse: The next page would be this one again.
    """
    account = pick_account(answer)
    connection = read_mapping(account.get(_NAMES[direction]))
    nodes = [node for node in read_items(connection.get("nodes")) if not _is_private(node)]
    itself = (account.get("login") or login, read_kind(account.get("__typename")))
    items, diagnostics = collect_items(nodes, lambda node: _parse_sponsorship(host, itself, direction, node))
    info = read_mapping(connection.get("pageInfo"))
    end = info.get("endCursor") if info.get("hasNextPage") else None
    if end is not None and (not isinstance(end, str) or end == after):
        raise InvalidResponse("the next page begins where this one did")
    following = f"{direction}:{end}" if end else None
    problems = answer.describe_errors(ignored=_EXPECTED)
    return Page[SponsorshipRecord](
        items=items,
        next_cursor=following or ("received:" if direction == "given" else None),
        total=read_count(connection.get("totalCount")),
        complete=not problems and bool(connection),
        diagnostics=(*diagnostics, *problems)[:500],
    )


def _is_private(node: Any) -> bool:
    """A token of one of the two sees their private sponsorships: these are theirs alone."""
    return read_mapping(node).get("privacyLevel") == "PRIVATE"


def _parse_sponsorship(
    host: str, itself: tuple[str, Any], direction: str, node: Mapping[str, Any]
) -> SponsorshipRecord:
    other = read_mapping(node["sponsorable" if direction == "given" else "sponsorEntity"])
    named = (_read_login(other), read_kind(other.get("__typename")))
    sponsor, maintainer = (itself, named) if direction == "given" else (named, itself)
    return SponsorshipRecord(
        host=host,
        sponsor=sponsor[0],
        sponsor_kind=sponsor[1],
        maintainer=maintainer[0],
        maintainer_kind=maintainer[1],
        active=read_flag(node.get("isActive")),
        one_time=read_flag(node.get("isOneTimePayment")),
        created_at=read_time(node.get("createdAt")),
    )


def _read_login(account: Mapping[str, Any]) -> str:
    """Its login, or what its address ends in."""
    login = account.get("login") or urlsplit(str(account.get("url") or "")).path.strip("/")
    if not login:
        raise ValueError("the other account is not named")
    return login
