"""Funding links: where a package asks for money.

Source: npm's `package.json` documentation, section `funding`; npm/cli `lib/utils` and `npm fund` for which
addresses count; the top-level `collective` object is written by Open Collective's own tool.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from wump_core import FundingLink

from wump_provider_npm.diagnostics import Diagnostics

MAX_LINKS = 100
"""As many as a record holds."""


def parse_funding(manifest: Mapping[str, Any], diagnostics: Diagnostics) -> tuple[FundingLink, ...]:
    """Take every valid link of `funding` and `collective`, each address once, in the order written.

    npm ignores the whole array if one item is invalid; here the valid items stay, the others are diagnosed.
    """
    funding = manifest.get("funding")
    items = funding if isinstance(funding, list) else [] if funding is None else [funding]
    links: dict[str, FundingLink] = {}
    for index, item in enumerate(items):
        field = f"funding[{index}]" if isinstance(funding, list) else "funding"
        if link := _parse_link(field, item, None, diagnostics):
            links.setdefault(link.url, link)
    collective = manifest.get("collective")
    if isinstance(collective, dict):
        if link := _parse_link("collective", collective, "opencollective", diagnostics):
            links.setdefault(link.url, link)
    elif collective is not None:
        diagnostics.add("collective", "must be an object with a url")
    if len(links) > MAX_LINKS:
        diagnostics.add("funding", f"only the first {MAX_LINKS} links were kept")
    return tuple(links.values())[:MAX_LINKS]


def _parse_link(field: str, item: object, default_type: str | None, diagnostics: Diagnostics) -> FundingLink | None:
    url = item.get("url") if isinstance(item, dict) else item
    link_type = item.get("type") if isinstance(item, dict) else None
    if not isinstance(url, str):
        diagnostics.add(field, "must be an address or an object with a url")
        return None
    if link_type is not None and not isinstance(link_type, str):
        diagnostics.add(f"{field}.type", "must be a text")
        link_type = None
    try:
        link = FundingLink(url=url.strip(), type=default_type)
    except ValidationError as error:
        diagnostics.add(field, error.errors(include_url=False, include_input=False)[0]["msg"])
        return None
    if not link_type:
        return link
    try:
        return FundingLink(url=link.url, type=link_type)
    except ValidationError as error:
        diagnostics.add(f"{field}.type", error.errors(include_url=False, include_input=False)[0]["msg"])
        return link
