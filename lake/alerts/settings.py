"""Settings of alerts, read once at start from `TICKHOUSE_…` variables and `.env`.

Put here: where the rules lie and what rules get that name no value of their own. Keep out: channels and how they are reached.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field

from lake.window_settings import WindowSettings


class AlertSettings(WindowSettings):
    """Where the rules lie, and their defaults; times in seconds."""

    alerts: Path = Field(default=Path("alerts.toml"), description="File of alert rules; without it, if not named, nothing is watched.")
    alert_cooldown_sec: float = Field(
        default=300.0,
        ge=0,
        validation_alias=AliasChoices("TICKHOUSE_ALERT_COOLDOWN_SEC", "ALERT_COOLDOWN_SEC", "alert_cooldown_sec"),
        description="After an alert, its rule stays quiet about that market for so long, unless it gets graver.",
    )
