"""Settings of the API process, `WUMP_API_*`."""

from pydantic import Field, ValidationError
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
    streams: int = Field(
        default=2, ge=1, le=100, description="Exports at once in one API process; each has a connection of its own."
    )
    stream_seconds: int = Field(default=3_600, ge=1, le=86_400, description="Longest time for one export.")
    statement_timeout_ms: int = Field(default=2_000, ge=50, le=60_000, description="Longest wait for the database.")


def load_api_settings() -> ApiSettings:
    """Read the settings. Raises `ConfigurationError` naming the variable that is wrong."""
    try:
        return ApiSettings()
    except ValidationError as error:
        raise ConfigurationError(describe_settings_error(error, "WUMP_API_")) from None
