"""The texts that a record's fields may hold: bounded, and of characters that Postgres can store.

The checks run inside pydantic's compiled core, since a lockfile has tens of thousands of fields.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, GetCoreSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, core_schema

from wump_core.hosts import MAX_PATH_LENGTH
from wump_core.purl import MAX_PURL_LENGTH, PLAIN_PURL, PLAIN_PURL_LENGTH, parse_purl

_STORABLE = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*$"
"""Postgres stores no NUL; other control characters only confuse readers. Half a surrogate is no text to pydantic."""


@dataclass(frozen=True, slots=True)
class Storable:
    """A text with bounds and without control characters other than tab and line ends."""

    max_length: int
    min_length: int = 0

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """One compiled check, and one message that says what is allowed."""
        allowed = f"{self.min_length} to {self.max_length:,}" if self.min_length else f"at most {self.max_length:,}"
        return core_schema.custom_error_schema(
            core_schema.str_schema(min_length=self.min_length, max_length=self.max_length, pattern=_STORABLE),
            custom_error_type="text",
            custom_error_message=f"must be a text of {allowed} characters, without control characters",
        )


class _CanonicalPurl:
    """A purl as `make_purl` writes it. Plain ones are known by a pattern, the others are read and written again."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Two ways to be right, and one message."""
        plain = core_schema.str_schema(max_length=PLAIN_PURL_LENGTH, pattern=f"^(?:{PLAIN_PURL})$")
        any_purl = core_schema.str_schema(max_length=MAX_PURL_LENGTH)
        return core_schema.union_schema(
            [plain, core_schema.no_info_after_validator_function(_check_purl, any_purl)],
            mode="left_to_right",
            custom_error_type="purl",
            custom_error_message="must be a canonical package URL such as pkg:npm/express: make it with make_purl",
        )


@lru_cache(maxsize=10_000)
def _check_purl(text: str) -> str:
    if str(parse_purl(text)) != text:
        raise ValueError("must be canonical")
    return text


def _web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("must be a web address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isprintable() or " " in text:
        raise ValueError("must be an http or https address with a host")
    if parts.username or parts.password:
        raise ValueError("must not hold credentials")
    return text


Name = Annotated[str, Storable(214, min_length=1)]
Short = Annotated[str, Storable(255)]
Text = Annotated[str, Storable(2_000)]
WebAddress = Annotated[str, Storable(2_000), AfterValidator(_web_address)]
PurlText = Annotated[str, _CanonicalPurl()]

HostPath = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_PATH_LENGTH, pattern=r"^[A-Za-z0-9_.~+-]+(/[A-Za-z0-9_.~+-]+)*$"),
]
"""A path on a code host, without what would have to be quoted in an address."""
