"""Candles from trades, and longer candles from shorter ones.

Put here: the one computation of candles that batch assets, the live window and the API share. Keep out: files, SQL, indicators.

Rows are sorted first and every bucket is then one stretch of rows, reduced by NumPy's `reduceat`: extremes are exact, sums are
pairwise over the stretch in sort order. So a sum depends on nothing but the rows of its bucket: not on threads, nor on which
other symbols or hours are computed along with it. (A Polars or DuckDB group-by adds partial sums per thread, and differs in the last bit.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.errors import TimeframeMismatch
from lake.registry import CANDLE_COLUMNS
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

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def candles_from_trades(trades: pl.DataFrame, timeframe: str) -> pl.DataFrame:
    """Candles of `timeframe` from trades (columns of the dataset `trades`, at least those used), source `trades`.

    One row a bucket that has a trade, sorted by exchange, symbol, timestamp. Trades may come in any order (in sort order is
    fastest); each must come once. `UnknownTimeframe` for a timeframe that is none.
    """
    check_timeframe(timeframe)
    if trades.is_empty():
        return CANDLE_SCHEMA.to_frame()
    ordered = _in_order(trades, TRADE_ORDER)
    opened = open_times(_ticks(ordered), timeframe)
    starts = np.flatnonzero(_changes(ordered, ("exchange", "symbol")) | _steps(opened))
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
            "close": price[_ends(starts, len(price))],
            "volume": np.add.reduceat(amount, starts),
            "quote_volume": np.add.reduceat(price * amount, starts),
            "trade_count": np.add.reduceat(ordered["fill_count"].to_numpy().astype(np.int64), starts),
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
    ordered = _in_order(candles, CANDLE_ORDER)
    opened = open_times(_ticks(ordered), timeframe)
    starts = np.flatnonzero(_changes(ordered, ("exchange", "symbol", "source")) | _steps(opened))
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
            "close": ordered["close"].to_numpy()[_ends(starts, ordered.height)],
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


def _in_order(rows: pl.DataFrame, order: Sequence[str]) -> pl.DataFrame:
    """The rows sorted by `order`, untouched where they are sorted already (a check costs a fraction of a sort)."""
    return rows if _is_sorted(rows, order) else rows.sort(order, maintain_order=True)


def _is_sorted(rows: pl.DataFrame, order: Sequence[str]) -> bool:
    # Rows whose successor equals them in all columns so far: only between those does the next column decide.
    tied: Integers = np.arange(rows.height - 1)
    for name in order:
        former, latter = rows[name].gather(tied), rows[name].gather(tied + 1)
        if (former > latter).any():
            return False
        tied = tied[(former == latter).to_numpy()]
        if not len(tied):
            break
    return True


def _ticks(rows: pl.DataFrame) -> Integers:
    return rows["timestamp"].cast(pl.Datetime("us", "UTC")).to_physical().to_numpy()


def _changes(rows: pl.DataFrame, names: Sequence[str]) -> Flags:
    """True at the first row of each stretch in which the columns stay the same."""
    changed = np.zeros(rows.height, dtype=bool)
    changed[0] = True
    for name in names:
        column = rows[name]
        changed[1:] |= (column[1:] != column[:-1]).to_numpy()
    return changed


def _steps(values: Integers) -> Flags:
    stepped = np.zeros(len(values), dtype=bool)
    stepped[1:] = values[1:] != values[:-1]
    return stepped


def _ends(starts: Integers, rows: int) -> Integers:
    """The last row of each stretch."""
    return np.append(starts[1:], rows) - 1
