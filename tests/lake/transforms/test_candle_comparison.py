"""Candles of two origins: equal ones, the worst difference, and the recorded pair that is equal by nature."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from lake.transforms.candle_comparison import candle_comparison, covered
from lake.transforms.candles import candles_from_trades

START = datetime(2026, 11, 21, tzinfo=UTC)
HOUR_US = 3_600_000_000


def candles(*closes: float, symbol: str = "BTC/USDT", volume: float = 2.0, minutes: int = 1) -> pl.DataFrame:
    return pl.DataFrame(
        [
            ("binance", symbol, "1m", START + timedelta(minutes=number * minutes), 100.0, 110.0, 90.0, close, volume)
            for number, close in enumerate(closes)
        ],
        schema={
            **dict.fromkeys(("exchange", "symbol", "timeframe"), pl.String()),
            "timestamp": pl.Datetime("us", "UTC"),
            **dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Float64()),
        },
        orient="row",
    )


def test_equal_candles_differ_in_nothing():
    row = candle_comparison(candles(100, 101), candles(100, 101)).row(0, named=True)

    assert (row["compared"], row["equal"], row["worst_bps"], row["volume_difference"]) == (2, 2, 0.0, 0.0)


def test_the_worst_price_and_its_interval_are_told():
    row = candle_comparison(candles(100, 101, 100), candles(100, 100, 100)).row(0, named=True)

    assert (row["compared"], row["equal"]) == (3, 2)
    assert row["worst_bps"] == pytest.approx(100.0)
    assert row["worst_at"] == START + timedelta(minutes=1)


def test_only_intervals_of_both_are_compared_and_each_symbol_by_itself():
    ours = pl.concat([candles(100, 100), candles(100, symbol="ETH/USDT", volume=3.0)])
    theirs = pl.concat([candles(100), candles(100, symbol="ETH/USDT", volume=2.0), candles(1, symbol="XRP/USDT")])

    found = candle_comparison(ours, theirs)

    assert found["symbol"].to_list() == ["BTC/USDT", "ETH/USDT"]
    assert found["compared"].to_list() == [1, 1]
    assert found["volume_difference"].to_list() == [0.0, 0.5]


def test_a_volume_of_nothing_has_no_relative_difference():
    assert candle_comparison(candles(100), candles(100, volume=0.0))["volume_difference"].to_list() == [None]


def test_candles_of_an_hour_that_is_not_covered_are_left_out():
    both = candles(100, 100, minutes=60)
    hours = both.select("exchange", "symbol", "timestamp").head(1)

    assert covered(both, hours, width_us=60_000_000).height == 1
    assert covered(both, hours, width_us=2 * HOUR_US).height == 0
    assert covered(both, both.select("exchange", "symbol", "timestamp"), width_us=2 * HOUR_US).height == 2


def test_recorded_trades_and_the_recorded_candles_of_the_exchange_agree(recordings):
    trades = pl.read_parquet(recordings / "ohlcv" / "binance_xrp_eth_trades_20191011.parquet")
    recorded = pl.read_ipc(recordings / "ohlcv" / "binance_xrp_eth_1m_20191011.feather")
    named = {"exchange": pl.lit("binance"), "symbol": pl.lit("XRP/ETH")}
    ours = candles_from_trades(
        trades.select(
            **named,
            timestamp=(pl.col("timestamp") * 1000).cast(pl.Datetime("us", "UTC")),
            ordinal=pl.int_range(pl.len(), dtype=pl.Int64),
            trade_id=pl.col("id").cast(pl.String),
            side="side",
            price="price",
            amount="amount",
            fill_count=pl.lit(1, dtype=pl.Int32),
        ),
        "1m",
    )
    theirs = recorded.select(
        **named,
        timeframe=pl.lit("1m"),
        timestamp=pl.col("date").dt.cast_time_unit("us"),
        open="open",
        high="high",
        low="low",
        close="close",
        volume="volume",
    )

    row = candle_comparison(ours, theirs).row(0, named=True)

    assert row["compared"] == row["equal"] == 2469
    assert row["volume_difference"] == pytest.approx(0.0, abs=1e-9)
