"""Further studies that tickhouse.toml names, on candles of every timeframe: one row a value, none where none is named.

Put here: read the candles of a partition and a look-back before it -> compute -> write. Keep out: the studies
(`lake.transforms.indicators.studies`).
"""

from pathlib import Path
from typing import Final

import dagster as dg
import polars as pl

from assets.automation import FOLLOW
from assets.checks import check_specs, judge
from assets.hours import Partition, hours_of, periods_of
from assets.indicators import INDICATORS_FRESHNESS
from assets.landed import OWNER, POOL
from assets.outcome import HourDone, each_partition, materialized
from assets.resources import FlowResource, LakeResource
from lake.carried import TIMEFRAMES_OF, Chain
from lake.configured_studies import configured_studies
from lake.indicator_datasets import indicator_study_dataset
from lake.registry import Dataset, Span, candle_dataset, dataset
from lake.transforms.indicators.studies import Study, study_columns

LOOK_BACK: Final[dict[Span, int]] = {"hour": 72, "day": 120, "month": 60}
"""Partitions before its own that a study looks at. It begins anew there, so values of long averages depend on it, by a little."""


def study_assets(
    hours: dg.HourlyPartitionsDefinition, days: dg.DailyPartitionsDefinition, months: dg.MonthlyPartitionsDefinition
) -> list[dg.AssetsDefinition]:
    """One asset for each span of partitions."""
    return [_studies("hour", hours), _studies("day", days), _studies("month", months)]


def _studies(span: Span, partitions: dg.TimeWindowPartitionsDefinition) -> dg.AssetsDefinition:
    data = dataset(indicator_study_dataset(span))

    @dg.asset(
        name=data.name,
        deps=[candle_dataset(timeframe) for timeframe in TIMEFRAMES_OF[span]],
        partitions_def=partitions,
        description=data.description,
        group_name="indicators",
        owners=[OWNER],
        kinds={"parquet", "pandas"},
        tags={"span": span},
        pool=POOL,
        op_tags={"dagster/priority": "-2"},
        code_version="1",
        backfill_policy=dg.BackfillPolicy.single_run(),
        automation_condition=FOLLOW,
        freshness_policy=INDICATORS_FRESHNESS,
        check_specs=check_specs(data),
    )
    def studies(context: dg.AssetExecutionContext, lake: LakeResource, flow: FlowResource) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster knows it by the bare class
        named = configured_studies(Path(flow.config))
        chain = Chain(lake.house, span, lake.visible_after_seconds)
        wanted: list[Partition] = [*hours_of(context)] if span == "hour" else [*periods_of(context, span)]
        outcome = each_partition(context, wanted, lambda each: _make(chain, data, each, named))
        return materialized(context, data, outcome, checks=judge(lake.house, data, outcome))

    return studies


def _make(chain: Chain, data: Dataset, partition: Partition, named: tuple[Study, ...]) -> HourDone:
    candles, watermark = chain.candles(partition)
    rows = pl.DataFrame(data.schema.empty_table())
    if named and candles.height:
        before = [chain.candles(each)[0] for each in chain.before(partition, LOOK_BACK[chain.span])]
        columns = [column for study in named for column in study.columns]
        computed = study_columns(pl.concat([*before, candles]), named).filter(pl.col("timestamp") >= candles["timestamp"].min())
        long = computed.unpivot(columns, index=["exchange", "symbol", "timeframe", "timestamp", "source"], variable_name="study")
        rows = long.drop_nulls("value").select(data.schema.names)
    result = chain.write(data.name, partition, rows.to_arrow(), watermark=watermark)
    times = rows["timestamp"].unique().sort().to_list()
    return HourDone(
        hour=partition,
        path=result.path,
        rows=result.rows,
        bytes=result.bytes,
        written=result.written,
        first_time=times[0] if times else None,
        last_time=times[-1] if times else None,
    )
