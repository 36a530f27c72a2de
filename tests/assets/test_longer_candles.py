"""Candles of 2h and longer as assets: made by day and month of what there is, the same bytes whenever they run again."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import dagster as dg
import duckdb
import polars as pl
import pytest

from assets.hours import partition_key
from assets.longer import longer_assets
from assets.recomputed import longer_differences
from assets.resources import LakeResource
from lake.derived import read_hour, read_period
from lake.paths import HOUR_US, Hour
from lake.periods import Period
from lake.registry import DAY_TIMEFRAMES, MONTH_TIMEFRAMES, candle_dataset
from lake.transforms.candles import candles_from_candles, candles_from_trades
from orchestration.partitions import daily_partitions, monthly_partitions
from orchestration.settings import OrchestrationSettings
from tests.assets.landed_rows import lake_settings, land, trades, wait_until_visible

LAST = Period.of(int(datetime.now(tz=UTC).timestamp()) * 1_000_000 - 40 * 24 * HOUR_US, "month")
"""A whole month of the past, and the one before it."""
BEFORE = LAST.former
BORDER = LAST.start
TOUCHED = [Hour(BORDER + hours * HOUR_US) for hours in (-50, -26, -3, 0, 5, 30, 100)]


@pytest.fixture
def lake(tmp_path):
    settings = lake_settings(tmp_path)
    land(settings, *({"trades": trades(hour, per_market=40)} for hour in TOUCHED))
    return settings


class Makers:
    """The assets, run one partition or range at a time on one instance."""

    def __init__(self, lake, instance):
        settings = OrchestrationSettings(start_hour=datetime.fromtimestamp(BEFORE.start / 1e6, UTC), _env_file=None)
        with pytest.warns(dg.BetaWarning):
            self.assets = longer_assets(daily_partitions(settings), monthly_partitions(settings))
        self.lake, self.instance = lake, instance

    def make(self, timeframe, first, last=None):
        asset = next(each for each in self.assets if each.key == dg.AssetKey(candle_dataset(timeframe)))
        tags = {
            "dagster/asset_partition_range_start": partition_key(first),
            "dagster/asset_partition_range_end": partition_key(last or first),
        }
        resource = LakeResource(home=str(self.lake.house.root), visible_after_seconds=self.lake.visible_after_seconds)
        job = dg.Definitions(assets=[asset], jobs=[dg.define_asset_job("made", selection=[asset])], resources={"lake": resource})
        result = job.resolve_job_def("made").execute_in_process(instance=self.instance, tags=tags)
        wait_until_visible(self.lake)
        return result


@pytest.fixture
def makers(lake):
    with dg.DagsterInstance.ephemeral() as instance:
        yield Makers(lake, instance)


def from_trades(lake, timeframe):
    rows = pl.concat([pl.DataFrame(read_hour(lake.house, "trades", hour)[0]) for hour in TOUCHED])
    return candles_from_trades(rows, timeframe)


def stored(lake, timeframe, *periods):
    return pl.concat([pl.DataFrame(read_period(lake.house, candle_dataset(timeframe), each)[0]) for each in periods]).sort(
        "exchange", "symbol", "timestamp"
    )


def files(lake):
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in lake.house.days.rglob("day-*") if "1970" not in str(path)}


def assert_same(found, expected):
    exact = ["exchange", "symbol", "timeframe", "timestamp", "open", "high", "low", "close", "trade_count", "source"]
    assert found.select(exact).equals(expected.select(exact))
    for name in ("volume", "quote_volume", "buy_volume", "sell_volume", "vwap"):
        assert found[name].to_list() == pytest.approx(expected[name].to_list(), rel=1e-12)


@pytest.mark.parametrize("timeframe", ["4h", "1d"])
def test_a_day_is_made_of_the_hours_there_are(makers, lake, timeframe):
    days = sorted({Period.of(hour.start, "day") for hour in TOUCHED})

    result = makers.make(timeframe, days[0], days[-1])

    assert_same(stored(lake, timeframe, *days), from_trades(lake, timeframe))
    made = {event.partition for event in result.get_asset_materialization_events()}
    assert len(made) == (days[-1].first - days[0].first).days + 1
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())


@pytest.mark.parametrize("timeframe", MONTH_TIMEFRAMES)
def test_a_month_holds_the_candles_that_open_in_it_whole(makers, lake, timeframe):
    result = makers.make(timeframe, BEFORE, LAST)

    assert_same(stored(lake, timeframe, BEFORE, LAST), from_trades(lake, timeframe))
    assert {event.partition for event in result.get_asset_materialization_events()} == {partition_key(BEFORE), partition_key(LAST)}
    assert all(evaluation.passed for evaluation in result.get_asset_check_evaluations())


def test_again_in_any_order_nothing_is_written_and_the_bytes_are_those_of_another_lake(makers, lake):
    for timeframe, first, last in [("1d", Period.of(TOUCHED[0].start, "day"), Period.of(TOUCHED[-1].start, "day")), ("1w", BEFORE, LAST)]:
        makers.make(timeframe, first, last)
    before = files(lake)
    # The week came of stored days; now it is to come of hours alone.
    for timeframe, last in (("1w", LAST), ("1w", BEFORE), ("1d", Period.of(TOUCHED[3].start, "day"))):
        makers.make(timeframe, last)

    assert files(lake) == before


def test_a_late_trade_corrects_day_and_month_and_the_month_before_where_its_week_reaches_in(makers, lake):
    day = Period.of(BORDER, "day")
    for timeframe in ("1w", "3d"):
        makers.make(timeframe, BEFORE, LAST)
    makers.make("2h", day)
    former = files(lake)

    land(lake, {"trades": trades(TOUCHED[3], seed=3, per_market=5, first_id=5_000)})
    makers.make("2h", day)
    for timeframe in ("1w", "3d"):
        makers.make(timeframe, LAST)

    for timeframe in ("1w", "3d"):
        assert_same(stored(lake, timeframe, BEFORE, LAST), from_trades(lake, timeframe))
    expected = from_trades(lake, "2h").filter(pl.col("timestamp").dt.date() == day.first)
    assert_same(stored(lake, "2h", day), expected)
    assert files(lake).items() >= former.items()


def test_a_day_in_which_nothing_landed_is_there_and_empty(makers, lake):
    day = Period(LAST.first + timedelta(days=20))

    result = makers.make("12h", day)

    assert result.success
    assert stored(lake, "12h", day).is_empty()
    assert len(files(lake)) == 1


def test_the_second_computation_finds_a_changed_candle(lake, tmp_path):
    shorter = candles_from_trades(pl.concat([pl.DataFrame(read_hour(lake.house, "trades", hour)[0]) for hour in TOUCHED[3:5]]), "1h")
    day = Period.of(BORDER, "day")
    for timeframe in DAY_TIMEFRAMES:
        path = tmp_path / f"{timeframe}.parquet"
        candles = candles_from_candles(shorter, timeframe)
        candles.write_parquet(path)
        changed = path.with_suffix(".changed")
        candles.with_columns(pl.col("buy_volume") * (1 + 1e-9)).write_parquet(changed)
        with duckdb.connect() as connection:
            assert longer_differences(connection, shorter.to_arrow(), path, timeframe, period=day) is None
            assert "differs" in (longer_differences(connection, shorter.to_arrow(), changed, timeframe, period=day) or "")
