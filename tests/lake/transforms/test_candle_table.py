from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from lake.errors import CandleTableError
from lake.transforms.candle_table import candle_table

MOMENTS = [datetime(2021, 12, 31, 23, 1, tzinfo=UTC), datetime(2021, 12, 31, 23, 2, tzinfo=UTC)]
SECONDS = [int(moment.timestamp()) for moment in MOMENTS]


def table(times: object, **more: object) -> pl.DataFrame:
    prices = {"open": [1.0, 2.0], "high": [3.0, 3.0], "low": [0.5, 1.0], "close": [2.0, 2.5], "volume": [10, 0]}
    return pl.DataFrame({"timestamp": times, **prices, **more})


@pytest.mark.parametrize(
    "times",
    [
        SECONDS,
        [float(second) for second in SECONDS],
        [second * 1_000 for second in SECONDS],
        [second * 1_000_000 for second in SECONDS],
        [second * 1_000_000_000 for second in SECONDS],
        [str(second * 1_000) for second in SECONDS],
        [f"{second}.0" for second in SECONDS],
        ["2021-12-31T23:01:00Z", "2021-12-31T23:02:00Z"],
        ["2021-12-31 23:01:00.000000", "2021-12-31 23:02:00.000000"],
        ["2021-12-31 23:01:00.000000000", "2021-12-31 23:02:00.000000000"],
        ["2021-12-31 23:01", "2021-12-31 23:02"],
        ["2021/12/31 23:01:00 UTC", "2021/12/31 23:02:00 UTC"],
        ["2022-01-01T00:01:00+01:00", "2022-01-01T00:02:00+01:00"],
        pl.Series(MOMENTS).dt.replace_time_zone(None),
        pl.Series(MOMENTS).cast(pl.Datetime("ns", "UTC")),
        pl.Series(MOMENTS).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone("America/New_York"),
    ],
)
def test_times_of_every_spelling_are_understood(times: object):
    candles = candle_table(table(times)).candles

    assert candles["timestamp"].dtype == pl.Datetime("us", "UTC")
    assert candles["timestamp"].to_list() == MOMENTS


@pytest.mark.parametrize("times", [["2021-12-30", "2021-12-31"], [date(2021, 12, 30), date(2021, 12, 31)], ["20211230", "20211231"]])
def test_days_begin_at_midnight(times: object):
    candles = candle_table(table(times)).candles

    assert candles["timestamp"].to_list() == [datetime(2021, 12, 30, tzinfo=UTC), datetime(2021, 12, 31, tzinfo=UTC)]


def test_fractions_of_a_second_are_kept():
    candles = candle_table(table([1640991660.25, 1640991720.5])).candles

    assert candles["timestamp"].to_list() == [MOMENTS[0] + timedelta(milliseconds=250), MOMENTS[1] + timedelta(milliseconds=500)]


def test_columns_are_found_in_any_case_and_order_and_text_is_read_as_numbers():
    given = pl.DataFrame(
        {
            " VOLUME": ["10", "0"],
            "Close": ["2", "2.5"],
            "Open Time": SECONDS,
            "low": [0.5, 1.0],
            "High": [3, 3],
            "OPEN": [1.0, 2.0],
            "close_time": [0, 0],
            "Pair": ["ETH/BTC"] * 2,
        }
    )

    read = candle_table(given)

    assert read.labels == ("symbol",)
    assert read.candles["symbol"].to_list() == ["ETH/BTC"] * 2
    expected = candle_table(table(SECONDS)).candles
    assert read.candles.drop("symbol").equals(expected.drop("symbol"))


def test_of_several_times_the_first_of_the_known_names_counts():
    assert candle_table(table(SECONDS, date=["x", "y"])).candles["timestamp"].to_list() == MOMENTS


def test_a_symbol_can_be_named_where_no_column_does():
    assert candle_table(table(SECONDS), symbol="ETH/BTC").candles["symbol"].to_list() == ["ETH/BTC"] * 2
    assert candle_table(table(SECONDS, symbol=["A", "A"]), symbol="ETH/BTC").candles["symbol"].to_list() == ["A"] * 2


def test_rows_are_sorted_and_what_is_said_twice_counts_once():
    rows = pl.concat([table(SECONDS).reverse(), table(SECONDS)])

    read = candle_table(rows)

    assert read.candles.equals(candle_table(table(SECONDS)).candles)
    assert read.remarks == ("2 rows that repeat another were left out", "the rows stood out of order of time and were sorted")


def test_symbols_in_turn_are_in_order():
    turns = pl.concat([table(SECONDS, symbol=["A", "A"]), table(SECONDS, symbol=["B", "B"])]).sort("timestamp")

    assert candle_table(turns).remarks == ()


def test_rows_without_any_price_are_no_candles():
    empty = table(SECONDS).with_columns(pl.when(pl.int_range(2) == 0).then(pl.col("open", "high", "low", "close")))

    read = candle_table(empty)

    assert read.candles.height == 1
    assert read.remarks == ("1 rows without any price were left out",)


def test_prices_outside_high_and_low_are_remarked():
    swapped = table(SECONDS).rename({"high": "low", "low": "high"})

    assert candle_table(swapped).remarks == ("2 candles open or close outside their high and low: are the columns right?",)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (table(SECONDS).drop("close", "volume"), "the table has no column close or volume: it has 'timestamp', 'open', 'high', 'low'"),
        (table(SECONDS, Close=[1, 2]), "columns 'close' and 'Close' mean the same"),
        (table(["noon", "midnight"]), "timestamp is 'noon' in row 1, expected a time"),
        (table([0, 1]), "timestamp is 0 in row 1, expected a time"),
        (table([True, False]), "timestamp holds values of type Boolean"),
        (table([SECONDS[0], None]), "timestamp is empty in row 2"),
        (table(SECONDS, close=["2", "dear"]), "close is 'dear' in row 2, expected a number"),
        (table(SECONDS, close=[2.0, float("inf")]), "close is inf in row 2, expected a number"),
        (table(SECONDS, close=[2.0, float("nan")]), "close is empty in row 2"),
        (table(SECONDS, close=[[1], [2]]), "column close holds values of type List"),
        (table([SECONDS[0]] * 2), "rows 1 and 2 are different candles of one symbol at 2021-12-31 23:01:00"),
        (table(SECONDS)[:0], "the table has 0 rows and no candle in them"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_one_sentence(given: pl.DataFrame, sentence: str):
    with pytest.raises(CandleTableError, match=sentence):
        candle_table(given)
