"""Settings of a collector process, read once at start from `TICKHOUSE_…` variables and `.env`.

Put here: how a collector behaves. Keep out: what is collected (tickhouse.toml) and where it lands (lake/settings.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from collectors.backoff import BackoffPolicy
from collectors.breaker import BreakerPolicy
from collectors.errors import ConfigError
from collectors.rhythm import SilencePolicy
from lake.alerts.settings import AlertSettings
from lake.settings import LakeSettings


class CollectorSettings(BaseSettings):
    """How a collector behaves; times in seconds."""

    model_config = SettingsConfigDict(env_prefix="TICKHOUSE_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True)

    collector: str = Field(
        default="main",
        pattern=r"^[a-z0-9_]{1,40}$",
        description="Name of this collector: its write-ahead log, its parts and its status file bear it; one process a name.",
    )
    config: Path = Field(default=Path("tickhouse.toml"), description="File that says which exchanges, symbols and channels to collect.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        validation_alias=AliasChoices("TICKHOUSE_LOG_LEVEL", "LOG_LEVEL", "log_level"),
        description="Least grave log entry written: debug, info, warning or error.",
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto", description="console is readable, json is one object a line; auto is console on a terminal and json otherwise."
    )
    connect_timeout_seconds: float = Field(default=10.0, gt=0, le=120, description="Longest wait for a socket to open.")
    request_timeout_seconds: float = Field(default=10.0, gt=0, le=120, description="Longest wait for a REST answer.")
    backoff_first_seconds: float = Field(default=0.5, gt=0, le=60, description="Bound of the first wait before a socket is opened again.")
    backoff_cap_seconds: float = Field(default=30.0, gt=0, le=600, description="Longest wait before a socket is opened again.")
    healthy_seconds: float = Field(default=30.0, ge=0, description="A socket that lived this long resets the back-off.")
    breaker_failures: int = Field(default=6, ge=1, description="Failures in a row after which an exchange is only probed.")
    breaker_cooldown_seconds: float = Field(default=10.0, gt=0, le=120, description="First pause between two probes of a failing exchange.")
    stall_floor_seconds: float = Field(
        default=5.0, gt=0, description="Silence of a trade or book stream is never called a stall sooner, however lively it was."
    )
    stall_first_seconds: float = Field(
        default=600.0, gt=0, description="Silence that is a stall while the rhythm of a stream is not known yet, or nothing ever came."
    )
    stall_cap_seconds: float = Field(default=1800.0, gt=0, description="Silence that is a stall however quiet a stream was before.")
    handover_seconds: float = Field(
        default=20.0, gt=0, description="How long an old socket waits for its successor to deliver before it is dropped."
    )
    resume_hours: float = Field(
        default=2.0, ge=0, le=24, description="How far back landed trades are read at start, so that none lands a second time."
    )
    instruments_hours: float = Field(
        default=6.0, gt=0, le=24, description="How often the instrument lists of the exchanges are fetched again, hours."
    )
    record: bool = Field(
        default=False, description="Keep every raw frame beside the rows, so that `tickhouse decode --diff` can make an hour again."
    )
    status_seconds: float = Field(default=1.0, gt=0, le=60, description="How often the status file is replaced.")
    collector_metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="Port on which a collector serves /metrics for Prometheus; without one it does not."
    )
    collector_metrics_host: str = Field(default="127.0.0.1", description="Address of that port.")

    @property
    def backoff(self) -> BackoffPolicy:
        return BackoffPolicy(
            first_seconds=min(self.backoff_first_seconds, self.backoff_cap_seconds),
            cap_seconds=self.backoff_cap_seconds,
            healthy_seconds=self.healthy_seconds,
        )

    @property
    def silence(self) -> SilencePolicy:
        """The bounds of silence; where they cross, the cap rules the others, and the first one the floor."""
        first = min(self.stall_first_seconds, self.stall_cap_seconds)
        return SilencePolicy(floor_seconds=min(self.stall_floor_seconds, first), first_seconds=first, cap_seconds=self.stall_cap_seconds)

    @property
    def breaker(self) -> BreakerPolicy:
        return BreakerPolicy(threshold=self.breaker_failures, cooldown_seconds=self.breaker_cooldown_seconds)


def _sentence(error: ValidationError, settings: type[BaseSettings]) -> str:
    found = error.errors(include_url=False)[0]
    name = str(found["loc"][0]) if found["loc"] else "?"
    field = settings.model_fields.get(name.removeprefix("TICKHOUSE_").lower())
    shown = name if name.isupper() else f"TICKHOUSE_{name.upper()}"
    about = f" ({field.description})" if field and field.description else ""
    return f"setting {shown} is {found.get('input')!r}, allowed is: {found['msg'][0].lower()}{found['msg'][1:]}{about}"


def collector_settings(**values: Any) -> CollectorSettings:
    """The settings of this process, `values` overriding the environment. Raises `ConfigError` naming setting, value and what is allowed."""
    try:
        return CollectorSettings(**values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, CollectorSettings)) from None


def alert_settings(**values: Any) -> AlertSettings:
    """The settings of alerts, `values` overriding the environment. Raises `ConfigError` naming setting, value and what is allowed."""
    try:
        return AlertSettings(**values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, AlertSettings)) from None


def lake_settings(**values: Any) -> LakeSettings:
    """The lake's settings, `values` overriding the environment. Raises `ConfigError` naming setting, value and what is allowed."""
    try:
        return LakeSettings(**values)
    except ValidationError as error:
        raise ConfigError(_sentence(error, LakeSettings)) from None
