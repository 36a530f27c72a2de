"""Buckets of all fifteen timeframes: scalar, NumPy, Polars and SQL agree, and agree with DuckDB's own `time_bucket`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lake.errors import UnknownTimeframe
from lake.transforms.timeframes import TIMEFRAMES, bucket_sql, nests, next_open, open_time, open_time_expr, open_times

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INTERVALS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks", "M": "months"}
times = st.integers(min_value=1_230_768_000_000_000, max_value=4_102_444_800_000_000)


def us(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


@pytest.fixture(scope="module")
def duck():
    with duckdb.connect() as connection:
        # A zone with an odd offset: none of the expressions may depend on it.
        connection.execute("SET TimeZone = 'Asia/Kolkata'")
        yield connection


@settings(max_examples=40, deadline=None)
@given(moments=st.lists(times, min_size=1, max_size=40))
def test_all_ways_to_a_bucket_agree(duck, moments):
    array = np.array(moments, dtype=np.int64)
    frame = pl.DataFrame({"timestamp": pl.Series(array).cast(pl.Datetime("us", "UTC"))})
    duck.register("given_times", frame.to_arrow())
    for timeframe in TIMEFRAMES:
        expected = [open_time(moment, timeframe) for moment in moments]

        assert open_times(array, timeframe).tolist() == expected
        assert frame.select(open_time_expr("timestamp", timeframe))["timestamp"].to_physical().to_list() == expected
        ours = duck.sql(f"select epoch_us({bucket_sql(timeframe, 'timestamp')}) from given_times").fetchall()
        assert [row[0] for row in ours] == expected
        count, unit = timeframe[:-1], INTERVALS[timeframe[-1]]
        theirs = duck.sql(
            f"select epoch_us(time_bucket(interval '{count} {unit}', timestamp at time zone 'UTC')) from given_times"
        ).fetchall()
        assert [row[0] for row in theirs] == expected


@settings(max_examples=60, deadline=None)
@given(moment=times, timeframe=st.sampled_from(TIMEFRAMES))
def test_a_bucket_holds_its_time_and_the_next_opens_where_it_ends(moment, timeframe):
    opened, following = open_time(moment, timeframe), next_open(moment, timeframe)

    assert opened <= moment < following
    assert open_time(following, timeframe) == following
    assert open_time(following - 1, timeframe) == opened


def test_weeks_open_on_monday_and_three_days_count_from_2000_01_03():
    assert open_time(us("2026-11-22T23:59:59"), "1w") == us("2026-11-16T00:00:00")
    assert open_time(us("2000-01-05T12:00:00"), "3d") == us("2000-01-03T00:00:00")
    assert open_time(us("2000-01-06T00:00:00"), "3d") == us("2000-01-06T00:00:00")
    assert open_time(us("2026-02-28T10:00:00"), "1M") == us("2026-02-01T00:00:00")
    assert next_open(us("2026-12-31T10:00:00"), "1M") == us("2027-01-01T00:00:00")


@pytest.mark.parametrize(
    ("shorter", "longer", "expected"),
    [("1m", "3m", True), ("3m", "5m", False), ("1h", "1M", True), ("3d", "1M", False), ("1w", "1M", False), ("1d", "1w", True),
     ("3d", "1w", False), ("1M", "1w", False), ("8h", "12h", False), ("1M", "1M", True)],
)  # fmt: skip
def test_which_candles_can_be_put_together(shorter, longer, expected):
    assert nests(shorter, longer) is expected


@settings(max_examples=100, deadline=None)
@given(moment=times, shorter=st.sampled_from(TIMEFRAMES), longer=st.sampled_from(TIMEFRAMES))
def test_nesting_means_that_the_bucket_of_a_bucket_is_the_bucket(moment, shorter, longer):
    if nests(shorter, longer):
        assert open_time(open_time(moment, shorter), longer) == open_time(moment, longer)


def test_an_unknown_timeframe_is_named_with_those_that_exist():
    with pytest.raises(UnknownTimeframe, match="'1y' is unknown; known timeframes are 1m, 3m"):
        open_time(0, "1y")
