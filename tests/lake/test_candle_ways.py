"""Different ways to one candle agree: whole history at once, hour by hour with late trades, longer from shorter, and SQL."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from lake import query
from lake.derived import read_hour, read_period
from lake.longer import longer_candles, longer_span
from lake.paths import Home, Hour
from lake.periods import Period
from lake.registry import DAY_TIMEFRAMES, MONTH_TIMEFRAMES, TRADE_TIMEFRAMES, candle_dataset
from lake.transforms.candles import candles_from_candles, candles_from_trades
from lake.transforms.timeframes import TIMEFRAMES, nests
from tests.lake.laying import LaidLake
from tests.lake.making import HOUR, START, trade

SUMS = ("volume", "quote_volume", "buy_volume", "sell_volume", "vwap")
EXACT = ("exchange", "symbol", "timeframe", "timestamp", "open", "high", "low", "close", "trade_count", "source")

# Around the end of a month that is neither the end of a week nor of three days.
MONTH_END = START + 10 * 24 * HOUR
HOURS = (-30, -1, 0, 26)

prices = st.decimals(min_value="0.01", max_value="70000", places=2).map(float)
amounts = st.decimals(min_value="0.00001", max_value="500", places=5).map(float)
moments = st.tuples(st.sampled_from(HOURS), st.integers(min_value=0, max_value=HOUR // 1000 - 1))
batches = st.lists(
    st.lists(st.tuples(moments, prices, amounts, st.sampled_from(["buy", "sell"]), st.integers(1, 3)), min_size=1, max_size=12),
    min_size=1,
    max_size=4,
)


def assert_same(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    order = ["exchange", "symbol", "timestamp"]
    found, expected = found.sort(order), expected.sort(order)
    assert found.select(EXACT).equals(expected.select(EXACT))
    for name in SUMS:
        assert found[name].to_list() == pytest.approx(expected[name].to_list(), rel=1e-12, abs=1e-12), name


def shown(home: Home) -> dict[str, pl.DataFrame]:
    table = query.run_sql(home, "SELECT * EXCLUDE (date, hour) FROM candles").table
    frame = pl.DataFrame(table).with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
    return {timeframe: frame.filter(timeframe=timeframe) for timeframe in TIMEFRAMES}


def landed(number: int, drawn: tuple) -> dict:
    (hour, millisecond), price, amount, side, fills = drawn
    at = MONTH_END + hour * HOUR + millisecond * 1000
    return trade(
        number, at=at, price=price, amount=amount, side=side, fill_count=fills, exchange="binance", symbol=("A/USDT", "B/USDT")[number % 2]
    )


@settings(max_examples=2, deadline=None, phases=[Phase.generate])  # an example is some seconds of files
@given(story=batches, remade=st.lists(st.sampled_from([*HOURS, "days", "months"]), max_size=6))
def test_stored_live_and_whole_agree_however_late_trades_come(tmp_path_factory, story, remade):
    laid = LaidLake(tmp_path_factory.mktemp("ways") / "home")
    given_trades: list[dict] = []
    for number, batch in enumerate(story):
        fresh = [landed(len(given_trades) + each, drawn) for each, drawn in enumerate(batch)]
        given_trades += fresh
        laid.land("trades", *fresh)
        for what in remade[number::2]:
            if what == "days":
                for at in {MONTH_END + hour * HOUR for hour in HOURS}:
                    laid.materialise_longer(at, DAY_TIMEFRAMES)
            elif what == "months":
                for at in (MONTH_END - 1, MONTH_END):
                    laid.materialise_longer(at, MONTH_TIMEFRAMES)
            else:
                laid.compact("trades", MONTH_END + what * HOUR)
                laid.materialise(MONTH_END + what * HOUR)
    laid.log("trades", *(last := [landed(len(given_trades), story[0][0])]))
    given_trades += last
    whole = pl.DataFrame(given_trades).with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
    expected = {timeframe: candles_from_trades(whole, timeframe) for timeframe in TIMEFRAMES}

    view = shown(laid.home)
    for timeframe in TIMEFRAMES:
        assert_same(view[timeframe], expected[timeframe])

    laid.seal()
    for hour in HOURS:
        laid.materialise(MONTH_END + hour * HOUR)
    for timeframe in TRADE_TIMEFRAMES:
        stored = [pl.DataFrame(read_hour(laid.home, candle_dataset(timeframe), Hour.of(MONTH_END + hour * HOUR))[0]) for hour in HOURS]
        assert_same(pl.concat(stored), expected[timeframe])
    for timeframe in (*DAY_TIMEFRAMES, *MONTH_TIMEFRAMES):
        span = longer_span(timeframe)
        # A week of the first days opens in the month before.
        periods = sorted({Period.of(MONTH_END + hour * HOUR, span) for hour in (*HOURS, -24 * 6)})
        for period in periods:
            laid.materialise_longer(period.start, (timeframe,))
        stored = [pl.DataFrame(read_period(laid.home, candle_dataset(timeframe), period)[0]) for period in periods]
        assert_same(pl.concat(stored), expected[timeframe])
    laid.close()


@settings(max_examples=6, deadline=None)
@given(story=batches)
def test_longer_candles_are_the_same_from_every_shorter_timeframe(story):
    rows = [landed(number, drawn) for number, drawn in enumerate(each for batch in story for each in batch)]
    whole = pl.DataFrame(rows).with_columns(pl.col("timestamp").cast(pl.Datetime("us", "UTC")))
    for longer in ("5m", "1h", "8h", "1d", "3d", "1w", "1M"):
        expected = candles_from_trades(whole, longer)
        for shorter in TIMEFRAMES:
            if shorter != longer and nests(shorter, longer):
                assert_same(candles_from_candles(candles_from_trades(whole, shorter), longer), expected)


def test_the_same_day_and_month_come_out_in_the_same_bytes_whatever_stood_between(tmp_path):
    homes = []
    for between in ((), ("hours",), ("hours", "days")):
        laid = LaidLake(tmp_path / f"home{len(between)}")
        laid.land("trades", *(trade(number, at=START + number * 7_919_000_000, price=100 + number % 13 * 0.07) for number in range(60)))
        if "hours" in between:
            for hour in range(0, 132, 2):
                laid.materialise(START + hour * HOUR, ("1h",))  # longer candles are made of these alone
        if "days" in between:
            for day in range(5):
                laid.materialise_longer(START + day * 24 * HOUR, ("1d",))
        results = laid.materialise_longer(START, ("4h", "1d", "3d", "1w", "1M"))
        if not between:  # the second time reads as stored what the first time computed
            again = laid.materialise_longer(START, ("4h", "1d", "3d", "1w", "1M"))
            assert not any(result.written for result in again)
        homes.append([result.path.read_bytes() for result in results])
        laid.close()

    assert homes[0] == homes[1] == homes[2]


def test_a_slower_run_on_older_input_changes_nothing(tmp_path):
    laid = LaidLake(tmp_path / "home")
    laid.land("trades", trade(1, at=START))
    older = laid.clock.us
    laid.land("trades", trade(2, at=START + HOUR))
    (newer,) = laid.materialise_longer(START, ("1d",))

    candles, watermark = longer_candles(laid.home, "1d", Period.of(START, "day"), at_us=older)
    laid.clock.seconds = older / 1_000_000
    (stale,) = laid.materialise_longer(START, ("1d",))
    laid.close()

    assert candles["trade_count"].to_list() == [1]
    assert watermark < newer.watermark
    assert (stale.path, stale.written) == (newer.path, False)
