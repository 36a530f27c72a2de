"""Settings of the lake, read once at start from `TICKHOUSE_…` variables and `.env`.

Put here: where the lake lies and how its tiers behave. Keep out: what is collected (that is `tickhouse.toml`).
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from lake.paths import Home


class LakeSettings(BaseSettings):
    """Where the lake lies and how its tiers behave; times in seconds."""

    model_config = SettingsConfigDict(env_prefix="TICKHOUSE_", env_file=".env", extra="ignore", frozen=True)

    home: Path = Field(default=Path(".tickhouse"), description="Directory that holds the lake, its write-ahead log and its catalog.")
    roll_seconds: float = Field(default=45.0, ge=0.5, le=600, description="How often the write-ahead log becomes Parquet parts.")
    roll_bytes: int = Field(
        default=24 * 2**20,
        ge=2**16,
        description="Size at which the write-ahead log becomes Parquet parts before that; bounds their memory.",
    )
    flush_seconds: float = Field(default=0.1, ge=0.01, le=0.25, description="Longest wait of an event before it is in the write-ahead log.")
    visible_after_seconds: float = Field(
        default=3.0, ge=0.2, le=60, description="How far ahead of its appearance a new file's instant lies; bears clock skew between hosts."
    )
    superseded_grace_seconds: float = Field(
        default=86_400.0, ge=1, description="How long superseded files and sealed log segments are kept for readers that still hold them."
    )
    settle_hours: int = Field(default=24, ge=1, le=24 * 30, description="Hours after the end of a day until it becomes one file a dataset.")
    wal_sync: bool = Field(default=False, description="fsync every log append: survives power loss, costs throughput.")

    @property
    def house(self) -> Home:
        """The home as a path layout, absolute."""
        return Home(self.home.expanduser().resolve())
