"""Settings that the windows of the lake and the live windows of alerts share.

Put here: the length of a window and what counts as a burst. Keep out: knobs of one of the two alone.
"""

from __future__ import annotations

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class WindowSettings(BaseSettings):
    """How long rolling windows are, and from which value on liquidations count as a burst."""

    model_config = SettingsConfigDict(env_prefix="TICKHOUSE_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True)

    window_seconds: int = Field(
        default=300,
        ge=60,
        le=3600,
        validation_alias=AliasChoices("TICKHOUSE_WINDOW_SECONDS", "WINDOW_SECONDS", "window_seconds"),
        description="Length of the rolling windows over liquidations, and of those of alert rules that name none.",
    )
    liquidation_threshold_usd: float = Field(
        default=100_000.0,
        gt=0,
        validation_alias=AliasChoices("TICKHOUSE_LIQUIDATION_THRESHOLD_USD", "LIQUIDATION_THRESHOLD_USD", "liquidation_threshold_usd"),
        description="Liquidated value of a window from which it is MEDIUM; HIGH from 5 times, CRITICAL from 20 times that, USD.",
    )
