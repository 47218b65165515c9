"""Its services: asking one of them, and walking a list page by page.

Source: the OpenAPI descriptions of ecosyste-ms/packages, repos and sponsors.
"""

import re
from typing import Any
from urllib.parse import quote

import httpx
from wump_core import Context, InvalidResponse, NotFound, read_count

from wump_provider_ecosystems.settings import EcosystemsSettings

PAGE_SIZE = 100
_REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,99}")


def settings_of(context: Context) -> EcosystemsSettings:
    """The provider's own settings."""
    if not isinstance(context.settings, EcosystemsSettings):
        raise TypeError("the settings are those of another provider")
    return context.settings


async def fetch_document(context: Context, address: str, parameters: dict[str, str] | None = None) -> httpx.Response:
    """Ask for one document.

    Raises:
        HTTPStatusError: The answer is none; the seam translates it.
    """
    response = await context.http.get(address, params=parameters or {})
    response.raise_for_status()
    return response


def parse_list(document: Any) -> list[Any]:
    """The answer, if it is a list in which there are objects.

    Raises:
        InvalidResponse: It is none, as where a service answers with a message instead.
    """
    if not isinstance(document, list) or (document and not any(isinstance(item, dict) for item in document)):
        raise InvalidResponse("the answer is no list of objects")
    return document


def parse_object(document: Any, key: str) -> dict[str, Any]:
    """The answer, if it is an object with a text under this key.

    Raises:
        InvalidResponse: It is none.
    """
    if not isinstance(document, dict) or not isinstance(document.get(key), str) or not document[key]:
        raise InvalidResponse(f"the answer is no object with `{key}`")
    return document


async def fetch_registry_name(context: Context, ecosystem: str) -> str:
    """The name under which it knows a purl type's own registry.

    Raises:
        NotFound: It knows none.
    """
    response = await fetch_document(context, f"{context.settings.base_url}/registries", {"per_page": "1000"})
    for item in parse_list(response.json()):
        name = item.get("name") if isinstance(item, dict) else None
        is_meant = name and item.get("default") is True and item.get("purl_type") == ecosystem
        if is_meant and _REGISTRY.fullmatch(str(name)):
            return str(name)
    raise NotFound(f"ecosyste.ms names no registry of {ecosystem}")


def is_registry_name(text: str) -> bool:
    """Whether a cursor of ours may hold it."""
    return bool(_REGISTRY.fullmatch(text))


def quote_segment(text: str) -> str:
    """One segment of an address.

    Raises:
        NotFound: It is empty or a dot segment, and would lead elsewhere.
    """
    if text in ("", ".", ".."):
        raise NotFound(f"nothing has the name {text!r}")
    return quote(text, safe="")


def has_next(response: httpx.Response) -> bool:
    """Whether the pager names a page after this one. Its address is not believed, only that there is one."""
    return "next" in response.links


def parse_total(response: httpx.Response) -> int | None:
    """How many there are in all, where it was counted."""
    text = response.headers.get("Total-Count", "")
    return read_count(int(text)) if re.fullmatch(r"[0-9]{1,12}", text) else None
