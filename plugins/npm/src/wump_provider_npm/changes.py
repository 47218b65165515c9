"""The feed of changes: which packages were published, changed or removed since a sequence number.

Source: npm's announcement of the changed replication feed (2025): `GET /` and `GET /_changes?since=&limit=` are
what is left of CouchDB's API. Its address follows from no other, so that it is a setting.
"""

from typing import Any

import msgspec
from pydantic import Field, field_validator, model_validator
from wump_core import (
    Context,
    Diagnostic,
    InvalidResponse,
    Page,
    ProviderSettings,
    Unavailable,
    collect_items,
    make_purl,
)

PAGE_SIZE = 1_000
MAX_SEQUENCE_LENGTH = 200


class NpmSettings(ProviderSettings):
    """`WUMP_PROVIDER_NPM_*`."""

    changes_url: str | None = Field(
        default=None,
        max_length=2_000,
        description="Where the feed of changes answers, without `/_changes`. Unset: no feed.",
    )

    @field_validator("changes_url")
    @classmethod
    def _without_slash(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else None

    @model_validator(mode="before")
    @classmethod
    def _may_be_asked(cls, data: Any) -> Any:
        """The feed's host is one of those that may be asked; what is allowed for `hosts` is checked there."""
        url = data.get("changes_url") if isinstance(data, dict) else None
        return data | {"hosts": (*data.get("hosts", ()), url)} if url else data


async def fetch_page(context: Context, cursor: str | None) -> Page[str]:
    """Fetch what changed since a sequence number; without one, the present number.

    Raises:
        InvalidResponse: The answer is none of the feed.
    """
    if not isinstance(context.settings, NpmSettings) or context.settings.changes_url is None:
        raise Unavailable("the feed of changes needs the setting WUMP_PROVIDER_NPM_CHANGES_URL")
    url = context.settings.changes_url
    if cursor is None:
        response = await context.http.get(f"{url}/")
        response.raise_for_status()
        return Page(items=(), next_cursor=_parse_sequence(_parse_object(response.content), "update_seq"))
    response = await context.http.get(f"{url}/_changes", params={"since": cursor, "limit": PAGE_SIZE})
    response.raise_for_status()
    return parse_page(response.content, cursor)


def parse_page(content: bytes, since: str) -> Page[str]:
    """Read one page of the feed. A package that changed twice is named once.

    Raises:
        InvalidResponse: It is none; the text names the field.
    """
    document = _parse_object(content)
    results = document.get("results")
    if not isinstance(results, list):
        raise InvalidResponse("the feed of changes must be an object with the list `results`")
    purls, diagnostics = collect_items(results, lambda entry: str(make_purl("npm", entry["id"])))
    last = _parse_sequence(document, "last_seq")
    if _began_anew(since, last):
        note = Diagnostic(field="last_seq", message="the feed began anew: what changed before is not told")
        return Page(items=tuple(dict.fromkeys(purls)), next_cursor=last, complete=False, diagnostics=(note,))
    return Page(items=tuple(dict.fromkeys(purls)), next_cursor=last, diagnostics=diagnostics)


def _began_anew(since: str, last: str) -> bool:
    """The numbers were reset twice; they only rise otherwise."""
    return since.isdecimal() and last.isdecimal() and int(last) < int(since)


def _parse_object(content: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(content)
    except (ValueError, RecursionError):
        raise InvalidResponse("the feed of changes can't be read as JSON") from None
    if not isinstance(document, dict):
        raise InvalidResponse("the feed of changes must answer an object")
    return document


def _parse_sequence(document: dict[str, Any], field: str) -> str:
    """A sequence number is opaque: a number today, a text where CouchDB made it."""
    value = document.get(field)
    if isinstance(value, bool) or not isinstance(value, int | str) or not 0 < len(str(value)) <= MAX_SEQUENCE_LENGTH:
        raise InvalidResponse(f"the feed of changes has no {field}")
    return str(value)
