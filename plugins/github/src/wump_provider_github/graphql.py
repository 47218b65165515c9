"""GraphQL: one query, its data, and what GitHub says went wrong, which mostly comes with HTTP 200.

Source: GitHub's GraphQL API documentation, "Rate limits and query limits" and "Using global node IDs"; the error
types are those of the public schema and of what GitHub was seen to answer.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from wump_core import (
    Context,
    CredentialsRejected,
    Diagnostic,
    InvalidResponse,
    NotFound,
    RateLimited,
    Unavailable,
    read_items,
    read_mapping,
    read_text,
)

from wump_provider_github.settings import find_graphql_url
from wump_provider_github.upstream import check_status, find_retry, read_object

PAGE_SIZE = 100
SMALLEST_PAGE = 10
_TYPE = re.compile(r"[A-Za-z_]{1,60}")
_LIMITED = frozenset({"RATE_LIMITED", "RATE_LIMIT", "graphql_rate_limit"})
_TOO_HEAVY = frozenset({"RESOURCE_LIMITS_EXCEEDED", "MAX_NODE_LIMIT_EXCEEDED"})
_FORBIDDEN = frozenset({"FORBIDDEN", "INSUFFICIENT_SCOPES"})


class TooHeavy(Unavailable):
    """GitHub did not finish the query in time: ask for less."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a query: the data, and for each part that is missing why."""

    data: Mapping[str, Any]
    errors: tuple[Mapping[str, Any], ...]

    def find_error(self, field: str) -> Mapping[str, Any] | None:
        """Why a field, or something below it, is null."""
        return next((error for error in self.errors if field in _read_path(error)), None)

    def describe_errors(self, *, ignored: frozenset[str] = frozenset()) -> tuple[Diagnostic, ...]:
        """A diagnostic for each part that could not be had."""
        return tuple(
            Diagnostic(
                field=read_text(".".join(map(str, _read_path(error))), 255),
                message=f"GitHub did not tell this ({_read_type(error)})",
            )
            for error in self.errors[:100]
            if _read_type(error) not in ignored
        )


async def ask(context: Context, query: str, variables: Mapping[str, Any]) -> Answer:
    """Send one query.

    Raises:
        RateLimited: The budget is spent, said with HTTP 200 or 403.
        TooHeavy: The query costs more than GitHub allows, or took longer.
        CredentialsRejected: There is no token, or it may see nothing of this.
        NotFound: Nothing of what was asked for exists.
        InvalidResponse: The query has a mistake, or the answer is none.
    """
    response = await context.http.post(
        find_graphql_url(context.settings.base_url or ""),
        json={"query": query, "variables": dict(variables)},
        headers={"Accept": "application/vnd.github+json"},
        extensions={"wump_resource": "graphql", "wump_idempotent": True},
    )
    if response.status_code in (502, 504):
        raise TooHeavy(f"GitHub did not finish the query (HTTP {response.status_code})")
    if response.status_code == 403 and response.headers.get("x-ratelimit-limit") == "0":
        raise CredentialsRejected("GraphQL needs a token: none was sent")
    check_status(response)
    return read_answer(response)


async def ask_for_less(context: Context, query: str, variables: Mapping[str, Any]) -> Answer:
    """Send a query that has a variable `first`, with half as many items each time that it was too heavy.

    Raises:
        Unavailable: Even a few are too heavy.
    """
    first = PAGE_SIZE
    while True:
        try:
            return await ask(context, query, {**variables, "first": first})
        except TooHeavy:
            if first <= SMALLEST_PAGE:
                raise
            first = max(first // 2, SMALLEST_PAGE)


def read_answer(response: httpx.Response) -> Answer:
    """Tell data from errors; data with errors is used as far as it goes. Raises as `ask` does."""
    body = read_object(response)
    errors = tuple(error for error in read_items(body.get("errors")) if isinstance(error, dict))
    kinds = {_read_type(error) for error in errors} | {str(error.get("code")) for error in errors}
    reason = ", ".join(sorted({_read_type(error) for error in errors})[:5]) or "no reason given"
    if kinds & _LIMITED or any("rate limit" in str(error.get("message")).lower() for error in errors):
        raise RateLimited(f"the limit of GraphQL is spent ({reason})", find_retry(response))
    if kinds & _TOO_HEAVY:
        raise TooHeavy(f"the query was too heavy ({reason})")
    data = read_mapping(body.get("data"))
    if any(value is not None for value in data.values()):
        return Answer(data, errors)
    if kinds & _FORBIDDEN:
        raise CredentialsRejected(f"the token may not ask GraphQL for this ({reason})")
    if "NOT_FOUND" in kinds:
        raise NotFound("GraphQL knows of no such thing")
    raise InvalidResponse(f"GraphQL answered without data ({reason})")


def _read_type(error: Mapping[str, Any]) -> str:
    found = error.get("type") or read_mapping(error.get("extensions")).get("code")
    return found if isinstance(found, str) and _TYPE.fullmatch(found) else "unknown error"


def _read_path(error: Mapping[str, Any]) -> list[Any]:
    return read_items(error.get("path"))
