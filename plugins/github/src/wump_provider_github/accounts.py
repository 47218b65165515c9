"""What organizations and people have in common in GraphQL: a login is one or the other, so both are asked for."""

from collections.abc import Mapping
from typing import Any

from wump_core import NotFound, read_mapping

from wump_provider_github.graphql import Answer


def write_query(fields: str, *, variables: str = "", beside: str = "") -> str:
    """A query for the account `$login`, whatever its kind.

    Args:
        fields: What both kinds have, being sponsorable.
        variables: Declarations beside `$login`.
        beside: Further fields of the query itself.
    """
    return (
        f"query($login:String!{variables}){{"
        "organization(login:$login){__typename login ...account} user(login:$login){__typename login ...account}"
        f"{beside}}} fragment account on Sponsorable{{{fields}}}"
    )


def pick_account(answer: Answer) -> Mapping[str, Any]:
    """The one of the two that is there.

    Raises:
        NotFound: Neither is.
    """
    found = read_mapping(answer.data.get("organization")) or read_mapping(answer.data.get("user"))
    if not found:
        raise NotFound("there is no such account")
    return found
