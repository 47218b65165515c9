"""Settings of the API process, `WUMP_API_*`."""

from ipaddress import ip_network
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from wump_core.errors import ConfigurationError
from wump_core.settings import describe_settings_error


class ApiSettings(BaseSettings):
    """Where the API listens and how long it waits."""

    model_config = SettingsConfigDict(
        env_prefix="WUMP_API_", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")
    pool_size: int = Field(
        default=10,
        ge=1,
        le=100,
        description="Database connections of one API process for reading; at most as many more for writing.",
    )
    cache: bool = Field(default=True, description="Keep finished answers in Valkey, until what they tell changes.")
    streams: int = Field(
        default=2, ge=1, le=100, description="Exports at once in one API process; each has a connection of its own."
    )
    stream_seconds: int = Field(default=3_600, ge=1, le=86_400, description="Longest time for one export.")
    statement_timeout_ms: int = Field(default=2_000, ge=50, le=60_000, description="Longest wait for the database.")
    request_timeout_seconds: int = Field(
        default=30, ge=1, le=600, description="Longest time for one request, exports apart."
    )
    anonymous: Literal["loopback", "everyone", "nobody"] = Field(
        default="loopback",
        description="Who needs no key: `loopback`, this machine, which may also write; `everyone`, to read; `nobody`.",
    )
    https_only: bool = Field(
        default=False, description="Refuse what came in the clear, and tell browsers to come by HTTPS only."
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses and networks, comma-separated, whose X-Forwarded-For and -Proto are believed.",
    )
    cors_origins: str = Field(
        default="", description="Origins, comma-separated, whose pages may ask the API in a browser; `*` for all."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _only_networks(cls, value: str) -> str:
        for item in split_list(value):
            ip_network(item, strict=False)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _only_origins(cls, value: str) -> str:
        for item in split_list(value):
            parts = urlsplit(item)
            if item != "*" and (parts.scheme not in ("http", "https") or item != f"{parts.scheme}://{parts.netloc}"):
                raise ValueError("an origin is written as https://host or https://host:port")
        return value


def split_list(text: str) -> list[str]:
    """The items of a comma-separated text."""
    return [item.strip() for item in text.split(",") if item.strip()]


def load_api_settings() -> ApiSettings:
    """Read the settings. Raises `ConfigurationError` naming the variable that is wrong."""
    try:
        return ApiSettings()
    except ValidationError as error:
        raise ConfigurationError(describe_settings_error(error, "WUMP_API_")) from None
