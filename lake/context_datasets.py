"""The datasets of market context: what comes over REST from outside, what a user declares, and the log of runs.

Put here: their columns, keys and units; `lake.registry` lists them among all others. Keep out: how they are fetched or computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa

from lake.columns import EXCHANGE, SYMBOL, TIMESTAMP, Column, Dataset
from lake.columns import column as _c

_UNTOLD: Final = ("quote_volume", "trade_count", "buy_volume", "sell_volume", "vwap")
"""What an exchange's candle does not say: the library that fetches it hands on open, high, low, close and volume alone."""


def exchange_candles(candle_columns: Sequence[Column]) -> Dataset:
    """The dataset of the exchanges' own candles, in the columns of ours; what they do not say may be null."""
    return Dataset(
        name="exchange_candles",
        description="Closed candles as the exchanges publish them, fetched over REST; also for intervals without a trade, where they do.",
        columns=tuple(replace(column, nullable=column.name in _UNTOLD) for column in candle_columns),
        sort_key=("exchange", "symbol", "timeframe", "timestamp", "source"),
        unique_key=("exchange", "symbol", "timeframe", "timestamp", "source"),
        time_column="timestamp",
        merge="last",
        landed=False,
        span="month",
    )


ATH_DISTANCES: Final = (5, 10, 15, 90)
"""Of the flags athN: how many per cent below the all-time high still count as near it."""

_SNAPSHOT_TIME: Final = _c(
    "local_timestamp", TIMESTAMP, "When the run began that fetched it, one instant for all its rows, UTC.", delta=True
)

COINGECKO: Final = Dataset(
    name="coingecko",
    description="Snapshots of the coins with the largest market capitalisation, as CoinGecko publishes them; one run is whole or absent.",
    columns=(
        _c("cg_id", pa.string(), "CoinGecko's id of the coin; symbols are not unique, this is."),
        _c("symbol", pa.string(), "Symbol of the coin, upper case, e.g. BTC; several coins may share one."),
        _c("name", pa.string(), "Name of the coin."),
        _c("timestamp", TIMESTAMP, "When CoinGecko last updated the coin, UTC; null where it does not say.", nullable=True, delta=True),
        _SNAPSHOT_TIME,
        _c("close", pa.float64(), "Price, USD.", nullable=True),
        _c("market_cap", pa.float64(), "Market capitalisation, USD.", nullable=True),
        _c("rank", pa.int32(), "Rank by market capitalisation, from 1.", nullable=True),
        _c("fdv", pa.float64(), "Fully diluted valuation, USD.", nullable=True),
        _c("volume_24h", pa.float64(), "Value traded in the last 24 hours, USD.", nullable=True),
        _c("ath", pa.float64(), "All-time high, USD.", nullable=True),
        _c("ath_date", TIMESTAMP, "When the all-time high was, UTC.", nullable=True),
        _c("atl", pa.float64(), "All-time low, USD.", nullable=True),
        _c("days_since_ath", pa.int32(), "Whole days from ath_date to local_timestamp, at least 0.", nullable=True),
        *(
            _c(
                f"ath{distance}",
                pa.bool_(),
                f"True when close lies at most {distance} % below ath; null where either is unknown or ath is 0.",
                nullable=True,
            )
            for distance in ATH_DISTANCES
        ),
    ),
    sort_key=("local_timestamp", "cg_id"),
    unique_key=("local_timestamp", "cg_id"),
    time_column="local_timestamp",
    merge="last",
    landed=False,
    span="day",
)


def _coinglass(name: str, *, description: str, what: str) -> Dataset:
    return Dataset(
        name=name,
        description=description,
        columns=(
            _c("symbol", pa.string(), "Coin, upper case, e.g. BTC."),
            _c("timeframe", pa.string(), "Length of the interval, 4h."),
            _c("timestamp", TIMESTAMP, "Start of the interval, UTC; intervals are closed ones only.", delta=True),
            *(_c(each, pa.float64(), f"{each.capitalize()} of {what}") for each in ("open", "high", "low", "close")),
        ),
        sort_key=("symbol", "timeframe", "timestamp"),
        unique_key=("symbol", "timeframe", "timestamp"),
        time_column="timestamp",
        merge="last",
        landed=False,
        span="month",
    )


OPEN_INTEREST: Final = _coinglass(
    "coinglass_open_interest",
    description="Open interest of a coin's futures over all exchanges, as Coinglass sums it up.",
    what="the open interest, USD.",
)
WEIGHTED_FUNDING: Final = _coinglass(
    "coinglass_weighted_funding",
    description="Funding rate of a coin's perpetuals over all exchanges, weighted by open interest, as Coinglass computes it.",
    what="the funding rate, a fraction (Coinglass sends per cent).",
)

_READ_ON: Final = _c("timestamp", TIMESTAMP, "The day the file was read, its start, UTC.", delta=True)

DECLARATIONS: Final = Dataset(
    name="declarations",
    description="Symbols that a user wants tracked whatever else says (declarations.toml), as the file stood when it was read each day.",
    columns=(
        EXCHANGE,
        SYMBOL,
        _READ_ON,
        _c("reason", pa.string(), "Why it is tracked, as the file says; empty where it does not."),
    ),
    sort_key=("timestamp", "exchange", "symbol"),
    unique_key=("timestamp", "exchange", "symbol"),
    time_column="timestamp",
    merge="last",
    landed=False,
    span="day",
)

FLAGS: Final = Dataset(
    name="flags",
    description="What a user notes about base assets (flags.toml), as the file stood when it was read each day.",
    columns=(
        _c("base", pa.string(), "Base asset, upper case, e.g. BTC."),
        _READ_ON,
        _c("flag", pa.string(), "The flag, e.g. stablecoin."),
        _c("value", pa.string(), "Its value as text: true for a flag that is merely set."),
    ),
    sort_key=("timestamp", "base", "flag"),
    unique_key=("timestamp", "base", "flag"),
    time_column="timestamp",
    merge="last",
    landed=False,
    span="day",
)

EXECUTION_LOG: Final = Dataset(
    name="execution_log",
    description="Runs by process name: when each began and ended, and what came of it.",
    columns=(
        _c("process", pa.string(), "Name of the process, e.g. coingecko."),
        _c("run_id", pa.string(), "Id of the run that executed it."),
        _c("started", TIMESTAMP, "When it began, UTC.", delta=True),
        _c("finished", TIMESTAMP, "When it ended, UTC; null while it runs, and for ever where it was killed.", nullable=True),
        _c("status", pa.string(), "running, success, failure or skipped."),
        _c("rows", pa.int64(), "Rows it wrote; null while it runs or where it wrote none that it can count.", nullable=True),
        _c("error", pa.string(), "Why it failed or was skipped, one sentence; null otherwise.", nullable=True),
    ),
    sort_key=("started", "process", "run_id"),
    unique_key=("started", "process", "run_id"),
    time_column="started",
    merge="last",
    landed=False,
    span="day",
)

CONTEXT: Final = (COINGECKO, OPEN_INTEREST, WEIGHTED_FUNDING, DECLARATIONS, FLAGS, EXECUTION_LOG)
