"""Candles from trades and from candles: right by hand, right beside a plain loop, and the same to the last bit however computed."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import TimeframeMismatch, UnknownTimeframe
from lake.transforms.candles import CANDLE_SCHEMA, candles_from_candles, candles_from_trades
from lake.transforms.timeframes import TIMEFRAMES, nests, open_time

START = 1_795_219_200_000_000
SUMS = ("volume", "quote_volume", "buy_volume", "sell_volume", "vwap")


def market(count: int, *, seed: int = 1, span_us: int = 7_200_000_000, symbols: tuple[str, ...] = ("BTC/USDT", "ETH/USDT")) -> pl.DataFrame:
    """Random trades of two exchanges, in the order of the dataset."""
    random = np.random.default_rng(seed)
    times = random.integers(START, START + span_us, count) // 1000 * 1000
    return pl.DataFrame(
        {
            "exchange": random.choice(["binance", "kraken"], count),
            "symbol": random.choice(symbols, count),
            "timestamp": pl.Series(times).cast(pl.Datetime("us", "UTC")),
            "ordinal": random.integers(0, 5, count),
            "trade_id": [str(number) for number in range(count)],
            "side": random.choice(["buy", "sell"], count),
            "price": np.round(random.normal(100, 5, count), 2),
            "amount": np.round(random.exponential(1.0, count), 5) + 0.00001,
            "fill_count": random.integers(1, 4, count).astype(np.int32),
        }
    ).sort("exchange", "symbol", "timestamp", "ordinal", "trade_id")


def by_loop(trades: pl.DataFrame, timeframe: str) -> list[dict]:
    """The same candles, one trade after the other."""
    made: dict[tuple, dict] = {}
    order = ["exchange", "symbol", "timestamp", "ordinal", "trade_id"]
    for row in trades.with_columns(pl.col("timestamp").dt.epoch("us")).sort(order).to_dicts():
        key = (row["exchange"], row["symbol"], open_time(row["timestamp"], timeframe))
        made.setdefault(key, []).append(row)
    candles = []
    for (exchange, symbol, opened), rows in made.items():
        volume = math.fsum(row["amount"] for row in rows)
        quote = math.fsum(row["amount"] * row["price"] for row in rows)
        candles.append(
            {
                "exchange": exchange,
                "symbol": symbol,
                "timestamp": opened,
                "open": rows[0]["price"],
                "high": max(row["price"] for row in rows),
                "low": min(row["price"] for row in rows),
                "close": rows[-1]["price"],
                "volume": volume,
                "quote_volume": quote,
                "trade_count": sum(row["fill_count"] for row in rows),
                "buy_volume": math.fsum(row["amount"] for row in rows if row["side"] == "buy"),
                "sell_volume": math.fsum(row["amount"] for row in rows if row["side"] == "sell"),
                "vwap": quote / volume,
            }
        )
    return candles


def assert_equal_candles(left: list[dict], right: list[dict]) -> None:
    assert len(left) == len(right)
    for one, other in zip(left, right, strict=True):
        for name, value in other.items():
            if name in SUMS:
                assert one[name] == pytest.approx(value, rel=1e-12, abs=1e-12), name
            else:
                assert one[name] == value, name


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(1, 400), timeframe=st.sampled_from(TIMEFRAMES))
def test_candles_equal_those_of_a_plain_loop(seed, count, timeframe):
    trades = market(count, seed=seed)

    made = candles_from_trades(trades, timeframe)

    assert made.schema == CANDLE_SCHEMA
    assert set(made["timeframe"]) == {timeframe}
    assert set(made["source"]) == {"trades"}
    assert_equal_candles(made.with_columns(pl.col("timestamp").dt.epoch("us")).to_dicts(), by_loop(trades, timeframe))


def test_open_and_close_follow_timestamp_ordinal_and_trade_id():
    row = {"exchange": "kraken", "symbol": "BTC/USD", "side": "buy", "amount": 1.0, "fill_count": 1}
    trades = pl.DataFrame(
        [
            {**row, "timestamp": START + 1, "ordinal": 2, "trade_id": "b", "price": 4.0},
            {**row, "timestamp": START + 1, "ordinal": 2, "trade_id": "a", "price": 3.0},
            {**row, "timestamp": START + 1, "ordinal": 1, "trade_id": "z", "price": 2.0},
        ]
    ).with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))

    (made,) = candles_from_trades(trades, "1m").to_dicts()

    assert (made["open"], made["close"], made["high"], made["low"]) == (2.0, 4.0, 4.0, 2.0)


def test_unsorted_trades_give_the_very_same_candles():
    trades = market(5000)

    assert candles_from_trades(trades.sample(fraction=1.0, shuffle=True, seed=3), "5m").equals(candles_from_trades(trades, "5m"))


def test_other_symbols_and_hours_beside_it_never_change_a_bit_of_a_candle():
    trades = market(20_000)
    whole = candles_from_trades(trades, "1h")

    alone = [
        candles_from_trades(trades.filter(pl.col("exchange") == exchange, pl.col("symbol") == symbol, pl.col("timestamp").dt.hour() == hour), "1h")
        for exchange in ("binance", "kraken")
        for symbol in ("BTC/USDT", "ETH/USDT")
        for hour in (0, 1)
    ]  # fmt: skip

    assert whole.equals(pl.concat(alone))


def test_the_thread_count_never_changes_a_bit(tmp_path):
    market(200_000).write_parquet(tmp_path / "trades.parquet")
    program = (
        "import sys, polars as pl; from lake.transforms.candles import candles_from_trades as made\n"
        f"trades = pl.read_parquet({str(tmp_path / 'trades.parquet')!r})\n"
        "sys.stdout.buffer.write(pl.concat([made(trades, '1m'), made(trades, '1h')]).write_ipc(None).getvalue())"
    )
    digests = set()
    for threads in ("1", "2", "4"):
        environment = {**os.environ, "POLARS_MAX_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
        digests.add(hashlib.sha256(done.stdout).hexdigest())

    assert len(digests) == 1


@pytest.mark.parametrize("timeframe", TIMEFRAMES[1:])
def test_longer_candles_equal_those_made_from_the_trades(timeframe):
    trades = market(20_000, span_us=86_400_000_000 * 40)
    expected = candles_from_trades(trades, timeframe).to_dicts()

    for shorter in ("1m", "1h", "1d"):
        if nests(shorter, timeframe):
            assert_equal_candles(candles_from_candles(candles_from_trades(trades, shorter), timeframe).to_dicts(), expected)


def test_longer_candles_keep_sources_apart():
    ours = candles_from_trades(market(500, symbols=("BTC/USDT",)), "1m")
    theirs = ours.with_columns(source=pl.lit("exchange"), close=pl.lit(1.0))

    made = candles_from_candles(pl.concat([theirs, ours]), "1h")

    assert made.filter(pl.col("source") == "trades").equals(candles_from_candles(ours, "1h"))
    assert set(made.filter(pl.col("source") == "exchange")["close"]) == {1.0}


def test_without_trades_there_is_no_candle():
    assert candles_from_trades(market(10).clear(), "1m").equals(CANDLE_SCHEMA.to_frame())
    assert candles_from_candles(CANDLE_SCHEMA.to_frame(), "1h").equals(CANDLE_SCHEMA.to_frame())


def test_trades_without_amount_have_the_close_as_vwap():
    trades = market(50).with_columns(amount=pl.lit(0.0))

    made = candles_from_trades(trades, "1m")

    assert made["vwap"].equals(made["close"].rename("vwap"))


def test_intervals_that_do_not_nest_are_refused():
    minutes = candles_from_trades(market(100), "3m")

    with pytest.raises(TimeframeMismatch, match="candles of 5m cannot be made from candles of 3m"):
        candles_from_candles(minutes, "5m")
    with pytest.raises(TimeframeMismatch, match="1m and 3m"):
        candles_from_candles(pl.concat([minutes, candles_from_trades(market(100), "1m")]), "1h")
    with pytest.raises(UnknownTimeframe):
        candles_from_trades(market(10), "7m")
