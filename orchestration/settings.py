"""Settings of orchestration, read once at start from `TICKHOUSE_…` variables and `.env`.

Put here: when things run, and where the Dagster pages are served. Keep out: where the lake lies (`lake.settings`).
"""

from datetime import UTC, datetime

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class OrchestrationSettings(BaseSettings):
    """When things run; times in seconds."""

    model_config = SettingsConfigDict(env_prefix="TICKHOUSE_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    start_hour: datetime = Field(
        default=datetime(2026, 1, 1, tzinfo=UTC),
        description="First hour that is a partition, UTC; hours that landed before it are kept but not materialised.",
    )
    hour_grace_seconds: float | None = Field(
        default=None,
        ge=0,
        le=3600,
        description="Wait after the end of an hour before it is compacted; by default one roll of the log and until its parts count.",
    )
    sensor_seconds: int = Field(default=3, ge=1, le=300, description="How often sensors look for landed hours and what follows.")
    hours_per_tick: int = Field(default=200, ge=1, le=5000, description="Most closed hours one sensor tick reports.")
    max_concurrent_runs: int = Field(default=2, ge=1, le=64, description="Most Dagster runs at the same time.")
    pool_limit: int = Field(default=2, ge=1, le=64, description="Most assets of one pool at the same time on this machine.")
    webserver_host: str = Field(default="127.0.0.1", description="Address the Dagster pages are served on.")
    webserver_port: int = Field(default=3000, ge=1, le=65_535, description="Port the Dagster pages are served on.")
    dashboard_url: str = Field(
        default="http://127.0.0.1:8321", description="Address of the dashboard as a browser reaches it; assets link to its pages."
    )
    shutdown_seconds: float = Field(default=20.0, ge=1, le=300, description="Wait for a program to end by itself before it is killed.")

    @field_validator("start_hour")
    @classmethod
    def _whole_hour(cls, moment: datetime) -> datetime:
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        if aware != aware.replace(minute=0, second=0, microsecond=0):
            message = f"TICKHOUSE_START_HOUR was {moment.isoformat()}, expected a whole hour such as 2026-01-01T00:00"
            raise ValueError(message)
        return aware
