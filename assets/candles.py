"""Candles of 1m to 1h, made from the trades of their own hour.

Put here: read the hour's trades -> transform -> write, and the comparison with a second computation. Keep out: what a candle is
(`lake.transforms.candles`).
"""

from datetime import timedelta
from typing import Final

import dagster as dg
import duckdb
import polars as pl

from assets.automation import FOLLOW
from assets.checks import check_specs, judge, judged
from assets.hours import Partition
from assets.landed import FIRST, OWNER, POOL
from assets.outcome import HourDone, each_hour, materialized
from assets.recomputed import RECOMPUTED, candle_differences
from assets.resources import LakeResource
from assets.rules import connected, unsound_exchanges
from lake.derived import read_hour, write_hour
from lake.paths import Hour
from lake.registry import TRADE_TIMEFRAMES, Dataset, candle_dataset, dataset
from lake.transforms.candles import candles_from_trades

CANDLES_FRESHNESS: Final = dg.FreshnessPolicy.time_window(fail_window=timedelta(minutes=90), warn_window=timedelta(minutes=75))


def candle_assets(partitions: dg.HourlyPartitionsDefinition) -> list[dg.AssetsDefinition]:
    """One asset for each timeframe that an hour of trades fills by itself."""
    return [_candles(timeframe, partitions) for timeframe in TRADE_TIMEFRAMES]


def _candles(timeframe: str, partitions: dg.HourlyPartitionsDefinition) -> dg.AssetsDefinition:
    data = dataset(candle_dataset(timeframe))

    @dg.asset(
        name=data.name,
        deps=["trades"],
        partitions_def=partitions,
        description=data.description,
        group_name="candles",
        owners=[OWNER],
        kinds={"parquet", "polars"},
        tags={"timeframe": timeframe},
        pool=POOL,
        op_tags=FIRST,
        code_version="1",
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=FOLLOW,
        freshness_policy=CANDLES_FRESHNESS,
        check_specs=check_specs(
            data, dg.AssetCheckSpec(RECOMPUTED.name, asset=data.name, description=RECOMPUTED.description, blocking=RECOMPUTED.stops)
        ),
    )
    def candles(context: dg.AssetExecutionContext, lake: LakeResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        differences: dict[Partition, str] = {}
        with connected() as connection:
            outcome = each_hour(context, lambda hour: _make(lake, data, timeframe, hour, connection=connection, differences=differences))
        checks = [*judge(lake.house, data, outcome), judged(RECOMPUTED, differences, hours=outcome.hours)]
        return materialized(context, data, outcome, checks=checks)

    return candles


def _make(
    lake: LakeResource,
    data: Dataset,
    timeframe: str,
    hour: Hour,
    *,
    connection: duckdb.DuckDBPyConnection,
    differences: dict[Partition, str],
) -> HourDone:
    trades, watermark = read_hour(lake.house, "trades", hour)
    rows = pl.DataFrame(trades)
    left_out = unsound_exchanges(rows)
    sound = rows.filter(~pl.col("exchange").is_in(list(left_out)))
    candles = candles_from_trades(sound, timeframe)
    opened = candles["timestamp"].unique().to_list()
    result = write_hour(
        lake.house, data.name, hour, candles.to_arrow().cast(data.schema), watermark=watermark, visible_after=lake.visible_after_seconds
    )
    # A higher watermark: another run has meanwhile written candles of later trades, which these do not speak of.
    if result.watermark == watermark:
        difference = candle_differences(connection, sound.to_arrow(), result.path, timeframe, hour=hour)
        differences |= {hour: difference} if difference else {}
    return HourDone(
        hour=hour,
        path=result.path,
        rows=candles.height,
        bytes=result.bytes,
        written=result.written,
        first_time=min(opened, default=None),
        last_time=max(opened, default=None),
        problems=tuple(f"{exchange} was left out: {reason}" for exchange, reason in left_out.items()),
    )
