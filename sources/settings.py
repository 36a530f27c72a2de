"""Settings of the outside sources, read once at start from the environment and `.env`.

Put here: what is asked of whom, and how often at most. Keep out: when it is asked (`orchestration.context`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

CANDLE_TIMEFRAMES: Final = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")
"""Timeframes that every exchange aligns as we do; longer ones are made from candles of a day."""

MONTHLY_CALLS: Final = 10_000
"""What CoinGecko's free plan allows in a month."""


def listed(text: str) -> tuple[str, ...]:
    """The names of a comma-separated list, each once, in order."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


class ContextSettings(BaseSettings):
    """What is asked of the outside sources; times in seconds unless named otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="TICKHOUSE_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, populate_by_name=True
    )

    candle_exchanges: str = Field(
        default="binance,bybit,okx,bitget,mexc", description="Exchanges whose own candles are fetched, as ccxt calls them, comma separated."
    )
    candle_symbols: str = Field(
        default="BTC/USDT,ETH/USDT", description="Symbols of their candles, comma separated; declared ones (declarations.toml) come on top."
    )
    candle_timeframes: str = Field(default="1m,1h,1d", description="Timeframes of their candles, of 1m to 1d, comma separated.")
    candle_history_days: int = Field(
        default=30, ge=1, le=3650, description="How far back exchange candles are fetched at the first start, and holes are filled, days."
    )
    candle_urls: str = Field(
        default="",
        description="Other addresses for exchange REST, REAL_PREFIX=OTHER_PREFIX pairs, comma separated: for a proxy or the simulator.",
    )
    coingecko_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("COINGECKO_API_KEY", "TICKHOUSE_COINGECKO_API_KEY", "coingecko_api_key"),
        description="Key of CoinGecko; without one its keyless, slower access is used.",
    )
    coingecko_plan: Literal["demo", "pro"] = Field(
        default="demo", description="Which plan the CoinGecko key belongs to: demo (free) or pro; it decides host, header and pace."
    )
    coingecko_coins: int = Field(default=2000, ge=1, le=20_000, description="How many coins a CoinGecko snapshot holds, the largest first.")
    coingecko_monthly_calls: int | None = Field(
        default=None,
        ge=1,
        description="Most CoinGecko calls a month, spread evenly: snapshots ahead of that pace are left out. By default 10000, what the "
        "free plan allows (2,000 coins every 30 minutes would need 11,904: about one snapshot in six is left out), and no bound for pro.",
    )
    coingecko_pause_seconds: float | None = Field(
        default=None,
        ge=0,
        le=600,
        description="Pause between two CoinGecko calls; by default 12 without a key, 2.5 for demo, 0 for pro.",
    )
    coingecko_url: str = Field(default="", description="Base address of CoinGecko; by default the plan's own.")
    coinglass_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("COINGLASS_API_KEY", "TICKHOUSE_COINGLASS_API_KEY", "coinglass_api_key"),
        description="Key of Coinglass; without one its open interest and funding are left out.",
    )
    coinglass_symbols: str = Field(
        default="BTC,ETH", description="Coins whose open interest and funding are asked of Coinglass, comma separated."
    )
    coinglass_history_days: int = Field(default=90, ge=1, le=3650, description="How far back Coinglass is asked at the first start, days.")
    coinglass_url: str = Field(default="https://open-api-v4.coinglass.com", description="Base address of Coinglass.")
    declarations: Path = Field(default=Path("declarations.toml"), description="File of symbols that are tracked whatever else says.")
    flags: Path = Field(default=Path("flags.toml"), description="File of flags noted about base assets.")
    source_retry_seconds: float = Field(
        default=1.0, gt=0, le=60, description="First wait before an outside source is asked again; it doubles, five times at most."
    )

    @field_validator("candle_timeframes")
    @classmethod
    def _known_timeframes(cls, text: str) -> str:
        unknown = [name for name in listed(text) if name not in CANDLE_TIMEFRAMES]
        if unknown or not listed(text):
            message = f"TICKHOUSE_CANDLE_TIMEFRAMES was {text!r}, expected some of {', '.join(CANDLE_TIMEFRAMES)}"
            raise ValueError(message)
        return text

    @field_validator("candle_urls")
    @classmethod
    def _pairs(cls, text: str) -> str:
        if any(not all(address.startswith(("http://", "https://")) for address in pair.partition("=")[::2]) for pair in listed(text)):
            message = (
                f"TICKHOUSE_CANDLE_URLS was {text!r}, expected pairs such as https://api.binance.com=http://127.0.0.1:8000/binance/spot"
            )
            raise ValueError(message)
        return text

    @model_validator(mode="after")
    def _known_exchanges(self) -> Self:
        odd = [name for name in listed(self.candle_exchanges) if not name.isidentifier() or name != name.lower()]
        if odd:
            message = f"TICKHOUSE_CANDLE_EXCHANGES names {odd[0]!r}, expected ids of exchanges in lower case, comma separated"
            raise ValueError(message)
        return self

    @property
    def replaced_urls(self) -> dict[str, str]:
        """Other addresses by the real prefix each stands for."""
        pairs = (pair.partition("=") for pair in listed(self.candle_urls))
        return {real: other for real, _, other in pairs}

    @property
    def coingecko_quota(self) -> int | None:
        """Most CoinGecko calls a month; None where nothing bounds them."""
        if self.coingecko_monthly_calls is not None:
            return self.coingecko_monthly_calls
        return None if self.coingecko_api_key and self.coingecko_plan == "pro" else MONTHLY_CALLS
