"""Candles from trades, and longer candles from shorter ones.

Put here: the one computation of candles that batch assets, the live window and the API share. Keep out: files, SQL, indicators.

Each bucket is one stretch of sorted rows, reduced in sort order: `lake.transforms.stretches` says why.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl

from lake.errors import TimeframeMismatch
from lake.registry import CANDLE_COLUMNS
from lake.transforms.stretches import Floats, Integers, changes, ends, in_order, microseconds, steps
from lake.transforms.timeframes import check_timeframe, nests, open_times

TRADE_ORDER: Final = ("exchange", "symbol", "timestamp", "ordinal", "trade_id")
"""Order of trades in which the first and the last of a bucket are its open and close."""

CANDLE_ORDER: Final = ("exchange", "symbol", "source", "timestamp")

_TYPES: Final[dict[str, Any]] = {
    "timestamp": pl.Datetime("us", "UTC"),
    "trade_count": pl.Int64,
    **dict.fromkeys(("exchange", "symbol", "timeframe", "source"), pl.String),
}
CANDLE_SCHEMA: Final = pl.Schema({column.name: _TYPES.get(column.name, pl.Float64) for column in CANDLE_COLUMNS})
"""Columns of every candle frame, in order."""


def candles_from_trades(trades: pl.DataFrame, timeframe: str) -> pl.DataFrame:
    """Candles of `timeframe` from trades (columns of the dataset `trades`, at least those used), source `trades`.

    One row a bucket that has a trade, sorted by exchange, symbol, timestamp. Trades may come in any order (in sort order is
    fastest); each must come once. `UnknownTimeframe` for a timeframe that is none.
    """
    check_timeframe(timeframe)
    if trades.is_empty():
        return CANDLE_SCHEMA.to_frame()
    ordered = in_order(trades, TRADE_ORDER)
    opened = open_times(microseconds(ordered), timeframe)
    starts = np.flatnonzero(changes(ordered, ("exchange", "symbol")) | steps(opened))
    price = ordered["price"].to_numpy()
    amount = ordered["amount"].to_numpy()
    bought = ordered["side"].eq("buy").to_numpy()
    return _frame(
        ordered,
        starts,
        {
            "timeframe": timeframe,
            "timestamp": opened[starts],
            "open": price[starts],
            "high": np.maximum.reduceat(price, starts),
            "low": np.minimum.reduceat(price, starts),
            "close": price[ends(starts, len(price))],
            "volume": np.add.reduceat(amount, starts),
            "quote_volume": np.add.reduceat(price * amount, starts),
            "trade_count": np.add.reduceat(ordered["fill_count"].to_numpy(), starts, dtype=np.int64),
            "buy_volume": np.add.reduceat(np.where(bought, amount, 0.0), starts),
            "sell_volume": np.add.reduceat(np.where(bought, 0.0, amount), starts),
            "source": "trades",
        },
    )


def candles_from_candles(candles: pl.DataFrame, timeframe: str) -> pl.DataFrame:
    """Candles of `timeframe` from shorter ones, which must all be of one timeframe that nests in it; sources are kept apart.

    Prices and counts equal those made from the trades themselves, sums agree to 1e-12 relative. `TimeframeMismatch` where the
    intervals do not nest or several timeframes are mixed.
    """
    check_timeframe(timeframe)
    if candles.is_empty():
        return CANDLE_SCHEMA.to_frame()
    given = candles["timeframe"].unique().sort().to_list()
    if len(given) != 1 or not nests(given[0], timeframe):
        raise TimeframeMismatch(" and ".join(given), timeframe)
    ordered = in_order(candles, CANDLE_ORDER)
    opened = open_times(microseconds(ordered), timeframe)
    starts = np.flatnonzero(changes(ordered, ("exchange", "symbol", "source")) | steps(opened))
    sums = {
        name: np.add.reduceat(ordered[name].to_numpy(), starts)
        for name in ("volume", "quote_volume", "trade_count", "buy_volume", "sell_volume")
    }
    made = _frame(
        ordered,
        starts,
        {
            "timeframe": timeframe,
            "timestamp": opened[starts],
            "open": ordered["open"].to_numpy()[starts],
            "high": np.maximum.reduceat(ordered["high"].to_numpy(), starts),
            "low": np.minimum.reduceat(ordered["low"].to_numpy(), starts),
            "close": ordered["close"].to_numpy()[ends(starts, ordered.height)],
            **sums,
            "source": ordered["source"].gather(starts),
        },
    )
    return made.sort("exchange", "symbol", "timestamp", "source")


def _frame(rows: pl.DataFrame, starts: Integers, columns: dict[str, Any]) -> pl.DataFrame:
    """Candle columns in registry order, with the exchange and symbol of each bucket and its vwap (the close where no amount was traded)."""
    volume: Floats = columns["volume"]
    traded = volume > 0
    columns["vwap"] = np.where(traded, columns["quote_volume"] / np.where(traded, volume, 1.0), columns["close"])
    columns["exchange"] = rows["exchange"].gather(starts)
    columns["symbol"] = rows["symbol"].gather(starts)
    columns["timestamp"] = pl.Series(columns["timestamp"]).cast(pl.Datetime("us", "UTC"))
    for name in ("timeframe", "source"):
        if isinstance(columns[name], str):
            columns[name] = pl.repeat(columns[name], len(starts), eager=True)
    return pl.DataFrame({name: columns[name] for name in CANDLE_SCHEMA}, schema=CANDLE_SCHEMA)
