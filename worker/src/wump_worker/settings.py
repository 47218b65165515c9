"""Settings of the worker and of what it sends to upstreams."""

from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from wump_core.errors import ConfigurationError
from wump_core.settings import SECRETS_DIRECTORY, describe_settings_error


class WorkerSettings(BaseSettings):
    """`WUMP_WORKER_*`."""

    model_config = SettingsConfigDict(
        env_prefix="WUMP_WORKER_", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    threads: int = Field(default=8, ge=1, le=64, description="How many jobs run at once in one worker process.")
    max_body_bytes: int = Field(
        default=48 * 1024 * 1024, ge=1024, description="Largest answer that is read, after decompression, in bytes."
    )
    max_requests: int = Field(
        default=300, ge=1, le=100_000, description="Most requests of one call of a hook: endless pages end here."
    )
    connect_timeout_seconds: float = Field(default=10, gt=0, le=120, description="To reach an upstream.")
    read_timeout_seconds: float = Field(default=30, gt=0, le=300, description="Between two parts of an answer.")
    total_timeout_seconds: float = Field(
        default=40,
        gt=0,
        le=600,
        description="For one request, its redirects, waits and further tries included; a call of a hook has 45.",
    )
    patience_seconds: float = Field(
        default=10,
        ge=0,
        le=300,
        description="Longest wait for room in an upstream's limits; else the job is due later.",
    )
    kept_responses_bytes: int = Field(
        default=1024 * 1024 * 1024, ge=0, description="Most bytes of answers that are kept to be revalidated."
    )
    job_deadline_seconds: float = Field(default=120, gt=0, le=3600, description="For one whole run of a job.")

    discover_languages: str = Field(
        default="tracked",
        max_length=1_000,
        description="Languages whose popular repositories are discovered, comma-separated; `tracked`: those of the"
        " tracked packages' ecosystems; `none`.",
    )
    discover_owners: str = Field(
        default="",
        max_length=10_000,
        description="Accounts all of whose repositories are discovered, comma-separated, as `login` or `host/login`.",
    )
    discover_min_stars: int = Field(
        default=500, ge=0, description="Fewest stars of a repository that is discovered by its language."
    )
    discover_pages: int = Field(
        default=100, ge=1, le=10_000, description="Most pages of one search in a run; the next run goes on there."
    )
    dependents_pages: int = Field(
        default=20, ge=1, le=10_000, description="Most pages of one package's dependents in a run."
    )
    refresh_min_hours: float = Field(
        default=6, ge=0.1, le=8760, description="Least hours between two looks at a tracked package that changes often."
    )
    refresh_max_days: float = Field(
        default=14, ge=0.1, le=365, description="Most days between two looks at a tracked package or its repository."
    )
    enrich_organizations: int = Field(
        default=500, ge=0, le=100_000, description="Most accounts whose hosts are asked about them in a run."
    )
    vanished_days: int = Field(
        default=30, ge=1, description="After so many days without its repository, what its files say is of the past."
    )
    keep_removed_days: int = Field(
        default=730, ge=1, description="How long statements are kept that nobody makes any more."
    )
    keep_executions_days: int = Field(
        default=30, ge=1, description="How long completed runs stay in the ledger before they go to the archive."
    )
    transitive: bool = Field(
        default=False,
        description="Also keep what lockfiles say of indirect dependencies. They never count as direct ones.",
    )


class AlertSettings(BaseSettings):
    """`WUMP_ALERT_*`: who is told when something is wrong, beside the log. The scheduler reads them."""

    model_config = SettingsConfigDict(
        env_prefix="WUMP_ALERT_",
        secrets_dir=SECRETS_DIRECTORY if SECRETS_DIRECTORY.is_dir() else None,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    webhook_url: SecretStr | None = Field(
        default=None, description="Where alerts are posted to, an http or https address. Unset: only to the log."
    )
    webhook_format: Literal["slack", "pagerduty"] = Field(default="slack", description="What its receiver understands.")
    pagerduty_key: SecretStr | None = Field(
        default=None, description="Integration key of an Events API v2 integration; sent as a header."
    )
    severity: Literal["P1", "P2", "P3", "P4"] = Field(
        default="P4", description="The least that is posted; the log has all."
    )
    lag_seconds: int = Field(default=900, ge=10, le=7 * 24 * 3600, description="So long due work may wait.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        url = self.webhook_url.get_secret_value() if self.webhook_url else None
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("WUMP_ALERT_WEBHOOK_URL must be an http or https address")
        if url is not None and self.webhook_format == "pagerduty" and self.pagerduty_key is None:
            raise ValueError("WUMP_ALERT_WEBHOOK_FORMAT=pagerduty needs WUMP_ALERT_PAGERDUTY_KEY")
        return self


def load_alert_settings() -> AlertSettings:
    """Read the settings. Raises `ConfigurationError` naming the variable that is wrong."""
    try:
        return AlertSettings()
    except ValidationError as error:
        raise ConfigurationError(describe_settings_error(error, "WUMP_ALERT_")) from None


def load_worker_settings() -> WorkerSettings:
    """Read the settings. Raises `ConfigurationError` naming the variable that is wrong."""
    try:
        return WorkerSettings()
    except ValidationError as error:
        raise ConfigurationError(describe_settings_error(error, "WUMP_WORKER_")) from None
