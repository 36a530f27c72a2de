"""Candles of 2h to 1d by the day, and of 3d to 1M by the month, made from shorter ones.

Put here: gather the shorter candles of a period -> transform -> write, and the comparison with a second computation. Keep out: where
shorter candles come from while they are not stored yet (`lake.longer`).

A month owns the candles that open in it, and the last week and three days of a month end in the next. Partitions stay one to one all the
same (a day belongs to its month): a run of a month makes the month before it anew too, for its last candle reaches into it; that writes
nothing where nothing has changed.
"""

from datetime import timedelta
from functools import partial
from typing import Final

import dagster as dg
import duckdb
import polars as pl

from assets.automation import GATHER
from assets.checks import check_specs, judge, judged
from assets.hours import Partition, periods_of
from assets.landed import OWNER, POOL
from assets.outcome import HourDone, each_partition, materialized
from assets.recomputed import RECOMPUTED, longer_differences
from assets.resources import LakeResource
from assets.rules import connected, unsound_exchanges
from lake.derived import WriteResult, period_file, write_period
from lake.longer import shorter_candles
from lake.periods import Period
from lake.registry import DAY_TIMEFRAMES, MONTH_TIMEFRAMES, Dataset, candle_dataset, dataset
from lake.transforms.candles import candles_from_candles

LONGER_FRESHNESS: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=100), warn_window=timedelta(minutes=80))
"""Every hour that closes refreshes its day and its month."""

_ACROSS_MONTHS: Final = frozenset({"3d", "1w"})


def longer_assets(days: dg.DailyPartitionsDefinition, months: dg.MonthlyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """One asset for each timeframe of 2h and longer."""
    return [
        *(_longer(timeframe, days, base=candle_dataset("1h")) for timeframe in DAY_TIMEFRAMES),
        *(_longer(timeframe, months, base=candle_dataset("1d")) for timeframe in MONTH_TIMEFRAMES),
    ]


def _longer(timeframe: str, partitions: dg.TimeWindowPartitionsDefinition, *, base: str) -> dg.AssetsDefinition:
    data = dataset(candle_dataset(timeframe))
    # The running day or month holds hours that are no partition yet.
    mapping = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)

    @dg.asset(
        name=data.name,
        deps=[dg.AssetDep(base, partition_mapping=mapping)],
        partitions_def=partitions,
        description=data.description,
        group_name="candles",
        owners=[OWNER],
        kinds={"parquet", "polars"},
        tags={"timeframe": "1month" if timeframe == "1M" else timeframe},
        pool=POOL,
        code_version="1",
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=GATHER,
        freshness_policy=LONGER_FRESHNESS,
        check_specs=check_specs(
            data, dg.AssetCheckSpec(RECOMPUTED.name, asset=data.name, description=RECOMPUTED.description, blocking=RECOMPUTED.stops)
        ),
    )
    def candles(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        periods = periods_of(context, data.span)
        differences: dict[Partition, str] = {}
        with connected() as connection:
            work = partial(_make, lake, data, timeframe, run=frozenset(periods), connection=connection, differences=differences)
            outcome = each_partition(context, periods, work)
        checks = [*judge(lake.house, data, outcome), judged(RECOMPUTED, differences, hours=outcome.hours)]
        return materialized(context, data, outcome, checks=checks)

    return candles


def _write(lake: LakeResource, data: Dataset, timeframe: str, period: Period) -> tuple[pl.DataFrame, pl.DataFrame, WriteResult, int]:
    """The shorter candles, those made of them, what became of the file, and the watermark."""
    shorter, watermark = shorter_candles(lake.house, timeframe, period, sift=_sound)
    candles = candles_from_candles(shorter, timeframe)
    table = candles.to_arrow().cast(data.schema)
    result = write_period(lake.house, data.name, period, table, watermark=watermark, visible_after=lake.visible_after_seconds)
    return shorter, candles, result, watermark


def _make(
    lake: LakeResource,
    data: Dataset,
    timeframe: str,
    period: Period,
    *,
    run: frozenset[Period],
    connection: duckdb.DuckDBPyConnection,
    differences: dict[Partition, str],
) -> HourDone:
    # The last candle of the month before may hold days of this one.
    if timeframe in _ACROSS_MONTHS and period.former not in run and period_file(lake.house, data.name, period.former):
        _write(lake, data, timeframe, period.former)
    shorter, candles, result, watermark = _write(lake, data, timeframe, period)
    # A higher watermark: another run has meanwhile written candles of later trades, which these do not speak of.
    if result.watermark == watermark:
        difference = longer_differences(connection, shorter.to_arrow(), result.path, timeframe, period=period)
        differences |= {period: difference} if difference else {}
    opened = candles["timestamp"]
    return HourDone(
        hour=period,
        path=result.path,
        rows=result.rows,
        bytes=result.bytes,
        written=result.written,
        first_time=opened.min(),  # type: ignore[arg-type]  # Polars says any literal
        last_time=opened.max(),  # type: ignore[arg-type]
    )


def _sound(trades: pl.DataFrame) -> pl.DataFrame:
    """The trades without those of exchanges that sent one which cannot enter a candle: as the candles of the hour leave them out."""
    return trades.filter(~pl.col("exchange").is_in(list(unsound_exchanges(trades))))
