"""Indicators as an asset: going on from partition to partition, whatever the order, and repaired forward in one run."""

import shutil
from functools import cache

import dagster as dg
import numpy as np
import polars as pl
import pytest

from assets.hours import partition_key
from lake import files
from lake.carried import Chain
from lake.derived import read_hour, read_period, write_hour, write_period
from lake.indicator_datasets import indicator_dataset
from lake.periods import Period
from lake.registry import DATASETS, TRADE_TIMEFRAMES, candle_dataset
from lake.transforms.candles import CANDLE_SCHEMA
from lake.transforms.indicators.definitions import INDICATORS
from lake.transforms.indicators.dollars import usdt_rates
from lake.transforms.indicators.suite import compute
from orchestration.run import materialize_range
from orchestration.settings import OrchestrationSettings
from tests.assets.landed_rows import VISIBLE_AFTER, hours_ago, lake_settings, wait_until_visible

pytestmark = pytest.mark.lengthy

HOURS = 24
SETTINGS = OrchestrationSettings(_env_file=None)
ROWS = indicator_dataset("hour")
KEY = ["exchange", "symbol", "timeframe", "timestamp"]
WIDTHS = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1h": 60}


def candles(hour, timeframe, *, lift=0.0):
    """A walk of two symbols through one hour, in a fixed path; `lift` moves every price."""
    width = WIDTHS[timeframe]
    opened = np.arange(hour.start, hour.end, width * 60_000_000)
    minute = opened / 60e6
    frames = []
    for symbol, base in (("BTC/USDT", 50_000.0), ("ETH/USD", 2_000.0)):
        close = base * (1 + 0.01 * np.sin(minute / 97) + 0.003 * np.sin(minute * 1.7)) + lift
        frame = {
            "exchange": "binance", "symbol": symbol, "timeframe": timeframe, "timestamp": opened, "open": close - 1.0, "high": close + 3.0,
            "low": close - 4.0, "close": close, "volume": 2.0, "quote_volume": 2.0 * close, "trade_count": 3, "buy_volume": 1.5,
            "sell_volume": 0.5, "vwap": close, "source": "trades",
        }  # fmt: skip
        frames.append(
            pl.DataFrame(frame).cast({"timestamp": pl.Datetime("us")}).with_columns(pl.col("timestamp").dt.replace_time_zone("UTC"))
        )
    return pl.concat(frames).select(list(CANDLE_SCHEMA)).cast(CANDLE_SCHEMA)


def lay(lake, hour, *, watermark=1, lift=0.0):
    for timeframe in TRADE_TIMEFRAMES:
        name = candle_dataset(timeframe)
        table = candles(hour, timeframe, lift=lift).to_arrow().cast(DATASETS[name].schema)
        write_hour(lake.house, name, hour, table, watermark=watermark, visible_after=VISIBLE_AFTER)


def stored(lake):
    wait_until_visible(lake)
    tables = [read_hour(lake.house, ROWS, hours_ago(number))[0] for number in range(HOURS, 0, -1)]
    return pl.concat([pl.DataFrame(table) for table in tables]).sort(KEY)


@cache
def whole(lifted=None):
    """Indicators of all candles at once, of a history in which the hour `lifted` stands higher."""
    frames = [
        candles(hours_ago(number), timeframe, lift=100.0 if number == lifted else 0.0)
        for number in range(HOURS, 0, -1)
        for timeframe in TRADE_TIMEFRAMES
    ]
    every = pl.concat(frames)
    return compute(every, rates=usdt_rates(every))[0].sort(KEY)


def assert_same(received, expected):
    assert received.select(KEY).equals(expected.select(KEY))
    for name in INDICATORS:
        one, two = received[name].cast(pl.Float64), expected[name].cast(pl.Float64)
        assert one.is_null().equals(two.is_null()), name
        assert ((one - two).abs() <= 1e-8 * two.abs() + 1e-8 * expected["sma20"].fill_null(1.0) * 1e-2).fill_null(value=True).all(), name


@pytest.fixture(scope="module")
def candled(tmp_path_factory):
    """Candles of every hour, laid down once: tests begin with copies."""
    lake = lake_settings(tmp_path_factory.mktemp("candled"))
    for number in range(HOURS, 0, -1):
        lay(lake, hours_ago(number))
    return lake


