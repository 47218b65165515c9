"""What GitHub's fields hold, made fit for a record: bounded, without control characters, null where empty."""

from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from wump_core import FundingLink


def read_text(value: object, limit: int = 2_000) -> str | None:
    """A text without control characters, cut to the limit; null where there is none."""
    if not isinstance(value, str):
        return None
    text = "".join(char for char in value if char.isprintable() or char in "\n\t").strip()
    return text[:limit] or None


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
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def read_flag(value: object) -> bool | None:
    """True or false; null where GitHub tells neither."""
    return value if isinstance(value, bool) else None


def read_time(value: object) -> datetime | None:
    """A moment; null where there is none that can be read."""
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
