"""Candle frames for the tests of indicators: made up, and recorded ones with the values other libraries give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.candle_files import read_table
from lake.transforms.candle_table import candle_table

MINUTE = 60_000_000
START = 1_700_000_000_000_000 // MINUTE * MINUTE


def made(
    bars: int,
    *,
    seed: int = 0,
    symbol: str = "BTC/USDT",
    exchange: str = "binance",
    timeframe: str = "1m",
    source: str = "trades",
    tick: float = 0.0,
    first: int = 0,
) -> pl.DataFrame:
    """Candles of a random walk; `tick` rounds closes, so that equal ones come up; `first` is the number of the first minute."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.004, bars)))
    if tick:
        close = np.round(close / tick) * tick
    opened = np.concatenate(([100.0], close[:-1]))[:bars]
    return pl.DataFrame(
        {
            "exchange": exchange,
            "symbol": symbol,
            "timeframe": timeframe,
            "timestamp": pl.Series(START + (first + np.arange(bars)) * MINUTE).cast(pl.Datetime("us", "UTC")),
            "source": source,
            "open": opened,
            "high": np.maximum(opened, close) * (1 + rng.random(bars) * 0.002),
            "low": np.minimum(opened, close) * (1 - rng.random(bars) * 0.002),
            "close": close,
            "volume": rng.random(bars) * 10,
        }
    )


def recorded(path: Path) -> pl.DataFrame:
    """Candles of a recorded file, as `tickhouse indicators` reads them."""
    return candle_table(read_table(path)).candles


def numbers(rows: pl.DataFrame, name: str) -> npt.NDArray[np.float64]:
    """A column as floats, NaN where it is null."""
    return rows[name].cast(pl.Float64).fill_null(np.nan).to_numpy()


def close_to(ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64], *, scale: npt.NDArray[np.float64] | float = 0.0) -> None:
    """Both have values at the same rows, equal to 1e-8 relative, or to 1e-14 of `scale` where a difference of prices is near 0."""
    assert np.array_equal(np.isnan(ours), np.isnan(theirs))
    apart = np.abs(ours - theirs)
    assert np.nanmax(apart - np.maximum(1e-8 * np.abs(theirs), 1e-14 * np.asarray(scale))) <= 0
