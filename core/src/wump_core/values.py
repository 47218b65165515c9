"""Single values of an upstream's answer, made fit for a record: bounded, storable, null where nothing is told.

One value that can't be read costs itself, and not the record that it stands in. All are pure and raise nothing.
"""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from wump_core.hosts import parse_repository_url
from wump_core.records import MAX_FUNDING_LINKS, FundingLink, RepositoryClaim

MAX_TEXT = 2_000
MAX_COUNT = 2**53


def read_text(value: object, limit: int = MAX_TEXT) -> str | None:
    """A text without control characters, cut to the limit; null where there is none."""
    if not isinstance(value, str):
        return None
    if not value.isprintable():
        value = "".join(char for char in value if char.isprintable() or char in "\n\t")
    return value.strip()[:limit] or None


def read_address(value: object) -> str | None:
    """A web address; people leave out its scheme. Null where it is none."""
    if not isinstance(value, str) or not (text := value.strip()):
        return None
    try:
        return FundingLink(url=text if "://" in text else f"https://{text}").url
    except ValueError:
        return None


def read_domain(address: str | None) -> str | None:
    """The host of a web address."""
    return urlsplit(address).hostname if address else None


def read_count(value: object) -> int | None:
    """A number of things; null where it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_COUNT else None


def read_flag(value: object) -> bool | None:
    """True or false; null where the upstream tells neither."""
    return value if isinstance(value, bool) else None


def read_time(value: object) -> datetime | None:
    """A moment in ISO 8601 with its offset; null where there is none that can be read."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def read_items(value: object) -> list[Any]:
    """A list; empty where there is none."""
    return value if isinstance(value, list) else []


def read_mapping(value: object) -> dict[str, Any]:
    """An object; empty where there is none."""
    return value if isinstance(value, dict) else {}


def read_licence(value: object) -> str | None:
    """An SPDX expression in its canonical writing; null where it is none."""
    try:
        return canonicalize_license_expression(value) if isinstance(value, str) and len(value) <= 255 else None
    except InvalidLicenseExpression:
        return None


def read_claim(value: object) -> RepositoryClaim | None:
    """The repository that an address names; null where it names none."""
    found = parse_repository_url(value) if isinstance(value, str) else None
    if found is None:
        return None
    return RepositoryClaim(host=found.host, path=found.path, owner=found.owner, directory=found.directory)


def read_funding(value: object) -> tuple[FundingLink, ...] | None:
    """Where money is asked for, out of a list of addresses; null where there is no list."""
    if not isinstance(value, list):
        return None
    addresses = (address for item in value if (address := read_address(item)))
    return tuple(FundingLink(url=address) for address in dict.fromkeys(addresses))[:MAX_FUNDING_LINKS]


def read_topics(value: object) -> tuple[str, ...] | None:
    """Short words, a hundred at most, out of a list; null where there is none."""
    return tuple(text for item in value if (text := read_text(item, 255)))[:100] if isinstance(value, list) else None