@pytest.fixture(scope="module")
def followed(candled, tmp_path_factory):
    """Candles of every hour and the indicators of all of them."""
    lake = copied(candled, tmp_path_factory.mktemp("followed"))
    make(lake, HOURS, 1)
    return lake


def copied(lake, root):
    shutil.copytree(lake.house.root, root, dirs_exist_ok=True)
    return lake_settings(root)


@pytest.fixture
def lake(candled, tmp_path):
    return copied(candled, tmp_path)


@pytest.fixture
def made(followed, tmp_path):
    return copied(followed, tmp_path)


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def make(lake, first, last, instance=None, *, name=ROWS):
    summary = materialize_range(lake, [name], hours_ago(first), hours_ago(last), settings=SETTINGS, instance=instance)
    assert summary.success, summary.sentence
    return summary


def test_hours_made_one_after_the_other_equal_the_whole_history(lake):
    make(lake, HOURS, 11)
    for number in (10, 9):
        make(lake, number, number)
    make(lake, 8, 1)

    assert_same(stored(lake), whole())


def test_hours_made_out_of_order_equal_the_whole_history(lake):
    make(lake, 10, 1)
    make(lake, HOURS, 19)
    make(lake, 18, 11)

    assert_same(stored(lake), whole())


def test_a_repaired_hour_corrects_all_that_comes_after_it_in_its_own_run(made, instance):
    lay(made, hours_ago(12), watermark=2, lift=100.0)

    make(made, 12, 12, instance)

    assert_same(stored(made), whole(lifted=12))
    runs = [run for run in instance.get_runs() if run.tags.get("dagster/asset_partition_range_start") == partition_key(hours_ago(12))]
    logged = instance.all_logs(runs[0].run_id)
    partitions = {log.dagster_event.partition for log in logged if log.dagster_event and log.dagster_event.is_step_materialization}
    assert partitions == {partition_key(hours_ago(number)) for number in range(12, 0, -1)}


def test_a_repair_that_changes_nothing_goes_no_further(made, instance):
    before = {path: path.stat().st_mtime_ns for path in made.house.lake.glob(f"{ROWS}/*/*/*")}

    lay(made, hours_ago(12), watermark=2)
    make(made, 12, 12, instance)

    after = {path: path.stat().st_mtime_ns for path in made.house.lake.glob(f"{ROWS}/*/*/*")}
    assert {path.parent for path in after.keys() - before.keys()} == {made.house.hour_dir(ROWS, hours_ago(12))}


def test_a_run_that_died_while_repairing_is_brought_to_its_end_by_the_next(made):
    lay(made, hours_ago(12), watermark=2, lift=100.0)
    Chain(made.house, "hour", VISIBLE_AFTER).make(hours_ago(12))  # and here it dies

    make(made, 1, 1)

    assert_same(stored(made), whole(lifted=12))
    assert files.names(made.house.locks / f"{ROWS}-unsettled") == []


def test_the_month_before_is_made_again_with_a_month(tmp_path):
    lake = lake_settings(tmp_path)
    month = Period.of(hours_ago(1).start, "month")
    rows = indicator_dataset("month")
    lay_month(lake, month.former, close=100.0)
    lay_month(lake, month, close=101.0)
    chain = Chain(lake.house, "month", VISIBLE_AFTER)
    chain.make(month.former)
    chain.settled()

    lay_month(lake, month.former, close=90.0, watermark=2)
    make(lake, 1, 1, name=rows)
    wait_until_visible(lake)

    former = pl.DataFrame(read_period(lake.house, rows, month.former)[0])
    assert former["range_pct"].to_list() == pytest.approx([-10.0])
    assert read_period(lake.house, rows, month)[0].num_rows == 1


def lay_month(lake, month, *, close, watermark=1):
    """One weekly candle that opens in the month, from 100."""
    values = {"timeframe": "1w", "open": 100.0, "high": 110.0, "low": 80.0, "close": close}
    opened = pl.from_epoch(pl.Series([month.start]), "us").dt.replace_time_zone("UTC")
    row = candles(hours_ago(1), "1h").head(1).with_columns(timestamp=opened, **{name: pl.lit(value) for name, value in values.items()})
    table = row.to_arrow().cast(DATASETS["candles_1w"].schema)
    write_period(lake.house, "candles_1w", month, table, watermark=watermark, visible_after=VISIBLE_AFTER)
