"""Settings of delivery, read at start of each run from `TICKHOUSE_…` variables and `.env`.

Put here: channels and how messages are made. Keep out: which conditions fire (`alerts.toml`).

Addresses of channels are checked when channels are made, not here: what pydantic refuses it repeats.
"""

from __future__ import annotations

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class AlertingSettings(BaseSettings):
    """Where alerts go, and how they become messages; times in seconds unless named otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="TICKHOUSE_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    discord_webhook_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("DISCORD_WEBHOOK_URL", "TICKHOUSE_DISCORD_WEBHOOK_URL", "discord_webhook_url"),
        description="Webhook of the Discord channel that alerts go to.",
    )
    discord_webhook_url_2: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("DISCORD_WEBHOOK_URL_2", "TICKHOUSE_DISCORD_WEBHOOK_URL_2", "discord_webhook_url_2"),
        description="Webhook of a second Discord channel.",
    )
    alert_urls: SecretStr | None = Field(
        default=None, description="Further channels as addresses of Apprise (Slack, Telegram, e-mail and many more), separated by spaces."
    )
    alert_log: bool = Field(default=True, description="Alerts also go to the log of the run that delivers them.")
    alert_attempts: int = Field(default=5, ge=1, le=20, description="How often one run offers a message to a channel that may take it.")
    alert_longest_wait_seconds: float = Field(
        default=60.0, ge=0, le=600, description="Longest wait between two offers; a channel that asks for more is left to a later run."
    )
    alert_timeout_seconds: float = Field(default=10.0, ge=0.1, le=120, description="Longest wait for the answer of a Discord webhook.")
    alert_worst: int = Field(default=10, ge=1, le=25, description="How many of its alerts a message of many lists, the gravest first.")
    alert_old_minutes: float = Field(
        default=60.0, gt=0, description="Alerts undelivered for longer than this, minutes, become one summary instead of many messages."
    )
    alert_horizon_days: int = Field(default=30, ge=1, le=3650, description="Alerts undelivered for longer than this, days, are given up.")
    alert_sensor_seconds: int = Field(default=2, ge=1, le=60, description="How often Dagster looks for alerts that are to be delivered.")
    alert_watch_seconds: float = Field(
        default=4.0,
        ge=0,
        le=30,
        description="How long each look watches for a new alert: Dagster begins the next one five seconds later.",
    )
    alert_gather_seconds: float = Field(
        default=0.5, ge=0, le=10, description="How long it waits for further ones once it has found one, so that they share a run."
    )
    alert_health_seconds: int = Field(default=30, ge=5, le=3600, description="How often partitions, checks, runs and the disk are judged.")
    alert_again_seconds: float = Field(
        default=60.0, ge=1, le=3600, description="How long after a run was asked for the alerts it left are given to another; it doubles."
    )
