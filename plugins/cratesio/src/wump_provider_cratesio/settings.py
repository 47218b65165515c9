"""Where crates.io is and how often it may be asked.

Source: crates.io's data access policy (the index as often as one likes, the API once a second, a User-Agent with a
contact), and Cargo's documentation of registry indexes.
"""

from typing import Any
from urllib.parse import urlsplit

from packageurl.contrib import purl2url
from pydantic import Field, field_validator, model_validator
from wump_core import Context, Limit, ProviderSettings, RateLimits

LIMITS = RateLimits(
    resources={
        "core": (Limit(requests=1, seconds=1.0),),
        "index": (Limit(requests=50, seconds=1.0),),
    }
)


class CratesSettings(ProviderSettings):
    """`WUMP_PROVIDER_CRATESIO_*`."""

    index_url: str | None = Field(
        default=None,
        max_length=2_000,
        description="Where the sparse index answers. Unset: beside crates.io, where `base_url` is unset too; else none,"
        " and the API tells the versions, at a second for each request.",
    )

    @field_validator("index_url")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        """As Cargo's configuration writes it, `sparse+https://…/`, or without."""
        return value.removeprefix("sparse+").rstrip("/") if value else None

    @model_validator(mode="before")
    @classmethod
    def _may_be_asked(cls, data: Any) -> Any:
        """The index is on a host of its own, which is one of those that may be asked."""
        if not isinstance(data, dict):
            return data
        url = data.get("index_url") or (None if data.get("base_url") else _find_index())
        if not url:
            return data
        return data | {"index_url": url, "hosts": (*data.get("hosts", ()), url.removeprefix("sparse+").rstrip("/"))}


def _find_index() -> str | None:
    """crates.io's own index stands on the host `index` below that of its pages."""
    parts = urlsplit(purl2url.get_repo_url("pkg:cargo/x") or "")
    return f"{parts.scheme}://index.{parts.netloc}" if parts.netloc else None


def index_of(context: Context) -> str | None:
    """The sparse index's address, or null where there is none."""
    return getattr(context.settings, "index_url", None)


def api_of(context: Context) -> str:
    """The API's address: `base_url` may be written with its path or without."""
    base = str(context.settings.base_url)
    return base if base.endswith("/api/v1") else f"{base}/api/v1"
