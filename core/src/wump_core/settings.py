"""Settings of the core, read from `WUMP_*` environment variables or from files for container secrets.

Only `main` and command modules build settings; everything else gets them as arguments.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from wump_core.errors import ConfigurationError
from wump_core.limits import RateLimits

_HOSTNAME = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+", re.IGNORECASE)
SECRETS_DIRECTORY = Path("/run/secrets")


class CoreSettings(BaseSettings):
    """What every part of wump needs to know. Unset server URLs mean: use the embedded servers."""

    model_config = SettingsConfigDict(
        env_prefix="WUMP_",
        secrets_dir=SECRETS_DIRECTORY if SECRETS_DIRECTORY.is_dir() else None,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="Postgres 18, as `postgresql://user:password@host/database`. Unset: embedded.",
    )
    read_database_url: SecretStr | None = Field(
        default=None,
        description="A replica of the database, for what the API reads. Unset: it reads where it writes.",
    )
    valkey_url: SecretStr | None = Field(
        default=None, description="Valkey 8 or later, as `valkey://host:6379/0`. Unset: embedded."
    )
    cache_url: SecretStr | None = Field(
        default=None,
        description="A Valkey for finished answers alone, which may evict them. Unset: that of WUMP_VALKEY_URL.",
    )
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("wump"),
        description="Where the embedded servers keep their data.",
    )
    providers: str = Field(
        default="",
        description="Names of the providers to load, comma-separated, in order of preference. Empty: all.",
    )
    follow_depth: int = Field(
        default=0,
        ge=0,
        le=10,
        description="How many levels of dependencies are fetched with a tracked package.",
    )
    contact: str = Field(
        default="", max_length=200, description="Mail or web address that upstreams find in our User-Agent."
    )
    log_format: Literal["console", "json", "auto"] = Field(
        default="auto", description="`auto`: console in a terminal, JSON elsewhere."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged."
    )
    telemetry: str = Field(
        default="off",
        description="Where traces and figures go: `off`, or of `otlp`, `prometheus` and `console`, comma-separated.",
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="Address at which worker and scheduler answer Prometheus."
    )
    worker_metrics_port: int = Field(default=9464, ge=1, le=65535, description="Port at which a worker does.")
    scheduler_metrics_port: int = Field(default=9465, ge=1, le=65535, description="Port at which a scheduler does.")

    @field_validator("database_url", "read_database_url")
    @classmethod
    def _postgres_only(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://")
        return value

    @field_validator("read_database_url")
    @classmethod
    def _replica_of_something(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and info.data.get("database_url", value) is None:
            raise ValueError("needs WUMP_DATABASE_URL too: what is read here is written there")
        return value

    @field_validator("valkey_url", "cache_url")
    @classmethod
    def _valkey_only(cls, value: SecretStr | None) -> SecretStr | None:
        schemes = ("valkey://", "valkeys://", "redis://", "rediss://")
        if value is not None and not value.get_secret_value().startswith(schemes):
            raise ValueError("must start with valkey://")
        return value

    @field_validator("telemetry")
    @classmethod
    def _known_exporters(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",")]
        if value != "off" and not set(names) <= {"otlp", "prometheus", "console"}:
            raise ValueError("must be off, or one or more of otlp, prometheus and console, comma-separated")
        return value

    @property
    def answers_url(self) -> SecretStr | None:
        """The Valkey in which finished answers are kept."""
        return self.cache_url or self.valkey_url

    @property
    def exporters(self) -> frozenset[str]:
        """Where traces and figures go; empty: nowhere."""
        return frozenset(name.strip() for name in self.telemetry.split(",")) - {"off"}

    @property
    def provider_names(self) -> tuple[str, ...]:
        """The wanted providers in order; empty for all."""
        return tuple(name.strip() for name in self.providers.split(",") if name.strip())


def load_settings() -> CoreSettings:
    """Read the settings from the environment.

    Raises:
        ConfigurationError: A variable has a value that it can't have; the text names the variable.
    """
    try:
        return CoreSettings()
    except ValidationError as error:
        raise ConfigurationError(describe_settings_error(error, "WUMP_")) from None


def describe_settings_error(error: ValidationError, prefix: str) -> str:
    """One line per wrong setting, each naming its environment variable; never the value, which may be a secret."""
    lines = []
    for item in error.errors(include_input=False, include_url=False):
        name = prefix + "_".join(str(part) for part in item["loc"]).upper()
        lines.append(f"{name}: {item['msg']}")
    return "; ".join(lines)


def service_environment(settings: CoreSettings) -> dict[str, str]:
    """The environment for a child process that shall use the same servers and the same data directory.

    Where the servers are embedded, the child is told no address: it joins them itself, so that they stay as long
    as it does, whatever becomes of its parent.
    """
    environment = dict(os.environ) | {"WUMP_DATA_DIR": str(settings.data_dir)}
    for name, url in (("WUMP_DATABASE_URL", settings.database_url), ("WUMP_VALKEY_URL", settings.valkey_url)):
        environment.pop(name, None)
        if url is not None:
            environment[name] = url.get_secret_value()
    return environment


class ProviderSettings(BaseSettings):
    """What an operator may set for one provider, as `WUMP_PROVIDER_<NAME>_*`. A plugin may subclass it.

    The plugin never reads the environment: it gets the finished object in its context.
    """

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, frozen=True)

    base_url: str | None = Field(
        default=None,
        max_length=2_000,
        description="Where the upstream answers. Unset, for a registry: from npm's or pip's settings, else the tables.",
    )
    code_host: str | None = Field(
        default=None,
        max_length=255,
        pattern=r"^[a-z0-9.-]+$",
        description="The code host whose repositories and accounts the upstream knows, as `github.com`.",
    )
    hosts: tuple[str, ...] = Field(
        default=(),
        description="Further hosts (host or host:port) that this provider may ask, as a JSON list.",
    )
    limits: RateLimits | None = Field(
        default=None,
        description="What the upstream allows, as JSON, where it isn't what the plugin states: Enterprise, mirrors.",
    )

    @field_validator("base_url")
    @classmethod
    def _plain_web_address(cls, value: str | None) -> str | None:
        return None if value is None else check_base_url(value)

    @field_validator("hosts")
    @classmethod
    def _only_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for host in value:
            check_base_url(host if "://" in host else f"https://{host}")
        return value


class TokenSettings(ProviderSettings):
    """Settings of a provider that can use tokens. wump puts them on its requests; the plugin never needs them."""

    token: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        max_length=50,
        description="One token or several, comma-separated or as a JSON list. Each has a budget of its own.",
    )

    @field_validator("token", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = re.findall(r'"([^"]*)"', value) if value.lstrip().startswith("[") else value.split(",")
        return tuple(part.strip() for part in parts if part.strip())

    @field_validator("token")
    @classmethod
    def _fit_for_a_header(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(re.fullmatch(r"[!-~]{1,1000}", item.get_secret_value()) for item in value):
            raise ValueError("a token has 1 to 1000 visible ASCII characters")
        return tuple(dict.fromkeys(value))


def check_base_url(value: str) -> str:
    """The address without a trailing slash.

    Raises:
        ValueError: It is no http or https address, or it carries credentials, query or fragment.
    """
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or not _HOSTNAME.fullmatch(parts.hostname):
        raise ValueError("must be an http or https address")
    if parts.username or parts.password:
        raise ValueError("must not carry credentials: wump reads public data only")
    if parts.query or parts.fragment:
        raise ValueError("must have neither query nor fragment")
    return value.strip().rstrip("/")
