"""Settings of the worker and of what it sends to upstreams."""

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from wump_core.errors import ConfigurationError
from wump_core.settings import describe_settings_error


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


def load_worker_settings() -> WorkerSettings:
    """Read the settings. Raises `ConfigurationError` naming the variable that is wrong."""
    try:
        return WorkerSettings()
    except ValidationError as error:
        raise ConfigurationError(describe_settings_error(error, "WUMP_WORKER_")) from None
