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
        default=64 * 1024 * 1024, ge=1024, description="Largest answer that is read, after decompression, in bytes."
    )
    connect_timeout_seconds: float = Field(default=10, gt=0, le=120, description="To reach an upstream.")
    read_timeout_seconds: float = Field(default=30, gt=0, le=300, description="Between two parts of an answer.")
    job_deadline_seconds: float = Field(default=120, gt=0, le=3600, description="For one whole run of a job.")


def load_worker_settings() -> WorkerSettings:
    """Read the settings. Raises `ConfigurationError` naming the variable that is wrong."""
    try:
        return WorkerSettings()
    except ValidationError as error:
        raise ConfigurationError(describe_settings_error(error, "WUMP_WORKER_")) from None
