"""The real-time view `candles`: always what the landed trades say, whatever of it is stored, stale or only in the log."""

from __future__ import annotations

import random
from datetime import date

import duckdb
import polars as pl
import pytest

from lake import query
from lake.catalog import publish
from lake.paths import Home
from lake.registry import DAY_TIMEFRAMES, MONTH_TIMEFRAMES, TRADE_TIMEFRAMES
from lake.transforms.candles import candles_from_trades
from lake.transforms.timeframes import TIMEFRAMES
from tests.lake.laying import LaidLake
from tests.lake.making import HOUR, START, trade

DAY = date(2026, 11, 21)
SUMS = ("volume", "quote_volume", "buy_volume", "sell_volume", "vwap")


class Market:
    """Random trades, each landed once or, as a second source does, twice."""

    def __init__(self) -> None:
        self.trades: list[dict] = []
        self.random = random.Random(7)

    def more(self, count: int, *, hour: int) -> list[dict]:
        made = []
        for _ in range(count):
            made.append(
                trade(
                    len(self.trades) + len(made),
                    at=START + hour * HOUR + self.random.randrange(HOUR // 1000) * 1000,
                    exchange=self.random.choice(["binance", "kraken"]),
                    symbol=self.random.choice(["BTC/USDT", "ETH/USDT"]),
                    price=round(self.random.gauss(100, 5), 2),
                    amount=round(self.random.expovariate(1), 5) + 0.001,
                    side=self.random.choice(["buy", "sell"]),
                    fill_count=self.random.randint(1, 3),
                )
            )
        self.trades += made
        return made

    def candles(self, timeframe: str) -> list[dict]:
        columns = ["exchange", "symbol", "timestamp", "ordinal", "trade_id", "side", "price", "amount", "fill_count"]
        frame = pl.DataFrame([{name: row[name] for name in columns} for row in self.trades])
        return candles_from_trades(frame.with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC"))), timeframe).to_dicts()


def shown(home: Home, sql: str) -> list[dict]:
    with duckdb.connect(str(home.catalog), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(sql).to_arrow_table().to_pylist()


def assert_equal(found: list[dict], expected: list[dict]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        for name, value in other.items():
            if name in SUMS:
                assert one[name] == pytest.approx(value, rel=1e-12, abs=1e-15), name
            else:
                assert one[name] == value, name


def assert_right(home: Home, market: Market, *, log: bool = False) -> None:
    """The view shows, in each timeframe, what computing from all trades gives; each row filed under the hour it opens in."""
    sql = "SELECT *, epoch_us(timestamp) // 3600000000 = (date - DATE '1970-01-01') * 24 + hour AS filed FROM candles"
    found = query.run_sql(home, sql).table.to_pylist() if log else shown(home, sql)
    assert all(row["filed"] for row in found)
    found.sort(key=lambda row: (row["exchange"], row["symbol"], row["timestamp"]))
    for timeframe in TIMEFRAMES:
        assert_equal([row for row in found if row["timeframe"] == timeframe], market.candles(timeframe))


def test_candles_follow_the_trades_through_every_tier(laid):
    market = Market()
    laid.land("trades", *market.more(120, hour=0))
    assert_right(laid.home, market)

    laid.materialise(START)
    assert_right(laid.home, market)
    laid.land("trades", *market.more(50, hour=0), *market.more(30, hour=1))
    assert_right(laid.home, market)
    laid.compact("trades", START)
    assert_right(laid.home, market)
    laid.materialise(START)
    laid.materialise(START + HOUR, ("1m",))
    assert_right(laid.home, market)
    laid.compact_day("trades", DAY)
    assert_right(laid.home, market)
    laid.land("trades", *market.more(20, hour=1))
    assert_right(laid.home, market)
    laid.compact_day("trades", DAY)
    assert_right(laid.home, market)
    laid.materialise(START + HOUR)
    for timeframe in TRADE_TIMEFRAMES:
        laid.compact_day(f"candles_{timeframe}", DAY)
    assert_right(laid.home, market)
    laid.land("trades", *market.more(20, hour=2))
    assert_right(laid.home, market)


def test_stored_candles_are_shown_as_stored_exactly_while_they_cover_their_hour(laid):
    def marked(candles: pl.DataFrame) -> pl.DataFrame:
        return candles.with_columns(vwap=pl.lit(12345.0))

    def materialise() -> None:
        laid.materialise(START, change=marked)
        laid.materialise_longer(START, (*DAY_TIMEFRAMES, *MONTH_TIMEFRAMES), change=marked)

    market = Market()
    laid.land("trades", *market.more(60, hour=0))
    materialise()
    sql = "SELECT DISTINCT vwap = 12345.0 AS as_stored FROM candles"

    assert shown(laid.home, sql) == [{"as_stored": True}]
    laid.compact("trades", START)
    assert shown(laid.home, sql) == [{"as_stored": True}]
    laid.land("trades", *market.more(1, hour=0))
    assert shown(laid.home, sql) == [{"as_stored": False}]
    materialise()
    assert shown(laid.home, sql) == [{"as_stored": True}]
    laid.compact_day("trades", DAY)
    assert shown(laid.home, sql) == [{"as_stored": True}]


def test_a_trade_that_lies_in_two_parts_counts_once(laid):
    market = Market()
    landed = market.more(40, hour=0)
    laid.land("trades", *landed)
    laid.land("trades", *({**row, "source": "rest", "local_timestamp": row["local_timestamp"] - 3} for row in landed[:25]))

    assert_right(laid.home, market)


def test_candles_see_the_log_where_the_query_does(laid):
    market = Market()
    laid.land("trades", *market.more(40, hour=0))
    laid.materialise(START)
    laid.log("trades", *market.more(40, hour=0), *market.more(10, hour=3))

    assert_right(laid.home, market, log=True)


@pytest.fixture(scope="module")
def two_days(tmp_path_factory):
    """Trades of three hours of two days, one of them with its candles; only read."""
    laid, market = LaidLake(tmp_path_factory.mktemp("two_days") / "home"), Market()
    laid.land("trades", *market.more(80, hour=0), *market.more(80, hour=5), *market.more(80, hour=30))
    laid.materialise(START)
    laid.close()
    publish(laid.home)
    return laid.home, market


@pytest.mark.parametrize("timeframe", TIMEFRAMES)
def test_ohlcv_gives_any_timeframe_of_one_symbol(two_days, timeframe):
    home, market = two_days
    expected = [row for row in market.candles(timeframe) if row["symbol"] == "ETH/USDT"]

    assert_equal(shown(home, f"FROM ohlcv('ETH/USDT', '{timeframe}')"), expected)
    kraken = [row for row in expected if row["exchange"] == "kraken"]
    assert_equal(shown(home, f"FROM ohlcv('ETH/USDT', '{timeframe}', venue := 'kraken')"), kraken)


def test_ohlcv_names_the_timeframes_it_knows(laid):
    laid.land("trades", trade(1))
    with pytest.raises(duckdb.Error, match="timeframe 7m is unknown; known timeframes are 1m, 3m"):
        shown(laid.home, "FROM ohlcv('BTC/USDT', '7m')")
