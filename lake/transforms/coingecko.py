"""Snapshots of coins: how far they are from their all-time high, in days and in price.

Put here: what is decided from a coin's own numbers. Keep out: fetching them (`sources.coingecko`).
"""

from __future__ import annotations

from typing import Final

import polars as pl

from lake.context_datasets import ATH_DISTANCES, COINGECKO

RAW_SCHEMA: Final = pl.Schema(
    {
        "cg_id": pl.String(),
        "symbol": pl.String(),
        "name": pl.String(),
        "timestamp": pl.Datetime("us", "UTC"),
        "close": pl.Float64(),
        "market_cap": pl.Float64(),
        "rank": pl.Int32(),
        "fdv": pl.Float64(),
        "volume_24h": pl.Float64(),
        "ath": pl.Float64(),
        "ath_date": pl.Datetime("us", "UTC"),
        "atl": pl.Float64(),
    }
)
"""Columns of a snapshot as it was fetched, prices in USD; all but the first three may be null."""


_EDGE: Final = 1e-12


def near_ath(percent: int) -> pl.Expr:
    """The flag athN of N = `percent`: `close` lies at most that many per cent below `ath` (a new high included).

    The uniform reading of "within N % of the all-time high" for 5, 10, 15 and 90 alike. Null where either price is unknown, or `ath` is
    not above 0. The edge belongs to it, to 1e-12: 0.95 of a high is within 5 % whatever the two are in binary.
    """
    flag = pl.col("close") * 100 >= (100 - percent) * (1 - _EDGE) * pl.col("ath")
    return pl.when(pl.col("ath") > 0).then(flag).alias(f"ath{percent}")


def days_since_ath(now_us: int) -> pl.Expr:
    """Whole days from `ath_date` to `now_us` (microseconds), at least 0; null where the date is unknown."""
    days = (pl.lit(now_us) - pl.col("ath_date").dt.epoch("us")) // 86_400_000_000
    return pl.max_horizontal(days, pl.when(days.is_not_null()).then(0)).cast(pl.Int32).alias("days_since_ath")


def snapshot(raw: pl.DataFrame, *, at_us: int) -> pl.DataFrame:
    """Rows of the dataset `coingecko` from a fetched snapshot (`RAW_SCHEMA`), all taken at `at_us` (microseconds)."""
    made = raw.with_columns(
        pl.col("symbol").str.to_uppercase(),
        pl.lit(at_us).cast(pl.Datetime("us", "UTC")).alias("local_timestamp"),
        days_since_ath(at_us),
        *(near_ath(distance) for distance in ATH_DISTANCES),
    )
    return made.select(COINGECKO.schema.names)
