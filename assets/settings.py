"""Settings of what is derived, read once at start from `TICKHOUSE_…` variables and `.env`.

Put here: knobs of transforms that a user turns. Keep out: when assets run (`orchestration.settings`) and where the lake lies
(`lake.settings`).
"""

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class FlowSettings(BaseSettings):
    """How flow, books and liquidation windows are computed; values in US dollars."""

    model_config = SettingsConfigDict(env_prefix="TICKHOUSE_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True)

    config: Path = Field(default=Path("tickhouse.toml"), description="File that says which exchanges, symbols and channels to collect.")
    window_seconds: int = Field(
        default=300,
        ge=60,
        le=3600,
        validation_alias=AliasChoices("TICKHOUSE_WINDOW_SECONDS", "WINDOW_SECONDS", "window_seconds"),
        description="Length of the rolling windows over liquidations.",
    )
    liquidation_threshold_usd: float = Field(
        default=100_000.0,
        gt=0,
        validation_alias=AliasChoices("TICKHOUSE_LIQUIDATION_THRESHOLD_USD", "LIQUIDATION_THRESHOLD_USD", "liquidation_threshold_usd"),
        description="Liquidated value of a window from which it is MEDIUM; HIGH from 5 times, CRITICAL from 20 times that, USD.",
    )
    large_trade_usd: float = Field(
        default=100_000.0,
        gt=0,
        description="Value from which a trade stands for a liquidation where a venue publishes none, USD.",
    )
