"""Candles of two origins side by side: ours from trades and the exchange's own, the differences counted by series.

Put here: the comparison. Keep out: reading either, and what difference is too much.
"""

from __future__ import annotations

from typing import Final

import polars as pl

KEY: Final = ("exchange", "symbol", "timeframe", "timestamp")
PRICES: Final = ("open", "high", "low", "close")
COMPARED: Final = (*KEY, *PRICES, "volume")
"""Columns both sides need."""

_HOUR_US: Final = 3_600_000_000
_SERIES: Final = ("exchange", "symbol", "timeframe")


def candle_comparison(ours: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """One row for each series of which both sides have candles of the same intervals.

    Args:
        ours: candles from trades, columns `COMPARED`, one row a key.
        theirs: candles of the exchange, the same.

    Returns:
        exchange, symbol, timeframe, compared (intervals both have), equal (prices the same), worst_bps (greatest difference of any
        price in basis points of theirs), worst_at (the interval it is in), volume_difference (of the summed volumes, relative to
        theirs; null where theirs is 0), in the order of the series.

    """
    both = ours.select(COMPARED).join(theirs.select(COMPARED), on=list(KEY), suffix="_theirs")
    differences = [((pl.col(name) - pl.col(f"{name}_theirs")).abs() / pl.col(f"{name}_theirs").abs() * 10_000) for name in PRICES]
    their_volume = pl.col("volume_theirs").sum()
    return (
        both.with_columns(pl.max_horizontal(differences).alias("bps"))
        .group_by(_SERIES)
        .agg(
            pl.len().alias("compared"),
            (pl.col("bps") == 0).sum().alias("equal"),
            pl.col("bps").max().alias("worst_bps"),
            pl.col("timestamp").sort_by("bps", "timestamp", descending=[True, False]).first().alias("worst_at"),
            pl.when(their_volume > 0).then((pl.col("volume").sum() - their_volume) / their_volume).alias("volume_difference"),
        )
        .sort(_SERIES)
    )


def covered(candles: pl.DataFrame, hours: pl.DataFrame, *, width_us: int) -> pl.DataFrame:
    """Those `candles` of which every hour is among `hours` (exchange, symbol, timestamp of the hour), in their order.

    `width_us` is the width of their timeframe in microseconds: they lie within one hour, or are made of whole ones.
    """
    reach = max(width_us, _HOUR_US)
    opened = pl.col("timestamp").dt.epoch("us") // reach * reach
    whole = hours.unique().with_columns(opened.alias("_reach")).group_by("exchange", "symbol", "_reach").len()
    enough = whole.filter(pl.col("len") == reach // _HOUR_US)
    return (
        candles.with_columns(opened.alias("_reach"))
        .join(enough, on=["exchange", "symbol", "_reach"], how="semi", maintain_order="left")
        .drop("_reach")
    )
