"""The second computation of candles agrees with the first, and says so when anything is changed."""

import polars as pl
import pyarrow as pa
import pytest

from assets.recomputed import candle_differences
from assets.rules import connected
from lake.registry import TRADE_TIMEFRAMES
from lake.transforms.candles import candles_from_trades
from tests.assets.landed_rows import hours_ago, trades

HOUR = hours_ago(5)


@pytest.fixture
def differs(tmp_path):
    rows = pl.DataFrame(pa.Table.from_batches([trades(HOUR, per_market=1_000)])).sort("exchange", "symbol", "timestamp", "ordinal")

    def compared(timeframe, change=lambda candles: candles):
        path = tmp_path / "candles.parquet"
        change(candles_from_trades(rows, timeframe)).write_parquet(path)
        with connected() as connection:
            return candle_differences(connection, rows.to_arrow(), path, timeframe, hour=HOUR)

    return compared


@pytest.mark.parametrize("timeframe", TRADE_TIMEFRAMES)
def test_both_computations_agree(differs, timeframe):
    assert differs(timeframe) is None


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume", "quote_volume", "buy_volume", "sell_volume", "vwap"])
def test_a_changed_number_is_found_from_a_billionth_on(differs, column):
    change = pl.when(pl.int_range(pl.len()) == 3).then(pl.col(column) * (1 + 1e-9)).otherwise(pl.col(column)).alias(column)

    assert "1 candles differ" in differs("5m", lambda candles: candles.with_columns(change))


def test_a_changed_count_is_found(differs):
    assert "differs" in differs("1h", lambda candles: candles.with_columns(pl.col("trade_count") + 1))


def test_a_candle_that_is_absent_is_named_with_its_time(differs):
    said = differs("5m", lambda candles: candles.slice(1))

    assert said == f"1 candles differ from their second computation, e.g. binance BTC/USDT at {HOUR.moment:%Y-%m-%d %H:%M} is absent"


def test_a_candle_without_trades_is_found(differs):
    assert "kraken BTC/XYZ" in differs("1h", lambda candles: pl.concat([candles, candles.tail(1).with_columns(symbol=pl.lit("BTC/XYZ"))]))


def test_candles_of_other_hours_in_the_file_are_not_spoken_of(differs):
    def with_the_hour_before(candles):
        return pl.concat([candles.with_columns(pl.col("timestamp").dt.offset_by("-1h")), candles])

    assert differs("1h", with_the_hour_before) is None
