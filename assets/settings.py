"""Settings of what is derived, read once at start from `TICKHOUSE_…` variables and `.env`.

Put here: knobs of transforms that a user turns. Keep out: when assets run (`orchestration.settings`) and where the lake lies
(`lake.settings`).
"""

from pathlib import Path

from pydantic import Field

from lake.window_settings import WindowSettings


class FlowSettings(WindowSettings):
    """How flow, books and liquidation windows are computed; values in US dollars."""

    config: Path = Field(default=Path("tickhouse.toml"), description="File that says which exchanges, symbols and channels to collect.")
    large_trade_usd: float = Field(
        default=100_000.0,
        gt=0,
        description="Value from which a trade stands for a liquidation where a venue publishes none, USD.",
    )
